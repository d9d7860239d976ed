/// @file
/// Calibration of a trained model: computes new thresholds, and the feature range of the drift check. The weights do not change.
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

/// Rules that compute thresholds from scores. docs/deciding.md has the equations.
enum ThresholdRule
{
    THRESHOLD_TAIL = 0,     ///< normal images: a generalized Pareto tail, for a stated false-positive rate
    THRESHOLD_QUANTILE = 1, ///< normal images: the quantile; it cannot state rates below 1 / (count + 1)
    THRESHOLD_F1 = 2,       ///< labelled images: the maximum F1
    THRESHOLD_COST = 3      ///< labelled images: the minimum cost of missed defects and false positives
};

/// An image for calibration, with its label.
struct CalibrationImage
{
    cv::Mat image;            ///< types as in AnomalyDetector::detect()
    bool anomalous = false;   ///< label. Only the rules for labelled images accept true
    cv::Mat mask = cv::Mat(); ///< mask of an anomalous image: CV_8UC1, non-zero at the defect, any size; may be empty
};

/// Images of one product that the training did not use.
struct CalibrationSet
{
    std::string product;                           ///< name of the product in the model; empty if the model has one product
    size_t count = 0;                              ///< number of images
    std::function<CalibrationImage(size_t)> image; ///< reads image i of 0 .. count-1; called once for each, in order
    /// Origin of the images, stored in the model: `held-back` (held-out), `training` or `augmented`.
    std::string from = "held-back";
};

/// Options of calibrate().
struct CalibrationOptions
{
    ThresholdRule rule = THRESHOLD_TAIL; ///< rule that computes the thresholds
    /// Fraction of normal images that may be flagged, above 0 and at most 0.5. A fifth of it is the fraction of normal pixels that may be
    /// flagged.
    double falseAlarms = 0.01;
    double missCost = 10; ///< THRESHOLD_COST: cost of a missed defect, relative to a false positive; above 0
    /// Called after each image; may be empty. If it returns false, nothing is written.
    std::function<bool(size_t done, size_t total)> keepGoing;
};

/// Finds the images of a training set that the training did not use: held-out images, and images that a few-shot training did not choose.
/// @param header   result of AnomalyDetector::getHeader()
/// @param product  name of the product; empty if the model has one product
/// @param count    number of images of this product in the training set
/// @return their indices in the training set, in ascending order; empty if the training used all images
/// @throws cv::Exception if the model was trained on another number of images, or has no such product
AGPNET_EXPORT std::vector<size_t> untrainedPictures(const std::string& header, const std::string& product, size_t count);

/// Runs the model on the images and writes a copy with new thresholds to `out`, atomically. `out` may be `model`. A rule for labelled
/// images computes the pixel threshold from the normal images if no anomalous image has a mask.
/// @param sets  one set for each product of the model
/// @return true if `out` was written; false if keepGoing() stopped the calibration
/// @throws cv::Exception for sets that do not match the model, options out of range, images that detect() refuses, and if `out` cannot be
///         written
AGPNET_EXPORT bool calibrate(const std::string& model, const std::vector<CalibrationSet>& sets, const CalibrationOptions& options,
                             const std::string& out);

} // namespace agpnet
