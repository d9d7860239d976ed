// Where maps or masks are wanted: one array or a vector of them, on the host, on OpenCV's OpenCL device or on a CUDA device; or nowhere.
#pragma once

#include <ATen/core/Tensor.h>
#include <opencv2/core.hpp>

namespace agpnet
{

class MapOutput
{
public:
    static MapOutput ofOne(cv::OutputArray array) { return {array, false}; }
    static MapOutput ofSeveral(cv::OutputArrayOfArrays arrays) { return {arrays, true}; }

    bool needed() const { return arrays_.needed(); }
    bool onCuda() const { return arrays_.isGpuMat() || arrays_.isGpuMatVector(); }

    void makeRoom(size_t count) const; ///< before the first is set

    /// Where the i-th is wanted; there is but one of one. Nothing where none is.
    void set(size_t i, const cv::Mat& map, at::Device cuda) const; ///< CUDA: which device, where it is wanted on one
    void set(size_t i, const at::Tensor& map) const;               ///< [1, 1, h, w] of float or bytes to CV_32FC1 or CV_8UC1

private:
    MapOutput(cv::OutputArrayOfArrays arrays, bool several) : arrays_(arrays), several_(several) {}
    void setOnCuda(size_t i, const at::Tensor& map, at::Device device) const;

    const cv::_OutputArray& arrays_; ///< the caller's
    bool several_;
};

} // namespace agpnet
