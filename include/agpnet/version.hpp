/// @file
/// What this library is, and what it finds here.
#pragma once

#include "agpnet/api.hpp"

#include <string>

/// Training and inspection, and the stages of both, on OpenCV's arrays.
namespace agpnet
{

/// "0.1.0"
AGPNET_EXPORT std::string version();

/// What this library was built with and finds here, as JSON text: OpenCV, LibTorch, Halide, CPU, stages and their schedules,
/// devices.
AGPNET_EXPORT std::string buildInformation();

} // namespace agpnet
