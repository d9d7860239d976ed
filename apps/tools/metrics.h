// Figures of merit, by one definition each. Ties count, every unique score is a threshold, nothing is binned.
//   AUROC    the share of (anomalous, good) pairs in the right order, a tie counting one half
//   AP       the step sum of (R_n - R_n-1) P_n
//   F1-max   the best F1 over all thresholds; the highest threshold that reaches it
//   AUPRO@l  mean overlap of the ground-truth components (8-connected, those of all pictures pooled, equal weight) over the
//            false-positive rate (all non-defect pixels of all pictures), area up to l with linear interpolation, divided by l
#pragma once

#include <cstdint>
#include <opencv2/core.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace agpnet::tools
{

/// Where only one class is present nothing can be ranked: then the figures are absent, and `reason` says why.
struct RankMetrics
{
    std::optional<double> auroc;
    std::optional<double> ap;
    std::optional<double> f1Max;
    std::optional<float> f1Threshold; ///< anomalous where score >= this
    uint64_t positives = 0;
    uint64_t negatives = 0;
    std::string reason;
};

struct PixelMetrics : RankMetrics
{
    std::vector<std::optional<double>> aupro; ///< one for each limit asked for
    size_t components = 0;
};

/// Labels: 0 good, anything else anomalous. NaN is an Error; infinities are ordered like numbers.
RankMetrics rankMetrics(std::span<const float> scores, std::span<const uint8_t> labels);

/// Takes maps one by one and keeps 4 bytes a good pixel, 8 a defect one, so that the maps themselves may go.
class PixelAccumulator
{
public:
    /// `map` CV_32FC1; `mask` CV_8UC1 of the same size, positive where > 0, or empty for a good picture.
    void add(const cv::Mat& map, const cv::Mat& mask);

    /// Sorts what was kept: call once. Needs the kept bytes a second time.
    PixelMetrics finish(std::span<const double> limits = defaultLimits);

    static constexpr double defaultLimits[] = {0.3, 0.05};

private:
    std::vector<uint32_t> good_;      ///< ordered keys of the scores
    std::vector<uint64_t> defective_; ///< the same, above the component's number
    std::vector<uint64_t> sizes_;     ///< pixels of each component
    size_t maps_ = 0;
};

enum class ScoreKind
{
    Max, ///< the map's maximum
    Top1 ///< the mean of its highest 1 %, rounded down, at least one pixel
};

double imageScore(const cv::Mat& map, ScoreKind kind = ScoreKind::Max);

/// To the evaluation's size by nearest neighbour; 0 or 255.
cv::Mat resizeMask(const cv::Mat& mask, cv::Size size);

} // namespace agpnet::tools
