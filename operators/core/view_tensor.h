#pragma once

#include "common/error.h"
#include "halide_generators/runtime/stages.h"

#include <ATen/ops/from_blob.h>

namespace agpnet
{

/// The LibTorch device of a stage's device; an Error for OpenCL, which LibTorch does not support.
inline at::Device torchDeviceOf(const char* name, const stages::Device& device)
{
    require(device.api != stages::Api::OpenCL, "{}: takes arrays in host memory or on a CUDA device", name);
    return device.api == stages::Api::Cuda ? at::Device(at::kCUDA, static_cast<at::DeviceIndex>(device.cudaDevice)) : at::Device(at::kCPU);
}

/// A view as a tensor; no copy.
inline at::Tensor tensorOf(const stages::View& view, at::Device device = at::kCPU)
{
    const at::TensorOptions options = at::TensorOptions(at::kFloat).device(device);
    return at::from_blob(view.data, {view.size[0], view.size[1], view.size[2], view.size[3]},
                         {view.stride[0], view.stride[1], view.stride[2], view.stride[3]}, options);
}

} // namespace agpnet
