// A model of AGPNet, and the state of a training, as files. Layout: docs/model-file.md.
#pragma once

#include "models/agpnet/training.h"
#include "models/model_file/backbone_entry.h"
#include "models/thresholds/score_statistics.h"
#include "models/training/record.h"

#include <nlohmann/json.hpp>
#include <string>

namespace agpnet
{

/// Properties of the model in precisions with fewer bits than float32.
struct FewerBits
{
    InputRanges backbone, decoder; ///< for products of 8 bits; empty: not known
    double bf16Error = -1; ///< relative error of image scores in bfloat16 against float32; negative: not measured
    double int8Error = -1; ///< the same for int8
    double int8Noise = -1; ///< deviation of these differences over that of normal images' scores, both of logarithms

    NetRanges ranges() const;
};

struct ModelFile
{
    Config config;
    Backbone backbone;
    Standardizer scale; ///< scale that the config's target requires
    NamedTensors decoder;
    ScoreStatistics scores;              ///< statistics over all products
    std::vector<ProductScores> products; ///< in the order of training; empty where the products have no names
    DriftRange drift;
    TrainingRecord record;
    FewerBits fewerBits;
};

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
