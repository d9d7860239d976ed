// cv::cuda::GpuMat and LibTorch's tensors: the same memory on a CUDA device, seen as either. A GpuMat is taken as the header it is, so that
// memory which the program has from elsewhere can be given in one to an OpenCV without CUDA too; only allocating a result wants an OpenCV
// that has it.
#pragma once

#include <ATen/core/Tensor.h>
#include <opencv2/core.hpp>
#include <opencv2/core/cuda.hpp>
#include <vector>

namespace agpnet
{

/// As stages::prepare(), on LibTorch's current stream of the device: [1, 3 or 6, size].
at::Tensor preparedOnCuda(const cv::cuda::GpuMat& image, at::Device device, cv::Size size);

/// [1, rows, columns, channels] of a GpuMat of float; no copy.
at::Tensor floatsOf(const cv::cuda::GpuMat& image, at::Device device);

/// The GpuMat of an array of that kind, and those of an array of many.
const cv::cuda::GpuMat& gpuMatOf(cv::InputArray array);
const std::vector<cv::cuda::GpuMat>& gpuMatsOf(cv::InputArrayOfArrays arrays);

} // namespace agpnet
