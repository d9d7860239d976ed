#include "models/agpnet.h"

#include "common/error.h"

#include <ATen/ATen.h>
#include <ATen/cpu/Utils.h>
#include <c10/core/InferenceMode.h>
#include <filesystem>

namespace agpnet
{

Backbone readBackbone(const std::string& path)
{
    Backbone backbone;
    backbone.path = path;
    backbone.name = std::filesystem::path(path).stem().string();
    backbone.weights = readStateDict(path);
    backbone.config = vitConfigOf(backbone.weights);
    backbone.hash = stateDictHash(backbone.weights);
    return backbone;
}

at::ScalarType computeType(const std::string& precision)
{
    if (precision == "fp32")
        return at::kFloat;
    if (precision == "bf16")
        return at::kBFloat16;
    require(precision == "auto", "precision is '{}', expected auto, fp32 or bf16", precision);
    return at::cpu::is_avx512_bf16_supported() || at::cpu::is_amx_tile_supported() ? at::kBFloat16 : at::kFloat;
}

DecoderShape decoderShape(const Config& config, const VitConfig& backbone)
{
    require(config.height % backbone.patch == 0 && config.width % backbone.patch == 0,
            "config: the input size {}x{} is no multiple of the backbone's patch, {}", config.height, config.width, backbone.patch);
    require(config.layers.back() <= backbone.depth, "config: 'layers' asks for block {}, the backbone has {}", config.layers.back(),
            backbone.depth);
    DecoderShape shape;
    shape.width = backbone.width;
    shape.depth = config.decoderDepth;
    shape.heads = config.decoderHeads ? config.decoderHeads : std::max(1, backbone.width / 64);
    shape.mlp = static_cast<int>(config.decoderMlpRatio * backbone.width);
    shape.rows = config.height / backbone.patch;
    shape.columns = config.width / backbone.patch;
    return shape;
}

at::Tensor normalised(const VitConfig& backbone, const at::Tensor& images)
{
    const auto perChannel = [](const auto& values) {
        return at::tensor(at::ArrayRef<float>(values.data(), values.size()), at::kFloat).view({1, 3, 1, 1});
    };
    return (images - perChannel(backbone.mean)) / perChannel(backbone.std);
}

Features extractNormalised(const Vit& vit, const Config& config, const at::Tensor& images, bool attention)
{
    const auto aggregate = config.priorMeanQuery ? AttentionAggregate::MeanQuery : AttentionAggregate::ClassToken;
    Vit::Output out = vit.forward(images, config.layers, attention, aggregate);
    Features features;
    for (const at::Tensor& tokens : out.tokens)
    {
        // the parameter-free layer norm over channels
        const at::Tensor norm = at::layer_norm(tokens.to(at::kFloat), {tokens.size(2)}, {}, {}, 1e-6);
        features.clean = features.clean.defined() ? features.clean.add_(norm) : norm;
    }
    if (attention)
        features.prior = out.attention.to(at::kFloat);
    return features;
}

Features extractFeatures(const Vit& vit, const Config& config, const at::Tensor& images, bool attention)
{
    return extractNormalised(vit, config, normalised(vit.config(), images), attention);
}

at::Tensor asGrid(const at::Tensor& tokens, int rows, int columns)
{
    return tokens.view({tokens.size(0), rows, columns, tokens.size(2)}).permute({0, 3, 1, 2});
}

AgpNet::AgpNet(const Config& config, const Backbone& backbone, const Decoder& decoder, at::ScalarType compute)
    : config_(config), compute_(compute), vit_(std::make_shared<Vit>(backbone.weights, backbone.config, compute)),
      decoder_(decoder.converted(compute))
{
}

Reconstruction AgpNet::reconstruct(const at::Tensor& images) const
{
    require(images.dim() == 4 && images.size(1) == 3 && images.size(2) == config_.height && images.size(3) == config_.width,
            "the model takes images of shape [N, 3, {}, {}], found [{}]", config_.height, config_.width,
            fmt::join(images.sizes(), ", "));
    c10::InferenceMode inference;
    const at::Tensor clean = extractFeatures(*vit_, config_, images, false).clean;
    const at::Tensor reconstructed = decoder_.forward(clean, compute_);
    return {asGrid(clean, rows(), columns()), asGrid(reconstructed, rows(), columns())};
}

} // namespace agpnet
