#include "apps/evaluation/metrics.h"

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

/// Keeps what a picture of a curve can show.
class Thinned
{
public:
    explicit Thinned(Curve* curve) : curve_(curve) {}

    void add(double x, double y)
    {
        if (!curve_)
            return;
        last_ = {x, y};
        if (!curve_->empty() && std::abs(x - kept_.x) + std::abs(y - kept_.y) < 1.0 / 512)
        {
            pending_ = true;
            return;
        }
        if (pending_) // the corner before a jump
            curve_->push_back(before_);
        curve_->push_back(last_);
        kept_ = last_;
        pending_ = false;
    }
    void remember() { before_ = last_; }
    void finish()
    {
        if (curve_ && pending_)
            curve_->push_back(last_);
    }

private:
    Curve* curve_;
    cv::Point2d kept_, last_, before_;
    bool pending_ = false;
};

/// All figures from one walk down the scores. A step is one score; or one bin of scores, of which only the counts are known.
class Walk
{
public:
    Walk(uint64_t positives, uint64_t negatives, size_t components, std::span<const double> limits, Curves* curves)
        : positives_(static_cast<double>(positives)), negatives_(static_cast<double>(negatives)),
          perComponent_(components ? 1.0 / static_cast<double>(components) : 0), areas_(limits), lowAreas_(limits), highAreas_(limits),
          roc_(curves ? &curves->roc : nullptr), pr_(curves ? &curves->pr : nullptr), pro_(curves ? &curves->pro : nullptr)
    {
        roc_.add(0, 0);
        pro_.add(0, 0);
    }

    /// `overlap` sums the pixels' shares of their components.
    void step(uint32_t lowestKey, uint64_t good, uint64_t defective, double overlap, bool oneScore)
    {
        const auto g = static_cast<double>(good), d = static_cast<double>(defective);
        pairs_ += g * (tp_ + d / 2);
        if (oneScore)
        {
            apLow_ += d > 0 ? d * (tp_ + d) / (tp_ + d + fp_ + g) : 0;
            apHigh_ += d > 0 ? d * (tp_ + d) / (tp_ + d + fp_ + g) : 0;
            bestF1High_ = std::max(bestF1High_, f1(tp_ + d, fp_ + g));
        }
        else
        {
            doubtfulPairs_ += g * d;
            // at worst all good ones come first and each defective one is a threshold; at best all defective ones come first, at once
            for (uint64_t i = 1; i <= defective; i++)
                apLow_ += (tp_ + static_cast<double>(i)) / (tp_ + static_cast<double>(i) + fp_ + g);
            apHigh_ += d > 0 ? d * (tp_ + d) / (tp_ + d + fp_) : 0;
            bestF1High_ = std::max(bestF1High_, f1(tp_ + d, fp_));
        }
        tp_ += d;
        fp_ += g;
        precisionSum_ += d > 0 ? d * tp_ / (tp_ + fp_) : 0;
        if (f1(tp_, fp_) > bestF1_)
        {
            bestF1_ = f1(tp_, fp_);
            bestKey_ = lowestKey;
        }
        const double x = fp_ / negatives_, before = overlap_;
        overlap_ += overlap * perComponent_;
        areas_.add(x, overlap_);
        if (oneScore)
        {
            lowAreas_.add(x, overlap_);
            highAreas_.add(x, overlap_);
        }
        else // a rising curve stays within the corners of its step
        {
            lowAreas_.add(x, before);
            lowAreas_.add(x, overlap_);
            highAreas_.add(lastX_, overlap_);
            highAreas_.add(x, overlap_);
        }
        lastX_ = x;
        for (Thinned* curve : {&roc_, &pr_, &pro_})
            curve->remember();
        roc_.add(x, tp_ / positives_);
        pr_.add(tp_ / positives_, tp_ / (tp_ + fp_));
        pro_.add(x, overlap_);
    }

    void finish(PixelMetrics& result, bool binned)
    {
        const double pairs = positives_ * negatives_;
        result.auroc = pairs_ / pairs;
        result.ap = precisionSum_ / positives_;
        result.f1Max = bestF1_;
        result.f1Threshold = scoreOf(bestKey_);
        for (size_t i = 0; i < result.aupro.size(); i++)
            result.aupro[i] = areas_.normalised(i);
        if (binned)
        {
            PixelBounds bounds;
            bounds.auroc = {(pairs_ - doubtfulPairs_ / 2) / pairs, (pairs_ + doubtfulPairs_ / 2) / pairs};
            bounds.ap = {apLow_ / positives_, apHigh_ / positives_};
            bounds.f1Max = {bestF1_, bestF1High_};
            for (size_t i = 0; i < result.aupro.size(); i++)
                bounds.aupro.push_back({lowAreas_.normalised(i), highAreas_.normalised(i)});
            result.bounds = std::move(bounds);
        }
        for (Thinned* curve : {&roc_, &pr_, &pro_})
            curve->finish();
    }

private:
    double f1(double tp, double fp) const { return 2 * tp / (tp + fp + positives_); }

    double positives_, negatives_, perComponent_;
    double tp_ = 0, fp_ = 0, pairs_ = 0, doubtfulPairs_ = 0, precisionSum_ = 0, apLow_ = 0, apHigh_ = 0;
    double overlap_ = 0, lastX_ = 0, bestF1_ = -1, bestF1High_ = -1;
    uint32_t bestKey_ = 0;
    LimitedAreas areas_, lowAreas_, highAreas_;
    Thinned roc_, pr_, pro_;
};

} // namespace

namespace detail
{

/// Scores as they are, or, once that is too many, their counts: a block for each sign and exponent that occurs.
struct PixelGroup
{
    struct Bin
    {
        uint64_t good = 0;
        uint64_t defective = 0;
        double overlap = 0;
        uint32_t low = UINT32_MAX, high = 0; ///< the scores met; where they are the same the bin is exact
    };
    static constexpr int binBits = 14, blockBits = 9;
    using Block = std::array<Bin, size_t{1} << binBits>;

    std::vector<uint32_t> good;      ///< ordered keys of the scores
    std::vector<uint64_t> defective; ///< the same, above the component's number
    std::vector<double> shares;      ///< of one pixel in its component
    uint64_t goodPixels = 0, defectivePixels = 0;
    bool sorted = false;
    std::array<std::unique_ptr<Block>, size_t{1} << blockBits> blocks;

    Bin& bin(uint32_t key)
    {
        auto& block = blocks[key >> (32 - blockBits)];
        if (!block)
            block = std::make_unique<Block>();
        Bin& found = (*block)[key >> (32 - blockBits - binBits) & ((1u << binBits) - 1)];
        found.low = std::min(found.low, key);
        found.high = std::max(found.high, key);
        return found;
    }
    void count(uint32_t key) { bin(key).good++; }
    void count(uint32_t key, size_t component)
    {
        Bin& found = bin(key);
        found.defective++;
        found.overlap += shares[component];
    }
    void toBins()
    {
        for (const uint32_t key : good)
            count(key);
        for (const uint64_t entry : defective)
            count(static_cast<uint32_t>(entry >> 32), static_cast<uint32_t>(entry));
        std::vector<uint32_t>().swap(good);
        std::vector<uint64_t>().swap(defective);
    }
    void sort()
    {
        if (sorted)
            return;
        sortDescending(good, 0);
        sortDescending(defective, 32);
        sorted = true;
    }
};

} // namespace detail

namespace
{

using detail::PixelGroup;

/// Sorted groups side by side: together they are sorted without a copy of everything.
void walkScores(const std::vector<PixelGroup*>& groups, Walk& walk)
{
    struct Cursor
    {
        const PixelGroup* group;
        size_t good = 0, defective = 0;
    };
    std::vector<Cursor> cursors;
    for (const PixelGroup* group : groups)
        cursors.push_back({group});
    const auto goodKey = [](const Cursor& c) { return c.good < c.group->good.size() ? c.group->good[c.good] : 0; };
    const auto defectiveKey = [](const Cursor& c)
    { return c.defective < c.group->defective.size() ? static_cast<uint32_t>(c.group->defective[c.defective] >> 32) : 0; };
    while (true)
    {
        uint32_t key = 0; // no score has this one: it would be a NaN
        for (const Cursor& cursor : cursors)
            key = std::max({key, goodKey(cursor), defectiveKey(cursor)});
        if (key == 0)
            return;
        uint64_t good = 0, defective = 0;
        double overlap = 0;
        for (Cursor& cursor : cursors)
        {
            for (; goodKey(cursor) == key; cursor.good++)
                good++;
            for (; defectiveKey(cursor) == key; cursor.defective++, defective++)
                if (!cursor.group->shares.empty())
                    overlap += cursor.group->shares[static_cast<uint32_t>(cursor.group->defective[cursor.defective])];
        }
        walk.step(key, good, defective, overlap, true);
    }
}

void walkBins(const std::vector<PixelGroup*>& groups, Walk& walk)
{
    for (size_t b = groups.front()->blocks.size(); b-- > 0;)
        for (size_t i = size_t{1} << PixelGroup::binBits; i-- > 0;)
        {
            PixelGroup::Bin all;
            bool any = false;
            for (const PixelGroup* group : groups)
                if (group->blocks[b])
                {
                    const PixelGroup::Bin& bin = (*group->blocks[b])[i];
                    any = true;
                    all.good += bin.good;
                    all.defective += bin.defective;
                    all.overlap += bin.overlap;
                    all.low = std::min(all.low, bin.low);
                    all.high = std::max(all.high, bin.high);
                }
            if (!any)
                break; // no group has this block
            if (all.good + all.defective > 0)
                walk.step(all.low, all.good, all.defective, all.overlap, all.low == all.high);
        }
}

} // namespace

double PixelMetrics::maxError() const
{
    if (!bounds)
        return 0;
    double most = 0;
    const auto take = [&](const Interval& each, const std::optional<double>& shown)
    { most = std::max({most, *shown - each.low, each.high - *shown}); };
    take(bounds->auroc, auroc);
    take(bounds->ap, ap);
    take(bounds->f1Max, f1Max);
    for (size_t i = 0; i < aupro.size(); i++)
        take(bounds->aupro[i], aupro[i]);
    return most;
}

RankMetrics rankMetrics(std::span<const float> scores, std::span<const uint8_t> labels, Curves* curves)
{
    require(scores.size() == labels.size(), "{} scores, but {} labels", scores.size(), labels.size());
    PixelGroup group;
    for (size_t i = 0; i < scores.size(); i++)
    {
        require(!std::isnan(scores[i]), "score {} of {} is not a number", i + 1, scores.size());
        if (labels[i])
            group.defective.push_back(uint64_t{keyOf(scores[i])} << 32);
        else
            group.good.push_back(keyOf(scores[i]));
    }
    PixelMetrics result;
    result.positives = group.defective.size();
    result.negatives = group.good.size();
    if (scores.empty())
        result.reason = "there are no images";
    else if (result.positives == 0)
        result.reason = "there are no anomalous images";
    else if (result.negatives == 0)
        result.reason = "there are no good images";
    else
    {
        group.sort();
        Walk walk(result.positives, result.negatives, 0, {}, curves);
        walkScores({&group}, walk);
        walk.finish(result, false);
        if (curves)
            curves->pro.clear();
    }
    return result;
}

PixelAccumulator::PixelAccumulator(uint64_t exactPixels) : exactPixels_(exactPixels)
{
}
PixelAccumulator::~PixelAccumulator() = default;
PixelAccumulator::PixelAccumulator(PixelAccumulator&&) noexcept = default;
PixelAccumulator& PixelAccumulator::operator=(PixelAccumulator&&) noexcept = default;

void PixelAccumulator::add(const cv::Mat& map, const cv::Mat& mask, const std::string& group)
{
    maps_++;
    require(map.type() == CV_32FC1 && !map.empty(), "map {}: one channel of 32-bit floats expected, not {}", maps_,
            cv::typeToString(map.type()));
    require(mask.empty() || mask.type() == CV_8UC1, "mask {}: one channel of 8 bits expected, not {}", maps_,
            cv::typeToString(mask.type()));
    require(mask.empty() || mask.size() == map.size(), "mask {}: {}x{} pixels, but its map has {}x{}", maps_, mask.cols,
            mask.rows, map.cols, map.rows);
    auto& slot = groups_[group];
    if (!slot)
        slot = std::make_unique<PixelGroup>();
    PixelGroup& into = *slot;
    into.sorted = false;
    cv::Mat labels, stats, centroids;
    const size_t before = into.shares.size();
    if (!mask.empty())
    {
        const int count = cv::connectedComponentsWithStats(mask > 0, labels, stats, centroids, 8, CV_32S);
        require(before + static_cast<size_t>(count) <= UINT32_MAX, "more ground-truth components than can be numbered");
        for (int i = 1; i < count; i++)
            into.shares.push_back(1.0 / stats.at<int>(i, cv::CC_STAT_AREA));
    }
    pixels_ += map.total();
    if (!binned_ && pixels_ > exactPixels_)
    {
        binned_ = true;
        for (auto& [name, each] : groups_)
            each->toBins();
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
                into.defectivePixels++;
                if (binned_)
                    into.count(key, component);
                else
                    into.defective.push_back(uint64_t{key} << 32 | component);
            }
            else
            {
                into.goodPixels++;
                if (binned_)
                    into.count(key);
                else
                    into.good.push_back(key);
            }
        }
    }
}

PixelMetrics PixelAccumulator::finish(std::span<const double> limits, Curves* curves)
{
    std::vector<PixelGroup*> groups;
    for (auto& [name, group] : groups_)
        groups.push_back(group.get());
    return measure(groups, limits, curves);
}

PixelMetrics PixelAccumulator::finish(std::span<const std::string> names, std::span<const double> limits, Curves* curves)
{
    std::vector<PixelGroup*> groups;
    for (auto& [name, group] : groups_)
        if (std::find(names.begin(), names.end(), name) != names.end())
            groups.push_back(group.get());
    return measure(groups, limits, curves);
}

PixelMetrics PixelAccumulator::measure(const std::vector<PixelGroup*>& groups, std::span<const double> limits, Curves* curves)
{
    for (const double limit : limits)
        require(limit > 0 && limit <= 1, "the limit of the false-positive rate is {}, a value above 0 and up to 1 was expected",
                limit);
    PixelMetrics result;
    result.aupro.resize(limits.size());
    for (const PixelGroup* group : groups)
    {
        result.positives += group->defectivePixels;
        result.negatives += group->goodPixels;
        result.components += group->shares.size();
    }
    if (groups.empty())
        result.reason = "there are no maps";
    else if (result.positives == 0)
        result.reason = "there are no anomalous pixels";
    else if (result.negatives == 0)
        result.reason = "there are no good pixels";
    else
    {
        Walk walk(result.positives, result.negatives, result.components, limits, curves);
        if (binned_)
            walkBins(groups, walk);
        else
        {
            for (PixelGroup* group : groups)
                group->sort();
            walkScores(groups, walk);
        }
        walk.finish(result, binned_);
    }
    return result;
}

Bootstrap bootstrapImages(std::span<const float> scores, std::span<const uint8_t> labels, int drawings, uint64_t seed)
{
    require(scores.size() == labels.size(), "{} scores, but {} labels", scores.size(), labels.size());
    Bootstrap result;
    std::vector<size_t> order(scores.size()), kinds[2];
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    for (size_t i = 0; i < order.size(); i++)
        kinds[labels[order[i]] != 0].push_back(i);
    if (kinds[0].empty() || kinds[1].empty())
        return result;
    cv::RNG rng(seed);
    std::vector<int> times(order.size());
    for (int drawing = 0; drawing < drawings; drawing++)
    {
        std::fill(times.begin(), times.end(), 0);
        for (const auto& kind : kinds)
            for (size_t i = 0; i < kind.size(); i++)
                times[kind[static_cast<size_t>(rng.uniform(0, static_cast<int>(kind.size())))]]++;
        Walk walk(kinds[1].size(), kinds[0].size(), 0, {}, nullptr);
        for (size_t i = 0; i < order.size();)
        {
            const float score = scores[order[i]];
            uint64_t counts[2] = {0, 0};
            for (; i < order.size() && scores[order[i]] == score; i++)
                counts[labels[order[i]] != 0] += static_cast<uint64_t>(times[i]);
            if (counts[0] + counts[1] > 0)
                walk.step(keyOf(score), counts[0], counts[1], 0, true);
        }
        PixelMetrics drawn;
        walk.finish(drawn, false);
        result.auroc.push_back(*drawn.auroc);
        result.ap.push_back(*drawn.ap);
        result.f1Max.push_back(*drawn.f1Max);
    }
    return result;
}

std::optional<Interval> interval95(std::vector<double> drawings)
{
    if (drawings.empty())
        return {};
    return Interval{percentile(drawings, 0.025), percentile(drawings, 0.975)};
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
