#include "models/backbones/resnet.h"

#include "common/error.h"
#include "models/backbones/cnn.h"
#include "common/json_fields.h"


#include <ATen/TensorOperators.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>

namespace agpnet
{

namespace
{

constexpr size_t stageCount = 4;
constexpr std::string_view what = "residual network"; // for messages
/// A function, as families may be asked for before this file's globals are made.
std::vector<std::string> keyNames()
{
    return {"layer1.0.conv1.weight"};
}

int64_t strideOf(size_t stage, int64_t block)
{
    return stage > 0 && block == 0 ? 2 : 1;
}

class ResNet final : public Cnn
{
public:
    ResNet(const ResNetConfig& config, const StateDict& weights, const ExtractorOptions& options);

private:
    struct Block
    {
        std::vector<Convolution> convolutions; // two, or three in a bottleneck
        Convolution shortcut;                  // no weight: the identity
    };

    at::Tensor stem(const at::Tensor& image) const override
    {
        return at::max_pool2d(stem_(image, Activation::Relu), {3, 3}, {2, 2}, {1, 1});
    }
    at::Tensor stage(size_t index, const at::Tensor& input) const override;

    OnnxValue describeStem(OnnxWriter& onnx, const OnnxValue& image) const override
    {
        return onnx.maxPool(stem_.describe(onnx, image, Activation::Relu), 3, 2, 1);
    }
    OnnxValue describeStage(OnnxWriter& onnx, size_t index, const OnnxValue& input) const override;

    Convolution stem_;
    std::vector<std::vector<Block>> stages_;
};

ResNet::ResNet(const ResNetConfig& config, const StateDict& weights, const ExtractorOptions& options) : Cnn(propertiesOf(config), options)
{
    ResNetConfig found = recogniseResNet(weights).first; // checks every shape
    found.mean = config.mean;
    found.std = config.std;
    require(found == config, "the backbone's weights are of another network than its description: {} against {}",
            nlohmann::json(found).dump(), nlohmann::json(config).dump());

    const ConvolutionMaker make{weights, options};
    stem_ = make.folded("conv1", "bn1", 2);
    for (size_t s = 0; s < stageCount; s++)
    {
        std::vector<Block>& stage = stages_.emplace_back();
        for (int64_t b = 0; b < config.blocks[s]; b++)
        {
            const std::string name = fmt::format("layer{}.{}.", s + 1, b);
            const bool bottleneck = weights.contains(name + "conv3.weight");
            const int strided = bottleneck ? 2 : 1;
            Block& block = stage.emplace_back();
            for (int i = 1; i <= (bottleneck ? 3 : 2); i++)
                block.convolutions.push_back(make.folded(fmt::format("{}conv{}", name, i), fmt::format("{}bn{}", name, i),
                                                         i == strided ? strideOf(s, b) : 1));
            if (weights.contains(name + "downsample.0.weight"))
                block.shortcut = make.folded(name + "downsample.0", name + "downsample.1", strideOf(s, b));
        }
    }
}

at::Tensor ResNet::stage(size_t index, const at::Tensor& input) const
{
    at::Tensor x = input;
    for (const Block& block : stages_[index])
    {
        at::Tensor y = x;
        for (size_t i = 0; i < block.convolutions.size(); i++)
            y = block.convolutions[i](y, i + 1 < block.convolutions.size() ? Activation::Relu : Activation::None);
        y.add_(block.shortcut.weight.defined() ? block.shortcut(x, Activation::None) : x);
        x = at::relu_(y);
    }
    return x;
}

OnnxValue ResNet::describeStage(OnnxWriter& onnx, size_t index, const OnnxValue& input) const
{
    OnnxValue x = input;
    for (const Block& block : stages_[index])
    {
        OnnxValue y = x;
        for (size_t i = 0; i < block.convolutions.size(); i++)
            y = block.convolutions[i].describe(onnx, y, i + 1 < block.convolutions.size() ? Activation::Relu : Activation::None);
        x = onnx.unary("Relu", onnx.add(y, block.shortcut.weight.defined() ? block.shortcut.describe(onnx, x, Activation::None) : x));
    }
    return x;
}

} // namespace

std::pair<ResNetConfig, StateDict> recogniseResNet(const StateDict& weights)
{
    NamedWeights source(weights, findTheKey(weights, keyNames(), what).prefix);
    ResNetConfig config;
    StateDict ours;
    config.stem = source.get("conv1.weight", 4).size(0);
    takeConvolution(source, ours, "conv1", "conv1", {config.stem, 3, 7, 7});
    takeNorm(source, ours, "bn1", "bn1", config.stem);
    int64_t in = config.stem;
    for (size_t s = 0; s < stageCount; s++)
    {
        const std::string stage = fmt::format("layer{}.", s + 1);
        // told once for all blocks, so that a block's missing tensor is named
        bool bottleneck = false;
        int64_t blocks = 0;
        for (; source.hasAnyUnder(fmt::format("{}{}.", stage, blocks)); blocks++)
            bottleneck = bottleneck || source.hasAnyUnder(fmt::format("{}{}.conv3.", stage, blocks)) ||
                         source.hasAnyUnder(fmt::format("{}{}.bn3.", stage, blocks));
        require(blocks > 0, "{}{}0: is missing from the weights: the stage has no blocks", source.prefix(), stage);
        for (int64_t b = 0; b < blocks; b++)
        {
            const std::string name = fmt::format("{}{}.", stage, b);
            const auto norm = [&](const char* which, int64_t channels)
            { takeNorm(source, ours, name + which, name + which, channels); };
            const auto convolution = [&](const char* which, std::initializer_list<int64_t> shape)
            { takeConvolution(source, ours, name + which, name + which, shape); };
            const int64_t middle = source.get(name + "conv1.weight", 4).size(0);
            const int64_t kernel = bottleneck ? 1 : 3;
            convolution("conv1", {middle, in, kernel, kernel});
            norm("bn1", middle);
            const int64_t out = source.get(name + (bottleneck ? "conv3.weight" : "conv2.weight"), 4).size(0);
            if (bottleneck)
            {
                const at::Tensor grouped = source.get(name + "conv2.weight", 4);
                require(middle % grouped.size(1) == 0, "{}{}conv2.weight: has shape {}, which does not divide {} channels into groups",
                        source.prefix(), name, shapeText(grouped), middle);
                convolution("conv2", {middle, grouped.size(1), 3, 3});
                norm("bn2", middle);
                convolution("conv3", {out, middle, 1, 1});
                norm("bn3", out);
            }
            else
            {
                convolution("conv2", {out, middle, 3, 3});
                norm("bn2", out);
            }
            if (in != out || strideOf(s, b) > 1 || source.hasAnyUnder(name + "downsample."))
            {
                convolution("downsample.0", {out, in, 1, 1});
                norm("downsample.1", out);
            }
            in = out;
        }
        config.blocks.push_back(blocks);
        config.channels.push_back(in);
    }
    for (const char* part : {"layer", "conv", "bn"})
        source.finish(part, what);
    return {config, std::move(ours)};
}

BackboneProperties propertiesOf(const ResNetConfig& config)
{
    BackboneProperties properties;
    properties.stride = 16;
    properties.channels = config.channels;
    properties.mean = config.mean;
    properties.std = config.std;
    properties.defaultLayers = {1, 2, 3}; // the last layer serves the classifier more than the image
    return properties;
}

void to_json(nlohmann::json& json, const ResNetConfig& config)
{
    json = {{"stem", config.stem}, {"blocks", config.blocks}, {"channels", config.channels}, {"mean", config.mean}, {"std", config.std}};
}

void from_json(const nlohmann::json& json, ResNetConfig& config)
{
    const JsonFields fields(json, ResNetConfig());
    ResNetConfig read;
    read.stem = fields.integer("stem", 1, 1 << 16);
    read.blocks = fields.integers("blocks", stageCount, 1, 1 << 10);
    read.channels = fields.integers("channels", stageCount, 1, 1 << 16);
    read.mean = fields.colours("mean", -1000.0);
    read.std = fields.colours("std", 1e-6);
    config = read;
}

BackboneFamily resNetFamily()
{
    return familyOf<ResNetConfig, ResNet>("resnet", keyNames(),
                                          [](const StateDict& weights, const std::string&) -> std::pair<nlohmann::json, StateDict>
                                          { return recogniseResNet(weights); });
}

} // namespace agpnet
