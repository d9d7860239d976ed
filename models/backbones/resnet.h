#pragma once

#include "models/backbones/backbone.h"

namespace agpnet
{

/// The residual networks of torchvision, whose names timm has too: ResNet, ResNeXt, Wide ResNet. Layers are the four stages. What
/// shapes tell: depth, width, bottlenecks, groups. What they do not: strides (in the 3 x 3 convolution) and the norms' epsilon,
/// which are the same in all of them.
struct ResNetConfig
{
    int64_t stem = 0;               ///< channels
    std::vector<int64_t> blocks;    ///< number of blocks of each stage
    std::vector<int64_t> channels;  ///< out of each stage
    std::array<double, 3> mean = {0.485, 0.456, 0.406};
    std::array<double, 3> std = {0.229, 0.224, 0.225};

    bool operator==(const ResNetConfig&) const = default;
};

void to_json(nlohmann::json& json, const ResNetConfig& config);
void from_json(const nlohmann::json& json, ResNetConfig& config); ///< Error where a field is missing, unknown or senseless

/// The weights in torchvision's names, behind no prefix; an Error names the tensor that is missing, misshapen or of another network.
std::pair<ResNetConfig, StateDict> recogniseResNet(const StateDict& weights);

BackboneProperties propertiesOf(const ResNetConfig& config);
BackboneFamily resNetFamily();

} // namespace agpnet
