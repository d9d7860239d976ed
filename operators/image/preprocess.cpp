#include "operators/image/preprocess.h"

#include "common/error.h"
#include "halide_generators/runtime/stages.h"
#include "models/device/stage_device.h"
#include "models/device/tensor_view.h"
#include "operators/image/cuda_image.h"
#include "operators/image/opencl_image.h"

#include <ATen/ATen.h>

namespace agpnet
{
namespace
{

constexpr int smallestSide = 8;

template <typename Image>
void checkImage(const Image& image, const std::string& what)
{
    require(!image.empty(), "{} is empty, expected an image", what);
    if constexpr (requires { image.dims; }) // a GpuMat has two, always
        require(image.dims == 2, "{} has {} dimensions, expected an image of rows and columns", what, image.dims);
    require(image.rows >= smallestSide && image.cols >= smallestSide, "{} is {}x{} pixels, expected at least {}x{}", what, image.cols,
            image.rows, smallestSide, smallestSide);
    checkImageType(image.type(), what);
}

void prepareOnHost(const cv::Mat& image, const at::Tensor& out)
{
    stages::Picture picture = pictureOf(image);
    picture.data = image.data;
    stages::prepare({}, picture, viewOf(out));
}

} // namespace

Frame::Frame(const cv::Mat& image, const std::string& what, const ValueRange& range) : range_(range), image_(image)
{
    checkImage(image, what);
    warning_ = misfit(range, image, what);
    if (image.depth() == CV_32F) // any strides will do
        checkBlob(at::from_blob(image.data, {1, image.rows, image.cols, image.channels()},
                                {0, static_cast<int64_t>(image.step1()), image.channels(), 1}, at::kFloat),
                  what.c_str());
}

Frame::Frame(const cv::UMat& image, const std::string& what, const ValueRange& range) : range_(range)
{
    checkImage(image, what);
    if (image.depth() != CV_32F && openClDevice().api == stages::Api::OpenCL)
        onDevice_ = image;
    else
        *this = Frame(image.getMat(cv::ACCESS_READ), what, range);
}

Frame::Frame(const cv::cuda::GpuMat& image, at::Device device, const std::string& what, const ValueRange& range)
    : range_(range), onCuda_(image), cuda_(device)
{
    checkImage(image, what);
    if (image.depth() == CV_32F)
        checkBlob(floatsOf(image, device), what.c_str());
}

Frame::Frame(const at::Tensor& blob) : blob_(blob) {}

cv::Size Frame::size() const
{
    if (!onDevice_.empty())
        return onDevice_.size();
    if (!onCuda_.empty())
        return onCuda_.size();
    return image_.empty() ? cv::Size(static_cast<int>(blob_.size(3)), static_cast<int>(blob_.size(2))) : image_.size();
}

at::Tensor Frame::at(const cv::Rect& part, cv::Size size) const
{
    if (!onDevice_.empty())
        return inRange(preparedOnDevice(openClDevice(), onDevice_(part), size), onDevice_.depth());
    if (!onCuda_.empty())
        return inRange(preparedOnCuda(onCuda_(part), cuda_, size), onCuda_.depth());
    if (image_.empty())
        return resized(blob_.narrow(2, part.y, part.height).narrow(3, part.x, part.width), size);
    const at::Tensor tensor = at::empty({1, image_.channels() == 6 ? 6 : 3, size.height, size.width}, at::kFloat);
    prepareOnHost(image_(part), tensor);
    return inRange(tensor, image_.depth());
}

at::Tensor Frame::inRange(at::Tensor prepared, int depth) const
{
    constexpr double all = 65535;
    if (depth != CV_16U || range_.most() == static_cast<int>(all))
        return prepared;
    const double factor = all / range_.most();
    if (prepared.size(1) == 3)
        return prepared.mul(factor); // not in place: it may lie in a device's memory that is mapped for reading
    at::Tensor scaled = prepared.clone();
    scaled.narrow(1, 0, 3).mul_(factor); // geometry has a range of its own
    return scaled;
}

at::Tensor resized(const at::Tensor& images, cv::Size size)
{
    const int height = static_cast<int>(images.size(2)), width = static_cast<int>(images.size(3));
    if (size == cv::Size(width, height))
        return images;
    const at::Tensor from = images.contiguous();
    at::Tensor to = at::empty({from.size(0), from.size(1), size.height, size.width}, from.options());
    const stages::Device device = stageDeviceOf(from);
    for (int64_t n = 0; n < from.size(0); n++)
        for (int64_t c = 0; c < from.size(1); c++)
        {
            // the same stage as for images, so that both ways give the same score
            stages::Picture plane;
            plane.data = from[n][c].const_data_ptr();
            plane.rows = height;
            plane.columns = width;
            plane.channels = 1;
            plane.depth = stages::Depth::Float32;
            plane.step = static_cast<int64_t>(width) * static_cast<int64_t>(sizeof(float));
            stages::prepare(device, plane, viewOf(to.narrow(0, n, 1).narrow(1, c, 1)));
        }
    return to;
}

std::vector<Frame> framesOf(const std::vector<cv::Mat>& images, const ValueRange& range)
{
    require(!images.empty(), "no images given, expected at least one");
    std::vector<Frame> frames;
    for (size_t i = 0; i < images.size(); i++)
        frames.emplace_back(images[i], images.size() == 1 ? "image" : fmt::format("image {}", i), range);
    return frames;
}

std::vector<Frame> framesOf(const std::vector<cv::cuda::GpuMat>& images, at::Device device, const ValueRange& range)
{
    require(!device.is_cpu(),
            "image is a cv::cuda::GpuMat, but the model is on the {}, expected it on the image's device: see Detector::load()",
            device.str());
    std::vector<Frame> frames;
    for (size_t i = 0; i < images.size(); i++)
        frames.emplace_back(images[i], device, images.size() == 1 ? "image" : fmt::format("image {}", i), range);
    return frames;
}

at::Tensor imagesToBatch(const std::vector<cv::Mat>& images, cv::Size size, const ValueRange& range)
{
    std::vector<at::Tensor> batch;
    for (const Frame& frame : framesOf(images, range))
        batch.push_back(frame.at(size));
    return batch.size() == 1 ? batch[0] : at::cat(batch);
}

void checkImageType(int type, const std::string& what)
{
    const int channels = CV_MAT_CN(type), depth = CV_MAT_DEPTH(type);
    require(channels == 1 || channels == 3 || channels == 4 || channels == 6,
            "{} has {} channels, expected 1 (grey), 3 (BGR), 4 (BGRA) or 6 (BGR and geometry)", what, channels);
    require(depth == CV_8U || depth == CV_16U || depth == CV_32F, "{} is of type {}, expected 8-bit, 16-bit or 32-bit float (0 to 1)",
            what, cv::typeToString(type));
}

void checkBlob(const at::Tensor& images, const char* what)
{
    const auto [low, high] = at::aminmax(images);
    const float least = low.item<float>(), most = high.item<float>();
    // a NaN anywhere makes both NaN
    require(std::isfinite(least) && std::isfinite(most), "{} holds values that are not finite (NaN or infinity)", what);
    require(least >= -0.5f && most <= 1.5f,
            "{} holds values from {} to {}, expected 0 to 1, RGB, as blobFromImage(image, 1/255., size, Scalar(), true) makes", what, least,
            most);
    // resizing may overshoot a little at edges; a mean that was subtracted takes a large part of an image below 0
    constexpr float margin = 0.02f;
    constexpr double mostOutside = 0.05;
    if (least >= -margin && most <= 1 + margin)
        return;
    const double outside = at::logical_or(images.lt(-margin), images.gt(1 + margin)).to(at::kFloat).mean().item<double>();
    require(outside <= mostOutside,
            "{} holds values from {} to {}, {:.0f} % of them outside, as where a mean was subtracted; expected 0 to 1, RGB, as "
            "blobFromImage(image, 1/255., size, Scalar(), true) makes",
            what, least, most, 100 * outside);
}

std::vector<cv::Mat> matsOf(cv::InputArrayOfArrays images)
{
    std::vector<cv::Mat> mats;
    if (images.isMatVector() || images.isUMatVector() || images.kind() == cv::_InputArray::STD_ARRAY_MAT)
        images.getMatVector(mats);
    else
        mats.push_back(images.getMat());
    return mats;
}

} // namespace agpnet
