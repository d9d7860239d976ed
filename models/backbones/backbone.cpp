#include "models/backbones/backbone.h"

#include "common/error.h"
#include "models/backbones/efficientnet.h"
#include "models/weights/named_weights.h"
#include "models/backbones/resnet.h"
#include "models/backbones/vit.h"

#include <ATen/ATen.h>
#include <filesystem>
#include <list>
#include <mutex>
#include <tuple>

#include <ATen/core/LegacyTypeDispatch.h>
#include <c10/core/GradMode.h>

namespace agpnet
{

namespace
{

/// Grows only, and a list does not move what it holds: a pointer into it stays good.
struct Registry
{
    std::mutex mutex;
    std::list<BackboneFamily> families = {vitFamily(), resNetFamily(), efficientNetFamily()};
};

Registry& registry()
{
    static Registry instance;
    return instance;
}

std::vector<const BackboneFamily*> families()
{
    const std::lock_guard lock(registry().mutex);
    std::vector<const BackboneFamily*> all;
    for (const BackboneFamily& family : registry().families)
        all.push_back(&family);
    return all;
}

const BackboneFamily& familyOf(const std::string& name)
{
    std::vector<std::string> known;
    for (const BackboneFamily* family : families())
    {
        if (family->name == name)
            return *family;
        known.push_back(family->name);
    }
    fail("the backbone's \"architecture\" is \"{}\", expected one of {}", name, fmt::join(known, ", "));
}

BackboneConfig described(const BackboneFamily& family, nlohmann::json details)
{
    BackboneConfig config;
    static_cast<BackboneProperties&>(config) = family.properties(details);
    config.family = family.name;
    config.details = std::move(details);
    return config;
}

} // namespace

void addBackboneFamily(BackboneFamily family)
{
    require(!family.name.empty() && !family.keyNames.empty() && family.recognise && family.properties && family.make,
            "the backbone family \"{}\" lacks a name, a key name or a function", family.name);
    const std::lock_guard lock(registry().mutex);
    for (const BackboneFamily& other : registry().families)
        require(other.name != family.name, "there already is a backbone family \"{}\"", family.name);
    registry().families.push_back(std::move(family));
}

void to_json(nlohmann::json& json, const BackboneConfig& config)
{
    json = config.details;
    json["architecture"] = config.family;
}

void from_json(const nlohmann::json& json, BackboneConfig& config)
{
    require(json.is_object(), "the backbone's description is not an object");
    nlohmann::json details = json;
    std::string family = "vit";
    if (json.contains("architecture"))
    {
        require(json["architecture"].is_string(), "the backbone's \"architecture\" is not a text");
        family = json["architecture"].get<std::string>();
        details.erase("architecture");
    }
    config = described(familyOf(family), std::move(details));
}

std::pair<BackboneConfig, StateDict> recogniseBackbone(const StateDict& weights, const std::string& file)
{
    require(!weights.empty(), "there are no weights");
    std::vector<std::string> keyNames;
    for (const BackboneFamily* family : families())
    {
        keyNames.insert(keyNames.end(), family->keyNames.begin(), family->keyNames.end());
        if (findKeys(weights, family->keyNames).empty())
            continue;
        auto [details, ours] = family->recognise(weights, file);
        return {described(*family, std::move(details)), std::move(ours)};
    }
    fail("{}: these are not the weights of a backbone known here: none of the {} tensors is called {}", weights.begin()->first,
         weights.size(), fmt::join(keyNames, " or "));
}

Backbone readBackbone(const std::string& path)
{
    return withErrorsOf(ErrorKind::File, [&] {
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
        backbone.hash = backboneHash(backbone.weights);
        return backbone;
    });
}

std::string backboneHash(StateDict weights)
{
    for (const char* name : {finalNormWeight, finalNormBias, classProjection})
        weights.erase(name);
    return stateDictHash(weights);
}

at::Tensor normalised(const BackboneProperties& backbone, const at::Tensor& images)
{
    at::Tensor result = images.clone(at::MemoryFormat::Contiguous);
    for (int64_t c = 0; c < images.size(1); c++) // the backbone sees geometry as one more image
    {
        const auto channel = static_cast<size_t>(c % 3);
        result.select(1, c).sub_(backbone.mean[channel]).div_(backbone.std[channel]); // tensors of them would have to be sent to a device
    }
    return result;
}

std::unique_ptr<Extractor> makeExtractor(const BackboneConfig& config, const StateDict& weights, const ExtractorOptions& options)
{
    return familyOf(config.family).make(config.details, weights, options);
}

int64_t BackboneProperties::embeddingWidth(Embedding kind) const
{
    require(
        kind == Embedding::Patches || classWidth > 0,
        "the backbone's weights have no class token with its final norm, expected those of a whole vision transformer, or the embedding "
        "'patches'");
    return (kind == Embedding::Patches ? 0 : classWidth) + (kind == Embedding::ClassToken ? 0 : channels.back());
}

Extractor::Extractor(BackboneProperties properties) : properties_(std::move(properties)) {}

OnnxValue Extractor::describeEmbedding(OnnxWriter& onnx, const OnnxValue& image, Embedding kind) const
{
    require(kind == Embedding::Patches, "the backbone's class token cannot be written as standard ONNX operators; expected the embedding "
                                        "'patches', or a vision transformer");
    const OnnxValue tokens = describe(onnx, image, {properties_.depth()})[0];
    return onnx.reshape(onnx.reduce("ReduceMean", tokens, {1}), {1, properties_.channels.back()});
}

at::Tensor Extractor::toEmbedding(const Output& last, Embedding kind) const
{
    require(kind == Embedding::Patches, "the backbone has no class token, expected the embedding 'patches'");
    return last.tokens[0].mean(1);
}

at::Tensor Extractor::embed(const at::Tensor& image, Embedding kind) const
{
    properties_.embeddingWidth(kind);
    checkImage(image);
    const c10::AutoGradMode noGradient(false);
    const at::AutoDispatchBelowADInplaceOrView belowAutograd;
    const Output last = run(image, {properties_.depth()}, false, AttentionAggregate::ClassToken);
    if (kind != Embedding::Both)
        return toEmbedding(last, kind);
    const auto unit = [](const at::Tensor& rows) { return rows / rows.norm(2, 1, true).clamp_min(1e-12); };
    return at::cat({unit(toEmbedding(last, Embedding::ClassToken)), unit(toEmbedding(last, Embedding::Patches))}, 1);
}

std::vector<OnnxValue> Extractor::describe(OnnxWriter& /*onnx*/, const OnnxValue& /*image*/, const std::vector<int>& /*layers*/) const
{
    fail("the backbone's family cannot be written as standard ONNX operators; expected vit, resnet or efficientnet");
}

void Extractor::checkImage(const at::Tensor& image) const
{
    require(image.dim() == 4 && image.size(1) == 3 && image.size(0) > 0, "the image has shape [{}], expected [N, 3, H, W]",
            fmt::join(image.sizes(), ", "));
    const int64_t height = image.size(2);
    const int64_t width = image.size(3);
    require(height > 0 && width > 0 && height % properties_.stride == 0 && width % properties_.stride == 0,
            "the image is {} x {} (height x width), expected multiples of the backbone's stride, {}", height, width, properties_.stride);
}

Extractor::Output Extractor::forward(const at::Tensor& image, const std::vector<int>& layers, bool attention,
                                     AttentionAggregate aggregate) const
{
    checkImage(image);
    require(!layers.empty(), "no layer of the backbone was asked for");
    for (size_t i = 0; i < layers.size(); i++)
        require(layers[i] >= (i > 0 ? layers[i - 1] + 1 : 1) && layers[i] <= properties_.depth(),
                "layers [{}] were asked for, expected rising numbers from 1 to {}", fmt::join(layers, ", "), properties_.depth());

    // Not inference mode: its tensors may not enter a computation that has gradients.
    const c10::AutoGradMode noGradient(false);
    const at::AutoDispatchBelowADInplaceOrView belowAutograd;
    Output output = run(image, layers, attention, aggregate);

    // Families can be added from outside: a wrong shape is told here, not deep inside the decoder.
    const int64_t tokens = (image.size(2) / properties_.stride) * (image.size(3) / properties_.stride);
    require(output.tokens.size() == layers.size(), "the backbone gave {} layers, expected {}", output.tokens.size(), layers.size());
    const auto check = [&](const at::Tensor& tensor, const char* what, std::vector<int64_t> shape)
    {
        const bool good = tensor.defined() && tensor.sizes() == at::IntArrayRef(shape) && tensor.scalar_type() == at::kFloat;
        require(good, "the backbone's {} is not float32 of shape [{}]", what, fmt::join(shape, ", "));
    };
    for (size_t i = 0; i < layers.size(); i++)
        check(output.tokens[i], "layer", {image.size(0), tokens, properties_.channels[static_cast<size_t>(layers[i] - 1)]});
    if (attention)
        check(output.attention, "attention", {image.size(0), tokens});
    return output;
}

} // namespace agpnet
