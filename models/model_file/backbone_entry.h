// The frozen backbone in a file of ours: embedded, or named by its hash and looked for.
#pragma once

#include "models/backbones/backbone.h"
#include "models/model_file/container.h"

namespace agpnet
{

enum class EmbedBackbone
{
    Yes, ///< one file holds everything
    No   ///< the file names the backbone by hash; it is looked for beside the model, where it was, and in AGPNET_BACKBONES
};

/// The header's member `backbone`.
nlohmann::json backboneHeader(const Backbone& backbone, EmbedBackbone embed);

/// Adds the weights to an embedding file's tensors.
void addBackbone(TensorFile& file, const Backbone& backbone);

Backbone backboneIn(const std::string& path, const nlohmann::json& header, const TensorFile& file);

} // namespace agpnet
