// In which type matrix products run: what is asked for, what the CPU has instructions for, and what is faster on it.
#pragma once

#include <string>

#include <ATen/core/Tensor.h>

namespace agpnet
{

enum class ComputeType
{
    Float32,
    BFloat16
};

/// "fp32", "bf16", or "auto": on a CUDA device bfloat16, on a CPU what is faster. Float32 too where "bf16" is asked of a CPU without bfloat16
/// products: elsewhere they are slower than float32, or LibTorch refuses them.
ComputeType computeType(const std::string& precision, at::Device device = at::kCPU);

at::ScalarType scalarType(ComputeType compute);

/// BFloat16 where the CPU has products of it and they are faster than those of float32, which is measured at the first call and then known.
ComputeType fastestComputeType();

} // namespace agpnet
