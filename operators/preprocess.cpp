#include "operators/preprocess.h"

#include "common/error.h"
#include "halide_generators/stages.h"
#include "models/tensor_view.h"

#include <ATen/ATen.h>
#include <opencv2/imgproc.hpp>

namespace agpnet
{
namespace
{

constexpr int smallestSide = 8;

cv::Mat plane(const at::Tensor& images, int64_t n, int64_t c)
{
    const at::Tensor p = images[n][c];
    return cv::Mat(static_cast<int>(p.size(0)), static_cast<int>(p.size(1)), CV_32F, p.mutable_data_ptr());
}

} // namespace

Frame::Frame(const cv::Mat& image, const std::string& what) : image_(image)
{
    require(!image.empty(), "{} is empty, expected an image", what);
    require(image.dims == 2, "{} has {} dimensions, expected an image of rows and columns", what, image.dims);
    require(image.rows >= smallestSide && image.cols >= smallestSide, "{} is {}x{} pixels, expected at least {}x{}", what, image.cols,
            image.rows, smallestSide, smallestSide);
    const int channels = image.channels();
    require(channels == 1 || channels == 3 || channels == 4 || channels == 6,
            "{} has {} channels, expected 1 (grey), 3 (BGR), 4 (BGRA) or 6 (BGR and geometry)", what, channels);
    require(image.depth() == CV_8U || image.depth() == CV_16U || image.depth() == CV_32F,
            "{} is of type {}, expected 8-bit, 16-bit or 32-bit float (0 to 1)", what, cv::typeToString(image.type()));
    if (image.depth() == CV_32F) // any strides will do
        checkBlob(at::from_blob(image.data, {1, image.rows, image.cols, channels},
                                {0, static_cast<int64_t>(image.step1()), channels, 1}, at::kFloat),
                  what.c_str());
}

Frame::Frame(const at::Tensor& blob) : blob_(blob) {}

cv::Size Frame::size() const
{
    return image_.empty() ? cv::Size(static_cast<int>(blob_.size(3)), static_cast<int>(blob_.size(2))) : image_.size();
}

at::Tensor Frame::at(const cv::Rect& part, cv::Size size) const
{
    if (image_.empty())
        return resized(blob_.narrow(2, part.y, part.height).narrow(3, part.x, part.width), size);
    stages::Picture picture;
    picture.data = image_.ptr(part.y) + static_cast<size_t>(part.x) * image_.elemSize();
    picture.rows = part.height;
    picture.columns = part.width;
    picture.channels = image_.channels();
    picture.depth = image_.depth() == CV_8U ? stages::Depth::UInt8 : image_.depth() == CV_16U ? stages::Depth::UInt16 : stages::Depth::Float32;
    picture.step = static_cast<int64_t>(image_.step[0]);
    const at::Tensor out = at::empty({1, picture.channels == 6 ? 6 : 3, size.height, size.width}, at::kFloat);
    stages::prepare({}, picture, viewOf(out));
    return out;
}

at::Tensor resized(const at::Tensor& images, cv::Size size)
{
    const int height = static_cast<int>(images.size(2)), width = static_cast<int>(images.size(3));
    if (size == cv::Size(width, height))
        return images;
    const at::Tensor from = images.contiguous();
    at::Tensor to = at::empty({from.size(0), from.size(1), size.height, size.width}, at::kFloat);
    const int interpolation = size.width < width && size.height < height ? cv::INTER_AREA : cv::INTER_LINEAR;
    for (int64_t n = 0; n < from.size(0); n++)
        for (int64_t c = 0; c < from.size(1); c++)
        {
            cv::Mat target = plane(to, n, c);
            cv::resize(plane(from, n, c), target, size, 0, 0, interpolation);
        }
    return to;
}

std::vector<Frame> framesOf(const std::vector<cv::Mat>& images)
{
    require(!images.empty(), "no images given, expected at least one");
    std::vector<Frame> frames;
    for (size_t i = 0; i < images.size(); i++)
        frames.emplace_back(images[i], images.size() == 1 ? "image" : fmt::format("image {}", i));
    return frames;
}

at::Tensor imagesToBatch(const std::vector<cv::Mat>& images, cv::Size size)
{
    std::vector<at::Tensor> batch;
    for (const Frame& frame : framesOf(images))
        batch.push_back(frame.at(size));
    return batch.size() == 1 ? batch[0] : at::cat(batch);
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
