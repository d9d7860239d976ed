/// @file
/// New thresholds for a trained model, and the range of its features for the drift check, without training: weights stay as they are.
///
///     agpnet::CalibrationSet parts;
///     parts.count = good.size();
///     parts.image = [&](size_t i) { return agpnet::CalibrationImage{cv::imread(good[i])}; };
///     agpnet::calibrate("tile.agp", {parts}, {}, "tile.agp");
#pragma once

#include "agpnet/api.hpp"

#include <functional>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace agpnet
{

/// How thresholds follow from scores; equations in docs/deciding.md.
enum ThresholdRule
{
    THRESHOLD_TAIL = 0,     ///< from normal pictures: generalised Pareto tail, for a stated rate of false alarms
    THRESHOLD_QUANTILE = 1, ///< from normal pictures: the quantile itself; rates below 1 / (count + 1) cannot be stated
    THRESHOLD_F1 = 2,       ///< from labelled pictures: the greatest F1
    THRESHOLD_COST = 3      ///< from labelled pictures: the least cost of missed defects and false alarms
};

/// A picture to take thresholds from, and what is known of it.
struct CalibrationImage
{
    cv::Mat image;          ///< as AnomalyDetector::detect() takes it
    bool anomalous = false; ///< only looked at by the rules for labelled pictures; the others want normal ones alone
    cv::Mat mask = cv::Mat(); ///< of an anomalous one: CV_8UC1, non-zero where the defect is, any size; may be empty
};

/// Pictures of one product that the model was not trained on.
struct CalibrationSet
{
    std::string product; ///< its name in the model; empty where that has but one
    size_t count = 0;    ///< of pictures
    std::function<CalibrationImage(size_t)> image; ///< reads picture i of 0 .. count-1, each once, in order
    std::string from = "held-back"; ///< kept in the model: held-back, training or augmented
};

/// How calibrate() goes about it.
struct CalibrationOptions
{
    ThresholdRule rule = THRESHOLD_TAIL; ///< how thresholds follow from scores
    double falseAlarms = 0.01; ///< share of normal pictures that may be called; a fifth of it: of their pixels that may be marked. Above 0, at most 0.5
    double missCost = 10;      ///< THRESHOLD_COST: what a missed defect costs, in false alarms; above 0
    std::function<bool(size_t done, size_t total)> keepGoing; ///< may be empty; false gives up, and nothing is written
};

/// Which pictures of its training set the model was not trained on, because they were held back for thresholds or, of few, not chosen: places
/// among the `count` pictures of the product ("" where the model has but one) that the training was given, rising. Empty where it learned from all.
/// @param header  AnomalyDetector::header()
/// @throws cv::Exception where the model was trained on another number of pictures, or knows no such product
AGPNET_EXPORT std::vector<size_t> untrainedPictures(const std::string& header, const std::string& product, size_t count);

/// Runs the model over the pictures and writes it to `out` with new thresholds, atomically; `out` may be `model`. Where a rule for labelled
/// pictures is asked for and no anomalous one has a mask, the threshold of the map is taken from the normal ones.
/// @param sets  one for each of the model's products, or one where it has but one
/// @return whether it was finished, and `out` written
/// @throws cv::Exception for sets that do not fit the model, options out of range, pictures that no detector takes, and where `out` cannot be written
AGPNET_EXPORT bool calibrate(const std::string& model, const std::vector<CalibrationSet>& sets, const CalibrationOptions& options,
                             const std::string& out);

} // namespace agpnet
