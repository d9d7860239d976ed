#pragma once

#include "agpnet/export.hpp"

#include <string>

namespace agpnet
{

/// "0.1.0"
AGPNET_EXPORT std::string version();

/// What this library was built with and finds here, as JSON text: OpenCV, LibTorch, Halide, CPU, stages and their schedules,
/// devices.
AGPNET_EXPORT std::string buildInformation();

} // namespace agpnet
