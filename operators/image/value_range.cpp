#include "operators/image/value_range.h"

#include "common/error.h"

#include <algorithm>
#include <array>

namespace agpnet
{

int greatestValue(const cv::Mat& image)
{
    double greatest = 0;
    if (image.channels() == 6)
    {
        cv::Mat colours(image.size(), CV_16UC3);
        const int order[] = {0, 0, 1, 1, 2, 2};
        cv::mixChannels(&image, 1, &colours, 1, order, 3);
        cv::minMaxLoc(colours.reshape(1), nullptr, &greatest);
    }
    else
        cv::minMaxLoc(image.reshape(1), nullptr, &greatest);
    return static_cast<int>(greatest);
}

int bitsFor(int greatest)
{
    constexpr std::array cameras = {8, 10, 12, 14};
    const auto found = std::find_if(cameras.begin(), cameras.end(), [&](int bits) { return greatest < 1 << bits; });
    return found == cameras.end() ? 16 : *found;
}

std::string misfit(const ValueRange& range, const cv::Mat& image, const std::string& what)
{
    if (image.depth() != CV_16U)
        return "";
    const int greatest = greatestValue(image), bits = range.bits > 0 ? range.bits : 16;
    if (greatest > range.most())
        return fmt::format("{} holds values up to {}, and the model takes those of {} bits, 0 to {}: its score is not valid", what,
                           greatest, bits, range.most());
    // dark images exist: only what is darker than any training image by far, or, where none is known, of at most 12 bits in all 16
    const bool known = range.least > 0;
    if (known ? greatest <= range.most() / 4 && greatest < range.least / 2 : greatest <= range.most() / 16)
        return fmt::format("{} holds values up to {} only, and the model takes those of {} bits, 0 to {}: it is dark, or of {} bits", what,
                           greatest, bits, range.most(), bitsFor(greatest));
    return "";
}

} // namespace agpnet
