// The type of matrix products: the requested one, the ones that the CPU has instructions for, and the fastest.
#pragma once

#include <string>

#include <ATen/core/Tensor.h>

namespace agpnet
{

enum class ComputeType
{
    Float32,
    BFloat16,
    Int8 ///< 8 bits, where a transformer's linear layers have them; the rest in float32
};

/// "fp32", "bf16", "int8", or "auto": on a CUDA device bfloat16, on a CPU what is faster of the first two. Float32 too where "bf16" or
/// "int8" is asked of a CPU without such products, and "int8" of another device: they would be slower than float32, or LibTorch refuses
/// them.
ComputeType computeType(const std::string& precision, at::Device device = at::kCPU);

/// The type of all products that have no int8.
at::ScalarType scalarType(ComputeType compute);

/// The requested precision: "fp32", "bf16" or "int8".
const char* nameOf(ComputeType compute);

/// BFloat16 where the CPU has products of it and they are faster than those of float32, which is measured at the first call and then known.
ComputeType fastestComputeType();

/// Whether the CPU has products of 8 bits and they are faster than those of fastestComputeType(), measured likewise.
bool eightBitsAreFaster();

} // namespace agpnet
