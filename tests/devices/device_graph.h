// A captured graph of a CUDA device, as AGPNET_TEST_GRAPH says whether this LibTorch has one: since 2.12 without CUDA's headers, before where the build found them.
#pragma once

#if __has_include(<ATen/accelerator/Graph.h>)
#include <ATen/accelerator/Graph.h>
#define AGPNET_TEST_GRAPH
namespace agpnet::test
{
using DeviceGraph = at::accelerator::Graph;
}
#elif defined(AGPNET_CUDA_HEADERS)
#include <ATen/cuda/CUDAGraph.h>
#define AGPNET_TEST_GRAPH
namespace agpnet::test
{
using DeviceGraph = at::cuda::CUDAGraph;
}
#endif
