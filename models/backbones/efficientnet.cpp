#include "models/backbones/efficientnet.h"

#include "common/error.h"
#include "models/backbones/cnn.h"
#include "common/json_fields.h"

#include <ATen/TensorOperators.h>

namespace agpnet
{

namespace
{

constexpr size_t stageCount = 7;
constexpr std::array<int64_t, stageCount> strides = {1, 2, 2, 2, 1, 2, 1}; // stride of the first block of each stage
constexpr std::array<int64_t, stageCount> kernels = {3, 3, 5, 3, 5, 5, 3};
constexpr std::string_view what = "EfficientNet"; // for messages

const char timmSign[] = "conv_stem.weight";
const char torchvisionSign[] = "features.1.0.block.0.0.weight";
const char lukemelasSign[] = "_conv_stem.weight";
/// A function, as families may be asked for before this file's globals are made.
std::vector<std::string> keyNames()
{
    return {timmSign, torchvisionSign, lukemelasSign};
}

/// The first stage widens nothing before its depthwise convolution.
bool expands(size_t stage)
{
    return stage > 0;
}

/// Where a block's parts are found, behind the block's own prefix.
struct BlockNames
{
    std::string expand, expandNorm;
    std::string depthwise, depthwiseNorm;
    std::string squeeze, excite;
    std::string project, projectNorm;
};

BlockNames timmNames(size_t stage)
{
    if (expands(stage))
        return {"conv_pw", "bn1", "conv_dw", "bn2", "se.conv_reduce", "se.conv_expand", "conv_pwl", "bn3"};
    return {"", "", "conv_dw", "bn1", "se.conv_reduce", "se.conv_expand", "conv_pw", "bn2"};
}

/// The whole network's names.
class Names
{
public:
    Names(const NamedWeights& source, const std::string& key) : source_(source), key_(key) {}

    bool isTorchvision() const { return key_ == torchvisionSign; }
    bool isLukemelas() const { return key_ == lukemelasSign; }

    std::pair<const char*, const char*> stem() const
    {
        return isTorchvision() ? std::pair("features.0.0", "features.0.1")
               : isLukemelas() ? std::pair("_conv_stem", "_bn0")
                               : std::pair("conv_stem", "bn1");
    }

    BlockNames block(size_t stage) const
    {
        if (isLukemelas())
            return {"_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_se_reduce", "_se_expand", "_project_conv", "_bn2"};
        if (!isTorchvision())
            return timmNames(stage);
        if (expands(stage))
            return {"block.0.0", "block.0.1", "block.1.0", "block.1.1", "block.2.fc1", "block.2.fc2", "block.3.0", "block.3.1"};
        return {"", "", "block.0.0", "block.0.1", "block.1.fc1", "block.1.fc2", "block.2.0", "block.2.1"};
    }

    /// The blocks' prefixes, by stage. Lukemelas numbers blocks through: a stage begins where the width changes, as it does
    /// between all stages of all of these networks.
    std::vector<std::vector<std::string>> blocks(NamedWeights& source) const
    {
        std::vector<std::vector<std::string>> stages;
        const auto numbered = [&](const std::string& begin)
        {
            std::vector<std::string> all;
            for (std::string next = begin + "0."; source.hasAnyUnder(next); next = fmt::format("{}{}.", begin, all.size()))
                all.push_back(next);
            return all;
        };
        if (!isLukemelas())
            for (size_t s = 0; s < stageCount; s++)
                stages.push_back(numbered(isTorchvision() ? fmt::format("features.{}.", s + 1) : fmt::format("blocks.{}.", s)));
        else
        {
            int64_t width = -1;
            for (const std::string& block : numbered("_blocks."))
            {
                const int64_t out = source.get(block + "_project_conv.weight", 4).size(0);
                if (out != width)
                    stages.emplace_back();
                stages.back().push_back(block);
                width = out;
            }
        }
        return stages;
    }

    /// What holds nothing but the stages.
    std::vector<std::string> parts() const
    {
        if (!isTorchvision())
            return {isLukemelas() ? "_blocks." : "blocks."};
        std::vector<std::string> all; // features.8 is the classifier's
        for (size_t s = 0; s <= stageCount; s++)
            all.push_back(fmt::format("features.{}.", s));
        return all;
    }

private:
    const NamedWeights& source_;
    std::string key_;
};

class EfficientNet final : public Cnn
{
public:
    EfficientNet(const EfficientNetConfig& config, const StateDict& weights, const ExtractorOptions& options);

private:
    struct Block
    {
        Convolution expand; // no weight: there is none; likewise below
        Convolution depthwise;
        Convolution squeeze, excite;
        Convolution project;
        bool residual = false;
    };

    at::Tensor stem(const at::Tensor& image) const override { return stem_(image, activation_); }
    at::Tensor stage(size_t index, const at::Tensor& input) const override;
    OnnxValue describeStem(OnnxWriter& onnx, const OnnxValue& image) const override { return stem_.describe(onnx, image, activation_); }
    OnnxValue describeStage(OnnxWriter& onnx, size_t index, const OnnxValue& input) const override;

    Activation activation_;
    Convolution stem_;
    std::vector<std::vector<Block>> stages_;
};

EfficientNet::EfficientNet(const EfficientNetConfig& config, const StateDict& weights, const ExtractorOptions& options)
    : Cnn(propertiesOf(config), options), activation_(config.squeeze ? Activation::Silu : Activation::Relu6)
{
    const EfficientNetConfig found = recogniseEfficientNet(weights).first; // checks every shape
    require(found.stem == config.stem && found.blocks == config.blocks && found.channels == config.channels &&
                found.squeeze == config.squeeze,
            "the backbone's weights are of another network than its description: {} against {}", nlohmann::json(found).dump(),
            nlohmann::json(config).dump());

    const ConvolutionMaker make{weights, options, config.eps, config.samePadding};
    stem_ = make.folded("conv_stem", "bn1", 2);
    int64_t in = config.stem;
    for (size_t s = 0; s < stageCount; s++)
    {
        const BlockNames names = timmNames(s);
        std::vector<Block>& stage = stages_.emplace_back();
        for (int64_t b = 0; b < config.blocks[s]; b++)
        {
            const std::string name = fmt::format("blocks.{}.{}.", s, b);
            const int64_t stride = b == 0 ? strides[s] : 1;
            Block& block = stage.emplace_back();
            if (expands(s))
                block.expand = make.folded(name + names.expand, name + names.expandNorm);
            block.depthwise = make.folded(name + names.depthwise, name + names.depthwiseNorm, stride);
            if (config.squeeze)
            {
                block.squeeze = make.plain(name + names.squeeze);
                block.excite = make.plain(name + names.excite);
            }
            block.project = make.folded(name + names.project, name + names.projectNorm);
            block.residual = stride == 1 && in == config.channels[s];
            in = config.channels[s];
        }
    }
}

at::Tensor EfficientNet::stage(size_t index, const at::Tensor& input) const
{
    at::Tensor x = input;
    for (const Block& block : stages_[index])
    {
        at::Tensor y = block.expand.weight.defined() ? block.expand(x, activation_) : x;
        y = block.depthwise(y, activation_);
        if (block.squeeze.weight.defined())
        {
            const at::Tensor mean = y.mean(at::IntArrayRef{2, 3}, true);
            y.mul_(block.excite(block.squeeze(mean, activation_), Activation::None).sigmoid());
        }
        y = block.project(y, Activation::None);
        x = block.residual ? y.add_(x) : y;
    }
    return x;
}

OnnxValue EfficientNet::describeStage(OnnxWriter& onnx, size_t index, const OnnxValue& input) const
{
    OnnxValue x = input;
    for (const Block& block : stages_[index])
    {
        OnnxValue y = block.expand.weight.defined() ? block.expand.describe(onnx, x, activation_) : x;
        y = block.depthwise.describe(onnx, y, activation_);
        if (block.squeeze.weight.defined())
        {
            const OnnxValue mean = onnx.reduce("ReduceMean", y, {2, 3});
            const OnnxValue excited = block.excite.describe(onnx, block.squeeze.describe(onnx, mean, activation_), Activation::None);
            y = onnx.multiply(y, onnx.unary("Sigmoid", excited));
        }
        y = block.project.describe(onnx, y, Activation::None);
        x = block.residual ? onnx.add(y, x) : y;
    }
    return x;
}

} // namespace

std::pair<EfficientNetConfig, StateDict> recogniseEfficientNet(const StateDict& weights, const std::string& file)
{
    const FoundKey found = findTheKey(weights, keyNames(), what);
    NamedWeights source(weights, found.prefix);
    const Names names(source, found.key);
    EfficientNetConfig config;
    StateDict ours;

    const auto [stem, stemNorm] = names.stem();
    config.stem = source.get(std::string(stem) + ".weight", 4).size(0);
    takeConvolution(source, ours, "conv_stem", stem, {config.stem, 3, 3, 3});
    takeNorm(source, ours, "bn1", stemNorm, config.stem);

    const std::vector<std::vector<std::string>> stages = names.blocks(source);
    require(stages.size() == stageCount, "{}{}: the network has {} stages, expected {} as in an EfficientNet", found.prefix,
            names.parts()[0], stages.size(), stageCount);
    // told once for all blocks, so that a block's missing tensor is named
    config.squeeze = false;
    for (size_t s = 0; s < stageCount; s++)
        for (const std::string& block : stages[s])
            config.squeeze = config.squeeze || source.hasAnyUnder(block + names.block(s).squeeze + ".") ||
                             source.hasAnyUnder(block + names.block(s).excite + ".");

    int64_t in = config.stem;
    for (size_t s = 0; s < stageCount; s++)
    {
        const BlockNames theirs = names.block(s);
        const BlockNames mine = timmNames(s);
        require(!stages[s].empty(), "{}: the weights have no block of stage {}, expected {} stages as in an EfficientNet",
                found.prefix + names.parts()[0], s + 1, stageCount);
        for (size_t b = 0; b < stages[s].size(); b++)
        {
            const std::string from = stages[s][b];
            const std::string to = fmt::format("blocks.{}.{}.", s, b);
            const auto convolution = [&](const std::string& ourName, const std::string& theirName, std::initializer_list<int64_t> shape)
            { takeConvolution(source, ours, to + ourName, from + theirName, shape); };
            const auto norm = [&](const std::string& ourName, const std::string& theirName, int64_t channels)
            { takeNorm(source, ours, to + ourName, from + theirName, channels); };
            int64_t middle = in;
            if (expands(s))
            {
                middle = source.get(from + theirs.expand + ".weight", 4).size(0);
                convolution(mine.expand, theirs.expand, {middle, in, 1, 1});
                norm(mine.expandNorm, theirs.expandNorm, middle);
            }
            convolution(mine.depthwise, theirs.depthwise, {middle, 1, kernels[s], kernels[s]});
            norm(mine.depthwiseNorm, theirs.depthwiseNorm, middle);
            if (config.squeeze)
            {
                const int64_t few = source.get(from + theirs.squeeze + ".weight", 4).size(0);
                convolution(mine.squeeze, theirs.squeeze, {few, middle, 1, 1});
                convolution(mine.excite, theirs.excite, {middle, few, 1, 1});
                ours[to + mine.squeeze + ".bias"] = source.get(from + theirs.squeeze + ".bias", {few});
                ours[to + mine.excite + ".bias"] = source.get(from + theirs.excite + ".bias", {middle});
            }
            const int64_t out = b > 0 ? in : source.get(from + theirs.project + ".weight", 4).size(0);
            convolution(mine.project, theirs.project, {out, middle, 1, 1});
            norm(mine.projectNorm, theirs.projectNorm, out);
            in = out;
        }
        config.blocks.push_back(static_cast<int64_t>(stages[s].size()));
        config.channels.push_back(in);
    }
    for (const std::string& part : names.parts())
        source.finish(part, what);

    // What follows from the publisher; see the table in the header.
    const auto says = [&](const char* text) { return file.find(text) != std::string::npos; };
    const bool lite = !config.squeeze;
    const bool timm = !names.isTorchvision() && !names.isLukemelas();
    const bool tensorflow = names.isLukemelas() || (timm && (says("tf_") || (lite && !says("efficientnet_lite"))));
    config.samePadding = tensorflow;
    constexpr int64_t stemOfB5 = 48, blocksOfB5 = 39; // a b4 has that stem too, and 32 blocks
    int64_t blocks = 0;
    for (const int64_t count : config.blocks)
        blocks += count;
    const bool largeTorchvision = names.isTorchvision() && config.stem >= stemOfB5 && blocks >= blocksOfB5;
    config.eps = tensorflow || largeTorchvision ? 1e-3 : 1e-5;
    const bool adversarial =
        tensorflow && (says("_ap-") || says("_ap_") || says(".ap_") || file.ends_with("_ap") || file.starts_with("adv-"));
    if (tensorflow && (lite || adversarial))
        config.mean = config.std = {0.5, 0.5, 0.5};
    return {config, std::move(ours)};
}

BackboneProperties propertiesOf(const EfficientNetConfig& config)
{
    BackboneProperties properties;
    properties.stride = 16;
    properties.channels = config.channels;
    properties.mean = config.mean;
    properties.std = config.std;
    properties.defaultLayers = {1, 2, 3, 5}; // the last of each size up to the grid's, 272 channels of a b4
    return properties;
}

void to_json(nlohmann::json& json, const EfficientNetConfig& config)
{
    json = {{"stem", config.stem},
            {"blocks", config.blocks},
            {"channels", config.channels},
            {"squeeze", config.squeeze},
            {"samePadding", config.samePadding},
            {"eps", config.eps},
            {"mean", config.mean},
            {"std", config.std}};
}

void from_json(const nlohmann::json& json, EfficientNetConfig& config)
{
    const JsonFields fields(json, EfficientNetConfig());
    EfficientNetConfig read;
    read.stem = fields.integer("stem", 1, 1 << 16);
    read.blocks = fields.integers("blocks", stageCount, 1, 1 << 10);
    read.channels = fields.integers("channels", stageCount, 1, 1 << 16);
    read.squeeze = fields.boolean("squeeze");
    read.samePadding = fields.boolean("samePadding");
    read.eps = fields.number("eps", 0.0, 1.0);
    read.mean = fields.colours("mean", -1000.0);
    read.std = fields.colours("std", 1e-6);
    config = read;
}

BackboneFamily efficientNetFamily()
{
    return familyOf<EfficientNetConfig, EfficientNet>(
        "efficientnet", keyNames(),
        [](const StateDict& weights, const std::string& file) -> std::pair<nlohmann::json, StateDict>
        { return recogniseEfficientNet(weights, file); });
}

} // namespace agpnet
