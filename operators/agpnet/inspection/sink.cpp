#include "operators/agpnet/inspection/sink.h"

#include "operators/image/preprocess.h"

#include <ATen/ATen.h>
#include <opencv2/core/cuda.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

namespace agpnet
{
namespace
{

template <typename... Functions>
struct OneOf : Functions...
{
    using Functions::operator()...;
};
template <typename... Functions>
OneOf(Functions...) -> OneOf<Functions...>;

/// As gpuMatsOf(): OpenCV's own getGpuMatVecRef() refuses where it was built without CUDA.
template <typename Kind>
Kind& objectOf(cv::OutputArray array)
{
    return *static_cast<Kind*>(array.getObj());
}

int interpolationTo(cv::Size size, cv::Size from)
{
    return size.width < from.width && size.height < from.height ? cv::INTER_AREA : cv::INTER_LINEAR;
}

/// Made in the caller's array where that is on OpenCV's device, in one of ours otherwise.
template <typename Make>
cv::UMat madeIn(const cv::_OutputArray& target, const Make& make)
{
    if (target.isUMat())
    {
        make(target);
        return target.getUMat();
    }
    cv::UMat own;
    make(own);
    return own;
}

} // namespace

cv::Mat mapAt(const cv::Mat& map, cv::Size size, const RegionOfInterest& region)
{
    if (size == map.size())
        return map;
    cv::Mat resized;
    cv::resize(map, resized, size, 0, 0, interpolationTo(size, map.size()));
    if (!region.empty())
        resized.setTo(0, region.at(size) == 0);
    return resized;
}

cv::Size sizeOf(const AnyMap& map)
{
    return std::visit(OneOf{[](const cv::Mat& own) -> cv::Size { return own.size(); },
                            [](const cv::UMat& own) -> cv::Size { return own.size(); },
                            [](const at::Tensor& own) { return cv::Size(static_cast<int>(own.size(3)), static_cast<int>(own.size(2))); }},
                      map);
}

cv::Mat onHost(const AnyMap& map)
{
    return std::visit(OneOf{[](const cv::Mat& own) { return own; }, [](const cv::UMat& own) { return own.getMat(cv::ACCESS_READ); },
                            [](const at::Tensor& own) {
                                const at::Tensor host = own.to(at::kCPU).contiguous();
                                return cv::Mat(static_cast<int>(own.size(2)), static_cast<int>(own.size(3)),
                                               own.scalar_type() == at::kByte ? CV_8U : CV_32F, host.mutable_data_ptr())
                                    .clone();
                            }},
                      map);
}

void Sink::makeRoom(size_t count) const
{
    if (arrays_.isGpuMatVector())
        objectOf<std::vector<cv::cuda::GpuMat>>(arrays_).resize(count);
    else if (several_ && needed())
        arrays_.create(static_cast<int>(count), 1, 0);
}

AnyMap Sink::resized(const AnyMap& map, cv::Size size, const RegionOfInterest& region) const
{
    return std::visit(OneOf{[&](const cv::Mat& own) -> AnyMap { return mapAt(own, size, region); },
                            [&](const cv::UMat& own) -> AnyMap {
                                return madeIn(arrays_, [&](cv::OutputArray target) {
                                    if (size == own.size())
                                        own.copyTo(target);
                                    else
                                        cv::resize(own, target, size, 0, 0, interpolationTo(size, own.size()));
                                });
                            },
                            [&](const at::Tensor& own) -> AnyMap { return agpnet::resized(own, size); }},
                      map);
}

AnyMap Sink::above(const AnyMap& map, double threshold) const
{
    return std::visit(OneOf{[&](const cv::Mat& own) -> AnyMap {
                                cv::Mat mask;
                                cv::compare(own, threshold, mask, cv::CMP_GT);
                                return mask;
                            },
                            [&](const cv::UMat& own) -> AnyMap {
                                return madeIn(arrays_, [&](cv::OutputArray target) { cv::compare(own, threshold, target, cv::CMP_GT); });
                            },
                            [&](const at::Tensor& own) -> AnyMap { return own.gt(threshold).to(at::kByte).mul(255); }},
                      map);
}

void Sink::give(size_t i, const AnyMap& map, at::Device device) const
{
    if (!needed())
        return;
    std::visit(OneOf{[&](const cv::Mat& own) { give(i, own, device); },
                     [&](const cv::UMat& own) {
                         if (!arrays_.isUMat())
                             own.copyTo(arrays_);
                     },
                     [&](const at::Tensor& own) {
                         if (onCuda())
                             giveOnCuda(i, own, own.device());
                         else
                             give(i, onHost(own), device);
                     }},
               map);
}

void Sink::give(size_t i, const cv::Mat& map, at::Device device) const
{
    if (onCuda())
    {
        const at::Tensor tensor = at::from_blob(map.data, {1, 1, map.rows, map.cols}, {0, 0, static_cast<int64_t>(map.step1()), 1},
                                                map.depth() == CV_8U ? at::kByte : at::kFloat);
        giveOnCuda(i, tensor, device);
    }
    else if (several_)
    {
        arrays_.create(map.size(), map.type(), static_cast<int>(i));
        cv::Mat to = arrays_.getMat(static_cast<int>(i));
        map.copyTo(to);
    }
    else
        map.copyTo(arrays_);
}

void Sink::giveOnCuda(size_t i, const at::Tensor& map, at::Device device) const
{
    cv::cuda::GpuMat& to = several_ ? objectOf<std::vector<cv::cuda::GpuMat>>(arrays_).at(i) : objectOf<cv::cuda::GpuMat>(arrays_);
    const int rows = static_cast<int>(map.size(2)), columns = static_cast<int>(map.size(3)),
              type = map.scalar_type() == at::kByte ? CV_8UC1 : CV_32FC1;
    if (to.size() != cv::Size(columns, rows) || to.type() != type)
        to.create(rows, columns, type);
    at::from_blob(to.data, map.sizes(), {0, 0, static_cast<int64_t>(to.step / map.element_size()), 1}, map.options().device(device))
        .copy_(map);
}

} // namespace agpnet
