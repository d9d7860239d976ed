// The device of a stage that works on a tensor.
#pragma once

#include "halide_generators/runtime/stages.h"

#include <ATen/core/Tensor.h>

namespace agpnet
{

/// The CPU, or LibTorch's current stream on the tensor's CUDA device, in the primary context that both use: nothing is copied and nothing
/// waits. An Error for a tensor elsewhere.
stages::Device stageDeviceOf(const at::Tensor& tensor);

} // namespace agpnet
