// Devices by name.
#pragma once

#include <c10/core/Device.h>
#include <string>

namespace agpnet
{

/// "cpu", "cuda" (the first) or "cuda:N". LibTorch's part for CUDA is loaded when it is first asked for, from beside the part that is
/// loaded. An Error where the name is another, this LibTorch has no CUDA, or the machine no such device.
at::Device deviceNamed(const std::string& name);

} // namespace agpnet
