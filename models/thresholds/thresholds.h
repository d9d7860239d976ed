// Thresholds from scores: of normal images, for a stated false-positive rate, or of labelled images. Equations: docs/deciding.md.
#pragma once

#include <ATen/core/Tensor.h>
#include <string>
#include <vector>

namespace agpnet
{

/// A generalised Pareto distribution for what lies above `from`: a share P(score > x) = share · (1 + shape (x - from) / scale)^(-1 /
/// shape).
struct Tail
{
    double from = 0;
    double share = 0; ///< fraction of all scores above `from`
    double shape = 0; ///< 0: exponential; -0.5 to 0.5
    double scale = 0; ///< 0: nothing is known to lie above `from`

    /// The score that so small a share exceeds; rate <= share.
    double quantile(double rate) const;
};

constexpr size_t leastForTail = 8; ///< scores; of fewer no tail is fitted

/// Fits the highest quarter of the scores by probability-weighted moments. Requires at least leastForTail finite scores.
Tail fittedTail(std::vector<double> scores);

struct Threshold
{
    double value = 0;    ///< anomalous above it
    /// Tail, quantile, f1, cost; or deviations: mean and three standard deviations, where scores are fewer than leastForTail.
    std::string method;
    double rate = -1;    ///< estimated fraction of normal images above the threshold; negative: unknown
    double cost = 0;     ///< cost of a missed defect, relative to a false positive; method cost
    int64_t normal = 0, anomalous = 0; ///< scores it was taken from
    Tail tail = {};      ///< method tail
};

/// Computes the threshold from the tail, or as thresholdFromQuantile() if the rate is not in the tail. rate: above 0, below 1.
Threshold thresholdFromTail(const std::vector<double>& normal, double rate);

/// Computes the threshold that (n + 1) · rate of n scores exceed, interpolated; the maximum score if this is less than one score.
Threshold thresholdFromQuantile(std::vector<double> normal, double rate);

/// Computes the threshold with the maximum F1, half-way between two scores.
Threshold thresholdFromF1(const std::vector<double>& normal, const std::vector<double>& anomalous);

/// Computes the threshold with the minimum of cost · missed + false positives, half-way between two scores.
Threshold thresholdFromCost(const std::vector<double>& normal, const std::vector<double>& anomalous, double cost);

/// A score on a scale of 0 to 1, rising, 0.5 at the threshold: 1 / (1 + (threshold / score)^steepness). What is not above 0 becomes 0.
double calibrated(double score, double threshold, double steepness);
/// The same for each score; does not wait for a device.
at::Tensor calibrated(const at::Tensor& scores, const at::Tensor& thresholds, const at::Tensor& steepness);

/// The steepness that brings the median of normal scores to 0.1; within 1 to 16.
double steepnessFor(double median, double threshold);

double medianOf(std::vector<double> values); ///< at least one

} // namespace agpnet
