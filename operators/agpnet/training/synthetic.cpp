#include "operators/agpnet/training/synthetic.h"

#include "common/error.h"
#include "models/training/counter_random.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <opencv2/imgproc.hpp>

namespace agpnet
{
namespace
{

constexpr uint64_t streamOfDefects = 0x53594E54; // apart from those of augmentation

int sideOf(const cv::Mat& image)
{
    return std::min(image.rows, image.cols);
}

cv::Point2f placeIn(const cv::Mat& image, double margin, CounterRandom& draw)
{
    return {static_cast<float>(draw.uniform(margin, std::max(margin, image.cols - margin))),
            static_cast<float>(draw.uniform(margin, std::max(margin, image.rows - margin)))};
}

/// image + weight · (other - image), pixel by pixel; weight of one channel.
cv::Mat blended(const cv::Mat& image, const cv::Mat& other, const cv::Mat& weight)
{
    cv::Mat weights, out;
    cv::merge(std::vector<cv::Mat>(static_cast<size_t>(image.channels()), weight), weights);
    cv::subtract(other, image, out);
    cv::multiply(out, weights, out);
    cv::add(out, image, out);
    return out;
}

SyntheticDefect blendedIn(const cv::Mat& image, const cv::Mat& other, const cv::Mat& weight)
{
    double strongest = 0;
    cv::minMaxLoc(weight, nullptr, &strongest);
    cv::Mat out = blended(image, other, weight);
    cv::Mat values = out.reshape(1);
    cv::max(values, 0, values);
    cv::min(values, 1, values);
    return {out, weight > strongest / 2};
}

/// A picture of one level: the darkest or the brightest of this one, and a little beyond.
cv::Mat levelFor(const cv::Mat& image, CounterRandom& draw)
{
    double low = 0, high = 1;
    cv::minMaxLoc(image.reshape(1), &low, &high);
    cv::Mat level(image.size(), image.type());
    level.reshape(1).setTo(draw.below(2) ? std::min(1.0, high + 0.05) : std::max(0.0, low - 0.05)); // Scalars end at four channels
    return level;
}

void fillEllipse(cv::Mat& weight, cv::Point2f centre, double length, double ratio, double degrees)
{
    const cv::Size2f size(static_cast<float>(std::max(2.0, length)), static_cast<float>(std::max(2.0, length * ratio)));
    cv::ellipse(weight, cv::RotatedRect(centre, size, static_cast<float>(degrees)), cv::Scalar(1), cv::FILLED, cv::LINE_8);
}

void soften(cv::Mat& weight, double sigma, double strength)
{
    cv::GaussianBlur(weight, weight, {}, std::max(0.5, sigma), 0, cv::BORDER_REPLICATE);
    double most = 0;
    cv::minMaxLoc(weight, nullptr, &most);
    weight *= most > 0 ? strength / most : 0;
}

SyntheticDefect patch(const cv::Mat& image, const cv::Mat& donor, CounterRandom& draw)
{
    const double side = sideOf(image);
    const double length = draw.uniform(0.06, 0.2) * side, ratio = draw.uniform(0.3, 1), degrees = draw.uniform(0, 180);
    const cv::Point2f to = placeIn(image, length / 2, draw), from = placeIn(donor, length / 2, draw);
    cv::Mat turn = cv::getRotationMatrix2D(from, draw.uniform(20, 340), 1);
    turn.at<double>(0, 2) += to.x - from.x;
    turn.at<double>(1, 2) += to.y - from.y;
    cv::Mat other;
    cv::warpAffine(donor, other, turn, image.size(), cv::INTER_LINEAR, cv::BORDER_REFLECT_101);
    cv::Mat weight = cv::Mat::zeros(image.size(), CV_32F);
    fillEllipse(weight, to, length, ratio, degrees);
    soften(weight, 0.005 * side, draw.uniform(0.6, 1));
    return blendedIn(image, other, weight);
}

SyntheticDefect scar(const cv::Mat& image, CounterRandom& draw)
{
    const double side = sideOf(image);
    const double length = draw.uniform(0.1, 0.4) * side, angle = draw.uniform(0, CV_PI);
    const int width = std::max(1, cvRound(draw.uniform(0.01, 0.03) * side));
    const cv::Point2f centre = placeIn(image, length / 2, draw);
    const cv::Point2f along(static_cast<float>(length / 2 * std::cos(angle)), static_cast<float>(length / 2 * std::sin(angle)));
    const cv::Point2f bend(static_cast<float>(draw.uniform(-0.1, 0.1) * length), static_cast<float>(draw.uniform(-0.1, 0.1) * length));
    cv::Mat weight = cv::Mat::zeros(image.size(), CV_32F);
    cv::line(weight, centre - along, centre + bend, cv::Scalar(1), width, cv::LINE_8);
    cv::line(weight, centre + bend, centre + along, cv::Scalar(1), width, cv::LINE_8);
    soften(weight, 0.003 * side, draw.uniform(0.15, 0.6));
    return blendedIn(image, levelFor(image, draw), weight);
}

SyntheticDefect spot(const cv::Mat& image, CounterRandom& draw)
{
    const double side = sideOf(image), length = draw.uniform(0.03, 0.1) * side;
    cv::Mat weight = cv::Mat::zeros(image.size(), CV_32F);
    const cv::Point2f centre = placeIn(image, length / 2, draw);
    fillEllipse(weight, centre, length, draw.uniform(0.5, 1), draw.uniform(0, 180));
    soften(weight, 0.005 * side, draw.uniform(0.15, 0.5));
    return blendedIn(image, levelFor(image, draw), weight);
}

SyntheticDefect shade(const cv::Mat& image, CounterRandom& draw)
{
    const double side = sideOf(image), length = draw.uniform(0.2, 0.5) * side;
    cv::Mat weight = cv::Mat::zeros(image.size(), CV_32F);
    const cv::Point2f centre = placeIn(image, length / 2, draw);
    fillEllipse(weight, centre, length, draw.uniform(0.4, 1), draw.uniform(0, 180));
    soften(weight, 0.1 * length, draw.uniform(0.4, 1));
    return blendedIn(image, image * (draw.below(2) ? 1.2 : 0.8), weight);
}

/// [1, C, h, w] → CV_32FC(C), and back; both own what they hold.
cv::Mat pictureOf(const at::Tensor& image)
{
    const at::Tensor rows = image[0].permute({1, 2, 0}).contiguous();
    return cv::Mat(static_cast<int>(rows.size(0)), static_cast<int>(rows.size(1)), CV_32FC(static_cast<int>(rows.size(2))),
                   rows.mutable_data_ptr()).clone();
}

at::Tensor tensorOf(const cv::Mat& picture)
{
    return at::from_blob(picture.data, {1, picture.rows, picture.cols, picture.channels()}, at::kFloat).permute({0, 3, 1, 2}).contiguous();
}

constexpr int leastSide = 16;

} // namespace

SyntheticDefect withDefect(const cv::Mat& image, const cv::Mat& donor, uint64_t seed, uint64_t n)
{
    require(image.depth() == CV_32F && image.type() == donor.type() && sideOf(image) >= leastSide && sideOf(donor) >= leastSide,
            "a synthetic defect needs pictures of float of at least {0}x{0}, found {1}x{2} and {3}x{4}", leastSide, image.cols, image.rows,
            donor.cols, donor.rows);
    CounterRandom draw(mixed(mixed(seed, streamOfDefects), n));
    switch (n % 4)
    {
    case 0: return patch(image, donor, draw);
    case 1: return scar(image, draw);
    case 2: return spot(image, draw);
    default: return shade(image, draw);
    }
}

ViewPairs viewPairs(size_t count, const std::function<Frame(size_t)>& image, const Tiling& tiling, cv::Size input, uint64_t seed)
{
    ViewPairs pairs;
    for (size_t i = 0; i < count; i++)
    {
        const Frame whole = image(i);
        const TileGrid grid(whole.size(), tiling);
        pairs.normal.push_back(whole.at(grid[i % grid.size()], input));
    }
    if (std::min(input.width, input.height) < leastSide)
        return pairs;
    for (size_t i = 0; i < count; i++)
    {
        const SyntheticDefect defect = withDefect(pictureOf(pairs.normal[i]), pictureOf(pairs.normal[(i + 1) % count]), seed, i);
        pairs.defective.push_back(tensorOf(defect.image));
        pairs.masks.push_back(at::from_blob(defect.mask.data, {1, 1, input.height, input.width}, at::kByte).ne(0));
    }
    return pairs;
}

} // namespace agpnet
