// The .agp file: safetensors whose metadata carries one JSON header under "agpnet". Layout: docs/model-file.md.
#pragma once

#include "models/features/drift_statistics.h"
#include "models/agpnet/thresholds.h"
#include "models/agpnet/training.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace agpnet
{

/// What normal images score, and the decision that follows from it.
struct ScoreStatistics
{
    std::string from;     ///< "held-back" or "training" images, "augmented" copies of them that were not trained on, or "mixed"
    int64_t count = 0;
    double mean = 0, deviation = 0, least = 0, most = 0;
    Threshold threshold;      ///< of image scores
    Threshold pixelThreshold; ///< of the map
    double median = 0;        ///< of image scores
};

/// The same for one of several products.
struct ProductScores
{
    std::string name;
    ScoreStatistics scores;
};

/// What normal images' features are like as a whole.
struct DriftRange
{
    DriftStatistics features;         ///< of each product that the scale tells apart; unknown where images were too few
    std::vector<Threshold> limits; ///< of each: distances that normal images rarely exceed
};

/// How the numbers came to be: steps, seconds, images, data hash, losses, versions, device, precision.
using TrainingRecord = nlohmann::json;

/// What is known of the model in products of fewer bits than float32's.
struct FewerBits
{
    InputRanges backbone, decoder; ///< for products of 8 bits; empty: not known
    double bf16Error = -1; ///< relative error of image scores in bfloat16 against float32; negative: not measured
    double int8Error = -1; ///< the same in products of 8 bits
    double int8Noise = -1; ///< deviation of these differences over that of normal images' scores, both of logarithms

    NetRanges ranges() const;
};

struct ModelFile
{
    Config config;
    Backbone backbone;
    Standardizer scale; ///< what the config's target wants
    Decoder::NamedTensors decoder;
    ScoreStatistics scores;              ///< of all products together
    std::vector<ProductScores> products; ///< in the order of training; empty where the products have no names
    DriftRange drift;
    TrainingRecord record;
    FewerBits fewerBits;
};

enum class EmbedBackbone
{
    Yes, ///< one file holds everything
    No   ///< the file names the backbone by hash; it is looked for beside the model, where it was, and in AGPNET_BACKBONES
};

constexpr int modelFormatVersion = 1;

/// The header that writeModel() puts into the file.
nlohmann::json headerOf(const ModelFile& model, EmbedBackbone embed);

void writeModel(const std::string& path, const ModelFile& model, EmbedBackbone embed);
ModelFile readModel(const std::string& path);

/// The header alone: a few kilobytes are read, no tensor.
nlohmann::json readModelHeader(const std::string& path);

/// Saves and continues a training that was interrupted. `extra` is the caller's (position in the data).
void writeTrainingState(const std::string& path, const Training& training, const nlohmann::json& extra);
struct TrainingState
{
    Training training;
    nlohmann::json extra;
};
TrainingState readTrainingState(const std::string& path, at::Device device = at::kCPU);

} // namespace agpnet
