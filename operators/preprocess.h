// Pictures and blobs to what the model takes, the one way for every door: float32, RGB, 0 to 1, at the model's input size.
#pragma once

#include <ATen/core/Tensor.h>
#include <opencv2/core.hpp>
#include <vector>

namespace agpnet
{

/// 8-bit, 16-bit or float (0 to 1) Mat of 1 (grey), 3 (BGR) or 4 (BGRA) channels → [1, 3, rows, columns], of 6 (BGR and geometry) → [1, 6, rows, columns], its own size.
at::Tensor imageToTensor(const cv::Mat& image, const std::string& what);

/// [N, 3, h, w] → [N, 3, size]: area average where both sides shrink, bilinear otherwise; unchanged if it fits.
at::Tensor resized(const at::Tensor& images, cv::Size size);

/// Each as imageToTensor() makes it.
std::vector<at::Tensor> imagesToTensors(const std::vector<cv::Mat>& images);

/// Images of any size, each resized, in one batch.
at::Tensor imagesToBatch(const std::vector<cv::Mat>& images, cv::Size size);

/// Refuses values that are not finite, or look like 0..255 where 0..1 is meant.
void checkBlob(const at::Tensor& images, const char* what);

/// The images of an InputArrayOfArrays: a vector of Mat or UMat, or a single image.
std::vector<cv::Mat> matsOf(cv::InputArrayOfArrays images);

} // namespace agpnet
