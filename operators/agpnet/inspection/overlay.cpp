#include "agpnet/overlay.hpp"

#include "common/error.h"
#include "operators/core/opencv_exceptions.h"
#include "operators/image/preprocess.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <vector>

namespace agpnet
{
namespace
{

/// 8-bit BGR.
cv::Mat shownOf(const cv::Mat& image)
{
    require(!image.empty() && image.dims == 2, "image is empty or has {} dimensions, expected rows and columns", image.dims);
    checkImageType(image.type(), "image");
    const int channels = image.channels();
    cv::Mat shown;
    image.convertTo(shown, CV_8U, image.depth() == CV_8U ? 1 : image.depth() == CV_16U ? 1 / 257.0 : 255);
    if (channels == 1)
        cv::cvtColor(shown, shown, cv::COLOR_GRAY2BGR);
    else if (channels != 3)
    {
        cv::Mat colour(shown.size(), CV_8UC3);
        cv::mixChannels({shown}, {colour}, {0, 0, 1, 1, 2, 2});
        return colour;
    }
    return shown;
}

cv::Mat stretched(const cv::Mat& map, cv::Size size)
{
    cv::Mat result = map;
    const cv::Size window((map.cols + size.width - 1) / size.width, (map.rows + size.height - 1) / size.height);
    if (window.area() > 1) // a peak of one pixel must not vanish between the rows that are kept
        cv::dilate(result, result, cv::getStructuringElement(cv::MORPH_RECT, window));
    if (result.size() != size)
        cv::resize(result, result, size, 0, 0, cv::INTER_LINEAR);
    return result;
}

/// In 255ths, of each level of heat: nothing up to a fifth, most from three fifths on, smooth between.
std::array<int, 256> opacities()
{
    constexpr float from = 0.2F, over = 0.4F, most = 0.82F;
    std::array<int, 256> result{};
    for (size_t i = 0; i < result.size(); i++)
    {
        const float t = std::clamp((static_cast<float>(i) / 255 - from) / over, 0.0F, 1.0F);
        result[i] = static_cast<int>(std::lround(255 * most * t * t * (3 - 2 * t)));
    }
    return result;
}

} // namespace

void overlay(cv::InputArray image, cv::InputArray map, cv::OutputArray result, double pixelThreshold)
{
    guarded([&] {
        require(std::isfinite(pixelThreshold) && pixelThreshold > 0, "the pixel threshold is {}, expected more than 0", pixelThreshold);
        const cv::Mat shown = shownOf(image.getMat()), given = map.getMat();
        require(!given.empty() && given.dims == 2 && given.type() == CV_32FC1,
                "map is of type {} with {} dimensions, expected rows and columns of CV_32FC1", cv::typeToString(given.type()), given.dims);
        require(cv::checkRange(given), "map holds values that are not finite (NaN or infinity)");

        const cv::Mat scores = stretched(given, shown.size());
        cv::Mat levels, colours, mixed(shown.size(), CV_8UC3);
        scores.convertTo(levels, CV_8U, 255 / (2 * pixelThreshold));
        cv::applyColorMap(levels, colours, cv::COLORMAP_INFERNO);
        static const std::array<int, 256> opacity = opacities();
        cv::parallel_for_(cv::Range(0, shown.rows), [&](const cv::Range& rows) {
            for (int y = rows.start; y < rows.end; y++)
            {
                const uchar *const level = levels.ptr(y), *const below = shown.ptr(y), *const above = colours.ptr(y);
                uchar* const to = mixed.ptr(y);
                for (int i = 0; i < 3 * shown.cols; i++)
                {
                    const int a = opacity[level[i / 3]];
                    to[i] = static_cast<uchar>((below[i] * (255 - a) + above[i] * a + 127) / 255);
                }
            }
        });
        std::vector<std::vector<cv::Point>> outlines;
        cv::findContours(scores >= pixelThreshold, outlines, cv::RETR_CCOMP, cv::CHAIN_APPROX_NONE);
        const int width = std::max(1, cvRound(std::max(mixed.rows, mixed.cols) / 320.0));
        cv::drawContours(mixed, outlines, -1, cv::Scalar::all(25), 2 * width + 1, cv::LINE_AA);
        cv::drawContours(mixed, outlines, -1, cv::Scalar::all(255), width, cv::LINE_8); // smoothed, it would be grey
        mixed.copyTo(result);
    });
}

} // namespace agpnet
