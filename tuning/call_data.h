// The data of a workload on a device: inputs that are drawn, and outputs between canaries.
#pragma once

#include "halide_generators/reference/stage_checks.h"
#include "tuning/bench_device.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace agpnet::tuning
{

class CallData
{
public:
    /// Equal seeds give equal values, on every device.
    CallData(BenchDevice& device, const stages::Workload& workload, uint64_t seed);

    const reference::CallMemory& memory() const { return memory_; }
    const reference::CallValues& values() const { return values_; }

    /// Gives the outputs memory that no call has written yet.
    void renewOutputs();

    /// Values of an output in the order of an Array, whole numbers too; false if anything around them was written.
    bool read(size_t output, std::vector<float>& values) const;

private:
    void drawInput(const std::array<int, 4>& size, uint64_t seed);
    void drawImage(uint64_t seed);
    void drawRows(const std::array<int, 4>& size, uint64_t seed);

    BenchDevice& device_;
    stages::Workload workload_;
    reference::CallMemory memory_;
    reference::CallValues values_;
    std::vector<std::unique_ptr<Memory>> inputs_, outputs_; ///< what the views of memory_ lie in
};

} // namespace agpnet::tuning
