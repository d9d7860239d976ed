// One vector an image: what the reference libraries make of it (make_embedding_fixtures.py).
#include "models/backbones/vit.h"
#include "network_fixture.h"
#include "support.h"

#include <ATen/ATen.h>

namespace agpnet::test
{
namespace
{

using ::testing::HasSubstr;

struct Case
{
    const char* weights;  ///< the fixture
    const char* expected; ///< its name in embeddings.safetensors
    bool projecting = false; ///< the classifier without its bias, as timm has CLIP's projection
};

void PrintTo(const Case& network, std::ostream* out)
{
    *out << network.weights;
}

at::Tensor unit(const at::Tensor& rows)
{
    return rows / rows.norm(2, 1, true);
}

class Embeddings : public ::testing::TestWithParam<Case>
{
protected:
    Fixture data = load(GetParam().weights);
    StateDict known = load("embeddings").expected;

    Vit vit(const ExtractorOptions& options) const
    {
        StateDict weights = data.weights;
        if (GetParam().projecting)
            weights["head.bias"] = at::zeros_like(weights.at("head.bias"));
        VitOverrides overrides;
        overrides.heads = 2;
        if (std::string(GetParam().weights).starts_with("timm"))
            overrides.positionAntialias = true; // as timm itself runs them
        return vitFromStateDict(weights, overrides, options);
    }

    at::Tensor expected(const std::string& size, Embedding kind) const
    {
        const auto of = [&](const char* what) { return known.at(std::string(GetParam().expected) + "/" + size + "/" + what); };
        return kind == Embedding::ClassToken ? of("class")
               : kind == Embedding::Patches  ? of("patches")
                                             : at::cat({unit(of("class")), unit(of("patches"))}, 1);
    }

    void expectClose(const Vit& network, double most) const
    {
        int images = 0;
        for (const std::string size : {"native", "oblong"})
        {
            const auto image = data.expected.find(size + "/image");
            if (image == data.expected.end())
                continue; // the reference knows one size only
            images++;
            for (const Embedding kind : {Embedding::ClassToken, Embedding::Patches, Embedding::Both})
            {
                const at::Tensor found = network.embed(image->second.to(at::kFloat), kind);
                EXPECT_EQ(found.scalar_type(), at::kFloat);
                ASSERT_EQ(found.sizes(), expected(size, kind).sizes()) << size;
                EXPECT_EQ(found.size(1), network.properties().embeddingWidth(kind));
                EXPECT_LT(relative(found, expected(size, kind)), most) << size << ", embedding " << static_cast<int>(kind);
            }
        }
        EXPECT_GT(images, 0);
    }
};

TEST_P(Embeddings, AreTheReferences)
{
    for (const bool prepack : {false, true})
        expectClose(vit({.prepack = prepack}), 1e-4);
}

TEST_P(Embeddings, AreCloseInBFloat16)
{
    expectClose(vit({.compute = ComputeType::BFloat16}), 0.02);
}

INSTANTIATE_TEST_SUITE_P(Networks, Embeddings,
                         ::testing::Values(Case{"timm", "timm"}, Case{"timm_registers", "timm_registers"},
                                           Case{"deit_distilled", "deit_distilled"}, Case{"timm_clip", "timm_clip"},
                                           Case{"timm_clip", "timm_clip_projected", true}, Case{"clip", "clip"}, Case{"hf_vit", "hf_vit"},
                                           Case{"hf_deit", "hf_deit"}, Case{"hf_dinov2", "hf_dinov2"},
                                           Case{"hf_dinov2_in_memory", "hf_dinov2"}, // one network under three kinds of names
                                           Case{"hf_dinov2_registers", "hf_dinov2_registers"},
                                           Case{"dinov2_registers", "hf_dinov2_registers"}, Case{"hf_clip", "hf_clip"}),
                         [](const auto& parameter) {
                             return std::string(parameter.param.weights) + (parameter.param.projecting ? "_projecting" : "");
                         });

class EmbeddingsOfCnns : public ::testing::TestWithParam<const char*>
{
};

TEST_P(EmbeddingsOfCnns, AreTheMeanOfTheLastLayer)
{
    const Fixture data = load(GetParam());
    const auto [config, weights] = recogniseBackbone(data.weights);
    const auto network = makeExtractor(config, weights);
    for (const std::string size : {"small/", "odd/"})
    {
        const at::Tensor image = data.expected.at(size + "image").to(at::kFloat);
        const at::Tensor tokens = data.expected.at(size + "layer" + std::to_string(config.depth()));
        EXPECT_LT(relative(network->embed(image, Embedding::Patches), tokens.mean(1)), 1e-4) << size;
    }
    EXPECT_EQ(config.embeddingWidth(Embedding::Patches), config.channels.back());
    for (const Embedding kind : {Embedding::ClassToken, Embedding::Both})
        EXPECT_THAT(
            errorOf([&] { network->embed(data.expected.at("small/image").to(at::kFloat), kind); }),
            HasSubstr("no class token with its final norm, expected those of a whole vision transformer, or the embedding 'patches'"));
}

INSTANTIATE_TEST_SUITE_P(Networks, EmbeddingsOfCnns,
                         ::testing::Values("resnet_basic", "resnext", "wide_resnet", "efficientnet", "tv_efficientnet",
                                           "tf_efficientnet_lite"),
                         [](const auto& parameter) { return parameter.param; });

TEST(EmbeddingsWithoutAFinalNorm, AreThePatchesAlone)
{
    Fixture data = load("timm");
    data.weights.erase("norm.weight");
    data.weights.erase("norm.bias");
    VitOverrides overrides;
    overrides.heads = 2;
    const Vit vit = vitFromStateDict(data.weights, overrides);
    const at::Tensor image = data.expected.at("native/image");
    EXPECT_LT(relative(vit.embed(image, Embedding::Patches), data.expected.at("native/layer3").mean(1)), 1e-4);
    EXPECT_THAT(errorOf([&] { vit.embed(image, Embedding::ClassToken); }), HasSubstr("no class token with its final norm"));
}

} // namespace
} // namespace agpnet::test
