#include "operators/image/opencl_image.h"

#include "common/error.h"
#include "models/device/tensor_view.h"

#include <ATen/ATen.h>
#include <memory>

namespace agpnet
{
namespace
{

/// Rows and columns of a UMat as [1, 1, rows, columns], or of one whose rows are those of several planes, [1, planes, rows, columns].
stages::View viewOf(const cv::UMat& array, cv::AccessFlag access, int planes = 1)
{
    stages::View view;
    view.data = array.handle(access);
    view.offset = array.offset / sizeof(float);
    const auto step = static_cast<int64_t>(array.step[0] / sizeof(float));
    const int rows = array.rows / planes;
    view.size = {1, planes, rows, array.cols};
    view.stride = {step * array.rows, step * rows, step, 1};
    return view;
}

} // namespace

at::Tensor preparedOnDevice(const stages::Device& device, const cv::UMat& image, cv::Size size)
{
    const cv::UMat from = aligned(image);
    stages::Picture picture = pictureOf(from);
    picture.data = from.handle(cv::ACCESS_READ);
    picture.offset = from.offset;
    const int planes = picture.channels == 6 ? 6 : 3;
    cv::UMat input(planes * size.height, size.width, CV_32F);
    stages::prepare(device, picture, viewOf(input, cv::ACCESS_WRITE, planes));
    struct Mapped
    {
        cv::UMat device;
        cv::Mat host; // goes first, as OpenCV wants it
    };
    auto mapped = std::make_shared<Mapped>(Mapped{input, input.getMat(cv::ACCESS_READ)});
    input.release();
    const cv::Mat& host = mapped->host;
    require(host.isContinuous(), "the model's input lies in rows of {} bytes on the device, expected {}", host.step[0],
            static_cast<size_t>(size.width) * sizeof(float));
    return at::from_blob(host.data, {1, planes, size.height, size.width}, [mapped](void*) mutable { mapped.reset(); }, at::kFloat);
}

cv::UMat heatmapOnDevice(const stages::Device& device, const at::Tensor& residual, double sigma, cv::Size size)
{
    const cv::Mat small(static_cast<int>(residual.size(2)), static_cast<int>(residual.size(3)), CV_32F, residual.mutable_data_ptr());
    cv::UMat from;
    small.copyTo(from);
    const cv::UMat map(size, CV_32F), maximum(1, 1, CV_32F), top1(1, 1, CV_32F);
    stages::heatmap(device, viewOf(from, cv::ACCESS_READ), sigma, viewOf(map, cv::ACCESS_WRITE), viewOf(maximum, cv::ACCESS_WRITE),
                    viewOf(top1, cv::ACCESS_WRITE));
    return map;
}

} // namespace agpnet
