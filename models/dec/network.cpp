#include "models/dec/network.h"

#include "common/error.h"
#include "common/sha256.h"

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>

namespace agpnet::dec
{

at::Tensor unitRows(const at::Tensor& rows)
{
    return rows / rows.norm(2, -1, true).clamp_min(1e-12);
}

at::Tensor Space::describe(const at::Tensor& views, bool ordered) const
{
    return describeAll(views.unsqueeze(0), ordered)[0];
}

at::Tensor Space::describeAll(const at::Tensor& views, bool ordered) const
{
    const at::Tensor white = whitening(views);
    return unitRows(ordered ? adapter(white) : adapter.ofMeans(white.mean(1)));
}

Network::Network(const Config& config, const Backbone& backbone, Space space, ComputeType compute, at::Device device)
    : config_(config), compute_(compute), device_(device), space_(std::move(space))
{
    const int64_t width = backbone.config.embeddingWidth(config.embedding);
    require(space_.adapter.width() == width, "the model's descriptors are {} wide, but the backbone's embeddings {}",
            space_.adapter.width(), width);
    ExtractorOptions options;
    options.compute = compute;
    options.device = device;
    extractor_ = makeExtractor(backbone.config, backbone.weights, options);
}

at::Tensor Network::embed(const at::Tensor& images) const
{
    return extractor_->embed(normalised(extractor_->properties(), images.to(device_)), config_.embedding);
}

std::string spaceDigest(const Config& config, const Backbone& backbone, const Space& space)
{
    StateDict tensors;
    for (const auto& [name, tensor] : {std::pair{"whitening.mean", space.whitening.mean}, {"whitening.matrix", space.whitening.matrix}})
        if (tensor.defined())
            tensors.emplace(name, tensor);
    for (const auto& [name, tensor] : space.adapter.state())
        tensors.emplace("adapter." + name, tensor.detach().contiguous());
    for (const char* name : {finalNormWeight, finalNormBias, classProjection}) // which the backbone's own hash leaves out
        if (const auto found = backbone.weights.find(name); found != backbone.weights.end())
            tensors.emplace(name, found->second);
    const nlohmann::json identity = {{"embedding", textOf(config.embedding)}, {"height", config.height},
                                     {"width", config.width},                 {"adapter", textOf(config.adapter)},
                                     {"lambda", config.lambda},               {"backbone", backbone.hash},
                                     {"tensors", stateDictHash(tensors)}};
    const std::string text = identity.dump();
    return sha256(text.data(), text.size());
}

} // namespace agpnet::dec
