// The processes that train one model together: LibTorch's c10d, over Gloo. One after the other they do what one process would have done
// with the whole batch: each takes its part of the images, and the gradients are averaged.
#pragma once

#include <ATen/core/Tensor.h>
#include <memory>
#include <vector>

namespace agpnet
{

/// Every process must make the same calls in the same order. Where another one has gone away or does not answer, they throw an Error.
class ProcessGroup
{
public:
    ProcessGroup() = default; ///< this process alone: nothing is sent, everything is given back as it is

    /// Joins the processes that torchrun, an MPI or Slurm started; a process that none of them started is alone. Waits for the others. Read
    /// are RANK and WORLD_SIZE; or OMPI_COMM_WORLD_RANK and _SIZE; or PMI_RANK and PMI_SIZE; or SLURM_PROCID and SLURM_STEP_NUM_TASKS; and
    /// where process 0 is: MASTER_ADDR (needed if the processes are not known to be on one machine) and MASTER_PORT (default 29500).
    static ProcessGroup fromEnvironment();

    int rank() const { return rank_; }
    int size() const { return size_; }

    /// Replaces the values by their mean over all processes: the same bits in each.
    void average(const std::vector<at::Tensor>& tensors) const;

    /// Replaces the values by those of process 0.
    void broadcast(const std::vector<at::Tensor>& tensors) const;

    /// Concatenates the tensors of all processes along the first dimension, in their order. Shapes must be equal.
    at::Tensor gathered(const at::Tensor& mine) const;

    bool any(bool mine) const;
    double first(double mine) const; ///< process 0's

private:
    struct Group;
    std::shared_ptr<Group> group_;
    int rank_ = 0, size_ = 1;
};

} // namespace agpnet
