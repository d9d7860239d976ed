#pragma once

#include "models/backbones/backbone.h"


namespace agpnet
{

/// EfficientNet b0 to b8 and Lite. Layers are the seven stages. What shapes tell: depth, width, squeeze-and-excitation. The stages'
/// strides and kernels are the same in all of them. What else there is to know shapes do not tell, so it follows from the publisher:
///
///     names                          padding      epsilon  activation    mean, deviation
///     timm's, tf_efficientnet_*      TensorFlow's 1e-3     SiLU          ImageNet's; a half with adversarial propagation (ap)
///     timm's, tf_efficientnet_lite*  TensorFlow's 1e-3     ReLU6         a half
///     timm's own, efficientnet_*     symmetric    1e-5     SiLU, or ReLU6 in Lite: without squeeze-and-excitation
///     torchvision's                  symmetric    1e-5     SiLU (b5 and more have an epsilon of 1e-3)
///     lukemelas'                     TensorFlow's 1e-3     SiLU
///
/// timm's two have the same names: they are told apart by the file's name, which has "tf_" in it; with none that says, weights
/// are taken for timm's own, and Lite's for TensorFlow's.
struct EfficientNetConfig
{
    int64_t stem = 0;              ///< channels
    std::vector<int64_t> blocks;   ///< number of blocks of each stage
    std::vector<int64_t> channels; ///< out of each stage
    bool squeeze = true;           ///< squeeze-and-excitation, and SiLU; without it ReLU6
    bool samePadding = false;      ///< TensorFlow's
    double eps = 1e-5;             ///< epsilon of the batch norms
    std::array<double, 3> mean = {0.485, 0.456, 0.406};
    std::array<double, 3> std = {0.229, 0.224, 0.225};

    bool operator==(const EfficientNetConfig&) const = default;
};

void to_json(nlohmann::json& json, const EfficientNetConfig& config);
void from_json(const nlohmann::json& json, EfficientNetConfig& config); ///< Error where a field is missing, unknown or senseless

/// The weights in timm's names, behind no prefix; an Error names the tensor that is missing, misshapen or of another network.
/// `file`: the stem of the file's name, or empty.
std::pair<EfficientNetConfig, StateDict> recogniseEfficientNet(const StateDict& weights, const std::string& file = {});

BackboneProperties propertiesOf(const EfficientNetConfig& config);
BackboneFamily efficientNetFamily();

} // namespace agpnet
