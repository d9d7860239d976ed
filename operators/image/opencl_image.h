// An image on OpenCV's OpenCL device, to the model's input and from its residual to a map there: neither passes through the host.
#pragma once

#include "halide_generators/runtime/stages.h"
#include "operators/core/opencl_device.h"

#include <ATen/core/Tensor.h>
#include <opencv2/core.hpp>

namespace agpnet
{

/// The stages::Picture of it, without its memory.
template <typename Image>
stages::Picture pictureOf(const Image& image)
{
    stages::Picture picture;
    picture.rows = image.rows;
    picture.columns = image.cols;
    picture.channels = image.channels();
    picture.depth = image.depth() == CV_8U    ? stages::Depth::UInt8
                    : image.depth() == CV_16U ? stages::Depth::UInt16
                                              : stages::Depth::Float32;
    if constexpr (requires { image.step[0]; })
        picture.step = static_cast<int64_t>(image.step[0]);
    else // cv::cuda::GpuMat
        picture.step = static_cast<int64_t>(image.step);
    return picture;
}

/// As stages::prepare(): [1, 3 or 6, size] on the host. The tensor is the device's memory mapped, which is no copy where host and device
/// share it, and a transfer of the model's input, not of the image, if they do not.
at::Tensor preparedOnDevice(const stages::Device& device, const cv::UMat& image, cv::Size size);

/// As stages::heatmap(), without the scores: residual [1, 1, h, w] on the host → map, CV_32F. Enqueued; nothing waits for it.
cv::UMat heatmapOnDevice(const stages::Device& device, const at::Tensor& residual, double sigma, cv::Size size);

} // namespace agpnet
