// A computation on a device as one launch instead of hundreds: captured once for a shape of its input, replayed from then on. Of a small
// batch the launches, and not the arithmetic, are what takes the time.
#pragma once

#include <ATen/core/Tensor.h>
#include <functional>
#include <memory>
#include <vector>

namespace agpnet
{

/// What it gives is what the computation gives, by whichever way. It may be called from several threads.
class CapturedGraph
{
public:
    /// May read nothing of a device, nor depend on anything but its argument: then what is captured is the whole of it.
    using Computation = std::function<std::vector<at::Tensor>(const at::Tensor&)>;

    explicit CapturedGraph(Computation computation);
    ~CapturedGraph();

    /// The computation of `input`, in LibTorch's current stream. The third call with a shape captures; it is replayed only if its first
    /// replay gave what the computation had given just before, and otherwise, and wherever graphs are not to be had, the computation is
    /// called as it stands.
    std::vector<at::Tensor> operator()(const at::Tensor& input) const;

    static constexpr int64_t largestBatch = 8; ///< in larger batches, arithmetic hides the launches, and a graph keeps memory
    static constexpr size_t mostShapes = 4;    ///< further ones are computed as they stand
    static constexpr int callsBefore = 2;      ///< calls with a shape before it is worth capturing

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace agpnet
