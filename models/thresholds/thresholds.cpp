#include "models/thresholds/thresholds.h"

#include "common/error.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <numeric>

namespace agpnet
{
namespace
{

constexpr double tailShare = 0.25;
constexpr double mostShape = 0.5; // beyond it few scores say too little to extrapolate

void requireScores(const std::vector<double>& scores, const char* kind)
{
    require(!scores.empty(), "no scores of {} images to take a threshold from, expected at least one", kind);
    for (double score : scores)
        require(std::isfinite(score), "a score of {} images is {}, expected a finite one", kind, score);
}

void requireRate(double rate)
{
    require(rate > 0 && rate < 1, "the false-positive rate is {}, expected above 0 and below 1", rate);
}

Threshold ofNormal(const std::vector<double>& normal, const char* method, double rate)
{
    requireScores(normal, "normal");
    requireRate(rate);
    Threshold threshold;
    threshold.method = method;
    threshold.rate = rate;
    threshold.normal = static_cast<int64_t>(normal.size());
    return threshold;
}

Threshold fromDeviations(const std::vector<double>& normal)
{
    Threshold threshold = ofNormal(normal, "deviations", 0.5);
    const auto n = static_cast<double>(normal.size());
    const double mean = std::accumulate(normal.begin(), normal.end(), 0.0) / n;
    double squares = 0;
    for (double score : normal)
        squares += (score - mean) * (score - mean);
    threshold.value = mean + 3 * (normal.size() > 1 ? std::sqrt(squares / (n - 1)) : 0);
    threshold.rate = -1;
    return threshold;
}

/// The point between two scores with the highest value(); the highest point of equals.
/// value(missed, false positives): higher is better.
template <typename Value>
Threshold bestBetween(const std::vector<double>& normal, const std::vector<double>& anomalous, const char* method, Value value)
{
    requireScores(normal, "normal");
    requireScores(anomalous, "anomalous");
    std::vector<std::pair<double, bool>> scores;
    for (double score : normal)
        scores.emplace_back(score, false);
    for (double score : anomalous)
        scores.emplace_back(score, true);
    std::sort(scores.begin(), scores.end(), [](const auto& a, const auto& b) { return a.first > b.first; });

    Threshold best;
    best.method = method;
    best.normal = static_cast<int64_t>(normal.size());
    best.anomalous = static_cast<int64_t>(anomalous.size());
    best.value = scores.front().first; // nothing is called
    double missed = static_cast<double>(anomalous.size()), alarms = 0;
    double bestValue = value(missed, alarms), alarmsThere = 0;
    for (size_t i = 0; i < scores.size(); i++)
    {
        (scores[i].second ? missed : alarms) += scores[i].second ? -1 : 1;
        const bool last = i + 1 == scores.size();
        if (!last && scores[i + 1].first == scores[i].first)
            continue; // equals are called together
        if (const double here = value(missed, alarms); here > bestValue)
        {
            bestValue = here;
            alarmsThere = alarms;
            // the next below, or where there is none, just below the lowest
            best.value = last ? std::nextafter(scores[i].first, -HUGE_VAL) : (scores[i].first + scores[i + 1].first) / 2;
        }
    }
    best.rate = alarmsThere / static_cast<double>(normal.size());
    return best;
}

} // namespace

double Tail::quantile(double rate) const
{
    require(rate > 0 && rate <= share, "the rate {} is not in the tail, expected above 0 and at most {}", rate, share);
    const double ratio = std::log(share / rate);
    return from + scale * (std::abs(shape) < 1e-9 ? ratio : std::expm1(shape * ratio) / shape);
}

Tail fittedTail(std::vector<double> scores)
{
    requireScores(scores, "normal");
    require(scores.size() >= leastForTail, "{} scores, expected at least {} to fit a tail to", scores.size(), leastForTail);
    std::sort(scores.begin(), scores.end(), std::greater<>());
    const size_t above = std::max(leastForTail / 2, static_cast<size_t>(tailShare * static_cast<double>(scores.size())));
    Tail tail;
    tail.from = (scores[above - 1] + scores[above]) / 2;
    tail.share = static_cast<double>(above) / static_cast<double>(scores.size());
    // Hosking and Wallis (1987), in L-moments: the mean excess, and half the mean difference of two
    double mean = 0, difference = 0;
    const auto n = static_cast<double>(above);
    for (size_t i = 0; i < above; i++)
    {
        const double excess = scores[i] - tail.from;
        mean += excess / n;
        difference += excess * (n - 1 - 2 * static_cast<double>(i)) / (n * (n - 1));
    }
    if (difference <= 0)
        return tail; // all equal
    tail.shape = std::clamp(2 - mean / difference, -mostShape, mostShape);
    tail.scale = mean * (1 - tail.shape);
    return tail;
}

Threshold thresholdFromTail(const std::vector<double>& normal, double rate)
{
    Threshold threshold = ofNormal(normal, "tail", rate);
    if (normal.size() < leastForTail)
        return fromDeviations(normal);
    threshold.tail = fittedTail(normal);
    if (rate > threshold.tail.share)
        return thresholdFromQuantile(normal, rate);
    threshold.value = threshold.tail.quantile(rate);
    return threshold;
}

Threshold thresholdFromQuantile(std::vector<double> normal, double rate)
{
    Threshold threshold = ofNormal(normal, "quantile", rate);
    std::sort(normal.begin(), normal.end(), std::greater<>());
    const double rank = rate * static_cast<double>(normal.size() + 1); // 1: the maximum
    const double whole = std::floor(rank);
    if (rank < 1)
    {
        threshold.value = normal.front();
        threshold.rate = 1 / static_cast<double>(normal.size() + 1); // no smaller one can be stated
        return threshold;
    }
    const auto place = static_cast<size_t>(whole);
    const double upper = normal[std::min(place, normal.size()) - 1], lower = normal[std::min(place + 1, normal.size()) - 1];
    threshold.value = upper + (rank - whole) * (lower - upper);
    return threshold;
}

Threshold thresholdFromF1(const std::vector<double>& normal, const std::vector<double>& anomalous)
{
    const auto all = static_cast<double>(anomalous.size());
    return bestBetween(normal, anomalous, "f1", [all](double missed, double alarms) {
        const double found = all - missed;
        return 2 * found / (2 * found + missed + alarms);
    });
}

Threshold thresholdFromCost(const std::vector<double>& normal, const std::vector<double>& anomalous, double cost)
{
    require(std::isfinite(cost) && cost > 0, "the cost of a missed defect is {}, expected above 0, in false positives", cost);
    Threshold threshold =
        bestBetween(normal, anomalous, "cost", [cost](double missed, double alarms) { return -(cost * missed + alarms); });
    threshold.cost = cost;
    return threshold;
}

double calibrated(double score, double threshold, double steepness)
{
    if (!(score > 0))
        return 0;
    if (!(threshold > 0))
        return 1;
    return 1 / (1 + std::pow(threshold / score, steepness));
}

at::Tensor calibrated(const at::Tensor& scores, const at::Tensor& thresholds, const at::Tensor& steepness)
{
    return at::where(scores > 0, at::reciprocal(1 + (thresholds / scores).pow(steepness)), 0.0);
}

double steepnessFor(double median, double threshold)
{
    constexpr double least = 1, most = 16;
    if (!(median > 0 && threshold > median))
        return most; // nothing below the threshold to tell from
    return std::clamp(std::log(9.0) / std::log(threshold / median), least, most);
}

double medianOf(std::vector<double> values)
{
    require(!values.empty(), "no values to take the median of, expected at least one");
    std::sort(values.begin(), values.end());
    const size_t half = values.size() / 2;
    return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

} // namespace agpnet
