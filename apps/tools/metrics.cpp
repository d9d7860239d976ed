#include "apps/tools/metrics.h"

#include "common/error.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>
#include <opencv2/imgproc.hpp>

namespace agpnet::tools
{

namespace
{

/// Unsigned integers in the order of the floats. Adding zero makes -0 equal to +0, as it must be for a tie.
uint32_t keyOf(float score)
{
    const auto bits = std::bit_cast<uint32_t>(score + 0.0f);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

float scoreOf(uint32_t key)
{
    return std::bit_cast<float>(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}

/// Descending, by the 32 bits from `shift` up, 11 bits a pass. Pixels by the ten million: several times faster than comparing.
template <typename T>
void sortDescending(std::vector<T>& values, int shift)
{
    if (values.size() < 4096)
    {
        std::sort(values.begin(), values.end(), std::greater<>());
        return;
    }
    constexpr int bits = 11;
    constexpr size_t buckets = size_t{1} << bits;
    std::array<std::array<size_t, buckets>, 3> counts{};
    const auto bucket = [&](T value, size_t pass)
    { return buckets - 1 - (static_cast<size_t>(static_cast<uint32_t>(value >> shift)) >> (pass * bits) & (buckets - 1)); };
    for (const T value : values)
        for (size_t pass = 0; pass < counts.size(); pass++)
            counts[pass][bucket(value, pass)]++;
    std::vector<T> other(values.size());
    for (size_t pass = 0; pass < counts.size(); pass++)
    {
        auto& count = counts[pass];
        std::exclusive_scan(count.begin(), count.end(), count.begin(), size_t{0});
        for (const T value : values)
            other[count[bucket(value, pass)]++] = value;
        values.swap(other);
    }
}

/// Area under a piecewise linear curve from (0,0), up to each limit. Points come with x not falling.
class LimitedAreas
{
public:
    explicit LimitedAreas(std::span<const double> limits) : limits_(limits), areas_(limits.size(), 0.0) {}

    void add(double x, double y)
    {
        for (size_t i = 0; i < limits_.size(); i++)
        {
            if (lastX_ >= limits_[i])
                continue;
            if (x <= limits_[i])
                areas_[i] += (x - lastX_) * (y + lastY_) / 2;
            else
            {
                const double yAtLimit = lastY_ + (y - lastY_) * (limits_[i] - lastX_) / (x - lastX_);
                areas_[i] += (limits_[i] - lastX_) * (yAtLimit + lastY_) / 2;
            }
        }
        lastX_ = x;
        lastY_ = y;
    }

    double normalised(size_t i) const { return areas_[i] / limits_[i]; }

private:
    std::span<const double> limits_;
    std::vector<double> areas_;
    double lastX_ = 0, lastY_ = 0;
};

/// One walk down all unique scores. `defective` carries a component's number in the low half.
PixelMetrics walk(std::vector<uint32_t>& good, std::vector<uint64_t>& defective, std::span<const uint64_t> sizes,
                  std::span<const double> limits)
{
    PixelMetrics result;
    result.positives = defective.size();
    result.negatives = good.size();
    result.components = sizes.size();
    result.aupro.resize(limits.size());
    if (good.empty() || defective.empty())
        return result;

    sortDescending(good, 0);
    sortDescending(defective, 32);
    const auto positives = static_cast<double>(defective.size());
    const auto negatives = static_cast<double>(good.size());
    std::vector<double> weights(sizes.size()); // of one pixel in the mean overlap
    for (size_t i = 0; i < sizes.size(); i++)
        weights[i] = 1.0 / (static_cast<double>(sizes[i]) * static_cast<double>(sizes.size()));

    LimitedAreas areas(limits);
    uint64_t truePositives = 0, falsePositives = 0;
    double pairs = 0, precisionSum = 0, overlap = 0, bestF1 = -1;
    uint32_t bestKey = 0;
    size_t g = 0, d = 0;
    while (g < good.size() || d < defective.size())
    {
        const uint32_t nextGood = g < good.size() ? good[g] : 0;
        const uint32_t nextDefective = d < defective.size() ? static_cast<uint32_t>(defective[d] >> 32) : 0;
        const uint32_t key = std::max(nextGood, nextDefective);
        const size_t firstGood = g, firstDefective = d;
        while (g < good.size() && good[g] == key)
            g++;
        for (; d < defective.size() && static_cast<uint32_t>(defective[d] >> 32) == key; d++)
            if (!weights.empty())
                overlap += weights[static_cast<uint32_t>(defective[d])];
        const auto newGood = static_cast<double>(g - firstGood);
        const auto newDefective = static_cast<double>(d - firstDefective);

        pairs += newGood * (static_cast<double>(truePositives) + newDefective / 2);
        truePositives = d;
        falsePositives = g;
        const auto tp = static_cast<double>(truePositives), fp = static_cast<double>(falsePositives);
        precisionSum += newDefective * tp / (tp + fp);
        const double f1 = 2 * tp / (tp + fp + positives);
        if (f1 > bestF1)
        {
            bestF1 = f1;
            bestKey = key;
        }
        areas.add(fp / negatives, overlap);
    }
    result.auroc = pairs / (positives * negatives);
    result.ap = precisionSum / positives;
    result.f1Max = bestF1;
    result.f1Threshold = scoreOf(bestKey);
    for (size_t i = 0; i < limits.size(); i++)
        result.aupro[i] = areas.normalised(i);
    return result;
}

} // namespace

RankMetrics rankMetrics(std::span<const float> scores, std::span<const uint8_t> labels)
{
    require(scores.size() == labels.size(), "{} scores, but {} labels", scores.size(), labels.size());
    std::vector<uint32_t> good;
    std::vector<uint64_t> defective;
    for (size_t i = 0; i < scores.size(); i++)
    {
        require(!std::isnan(scores[i]), "score {} of {} is not a number", i + 1, scores.size());
        if (labels[i])
            defective.push_back(uint64_t{keyOf(scores[i])} << 32);
        else
            good.push_back(keyOf(scores[i]));
    }
    RankMetrics result = walk(good, defective, {}, {});
    if (scores.empty())
        result.reason = "there are no images";
    else if (result.positives == 0)
        result.reason = "there are no anomalous images";
    else if (result.negatives == 0)
        result.reason = "there are no good images";
    return result;
}

void PixelAccumulator::add(const cv::Mat& map, const cv::Mat& mask)
{
    maps_++;
    require(map.type() == CV_32FC1 && !map.empty(), "map {}: one channel of 32-bit floats expected, not {}", maps_,
            cv::typeToString(map.type()));
    require(mask.empty() || mask.type() == CV_8UC1, "mask {}: one channel of 8 bits expected, not {}", maps_,
            cv::typeToString(mask.type()));
    require(mask.empty() || mask.size() == map.size(), "mask {}: {}x{} pixels, but its map has {}x{}", maps_, mask.cols,
            mask.rows, map.cols, map.rows);
    cv::Mat labels;
    const size_t before = sizes_.size();
    if (!mask.empty())
    {
        const int count = cv::connectedComponents(mask > 0, labels, 8, CV_32S);
        sizes_.resize(before + static_cast<size_t>(count - 1), 0);
        require(sizes_.size() <= UINT32_MAX, "more ground-truth components than can be numbered");
    }
    for (int y = 0; y < map.rows; y++)
    {
        const float* scores = map.ptr<float>(y);
        const int* label = labels.empty() ? nullptr : labels.ptr<int>(y);
        for (int x = 0; x < map.cols; x++)
        {
            require(!std::isnan(scores[x]), "map {}: the score at row {}, column {} is not a number", maps_, y, x);
            const uint32_t key = keyOf(scores[x]);
            if (label && label[x] > 0)
            {
                const size_t component = before + static_cast<size_t>(label[x]) - 1;
                sizes_[component]++;
                defective_.push_back(uint64_t{key} << 32 | component);
            }
            else
                good_.push_back(key);
        }
    }
}

PixelMetrics PixelAccumulator::finish(std::span<const double> limits)
{
    for (const double limit : limits)
        require(limit > 0 && limit <= 1, "the limit of the false-positive rate is {}, a value above 0 and up to 1 was expected",
                limit);
    PixelMetrics result = walk(good_, defective_, sizes_, limits);
    if (maps_ == 0)
        result.reason = "there are no maps";
    else if (result.positives == 0)
        result.reason = "there are no anomalous pixels";
    else if (result.negatives == 0)
        result.reason = "there are no good pixels";
    return result;
}

double imageScore(const cv::Mat& map, ScoreKind kind)
{
    require(map.type() == CV_32FC1 && !map.empty(), "the map must have one channel of 32-bit floats, not {}",
            cv::typeToString(map.type()));
    std::vector<float> values;
    values.reserve(map.total());
    for (int y = 0; y < map.rows; y++)
        values.insert(values.end(), map.ptr<float>(y), map.ptr<float>(y) + map.cols);
    require(std::none_of(values.begin(), values.end(), [](float v) { return std::isnan(v); }),
            "the map holds a value that is not a number");
    if (kind == ScoreKind::Max)
        return *std::max_element(values.begin(), values.end());
    const auto count = static_cast<std::ptrdiff_t>(std::max<size_t>(1, values.size() / 100));
    std::nth_element(values.begin(), values.begin() + (count - 1), values.end(), std::greater<>());
    return std::accumulate(values.begin(), values.begin() + count, 0.0) / static_cast<double>(count);
}

cv::Mat resizeMask(const cv::Mat& mask, cv::Size size)
{
    require(mask.type() == CV_8UC1 && !mask.empty(), "a mask must have one channel of 8 bits, not {}",
            cv::typeToString(mask.type()));
    cv::Mat resized;
    cv::resize(mask > 0, resized, size, 0, 0, cv::INTER_NEAREST);
    return resized;
}

} // namespace agpnet::tools
