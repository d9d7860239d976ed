#include "models/agpnet.h"

#include "common/error.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>
#include <filesystem>
#include <tuple>

namespace agpnet
{

Backbone readBackbone(const std::string& path)
{
    Backbone backbone;
    backbone.path = path;
    backbone.name = std::filesystem::path(path).stem().string();
    try
    {
        std::tie(backbone.config, backbone.weights) = recogniseVit(readStateDict(path));
    }
    catch (const Error& error)
    {
        const std::string text = error.what();
        fail("{}{}", text.find(path) == std::string::npos ? path + ": " : "", text);
    }
    backbone.hash = stateDictHash(backbone.weights);
    return backbone;
}

ComputeType computeType(const std::string& precision)
{
    if (precision == "fp32")
        return ComputeType::Float32;
    if (precision == "bf16")
        return ComputeType::BFloat16;
    require(precision == "auto", "precision is '{}', expected auto, fp32 or bf16", precision);
    return fastestComputeType();
}

at::ScalarType scalarType(ComputeType compute)
{
    return compute == ComputeType::BFloat16 ? at::kBFloat16 : at::kFloat;
}

/// Blocks at half and at three quarters of the depth, side by side. docs/method.md has the measurement.
LayerGroups proposedLayers(const VitConfig& backbone)
{
    const int depth = static_cast<int>(backbone.depth);
    return {{std::max(1, depth / 2)}, {std::max(depth / 2 + 1, 3 * depth / 4)}};
}

Config completed(Config config, const VitConfig& backbone)
{
    validate(config); // before anything is computed from it
    constexpr int64_t usual = 252;
    const int nearest = static_cast<int>(std::max<int64_t>(1, (usual + backbone.patch / 2) / backbone.patch) * backbone.patch);
    for (int* side : {&config.height, &config.width})
        if (*side == 0)
            *side = nearest;
    if (config.layers.empty())
        config.layers = proposedLayers(backbone);
    if (config.decoderWidth == 0)
        config.decoderWidth = static_cast<int>(std::min<int64_t>(backbone.width, 384));
    return config;
}

DecoderShape decoderShape(const Config& config, const VitConfig& backbone)
{
    require(config.height > 0 && config.width > 0 && config.height % backbone.patch == 0 && config.width % backbone.patch == 0,
            "config: the input size {}x{} is no multiple of the backbone's patch, {}", config.height, config.width, backbone.patch);
    require(!config.layers.empty() && config.decoderWidth > 0, "config: 'layers' and 'decoder_width' are open, expected a completed config");
    for (const std::vector<int>& group : config.layers)
        require(group.back() <= backbone.depth, "config: 'layers' asks for block {}, the backbone has {}", group.back(), backbone.depth);
    DecoderShape shape;
    shape.channels = static_cast<int>(backbone.width * static_cast<int64_t>(config.layers.size()));
    shape.width = config.decoderWidth;
    shape.depth = config.decoderDepth;
    shape.heads = config.decoderHeads ? config.decoderHeads : std::max(1, shape.width / 64);
    shape.mlp = static_cast<int>(config.decoderMlpRatio * shape.width);
    shape.rows = static_cast<int>(config.height / backbone.patch);
    shape.columns = static_cast<int>(config.width / backbone.patch);
    return shape;
}

at::Tensor normalised(const VitConfig& backbone, const at::Tensor& images)
{
    const auto perChannel = [](const auto& values) {
        return at::tensor(at::ArrayRef<double>(values), at::kFloat).view({1, 3, 1, 1});
    };
    return (images - perChannel(backbone.mean)) / perChannel(backbone.std);
}

Features extractNormalised(const Vit& vit, const Config& config, const at::Tensor& images, bool attention)
{
    const auto aggregate = config.priorMeanQuery ? AttentionAggregate::MeanQuery : AttentionAggregate::ClassToken;
    const std::vector<int> layers = allLayers(config.layers);
    const Vit::Output out = vit.forward(images, layers, attention, aggregate);
    std::vector<at::Tensor> groups;
    for (const std::vector<int>& group : config.layers)
    {
        at::Tensor sum;
        for (int layer : group)
        {
            const auto place = std::lower_bound(layers.begin(), layers.end(), layer) - layers.begin();
            at::Tensor tokens = out.tokens[static_cast<size_t>(place)].to(at::kFloat);
            if (config.target == "layernorm") // over channels, without parameters
                tokens = at::layer_norm(tokens, {tokens.size(2)}, {}, {}, 1e-6);
            sum = sum.defined() ? sum + tokens : tokens;
        }
        groups.push_back(sum);
    }
    Features features;
    features.tokens = groups.size() == 1 ? groups[0] : at::cat(groups, 2);
    if (attention)
        features.prior = out.attention.to(at::kFloat);
    return features;
}

FeatureScale FeatureScale::measured(const at::Tensor& tokens)
{
    const at::Tensor flat = tokens.to(at::kDouble).flatten(0, 1);
    const at::Tensor mean = flat.mean({0});
    const at::Tensor deviation = (flat - mean).square().mean({0}).sqrt();
    // a channel that never changes says nothing, and must not be divided by nothing
    return {mean.to(at::kFloat), deviation.clamp_min(1e-3 * deviation.mean().item<double>() + 1e-12).to(at::kFloat)};
}

at::Tensor FeatureScale::applied(const at::Tensor& tokens) const
{
    const at::Tensor exact = tokens.to(at::kFloat);
    return mean.defined() ? (exact - mean) / deviation : exact;
}

Features extractFeatures(const Vit& vit, const Config& config, const at::Tensor& images, bool attention)
{
    return extractNormalised(vit, config, normalised(vit.config(), images), attention);
}

at::Tensor asGrid(const at::Tensor& tokens, int rows, int columns)
{
    return tokens.view({tokens.size(0), rows, columns, tokens.size(2)}).permute({0, 3, 1, 2});
}

AgpNet::AgpNet(const Config& config, const Backbone& backbone, const FeatureScale& scale, const Decoder& decoder, ComputeType compute)
    : config_(config), compute_(compute), vit_(backbone.config, backbone.weights, {.compute = compute}), scale_(scale),
      decoder_(decoder.converted(scalarType(compute)))
{
}

Reconstruction AgpNet::reconstruct(const at::Tensor& images) const
{
    require(images.dim() == 4 && images.size(1) == 3 && images.size(2) == config_.height && images.size(3) == config_.width,
            "the model takes images of shape [N, 3, {}, {}], found [{}]", config_.height, config_.width,
            fmt::join(images.sizes(), ", "));
    c10::InferenceMode inference;
    const at::Tensor clean = scale_.applied(extractFeatures(vit_, config_, images, false).tokens);
    const at::Tensor reconstructed = decoder_.forward(clean, scalarType(compute_));
    return {asGrid(clean, rows(), columns()), asGrid(reconstructed, rows(), columns())};
}

} // namespace agpnet
