// The figures of one class of products, from its pictures one by one: of images and of pixels, of each kind of defect, with intervals.
#pragma once

#include "apps/datasets/dataset.h"
#include "apps/evaluation/metrics.h"

namespace agpnet::tools
{

struct EvaluationOptions
{
    uint64_t exactPixels = PixelAccumulator::defaultExactPixels;
    int drawings = 1000; ///< number of bootstrap samples; 0 for none
    uint64_t seed = 1;
};

/// Against the good pictures of the class.
struct DefectFigures
{
    std::string name;
    size_t images = 0;
    size_t called = 0; ///< found as anomalous, where there was a decision
    RankMetrics image;
    std::optional<Interval> auroc95; ///< confidence interval of image.auroc
    PixelMetrics pixel;
};

struct Latency
{
    double mean = 0, p50 = 0, p90 = 0, p99 = 0; ///< seconds an image
};

struct ClassFigures
{
    std::string name;
    size_t good = 0, anomalous = 0;
    size_t goodCalled = 0; ///< good pictures found as anomalous
    bool decided = false;  ///< there were decisions
    RankMetrics image;
    Bootstrap drawings; ///< bootstrap samples of the image metrics; empty if there is nothing to rank
    PixelMetrics pixel;
    Curves imageCurves, pixelCurves;
    std::vector<DefectFigures> defects;
    std::optional<Latency> latency;
    std::optional<cv::Size> size; ///< size of the maps; empty if sizes differ
    size_t withoutMask = 0;       ///< anomalous pictures left out of the pixel figures
};

class ClassEvaluation
{
public:
    ClassEvaluation(std::string name, const EvaluationOptions& options);

    /// `mask`: as the picture has it, any size; empty where there is none.
    void add(const Item& item, float score, const cv::Mat& map, const cv::Mat& mask, std::optional<bool> decision = {},
             double seconds = 0);
    ClassFigures finish();

private:
    EvaluationOptions options_;
    ClassFigures figures_;
    PixelAccumulator pixels_;
    std::vector<float> scores_;
    std::vector<std::string> defects_; ///< defect of each score
    std::map<std::string, size_t, decltype(&naturalLess)> called_{&naturalLess};
    std::vector<double> seconds_;
    bool sizesDiffer_ = false;
};

/// The unweighted mean of a figure over classes; nothing if a class lacks it.
struct MeanFigures
{
    std::optional<double> imageAuroc, imageAp, imageF1Max, pixelAuroc, pixelAp, pixelF1Max;
    std::vector<std::optional<double>> aupro;
    std::optional<Interval> imageAuroc95, imageAp95, imageF1Max95; ///< confidence intervals of the means over classes
    double maxError = 0;
};

MeanFigures meanFigures(const std::vector<ClassFigures>& classes);

} // namespace agpnet::tools
