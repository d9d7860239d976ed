// Scores of images with a known label, and the thresholds and the feature range that follow.
#pragma once

#include "agpnet/anomaly_calibration.hpp"
#include "operators/agpnet/inspection/inference.h"

#include <map>

namespace agpnet
{

/// Refuses options out of range.
void validate(const CalibrationOptions& options);

class CalibrationScores
{
public:
    /// @param from  as in ScoreStatistics
    explicit CalibrationScores(std::string from = {}) : from_(std::move(from)) {}

    void addNormal(const Prediction& image);
    void addAnomalous(const Prediction& image, const cv::Mat& mask); ///< mask: may be empty
    void add(const CalibrationScores& other);

    size_t normals() const { return normal_.scores.size(); }
    ScoreStatistics statistics(const CalibrationOptions& options) const;

    /// Drift statistics of the normal images, for each of `products` that the scale distinguishes. Unknown if a product has too few images.
    DriftRange driftRange(int64_t products) const;

private:
    struct Scores
    {
        std::vector<double> scores;
        std::vector<double> pixels; ///< values of the map, some of each image
    };

    std::string from_;
    Scores normal_, anomalous_; ///< pixels of anomalous_: those inside masks
    std::map<int64_t, std::vector<at::Tensor>> features_; ///< features of normal images, by the product that was found
};

} // namespace agpnet
