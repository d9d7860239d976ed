#include "plugin/c_structures.h"

#include <algorithm>
#include <array>

namespace agpnet
{

cv::Mat matOf(const agpnet_image& image, const char* name)
{
    require(image.data != nullptr, "{}.data is null", name);
    constexpr std::array<int, 3> depths = {CV_8U, CV_16U, CV_32F};
    require(image.type >= 0 && image.type < static_cast<int>(depths.size()), "{}.type is {}, expected 0 (uint8), 1 (uint16) or 2 (float32)",
            name, image.type);
    constexpr std::array<int, 4> allowed = {1, 3, 4, 6};
    require(std::count(allowed.begin(), allowed.end(), image.channels) == 1, "{}.channels is {}, expected 1, 3, 4 or 6", name,
            image.channels);
    require(image.height > 0 && image.width > 0, "{} has {} rows and {} columns, expected at least 8 of each", name, image.height,
            image.width);
    const int type = CV_MAKETYPE(depths[static_cast<size_t>(image.type)], image.channels);
    const int64_t least = int64_t{image.width} * static_cast<int64_t>(CV_ELEM_SIZE(type));
    require(image.stride >= least && image.stride % static_cast<int64_t>(CV_ELEM_SIZE1(type)) == 0,
            "{}.stride is {}, expected whole elements and at least the {} bytes of a row", name, image.stride, least);
    return cv::Mat(image.height, image.width, type, const_cast<void*>(image.data), static_cast<size_t>(image.stride)); // only read
}

std::vector<cv::Mat> matsOf(const agpnet_image* images, size_t count, const char* name)
{
    std::vector<cv::Mat> mats;
    const std::vector<agpnet_image> all = receivedArray(images, count, name);
    for (size_t i = 0; i < count; i++)
        mats.push_back(matOf(all[i], fmt::format("{}[{}]", name, i).c_str()));
    return mats;
}

agpnet_image imageOf(const cv::Mat& mat)
{
    return {sizeof(agpnet_image), mat.data, mat.rows, mat.cols, mat.channels(), mat.depth() == CV_8U ? AGPNET_UINT8 : AGPNET_FLOAT32,
            static_cast<int64_t>(mat.step)};
}

} // namespace agpnet
