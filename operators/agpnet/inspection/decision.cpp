#include "operators/agpnet/inspection/decision.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

namespace agpnet
{

Limits limitsOf(const Inference& inference, const ThresholdOptions& options, int64_t product)
{
    Limits limits;
    const ScoreStatistics& normal = inference.scores(options.product, product, &limits.product);
    limits.threshold = (options.threshold > 0 ? options.threshold : normal.threshold.value) / options.sensitivity;
    limits.pixelThreshold = (options.pixelThreshold > 0 ? options.pixelThreshold : normal.pixelThreshold.value) / options.sensitivity;
    limits.steepness = steepnessFor(normal.median, normal.threshold.value);
    return limits;
}

AnomalyResult decide(const Inference& inference, const ThresholdOptions& options, const Evidence& evidence)
{
    const Limits limits = limitsOf(inference, options, evidence.product);
    AnomalyResult result;
    result.score = evidence.score;
    result.threshold = limits.threshold;
    result.pixelThreshold = limits.pixelThreshold;
    result.anomalous = evidence.score > limits.threshold;
    result.calibrated = calibrated(evidence.score, limits.threshold, limits.steepness);
    result.product = limits.product;
    result.drift = inference.outOfRange(evidence.product, evidence.features);
    return result;
}

std::vector<AnomalyRegion> regionsOf(const cv::Mat& map, cv::Mat& mask, int minimumArea)
{
    cv::Mat labels, statistics, centroids;
    const int count = cv::connectedComponentsWithStats(mask, labels, statistics, centroids, 8, CV_32S);
    std::vector<AnomalyRegion> regions;
    for (int i = 1; i < count; i++) // 0 is the background
    {
        AnomalyRegion region;
        region.box = {statistics.at<int>(i, cv::CC_STAT_LEFT), statistics.at<int>(i, cv::CC_STAT_TOP),
                      statistics.at<int>(i, cv::CC_STAT_WIDTH), statistics.at<int>(i, cv::CC_STAT_HEIGHT)};
        region.area = statistics.at<int>(i, cv::CC_STAT_AREA);
        const cv::Mat own = labels(region.box) == i;
        if (region.area < minimumArea)
        {
            mask(region.box).setTo(0, own);
            continue;
        }
        cv::Point peak;
        cv::minMaxLoc(map(region.box), nullptr, &region.score, nullptr, &peak, own);
        region.peak = peak + region.box.tl();
        std::vector<std::vector<cv::Point>> contours; // one: what is connected has one outer border
        cv::findContours(own, contours, cv::RETR_EXTERNAL, cv::CHAIN_APPROX_SIMPLE, region.box.tl());
        region.contour = std::move(contours.at(0));
        regions.push_back(std::move(region));
    }
    std::stable_sort(regions.begin(), regions.end(), [](const AnomalyRegion& a, const AnomalyRegion& b) { return a.score > b.score; });
    return regions;
}

} // namespace agpnet
