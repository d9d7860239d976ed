#include "models/agpnet/network.h"

#include "common/error.h"
#include "models/device/team.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>

namespace agpnet
{

namespace
{

/// Channels of one layer of the backbone; refuses a layer that it does not have.
int64_t channelsOf(const BackboneProperties& backbone, int layer)
{
    require(layer <= backbone.depth(), "config: 'layers' asks for block {}, the backbone has {}", layer, backbone.depth());
    return backbone.channels[static_cast<size_t>(layer - 1)];
}

/// Channels of all groups together.
int64_t channelsOf(const BackboneProperties& backbone, const LayerGroups& groups)
{
    int64_t sum = 0;
    for (const std::vector<int>& group : groups)
    {
        const int64_t channels = channelsOf(backbone, group[0]);
        for (int layer : group)
            require(
                channelsOf(backbone, layer) == channels,
                "config: 'layers' {} and {} are in one group but have {} and {} channels; only layers with the same number can be summed",
                group[0], layer, channels, channelsOf(backbone, layer));
        sum += channels;
    }
    return sum;
}

} // namespace

Config completed(Config config, const BackboneProperties& backbone)
{
    validate(config); // before anything is computed from it
    const bool quick = config.prefer == Prefer::Speed;
    const int64_t usual = quick ? 168 : 252;
    const int nearest = static_cast<int>(std::max<int64_t>(1, (usual + backbone.stride / 2) / backbone.stride) * backbone.stride);
    for (int* side : {&config.height, &config.width})
        if (*side == 0)
            *side = nearest;
    if (config.layers.empty())
    {
        const std::vector<int>& proposed = backbone.defaultLayers;
        const auto taken = static_cast<ptrdiff_t>(quick ? (proposed.size() + 1) / 2 : proposed.size());
        std::for_each(proposed.begin(), proposed.begin() + taken, [&](int layer) { config.layers.push_back({layer}); });
    }
    if (config.decoderWidth == 0)
    {
        constexpr int64_t most = 384, multiple = 4; // which the positions want
        config.decoderWidth =
            static_cast<int>(std::max(multiple, std::min(most, channelsOf(backbone, config.layers)) / multiple * multiple));
    }
    return config;
}

DecoderShape decoderShape(const Config& config, const BackboneProperties& backbone)
{
    require(config.height > 0 && config.width > 0 && config.height % backbone.stride == 0 && config.width % backbone.stride == 0,
            "config: the input size {}x{} is no multiple of the backbone's patch, {}", config.height, config.width, backbone.stride);
    require(!config.layers.empty() && config.decoderWidth > 0,
            "config: 'layers' or 'decoder_width' is left open, expected a completed config");
    DecoderShape shape;
    shape.channels = static_cast<int>(channelsOf(backbone, config.layers) * inputChannels(config) / 3);
    shape.width = config.decoderWidth;
    shape.depth = config.decoderDepth;
    shape.heads = config.decoderHeads ? config.decoderHeads : std::max(1, shape.width / 64);
    while (config.decoderHeads == 0 && shape.width % shape.heads != 0) // widths put together need not be multiples of 64
        shape.heads--;
    shape.mlp = static_cast<int>(config.decoderMlpRatio * shape.width);
    shape.rows = static_cast<int>(config.height / backbone.stride);
    shape.columns = static_cast<int>(config.width / backbone.stride);
    constexpr int mostTokens = 1 << 16; // attention compares each with each
    require(shape.rows * shape.columns <= mostTokens, "config: the input size {}x{} makes {} tokens, expected at most {}", config.height,
            config.width, shape.rows * shape.columns, mostTokens);
    return shape;
}

Features extractNormalised(const Extractor& extractor, const Config& config, const at::Tensor& images, bool attention)
{
    const auto aggregate = config.priorMeanQuery ? AttentionAggregate::MeanQuery : AttentionAggregate::ClassToken;
    const std::vector<int> layers = allLayers(config.layers);
    Features features;
    std::vector<at::Tensor> groups;
    for (const at::Tensor& picture : images.split(3, 1))
    {
        const Extractor::Output out = extractor.forward(picture, layers, attention, aggregate);
        for (const std::vector<int>& group : config.layers)
        {
            at::Tensor sum;
            for (int layer : group)
            {
                const auto place = std::lower_bound(layers.begin(), layers.end(), layer) - layers.begin();
                at::Tensor tokens = out.tokens[static_cast<size_t>(place)].to(at::kFloat);
                if (config.target == Target::LayerNorm) // over channels, without parameters
                    tokens = at::layer_norm(tokens, {tokens.size(2)}, {}, {}, 1e-6);
                sum = sum.defined() ? sum + tokens : tokens;
            }
            groups.push_back(sum);
        }
        if (attention)
        {
            const at::Tensor prior = out.attention.to(at::kFloat);
            features.prior = features.prior.defined() ? features.prior + prior : prior;
        }
    }
    features.tokens = groups.size() == 1 ? groups[0] : at::cat(groups, 2);
    return features;
}

Features extractFeatures(const Extractor& extractor, const Config& config, const at::Tensor& images, bool attention)
{
    return extractNormalised(extractor, config, normalised(extractor.properties(), images), attention);
}

at::Tensor asGrid(const at::Tensor& tokens, int rows, int columns)
{
    return tokens.view({tokens.size(0), rows, columns, tokens.size(2)}).permute({0, 3, 1, 2});
}

AgpNet::AgpNet(const Config& config, const Backbone& backbone, const Standardizer& scale, const Decoder& decoder, ComputeType compute,
               at::Device device, const NetRanges& ranges)
    : config_(config), compute_(compute), device_(device), extractor_(makeExtractor(backbone.config, backbone.weights,
                                                                                    {.compute = compute,
                                                                                     .device = device,
                                                                                     .depth = allLayers(config.layers).back(),
                                                                                     .ranges = ranges.backbone,
                                                                                     .copied = [&] { forgetPages(backbone.mapped); }})),
      scale_(scale.on(device)), decoder_(decoder, compute, device, ranges.decoder)
{
    forgetPages(backbone.mapped); // which the decoder's weights lie in, too
}

Reconstruction AgpNet::reconstruct(const at::Tensor& images) const
{
    require(images.dim() == 4 && images.size(1) == inputChannels(config_) && images.size(2) == config_.height &&
                images.size(3) == config_.width,
            "the model takes images of shape [N, {}, {}, {}], found [{}]", inputChannels(config_), config_.height, config_.width,
            fmt::join(images.sizes(), ", "));
    require(images.device() == device_, "the model is on {}, the images are on {}", device_.str(), images.device().str());
    c10::InferenceMode inference;
    const Team::Scope threads;
    const at::Tensor tokens = extractFeatures(*extractor_, config_, images, false).tokens;
    const at::Tensor product = scale_.product(tokens);
    const at::Tensor clean = scale_.applied(tokens, product);
    const at::Tensor reconstructed = decoder_.forward(clean);
    return {asGrid(clean, rows(), columns()), asGrid(reconstructed, rows(), columns()), product};
}

} // namespace agpnet
