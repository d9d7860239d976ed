/// @file
/// Version of the library, and information about build and machine.
#pragma once

#include "agpnet/api.hpp"

#include <string>

/// Unsupervised visual anomaly detection on OpenCV's arrays: training, inspection, and their stages.
namespace agpnet
{

/// Returns the version, for instance "0.1.0".
AGPNET_EXPORT std::string version();

/// Describes build and machine as JSON text: OpenCV, LibTorch, Halide, CPU, devices, stages and their schedules.
AGPNET_EXPORT std::string buildInformation();

} // namespace agpnet
