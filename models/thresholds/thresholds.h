// A threshold from scores: of normal pictures alone, for a stated rate of false alarms, or of labelled ones. Equations: docs/deciding.md.
#pragma once

#include <ATen/core/Tensor.h>
#include <string>
#include <vector>

namespace agpnet
{

/// A generalised Pareto distribution for what lies above `from`: a share P(score > x) = share · (1 + shape (x - from) / scale)^(-1 / shape).
struct Tail
{
    double from = 0;
    double share = 0; ///< of all scores that lie above `from`
    double shape = 0; ///< 0: exponential; -0.5 to 0.5
    double scale = 0; ///< 0: nothing is known to lie above `from`

    /// The score that so small a share exceeds; rate <= share.
    double quantile(double rate) const;
};

constexpr size_t leastForTail = 8; ///< scores; of fewer no tail is fitted

/// Of the greatest quarter of the scores, by probability-weighted moments. At least leastForTail finite scores.
Tail fittedTail(std::vector<double> scores);

struct Threshold
{
    double value = 0;    ///< anomalous above it
    std::string method;  ///< tail, quantile, f1, cost; or deviations: mean and three standard deviations, where scores are fewer than leastForTail
    double rate = -1;    ///< the share of normal pictures that exceed it, as estimated; negative: none can be stated
    double cost = 0;     ///< of a missed defect, in false alarms; method cost
    int64_t normal = 0, anomalous = 0; ///< scores it was taken from
    Tail tail = {};      ///< method tail
};

/// From the tail, or, where the rate lies not in it, as thresholdFromQuantile(). rate: above 0, below 1.
Threshold thresholdFromTail(const std::vector<double>& normal, double rate);

/// So that (n + 1) · rate of n scores lie above, interpolated; the greatest score where that is less than one.
Threshold thresholdFromQuantile(std::vector<double> normal, double rate);

/// The greatest F1 of "anomalous above it", half-way between the scores that it parts.
Threshold thresholdFromF1(const std::vector<double>& normal, const std::vector<double>& anomalous);

/// The least of cost · missed + false alarms, likewise.
Threshold thresholdFromCost(const std::vector<double>& normal, const std::vector<double>& anomalous, double cost);

/// A score on a scale of 0 to 1, rising, 0.5 at the threshold: 1 / (1 + (threshold / score)^steepness). What is not above 0 becomes 0.
double calibrated(double score, double threshold, double steepness);
at::Tensor calibrated(const at::Tensor& scores, const at::Tensor& thresholds, const at::Tensor& steepness); ///< the same of each; nothing waits for a device

/// The steepness that brings the median of normal scores to 0.1; within 1 to 16.
double steepnessFor(double median, double threshold);

double medianOf(std::vector<double> values); ///< at least one

} // namespace agpnet
