// From a prediction to a decision: which thresholds count, the score compared with them, the calibrated score, the regions. Here alone.
#pragma once

#include "agpnet/anomaly_detector.hpp"
#include "operators/agpnet/inspection/inference.h"

#include <string>
#include <vector>

namespace agpnet
{

/// Settings that replace the model's own thresholds, see DetectOptions.
struct ThresholdOptions
{
    std::string product;
    double sensitivity = 1, threshold = 0, pixelThreshold = 0; ///< thresholds: 0 for the model's own
};

/// Thresholds of one product, sensitivity included.
struct Limits
{
    std::string product; ///< product of the thresholds; empty: all products together
    double threshold = 0, pixelThreshold = 0;
    double steepness = 0; ///< steepness of the calibrated score
};

/// @param product  the one that the image was found to be of
Limits limitsOf(const Inference& inference, const ThresholdOptions& options, int64_t product);

/// Everything but the regions.
AnomalyResult decide(const Inference& inference, const ThresholdOptions& options, const Evidence& evidence);

/// The connected components of a mask, highest peak of the map first. Those that are too small are removed from the mask.
std::vector<AnomalyRegion> regionsOf(const cv::Mat& map, cv::Mat& mask, int minimumArea);

} // namespace agpnet
