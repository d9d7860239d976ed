#include "operators/preprocess.h"

#include "common/error.h"

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

at::Tensor imageToTensor(const cv::Mat& image, const std::string& what)
{
    require(!image.empty(), "{} is empty, expected an image", what);
    require(image.dims == 2, "{} has {} dimensions, expected an image of rows and columns", what, image.dims);
    require(image.rows >= smallestSide && image.cols >= smallestSide, "{} is {}x{} pixels, expected at least {}x{}", what, image.cols,
            image.rows, smallestSide, smallestSide);
    const int channels = image.channels();
    require(channels == 1 || channels == 3 || channels == 4 || channels == 6,
            "{} has {} channels, expected 1 (grey), 3 (BGR), 4 (BGRA) or 6 (BGR and geometry)", what, channels);
    double scale = 1;
    switch (image.depth())
    {
    case CV_8U: scale = 1 / 255.; break;
    case CV_16U: scale = 1 / 65535.; break;
    case CV_32F: break;
    default: fail("{} is of type {}, expected 8-bit, 16-bit or 32-bit float (0 to 1)", what, cv::typeToString(image.type()));
    }
    cv::Mat scaled;
    image.convertTo(scaled, CV_MAKETYPE(CV_32F, channels), scale);
    at::Tensor tensor = at::empty({1, channels == 6 ? 6 : 3, image.rows, image.cols}, at::kFloat);
    std::vector<cv::Mat> planes;
    for (int64_t c = 0; c < tensor.size(1); c++)
        planes.push_back(plane(tensor, 0, c));
    // BGR(A) to RGB planes; grey three times; geometry as it is
    std::vector<int> order = channels == 1 ? std::vector<int>{0, 0, 0, 1, 0, 2} : std::vector<int>{2, 0, 1, 1, 0, 2};
    for (int c = 3; c < tensor.size(1); c++)
        order.insert(order.end(), {c, c});
    cv::mixChannels(std::vector<cv::Mat>{scaled}, planes, order);
    if (image.depth() == CV_32F)
        checkBlob(tensor, what.c_str());
    return tensor;
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

std::vector<at::Tensor> imagesToTensors(const std::vector<cv::Mat>& images)
{
    require(!images.empty(), "no images given, expected at least one");
    std::vector<at::Tensor> tensors;
    for (size_t i = 0; i < images.size(); i++)
        tensors.push_back(imageToTensor(images[i], images.size() == 1 ? "image" : fmt::format("image {}", i)));
    return tensors;
}

at::Tensor imagesToBatch(const std::vector<cv::Mat>& images, cv::Size size)
{
    std::vector<at::Tensor> batch = imagesToTensors(images);
    for (at::Tensor& image : batch)
        image = resized(image, size);
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
