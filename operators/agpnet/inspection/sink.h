// A map wherever it was computed, and where maps or masks are requested: an array or a vector of them, on the host, on OpenCV's OpenCL
// device or on a CUDA device. Resizing, comparing and handing over exist here alone; each stays where the map is.
#pragma once

#include "operators/image/region.h"

#include <ATen/core/Tensor.h>
#include <opencv2/core.hpp>
#include <variant>

namespace agpnet
{

/// A map (float) or a mask (bytes) of one image: on the host, on OpenCV's OpenCL device, or [1, 1, h, w] on the model's device.
using AnyMap = std::variant<cv::Mat, cv::UMat, at::Tensor>;

cv::Size sizeOf(const AnyMap& map);

/// The same on the host, waiting for the device; no copy of what is there already. A mask that is changed is changed in place.
cv::Mat onHost(const AnyMap& map);

/// The map at the image's size; 0 outside the region, whose border does not bleed.
cv::Mat mapAt(const cv::Mat& map, cv::Size size, const RegionOfInterest& region);

class Sink
{
public:
    static Sink ofOne(cv::OutputArray array) { return {array, false}; }
    static Sink ofSeveral(cv::OutputArrayOfArrays arrays) { return {arrays, true}; }

    bool needed() const { return arrays_.needed(); }
    bool onCuda() const { return arrays_.isGpuMat() || arrays_.isGpuMatVector(); }

    bool onDevice() const { return arrays_.isUMat() || onCuda(); }

    void makeRoom(size_t count) const; ///< before the first is given

    /// The map at a size, and the mask of what exceeds a threshold: made in the caller's own array where that is on the same OpenCL device.
    /// The region is respected on the host alone.
    AnyMap resized(const AnyMap& map, cv::Size size, const RegionOfInterest& region) const;
    AnyMap above(const AnyMap& map, double threshold) const;

    /// Hands over the i-th (of one: the only one), unless it was made in the caller's array. Nothing where none is needed.
    /// @param device  of the caller's cv::cuda::GpuMat
    void give(size_t i, const AnyMap& map, at::Device device) const;

private:
    Sink(cv::OutputArrayOfArrays arrays, bool several) : arrays_(arrays), several_(several) {}
    void give(size_t i, const cv::Mat& map, at::Device device) const;
    void giveOnCuda(size_t i, const at::Tensor& map, at::Device device) const;

    const cv::_OutputArray& arrays_; ///< the caller's
    bool several_;
};

} // namespace agpnet
