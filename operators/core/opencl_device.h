// OpenCV's OpenCL device in this thread, as the stages see it.
#pragma once

#include "halide_generators/runtime/stages.h"

#include <opencv2/core.hpp>

namespace agpnet
{

/// OpenCV's OpenCL context and queue in this thread; a device of Api::Cpu where OpenCV uses none.
stages::Device openClDevice();

/// `array`, or a copy of it on the device where it begins at a byte from which the device allows no sub-buffer.
cv::UMat aligned(const cv::UMat& array);

} // namespace agpnet
