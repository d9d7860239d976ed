// Figures of merit, by one definition each. Ties count, every unique score is a threshold.
//   AUROC    the share of (anomalous, good) pairs in the right order, a tie counting one half
//   AP       the step sum of (R_n - R_n-1) P_n
//   F1-max   the best F1 over all thresholds; the highest threshold that reaches it
//   AUPRO@l  mean overlap of the ground-truth components (8-connected, those of all pictures pooled, equal weight) over the
//            false-positive rate (all non-defect pixels of all pictures), area up to l with linear interpolation, divided by l
// Pixel figures are exact up to a number of pixels; beyond it scores share bins, and the figures come with bounds.
#pragma once

#include "common/percentile.h"

#include <cstdint>
#include <map>
#include <memory>
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

struct Interval
{
    double low = 0;
    double high = 0;
};

/// Points of a curve, thinned to what a picture of it can show; the first and the last are kept.
using Curve = std::vector<cv::Point2d>;

struct Curves
{
    Curve roc; ///< false-positive rate, true-positive rate
    Curve pr;  ///< recall, precision
    Curve pro; ///< false-positive rate, mean overlap of components
};

/// Between which the exact figures lie where scores were put into bins.
struct PixelBounds
{
    Interval auroc, ap, f1Max;
    std::vector<Interval> aupro;
};

struct PixelMetrics : RankMetrics
{
    std::vector<std::optional<double>> aupro; ///< one for each limit asked for
    size_t components = 0;
    std::optional<PixelBounds> bounds; ///< where scores were put into bins

    double maxError() const; ///< how far an exact figure can be from ours at the most, of any kind; 0 without bounds
};

/// `curves`, if given, receives ROC and PR.
RankMetrics rankMetrics(std::span<const float> scores, std::span<const uint8_t> labels, Curves* curves = nullptr);

namespace detail
{
struct PixelGroup;
}

/// Takes maps one by one and keeps 4 bytes a good pixel, 8 a defect one, so that the maps themselves may go; beyond
/// `exactPixels` of all groups together it keeps counts of bins of 2^-14 relative width instead (32 bytes a bin, some megabytes
/// a group), and memory no longer grows.
class PixelAccumulator
{
public:
    explicit PixelAccumulator(uint64_t exactPixels = defaultExactPixels);
    ~PixelAccumulator();
    PixelAccumulator(PixelAccumulator&&) noexcept;
    PixelAccumulator& operator=(PixelAccumulator&&) noexcept;

    /// `map` CV_32FC1; `mask` CV_8UC1 of the same size, positive where > 0, or empty for a good picture. Figures can be asked for
    /// each group, such as a kind of defect, apart.
    void add(const cv::Mat& map, const cv::Mat& mask, const std::string& group = "");

    /// Samples of the named groups, or of all.
    PixelMetrics finish(std::span<const double> limits = defaultLimits, Curves* curves = nullptr);
    PixelMetrics finish(std::span<const std::string> groups, std::span<const double> limits = defaultLimits, Curves* curves = nullptr);

    static constexpr double defaultLimits[] = {0.3, 0.05};
    static constexpr uint64_t defaultExactPixels = 200'000'000; ///< 0.8 GB, and as much again while the largest group is sorted

private:
    PixelMetrics measure(const std::vector<detail::PixelGroup*>& groups, std::span<const double> limits, Curves* curves);

    std::map<std::string, std::unique_ptr<detail::PixelGroup>> groups_;
    uint64_t exactPixels_;
    uint64_t pixels_ = 0;
    bool binned_ = false;
    size_t maps_ = 0;
};

/// What figures become when the pictures are drawn again with replacement, good and anomalous ones apart, so that their numbers
/// stay. One entry a drawing; the same seed gives the same drawings.
struct Bootstrap
{
    std::vector<double> auroc, ap, f1Max;
};

Bootstrap bootstrapImages(std::span<const float> scores, std::span<const uint8_t> labels, int drawings = 1000, uint64_t seed = 1);

/// The middle 95 % of the drawings; nothing where there are none.
std::optional<Interval> interval95(std::vector<double> drawings);

enum class ScoreKind
{
    Max, ///< the map's maximum
    Top1 ///< the mean of its highest 1 %, rounded down, at least one pixel
};

double imageScore(const cv::Mat& map, ScoreKind kind = ScoreKind::Max);

/// To the evaluation's size by nearest neighbour; 0 or 255.
cv::Mat resizeMask(const cv::Mat& mask, cv::Size size);

} // namespace agpnet::tools
