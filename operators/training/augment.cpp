#include "operators/training/augment.h"

#include "models/training/counter_random.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

namespace agpnet
{
namespace
{

constexpr double largestTilt = 5;         // degrees
constexpr double largestShift = 0.05;     // fraction of a side
constexpr double largestBrightness = 0.15;

cv::Mat turned(const cv::Mat& image, int quarters)
{
    if (quarters == 0)
        return image;
    cv::Mat out;
    cv::rotate(image, out, quarters == 1 ? cv::ROTATE_90_CLOCKWISE : quarters == 2 ? cv::ROTATE_180 : cv::ROTATE_90_COUNTERCLOCKWISE);
    return out;
}

cv::Mat flipped(const cv::Mat& image, int axis)
{
    cv::Mat out;
    cv::flip(image, out, axis);
    return out;
}

cv::Mat moved(const cv::Mat& image, double degrees, cv::Point2d shift)
{
    cv::Mat matrix =
        cv::getRotationMatrix2D(cv::Point2f(static_cast<float>(image.cols - 1) / 2, static_cast<float>(image.rows - 1) / 2), degrees, 1);
    matrix.at<double>(0, 2) += shift.x;
    matrix.at<double>(1, 2) += shift.y;
    cv::Mat out;
    cv::warpAffine(image, out, matrix, image.size(), cv::INTER_LINEAR, cv::BORDER_REFLECT_101);
    return out;
}

cv::Mat brightened(const cv::Mat& image, double factor)
{
    cv::Mat out;
    image.convertTo(out, -1, factor); // whole numbers saturate
    if (image.depth() == CV_32F)
        cv::min(out, 1, out);
    return out;
}

} // namespace

cv::Mat augmented(const cv::Mat& image, const std::vector<Augmentation>& names, AugmentFor use, uint64_t seed, uint64_t step,
                  uint64_t place)
{
    const bool fewShot = std::find(names.begin(), names.end(), Augmentation::FewShot) != names.end();
    const auto asked = [&](Augmentation name, bool inFewShot = false) {
        return (fewShot && inFewShot) || std::find(names.begin(), names.end(), name) != names.end();
    };
    // each change has numbers of its own, so that one more name does not alter the others
    const uint64_t base = mixed(mixed(mixed(seed, static_cast<uint64_t>(use)), step), place);
    const auto draw = [&](uint64_t change) { return CounterRandom(mixed(base, change)); };

    cv::Mat out = image;
    if (asked(Augmentation::FlipHorizontal) && draw(1).below(2) == 1)
        out = flipped(out, 1);
    if (asked(Augmentation::FlipVertical) && draw(2).below(2) == 1)
        out = flipped(out, 0);
    if (asked(Augmentation::Rotate90))
        out = turned(out, out.rows == out.cols ? draw(3).below(4) : 2 * draw(3).below(2));
    double degrees = 0;
    cv::Point2d shift;
    if (asked(Augmentation::Rotate))
        degrees += draw(4).uniform(-180, 180);
    if (asked(Augmentation::Tilt, true))
        degrees += draw(5).uniform(-largestTilt, largestTilt);
    if (asked(Augmentation::Shift, true))
    {
        CounterRandom random = draw(6);
        shift.x = random.uniform(-largestShift, largestShift) * out.cols;
        shift.y = random.uniform(-largestShift, largestShift) * out.rows;
    }
    if (degrees != 0 || shift != cv::Point2d())
        out = moved(out, degrees, shift);
    if (asked(Augmentation::Brightness, true))
        out = brightened(out, draw(7).uniform(1 - largestBrightness, 1 + largestBrightness));
    return out;
}

} // namespace agpnet
