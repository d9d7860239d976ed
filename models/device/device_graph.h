// A captured graph of a device, as this LibTorch has it; AGPNET_GRAPHS says whether it has: since 2.12 of any device that registers one and
// without CUDA's headers, before of CUDA, where the build found those headers and is linked to LibTorch's part for CUDA.
#pragma once

#if __has_include(<ATen/core/GraphImplInterface.h>)
#define AGPNET_GRAPHS
#include <ATen/core/GraphImplInterface.h>
#include <memory>

namespace agpnet
{

class DeviceGraph
{
public:
    static bool possible(at::DeviceType kind) { return at::has_graph_impl(kind); }

    explicit DeviceGraph(at::DeviceType kind) : graph_(at::create_graph_impl(kind)) {}
    /// From here to end(), work in the current stream (not the default stream) is captured, not executed. Other threads of the program
    /// go on allocating and computing meanwhile.
    void begin() { graph_->capture_begin({0, 0}, at::GraphCaptureMode::ThreadLocal); }
    void end() { graph_->capture_end(); }
    void replay() { graph_->replay(); } ///< runs the graph in the current stream

private:
    std::unique_ptr<at::GraphImplInterface> graph_;
};

} // namespace agpnet

#elif defined(AGPNET_CUDA_HEADERS)
#define AGPNET_GRAPHS
#include <ATen/cuda/CUDAGraph.h>

namespace agpnet
{

class DeviceGraph // as above
{
public:
    static bool possible(at::DeviceType kind) { return kind == at::kCUDA; }

    explicit DeviceGraph(at::DeviceType /*kind*/) {}
    void begin() { graph_.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal); }
    void end() { graph_.capture_end(); }
    void replay() { graph_.replay(); }

private:
    at::cuda::CUDAGraph graph_;
};

} // namespace agpnet

#endif
