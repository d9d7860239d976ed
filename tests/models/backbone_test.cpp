// Convolutional backbones against their references, and what all families have in common.
#include "models/agpnet/network.h"
#include "models/backbones/backbone.h"
#include "models/backbones/efficientnet.h"
#include "models/agpnet/file.h"
#include "models/backbones/vit.h"
#include "network_fixture.h"
#include "support.h"
#include "toy_backbone.h" // cut out of CONTRIBUTING.md

#include <ATen/ATen.h>
#include <unistd.h>

namespace agpnet::test
{
namespace
{

using ::testing::HasSubstr;

struct Family
{
    const char* file;
    const char* weights; ///< the fixture that has them
    const char* stem;    ///< of the file's name, as published
    const char* architecture;
    std::vector<int64_t> blocks;
};

void PrintTo(const Family& family, std::ostream* out)
{
    *out << family.file;
}

class CnnFamilies : public ::testing::TestWithParam<Family>
{
protected:
    Fixture data = load(GetParam().file);
    StateDict weights = load(GetParam().weights).weights;

    std::unique_ptr<Extractor> made(const ExtractorOptions& options = {}) const
    {
        const auto [config, ours] = recogniseBackbone(weights, GetParam().stem);
        return makeExtractor(config, ours, options);
    }
};

std::vector<int> allLayers(const Extractor& extractor)
{
    std::vector<int> layers;
    for (int i = 1; i <= extractor.properties().depth(); i++)
        layers.push_back(i);
    return layers;
}

TEST_P(CnnFamilies, ConfigurationIsRecognisedAndSurvivesJson)
{
    const auto [config, ours] = recogniseBackbone(weights, GetParam().stem);
    EXPECT_EQ(config.family, GetParam().architecture);
    EXPECT_EQ(config.details.at("blocks"), GetParam().blocks);
    EXPECT_EQ(config.stride, 16);
    const auto read = nlohmann::json::parse(nlohmann::json(config).dump()).get<BackboneConfig>();
    EXPECT_EQ(read.details, config.details);
    EXPECT_EQ(read.channels, config.channels);
    EXPECT_EQ(read.family, config.family);
}

TEST_P(CnnFamilies, TokensAndEnergyMatchTheReference)
{
    const auto extractor = made();
    for (const std::string size : {"small/", "odd/"})
    {
        const Extractor::Output output = extractor->forward(data.expected.at(size + "image").to(at::kFloat), allLayers(*extractor), true);
        for (size_t i = 0; i < output.tokens.size(); i++)
            EXPECT_LT(relative(output.tokens[i], data.expected.at(fmt::format("{}layer{}", size, i + 1))), 1e-5) << size << i + 1;
        EXPECT_LT(largest(output.attention, data.expected.at(size + "energy")), 1e-4) << size;
    }
}

TEST_P(CnnFamilies, BFloat16IsClose)
{
    const auto extractor = made({.compute = ComputeType::BFloat16});
    const Extractor::Output output = extractor->forward(data.expected.at("odd/image").to(at::kFloat), allLayers(*extractor));
    for (size_t i = 0; i < output.tokens.size(); i++)
        EXPECT_LT(relative(output.tokens[i], data.expected.at(fmt::format("odd/layer{}", i + 1))), 0.04) << i + 1;
}

TEST_P(CnnFamilies, OnlyTheLayersAskedForAreReturned)
{
    const auto extractor = made();
    const at::Tensor image = data.expected.at("odd/image").to(at::kFloat);
    const Extractor::Output all = extractor->forward(image, allLayers(*extractor));
    EXPECT_FALSE(all.attention.defined());
    const Extractor::Output some = extractor->forward(image, {1, 3});
    ASSERT_EQ(some.tokens.size(), 2U);
    EXPECT_TRUE(at::equal(some.tokens[0], all.tokens[0]));
    EXPECT_TRUE(at::equal(some.tokens[1], all.tokens[2]));
}

TEST_P(CnnFamilies, MissingAndMisshapenTensorsAreNamed)
{
    for (const auto& [name, tensor] : weights)
    {
        if (name.starts_with("fc."))
            continue;
        StateDict other = weights;
        other.erase(name);
        EXPECT_THAT(errorOf([&] { recogniseBackbone(other); }), HasSubstr(name)) << "missing";
        other[name] = at::zeros({1, 2, 5});
        EXPECT_THAT(errorOf([&] { recogniseBackbone(other); }), HasSubstr(name)) << "misshapen";
        other[name] = tensor.to(at::kInt);
        EXPECT_THAT(errorOf([&] { recogniseBackbone(other); }), HasSubstr(name)) << "integers";
    }
}

TEST_P(CnnFamilies, AnyPrefixAndHarmlessCompanions)
{
    StateDict prefixed;
    for (const auto& [name, tensor] : weights)
        prefixed["module.encoder." + name] = tensor;
    prefixed["module.encoder.bn1.num_batches_tracked"] = at::zeros({});
    prefixed["module.classifier.weight"] = at::zeros({2, 2});
    EXPECT_EQ(stateDictHash(recogniseBackbone(prefixed).second), stateDictHash(recogniseBackbone(weights).second));
}

INSTANTIATE_TEST_SUITE_P(
    Cnn, CnnFamilies,
    ::testing::Values(Family{"wide_resnet", "wide_resnet", "wide_resnet50_2-95faca4d", "resnet", {2, 1, 1, 1}},
                      Family{"resnext", "resnext", "", "resnet", {1, 1, 1, 1}},
                      Family{"resnet_basic", "resnet_basic", "", "resnet", {1, 1, 1, 1}},
                      Family{"efficientnet", "efficientnet", "efficientnet_b4_ra2_320-7eb33cd5", "efficientnet", {1, 1, 1, 2, 2, 2, 1}},
                      Family{"tf_efficientnet", "efficientnet", "tf_efficientnet_b4-74ee3bed", "efficientnet", {1, 1, 1, 2, 2, 2, 1}},
                      Family{"tf_efficientnet_lite", "tf_efficientnet_lite", "", "efficientnet", {1, 1, 1, 2, 2, 2, 1}},
                      Family{"tv_efficientnet", "tv_efficientnet", "", "efficientnet", {1, 2, 1, 2, 1, 1, 1}}),
    [](const auto& parameter) { return parameter.param.file; });

/// timm's names in the style of the package that most PyTorch code before timm took EfficientNets from.
StateDict lukemelasNames(const StateDict& weights)
{
    StateDict result;
    std::map<std::pair<int, int>, int> numbers;
    for (const auto& [name, tensor] : weights)
        if (name.starts_with("blocks."))
            numbers[{name[7] - '0', name[9] - '0'}] = 0;
    int count = 0;
    for (auto& [place, number] : numbers)
        number = count++;
    for (const auto& [name, tensor] : weights)
    {
        if (!name.starts_with("blocks."))
        {
            result[(name.starts_with("bn1") ? "_bn0" + name.substr(3) : "_" + name)] = tensor;
            continue;
        }
        const bool first = name[7] == '0';
        const size_t dot = name.find('.', 11) == std::string::npos ? name.size() : name.rfind('.');
        const std::map<std::string, std::string> parts = {
            {"conv_pw", first ? "_project_conv" : "_expand_conv"}, {"conv_pwl", "_project_conv"}, {"conv_dw", "_depthwise_conv"},
            {"bn1", first ? "_bn1" : "_bn0"}, {"bn2", first ? "_bn2" : "_bn1"}, {"bn3", "_bn2"},
            {"se.conv_reduce", "_se_reduce"}, {"se.conv_expand", "_se_expand"}};
        result[fmt::format("_blocks.{}.{}{}", numbers.at({name[7] - '0', name[9] - '0'}), parts.at(name.substr(11, dot - 11)),
                           name.substr(dot))] = tensor;
    }
    return result;
}

TEST(EfficientNetNames, LukemelasAreTensorFlows)
{
    const StateDict timm = load("efficientnet").weights;
    const StateDict theirs = lukemelasNames(timm);
    ASSERT_EQ(theirs.size(), timm.size());
    const auto [config, ours] = recogniseBackbone(theirs);
    const Fixture expected = load("tf_efficientnet");
    const Extractor::Output output =
        makeExtractor(config, ours)->forward(expected.expected.at("odd/image").to(at::kFloat), {1, 2, 3, 4, 5, 6, 7});
    for (size_t i = 0; i < 7; i++)
        EXPECT_LT(relative(output.tokens[i], expected.expected.at(fmt::format("odd/layer{}", i + 1))), 1e-5) << i + 1;
    for (const char* part : {"_depthwise_conv.weight", "_project_conv.weight", "_se_reduce.bias", "_bn1.running_var"})
    {
        StateDict other = theirs;
        const std::string name = std::string("_blocks.3.") + part;
        ASSERT_EQ(other.erase(name), 1U);
        EXPECT_THAT(errorOf([&] { recogniseBackbone(other); }), HasSubstr(name));
    }
}

TEST(EfficientNetNames, WhatShapesDoNotTellFollowsFromThePublisher)
{
    const StateDict weights = load("efficientnet").weights;
    const auto config = [&](const char* file) { return recogniseEfficientNet(weights, file).first; };
    EXPECT_FALSE(config("model").samePadding);
    EXPECT_EQ(config("efficientnet_b4_ra2_320-7eb33cd5").eps, 1e-5);
    EXPECT_TRUE(config("tf_efficientnet_b4-74ee3bed").samePadding);
    EXPECT_EQ(config("tf_efficientnet_b4-74ee3bed").eps, 1e-3);
    EXPECT_EQ(config("tf_efficientnet_b4-74ee3bed").mean[0], 0.485);
    EXPECT_EQ(config("tf_efficientnet_b4_ap-dedb23e6").mean[0], 0.5);
    const StateDict lite = load("tf_efficientnet_lite").weights;
    EXPECT_TRUE(recogniseEfficientNet(lite, "model").first.samePadding);
    EXPECT_EQ(recogniseEfficientNet(lite, "tf_efficientnet_lite0-0aa007d2").first.std[0], 0.5);
    EXPECT_FALSE(recogniseEfficientNet(lite, "efficientnet_lite0_ra-37913777").first.samePadding);
}

TEST(Backbones, OtherNetworksAreNamed)
{
    const StateDict resnet = load("wide_resnet").weights;
    const auto with = [&](const StateDict& weights, const char* name)
    {
        StateDict other = weights;
        other[name] = at::zeros({16});
        return errorOf([&] { recogniseBackbone(other); });
    };
    for (const char* name : {"conv2.weight", "layer1.0.se.fc1.weight", "layer2.0.conv4.weight", "bn3.weight"})
        EXPECT_THAT(with(resnet, name), HasSubstr(name));
    const StateDict efficientnet = load("efficientnet").weights;
    for (const char* name : {"blocks.7.0.conv_pw.weight", "blocks.1.0.conv_exp.weight", "blocks.1.0.layer_scale.gamma"})
        EXPECT_THAT(with(efficientnet, name), HasSubstr(name));
    // MobileNetV2 has the same names, but kernels of 3 everywhere
    StateDict mobile = efficientnet;
    mobile["blocks.2.0.conv_dw.weight"] = at::zeros({mobile["blocks.2.0.conv_dw.weight"].size(0), 1, 3, 3});
    EXPECT_THAT(errorOf([&] { recogniseBackbone(mobile); }), HasSubstr("blocks.2.0.conv_dw.weight: has shape"));
    EXPECT_THAT(errorOf([] { recogniseBackbone({{"features.0.weight", at::zeros({2})}}); }),
                HasSubstr("features.0.weight: these are not the weights of a backbone known here"));
    EXPECT_THAT(errorOf([] { recogniseBackbone({}); }), HasSubstr("no weights"));
}

TEST(Backbones, DescriptionsAreChecked)
{
    for (const char* file : {"wide_resnet", "efficientnet"})
    {
        const auto recognised = recogniseBackbone(load(file).weights);
        const BackboneConfig& config = recognised.first;
        const StateDict& ours = recognised.second;
        const nlohmann::json json = config;
        const auto changed = [&](const char* key, nlohmann::json value)
        {
            nlohmann::json other = json;
            other[key] = std::move(value);
            return errorOf([&] { other.get<BackboneConfig>(); });
        };
        EXPECT_THAT(changed("architecture", "perceptron"), HasSubstr("\"perceptron\", expected one of vit, resnet, efficientnet"));
        EXPECT_THAT(changed("architecture", 3), HasSubstr("architecture"));
        EXPECT_THAT(changed("blocks", {1, 2}), HasSubstr("blocks"));
        EXPECT_THAT(changed("channels", {0, 0, 0, 0}), HasSubstr("channels"));
        EXPECT_THAT(changed("stem", -1), HasSubstr("stem"));
        EXPECT_THAT(changed("mean", {1}), HasSubstr("mean"));
        EXPECT_THAT(changed("colour", 1), HasSubstr("colour"));
        nlohmann::json without = json;
        without.erase("stem");
        EXPECT_THAT(errorOf([&] { without.get<BackboneConfig>(); }), HasSubstr("lacks \"stem\""));

        // a description of other weights
        nlohmann::json lie = json;
        lie["stem"] = 128;
        EXPECT_THAT(errorOf([&] { makeExtractor(lie.get<BackboneConfig>(), ours); }), HasSubstr("another network"));
        StateDict negative = ours;
        negative["bn1.running_var"] = at::full({config.details.at("stem").get<int64_t>()}, -1.0);
        EXPECT_THAT(errorOf([&] { makeExtractor(config, negative); }), HasSubstr("bn1.running_var: holds -1"));
    }
}

TEST(Backbones, WrongRequestsAreNamed)
{
    const auto [config, ours] = recogniseBackbone(load("wide_resnet").weights);
    const auto extractor = makeExtractor(config, ours);
    EXPECT_THAT(errorOf([&] { extractor->forward(at::zeros({1, 3, 24, 32}), {1}); }), HasSubstr("24 x 32"));
    EXPECT_THAT(errorOf([&] { extractor->forward(at::zeros({1, 1, 32, 32}), {1}); }), HasSubstr("expected [N, 3, H, W]"));
    EXPECT_THAT(errorOf([&] { extractor->forward(at::zeros({1, 3, 32, 32}), {5}); }), HasSubstr("rising numbers from 1 to 4"));
}

TEST(Backbones, AHeaderWithoutArchitectureIsAVits)
{
    const StateDict weights = load("timm").weights;
    VitOverrides overrides;
    overrides.heads = 2;
    const nlohmann::json json = recogniseVit(weights, overrides).first;
    EXPECT_FALSE(json.contains("architecture"));
    const auto config = json.get<BackboneConfig>();
    EXPECT_EQ(config.family, "vit");
    EXPECT_EQ(config.stride, 4);
    EXPECT_EQ(config.depth(), 3);
    EXPECT_EQ(config.defaultLayers, (std::vector{1, 2}));
}

TEST(Backbones, ConfigsLayersAreTheBackbonesWhereTheUsualOnesAreNotThere)
{
    const auto config = recogniseBackbone(load("wide_resnet").weights).first;
    const Config usual = completed(Config(), config);
    EXPECT_EQ(usual.layers, (LayerGroups{{1}, {2}, {3}}));
    EXPECT_EQ(usual.height, 256);
    const DecoderShape shape = decoderShape(usual, config);
    EXPECT_EQ(shape.channels, config.channels[0] + config.channels[1] + config.channels[2]);
    EXPECT_EQ(shape.width % shape.heads, 0);
    EXPECT_EQ(shape.rows, 16);
    Config asked;
    asked.layers = {{4}};
    EXPECT_EQ(completed(asked, config).layers, asked.layers);
    asked.layers = {{9}};
    EXPECT_THAT(errorOf([&] { completed(asked, config); }), HasSubstr("asks for block 9, the backbone has 4"));
    asked.layers = {{1, 2}};
    EXPECT_THAT(errorOf([&] { completed(asked, config); }), HasSubstr("only layers with the same number can be summed"));
}

TEST(Backbones, WhatIsLeftOpenCanBeChosenForSpeed)
{
    VitOverrides overrides;
    overrides.heads = 2;
    const nlohmann::json json = recogniseVit(load("timm").weights, overrides).first;
    const auto vit = json.get<BackboneConfig>();
    const auto network = recogniseBackbone(load("wide_resnet").weights).first;
    const Config quick = completed(preset("fast"), vit), quickNetwork = completed(preset("fast"), network);
    EXPECT_EQ(quick.height, 168);
    EXPECT_EQ(quick.width, 168);
    EXPECT_EQ(quick.layers, (LayerGroups{{1}}));
    EXPECT_EQ(quickNetwork.height, 176); // a multiple of 16
    EXPECT_EQ(quickNetwork.layers, (LayerGroups{{1}, {2}}));
    Config asked = preset("fast");
    asked.height = 252;
    asked.layers = {{2, 3}};
    EXPECT_EQ(completed(asked, vit).height, 252); // what is asked for stays
    EXPECT_EQ(completed(asked, vit).width, 168);
    EXPECT_EQ(completed(asked, vit).layers, asked.layers);
}

/// What CONTRIBUTING.md says about adding a backbone, done: its program is compiled into this test.
TEST(Backbones, OneCanBeAddedAsContributingSays)
{
    addBackboneFamily(toyFamily());
    EXPECT_THAT(errorOf([] { addBackboneFamily(toyFamily()); }), HasSubstr("already is a backbone family \"toy\""));

    Backbone backbone;
    std::tie(backbone.config, backbone.weights) = recogniseBackbone({{"some.toy.mix", at::eye(3, 8) * 2}});
    EXPECT_EQ(backbone.config.family, "toy");
    backbone.name = "toy";
    backbone.hash = stateDictHash(backbone.weights);

    Config config = configFromTextOrFile(R"({"height":16,"width":24,"layers":[1],"decoder_depth":1,"steps":2,"batch":2})");
    Training training(config, backbone);
    while (!training.finished())
        training.step(at::rand({2, 3, 16, 24}));
    ModelFile file;
    file.config = training.config();
    file.backbone = training.backbone();
    file.scale = training.scale();
    for (const auto& [name, tensor] : training.decoder().parameters())
        file.decoder.emplace_back(name, tensor.detach());
    file.record = nlohmann::json::object();
    const auto path = std::filesystem::temp_directory_path() / fmt::format("agpnet-toy-{}.agp", ::getpid());
    writeModel(path, file, EmbedBackbone::Yes);
    const ModelFile read = readModel(path);
    std::filesystem::remove(path);
    EXPECT_EQ(read.backbone.config.family, "toy");
    const AgpNet net(read.config, read.backbone, read.scale, Decoder(decoderShape(read.config, read.backbone.config), read.decoder),
                     ComputeType::Float32);
    EXPECT_EQ(net.reconstruct(at::rand({1, 3, 16, 24})).reconstructed.sizes(), (at::IntArrayRef{1, 8, 4, 6}));
}

} // namespace
} // namespace agpnet::test
