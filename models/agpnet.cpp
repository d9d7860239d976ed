#include "models/agpnet.h"

#include "common/error.h"

#include <ATen/ATen.h>
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
        std::tie(backbone.config, backbone.weights) = recogniseBackbone(readStateDict(path), backbone.name);
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

Config completed(Config config, const BackboneFacts& backbone)
{
    validate(config); // before anything is computed from it
    constexpr int64_t usual = 252;
    const int nearest = static_cast<int>(std::max<int64_t>(1, (usual + backbone.stride / 2) / backbone.stride) * backbone.stride);
    for (int* side : {&config.height, &config.width})
        if (*side == 0)
            *side = nearest;
    if (config.layers == Config().layers && config.layers.back() > backbone.depth())
        config.layers = backbone.defaultLayers;
    return config;
}

namespace
{

/// Layers of one width are summed, others stand side by side.
bool oneWidth(const Config& config, const BackboneFacts& backbone)
{
    for (const int layer : config.layers)
        if (backbone.channels[static_cast<size_t>(layer - 1)] != backbone.channels[static_cast<size_t>(config.layers[0] - 1)])
            return false;
    return true;
}

} // namespace

DecoderShape decoderShape(const Config& config, const BackboneFacts& backbone)
{
    require(config.height > 0 && config.width > 0 && config.height % backbone.stride == 0 && config.width % backbone.stride == 0,
            "config: the input size {}x{} is no multiple of the backbone's patch, {}", config.height, config.width, backbone.stride);
    require(config.layers.back() <= backbone.depth(), "config: 'layers' asks for block {}, the backbone has {}", config.layers.back(),
            backbone.depth());
    DecoderShape shape;
    for (const int layer : config.layers)
        shape.width = static_cast<int>((oneWidth(config, backbone) ? 0 : shape.width) + backbone.channels[static_cast<size_t>(layer - 1)]);
    shape.depth = config.decoderDepth;
    shape.heads = config.decoderHeads ? config.decoderHeads : std::max(1, shape.width / 64);
    while (config.decoderHeads == 0 && shape.width % shape.heads != 0) // widths put together need not be multiples of 64
        shape.heads--;
    shape.mlp = static_cast<int>(config.decoderMlpRatio * shape.width);
    shape.rows = static_cast<int>(config.height / backbone.stride);
    shape.columns = static_cast<int>(config.width / backbone.stride);
    return shape;
}

at::Tensor normalised(const BackboneFacts& backbone, const at::Tensor& images)
{
    const auto perChannel = [](const auto& values) {
        return at::tensor(at::ArrayRef<double>(values), at::kFloat).view({1, 3, 1, 1});
    };
    return (images - perChannel(backbone.mean)) / perChannel(backbone.std);
}

Features extractNormalised(const Extractor& extractor, const Config& config, const at::Tensor& images, bool attention)
{
    const auto aggregate = config.priorMeanQuery ? AttentionAggregate::MeanQuery : AttentionAggregate::ClassToken;
    Extractor::Output out = extractor.forward(images, config.layers, attention, aggregate);
    Features features;
    const bool sum = oneWidth(config, extractor.facts());
    std::vector<at::Tensor> parts;
    for (const at::Tensor& tokens : out.tokens)
    {
        // the parameter-free layer norm over channels
        const at::Tensor norm = at::layer_norm(tokens.to(at::kFloat), {tokens.size(2)}, {}, {}, 1e-6);
        if (sum && !parts.empty())
            parts[0].add_(norm);
        else
            parts.push_back(norm);
    }
    features.clean = parts.size() == 1 ? parts[0] : at::cat(parts, 2);
    if (attention)
        features.prior = out.attention.to(at::kFloat);
    return features;
}

Features extractFeatures(const Extractor& extractor, const Config& config, const at::Tensor& images, bool attention)
{
    return extractNormalised(extractor, config, normalised(extractor.facts(), images), attention);
}

at::Tensor asGrid(const at::Tensor& tokens, int rows, int columns)
{
    return tokens.view({tokens.size(0), rows, columns, tokens.size(2)}).permute({0, 3, 1, 2});
}

AgpNet::AgpNet(const Config& config, const Backbone& backbone, const Decoder& decoder, ComputeType compute)
    : config_(config), compute_(compute), extractor_(makeExtractor(backbone.config, backbone.weights, {.compute = compute})),
      decoder_(decoder.converted(scalarType(compute)))
{
}

Reconstruction AgpNet::reconstruct(const at::Tensor& images) const
{
    require(images.dim() == 4 && images.size(1) == 3 && images.size(2) == config_.height && images.size(3) == config_.width,
            "the model takes images of shape [N, 3, {}, {}], found [{}]", config_.height, config_.width,
            fmt::join(images.sizes(), ", "));
    c10::InferenceMode inference;
    const at::Tensor clean = extractFeatures(*extractor_, config_, images, false).clean;
    const at::Tensor reconstructed = decoder_.forward(clean, scalarType(compute_));
    return {asGrid(clean, rows(), columns()), asGrid(reconstructed, rows(), columns())};
}

} // namespace agpnet
