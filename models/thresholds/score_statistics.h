// Statistics of the scores of normal images, their thresholds, and the limits of the drift check, with their part of a model file's header.
#pragma once

#include "models/model_file/container.h"
#include "models/thresholds/drift_statistics.h"
#include "models/thresholds/thresholds.h"

namespace agpnet
{

/// Statistics of the scores of normal images, and the thresholds.
struct ScoreStatistics
{
    std::string from;     ///< "held-back" or "training" images, "augmented" copies of them that were not trained on, or "mixed"
    int64_t count = 0;
    double mean = 0, deviation = 0, least = 0, most = 0;
    Threshold threshold;      ///< threshold of the image score
    Threshold pixelThreshold; ///< threshold of the map
    double median = 0;        ///< median of the image scores
};

/// The same for one of several products.
struct ProductScores
{
    std::string name;
    ScoreStatistics scores;
};

/// Statistics of the features of normal images.
struct DriftRange
{
    DriftStatistics features;         ///< statistics of each product that the scale distinguishes; unknown if it had too few images
    std::vector<Threshold> limits; ///< limit of each product: a distance that normal images rarely exceed
};

/// The header's member `scores`.
nlohmann::json scoresToJson(const ScoreStatistics& scores, const std::vector<ProductScores>& products);
ScoreStatistics scoresFrom(const std::string& path, const nlohmann::json& entry);
std::vector<ProductScores> productsFrom(const std::string& path, const nlohmann::json& scores);

/// The header's member `drift` and its two tensors.
nlohmann::json driftToJson(const DriftRange& drift);
void addDrift(TensorFile& file, const DriftRange& drift);

/// Unknown where the file does not say. An Error unless it is of so many products and channels.
DriftRange driftFrom(const std::string& path, const nlohmann::json& header, const TensorFile& file, int64_t products, int64_t channels);

} // namespace agpnet
