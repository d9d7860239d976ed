// Images and blobs to the input of the model, the same way for every adapter: float32, RGB, 0 to 1, at the model's input size.
#pragma once

#include "operators/image/value_range.h"

#include <ATen/core/Tensor.h>
#include <opencv2/core.hpp>
#include <opencv2/core/cuda.hpp>
#include <string>
#include <vector>

namespace agpnet
{

/// An image as it came, before any of it is cut out or resized. Shares its pixels.
class Frame
{
public:
    /// 8-bit, 16-bit or float (0 to 1); 1 (grey), 3 (BGR), 4 (BGRA) or 6 (BGR and geometry) channels; from 8x8 pixels. Refused by the
    /// name `what`, otherwise, and where a float is not finite or far from 0 to 1. `range`: of 16 bits.
    explicit Frame(const cv::Mat& image, const std::string& what = "image", const ValueRange& range = {});

    /// The same on OpenCV's OpenCL device: 8 and 16 bits are resized there, floats on the host.
    explicit Frame(const cv::UMat& image, const std::string& what = "image", const ValueRange& range = {});

    /// The same on a CUDA device, where it stays.
    Frame(const cv::cuda::GpuMat& image, at::Device device, const std::string& what = "image", const ValueRange& range = {});

    /// [1, 3 or 6, h, w], RGB, 0 to 1, as checkBlob() lets through.
    explicit Frame(const at::Tensor& blob);

    cv::Size size() const;

    /// As misfit() has it; looked at in host memory alone, so that nothing has to be fetched from a device for it.
    const std::string& warning() const { return warning_; }

    /// A part of it at another size, [1, 3 or 6, size]: area average where both sides shrink, bilinear otherwise.
    at::Tensor at(const cv::Rect& part, cv::Size size) const;
    at::Tensor at(cv::Size target) const { return at(cv::Rect({}, size()), target); }

private:
    at::Tensor inRange(at::Tensor prepared, int depth) const; ///< scales the maximum of 16-bit values to 1

    ValueRange range_;
    std::string warning_;
    // one of
    cv::Mat image_;
    cv::UMat onDevice_;
    cv::cuda::GpuMat onCuda_;
    at::Device cuda_ = at::kCPU; ///< device of onCuda_
    at::Tensor blob_;
};

std::vector<Frame> framesOf(const std::vector<cv::Mat>& images, const ValueRange& range = {});
/// Images on `device`; refuses the CPU.
std::vector<Frame> framesOf(const std::vector<cv::cuda::GpuMat>& images, at::Device device, const ValueRange& range = {});

/// Images of any size, each resized, in one batch.
at::Tensor imagesToBatch(const std::vector<cv::Mat>& images, cv::Size size, const ValueRange& range = {});

/// [N, C, h, w] → [N, C, size], as Frame::at(), where the images are; unchanged if it fits.
at::Tensor resized(const at::Tensor& images, cv::Size size);

/// Refuses an OpenCV type that no image has: 8 or 16 bits or float; 1, 3, 4 or 6 channels.
void checkImageType(int type, const std::string& what);

/// Refuses values that are not finite, or look like 0..255 where 0..1 is meant.
void checkBlob(const at::Tensor& images, const char* what);

/// The images of an InputArrayOfArrays: a vector of Mat or UMat, or a single image.
std::vector<cv::Mat> matsOf(cv::InputArrayOfArrays images);

} // namespace agpnet
