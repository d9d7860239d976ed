// A model of DEC as a file. Layout: docs/model-file.md.
#pragma once

#include "models/dec/network.h"
#include "models/model_file/backbone_entry.h"
#include "models/training/record.h"

#include <nlohmann/json.hpp>
#include <string>

namespace agpnet::dec
{

inline constexpr char method[] = "dec";

struct ModelFile
{
    Config config; ///< completed()
    Backbone backbone;
    Space space;
    TrainingRecord record;

    std::string digest() const { return spaceDigest(config, backbone, space); }
};

/// The header that writeModel() puts into the file.
nlohmann::json headerOf(const ModelFile& model, EmbedBackbone embed);

void writeModel(const std::string& path, const ModelFile& model, EmbedBackbone embed);
ModelFile readModel(const std::string& path);

/// The header alone: a few kilobytes are read, no tensor.
nlohmann::json readModelHeader(const std::string& path);

} // namespace agpnet::dec
