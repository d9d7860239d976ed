#include "operators/preprocess.h"

#include "common/error.h"
#include "halide_generators/stages.h"
#include "models/tensor_view.h"

#include <ATen/ATen.h>

namespace agpnet
{
namespace
{

constexpr int smallestSide = 8;

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
    // To planes of float first, which is what a blob is: a picture and its blob then take the same steps and give the same bits, which a
    // model in bfloat16 needs to give the same score. prepare() could do all of it in one pass, but rounds a last bit otherwise.
    const double scale = image_.depth() == CV_8U ? 1 / 255. : image_.depth() == CV_16U ? 1 / 65535. : 1;
    const int channels = image_.channels();
    cv::Mat scaled;
    image_(part).convertTo(scaled, CV_MAKETYPE(CV_32F, channels), scale);
    const at::Tensor tensor = at::empty({1, channels == 6 ? 6 : 3, part.height, part.width}, at::kFloat);
    std::vector<cv::Mat> planes;
    for (int64_t c = 0; c < tensor.size(1); c++)
        planes.emplace_back(part.height, part.width, CV_32F, tensor[0][c].mutable_data_ptr());
    // BGR(A) to RGB planes; grey three times; geometry as it is
    std::vector<int> order = channels == 1 ? std::vector<int>{0, 0, 0, 1, 0, 2} : std::vector<int>{2, 0, 1, 1, 0, 2};
    for (int c = 3; c < tensor.size(1); c++)
        order.insert(order.end(), {c, c});
    cv::mixChannels(std::vector<cv::Mat>{scaled}, planes, order);
    return resized(tensor, size);
}

at::Tensor resized(const at::Tensor& images, cv::Size size)
{
    const int height = static_cast<int>(images.size(2)), width = static_cast<int>(images.size(3));
    if (size == cv::Size(width, height))
        return images;
    const at::Tensor from = images.contiguous();
    at::Tensor to = at::empty({from.size(0), from.size(1), size.height, size.width}, at::kFloat);
    for (int64_t n = 0; n < from.size(0); n++)
        for (int64_t c = 0; c < from.size(1); c++)
        {
            stages::Picture plane; // the same stage as for pictures, so that both ways give the same score
            plane.data = from[n][c].const_data_ptr();
            plane.rows = height;
            plane.columns = width;
            plane.channels = 1;
            plane.depth = stages::Depth::Float32;
            plane.step = static_cast<int64_t>(width) * static_cast<int64_t>(sizeof(float));
            stages::prepare({}, plane, viewOf(to.narrow(0, n, 1).narrow(1, c, 1)));
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
