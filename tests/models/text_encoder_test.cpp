// Text encoders against the libraries that define them, on small networks; see make_text_fixtures.py. The real MiniLM where there is one.
#include "models/text/clip_text.h"
#include "models/text/sentence_encoder.h"
#include "models/text/text_encoder.h"
#include "network_fixture.h"

#include <set>
#include <thread>

#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <nlohmann/json.hpp>

namespace agpnet::test
{
namespace
{

using ::testing::HasSubstr;
using Json = nlohmann::json;

const std::filesystem::path fixtures = TEXT_FIXTURES;

std::vector<std::string> texts()
{
    std::vector<std::string> all;
    for (const Json& row : Json::parse(slurp(fixtures / "texts.json")))
        all.push_back(row["text"].get<std::string>());
    return all;
}

Fixture loadText(const std::string& name)
{
    Fixture result;
    for (const auto& [key, tensor] : readSafetensors(fixtures / (name + ".safetensors")).tensors)
        (key.starts_with("weights/") ? result.weights : result.expected)[key.starts_with("weights/") ? key.substr(8) : key] = tensor;
    return result;
}

class TextEncoderFolder : public WithFolder
{
protected:
    Fixture data;

    /// The weights of a fixture as model.safetensors, each name behind a prefix.
    void weights(const std::string& name, const std::string& prefix = "")
    {
        data = loadText(name);
        TensorFile file;
        for (const auto& [key, tensor] : data.weights)
            file.tensors[prefix + key] = tensor;
        writeSafetensors(folder / "model.safetensors", file);
    }
    void beside(const char* name, const char* source) const { std::filesystem::copy_file(fixtures / source, folder / name); }
    void json(const char* name, const Json& value) const
    {
        std::filesystem::create_directories((folder / name).parent_path());
        std::ofstream(folder / name) << value;
    }
    std::string refusal() const
    {
        const std::string text = errorOf([&] { readTextEncoder(folder); });
        EXPECT_THAT(text, HasSubstr(folder.string()));
        return text;
    }
};

void expectVectors(const TextEncoder& encoder, const at::Tensor& expected)
{
    const at::Tensor vectors = encoder.encode(texts());
    ASSERT_EQ(vectors.sizes(), expected.sizes());
    EXPECT_EQ(vectors.scalar_type(), at::kFloat);
    EXPECT_EQ(encoder.width(), expected.size(1));
    EXPECT_LT(largest(vectors, expected), 2e-5);
    EXPECT_LT(largest(vectors.norm(2, {1}), at::ones({vectors.size(0)})), 1e-6);
}

TEST_F(TextEncoderFolder, SentencesMatchTheReference)
{
    std::set<std::string> digests;
    for (const char* prefix : {"", "bert.", "0.auto_model."})
    {
        std::filesystem::remove_all(folder);
        std::filesystem::create_directory(folder);
        weights("sentence", prefix);
        beside("tokenizer.json", "wordpiece_tokenizer.json");
        json("config.json", {{"num_attention_heads", 2}, {"hidden_size", 16}, {"hidden_act", "gelu"}, {"layer_norm_eps", 1e-12}});
        json("modules.json", {{{"type", "sentence_transformers.models.Transformer"}}, {{"type", "sentence_transformers.models.Pooling"}}});
        json("1_Pooling/config.json", {{"pooling_mode_mean_tokens", true}});
        const std::unique_ptr<TextEncoder> encoder = readTextEncoder(folder);
        expectVectors(*encoder, data.expected.at("vectors"));
        digests.insert(encoder->digest());

        std::filesystem::remove(folder / "tokenizer.json");
        beside("vocab.txt", "vocab.txt");
        expectVectors(*readTextEncoder(folder / "model.safetensors"), data.expected.at("vectors"));
        digests.insert(readTextEncoder(folder)->digest());
    }
    EXPECT_EQ(digests.size(), 1U);
}

struct ClipCase
{
    const char* fixture;
    const char* config;
    Json settings;
};

TEST_F(TextEncoderFolder, ClipMatchesTheReference)
{
    const Json open = {{"model_cfg", {{"quick_gelu", true}, {"text_cfg", {{"heads", 2}, {"width", 16}}}}}};
    const Json laion = {{"model_cfg", {{"text_cfg", {{"heads", 2}, {"width", 16}}}}}};
    const Json hugging = {{"text_config", {{"num_attention_heads", 2}, {"hidden_act", "quick_gelu"}}}};
    for (const ClipCase& one : {ClipCase{"clip_openai", "open_clip_config.json", open},
                                {"clip_laion", "open_clip_config.json", laion},
                                {"clip_hugging", "config.json", hugging},
                                {"clip_hugging", "config.json", hugging["text_config"]}})
    {
        SCOPED_TRACE(one.fixture);
        std::set<std::string> digests;
        for (const std::vector<std::pair<const char*, const char*>>& files :
             {std::vector{std::pair("tokenizer.json", "byte_pairs_tokenizer.json")},
              {std::pair("vocab.json", "vocab.json"), std::pair("merges.txt", "merges.txt")},
              {std::pair("merges.txt", "merges.txt")},
              {std::pair("bpe_simple_vocab_16e6.txt", "merges.txt")}})
        {
            std::filesystem::remove_all(folder);
            std::filesystem::create_directory(folder);
            weights(one.fixture);
            json(one.config, one.settings);
            for (const auto& [name, source] : files)
                beside(name, source);
            const std::unique_ptr<TextEncoder> encoder = readTextEncoder(folder);
            expectVectors(*encoder, data.expected.at("vectors"));
            digests.insert(encoder->digest());
        }
        EXPECT_EQ(digests.size(), 1U);
    }
}

TEST_F(TextEncoderFolder, TextsOfACallDoNotInfluenceOneAnother)
{
    weights("clip_openai");
    beside("merges.txt", "merges.txt");
    json("open_clip_config.json", {{"model_cfg", {{"quick_gelu", true}, {"text_cfg", {{"heads", 2}}}}}});
    const std::unique_ptr<TextEncoder> encoder = readTextEncoder(folder);
    const std::vector<std::string> all = texts();
    const at::Tensor together = encoder->encode(all);
    for (size_t i = 0; i < all.size(); i++)
        EXPECT_LT(largest(encoder->encode({all[i]})[0], together[static_cast<int64_t>(i)]), 1e-5) << all[i];
    EXPECT_EQ(encoder->encode({}).sizes(), at::IntArrayRef({0, encoder->width()}));
    EXPECT_FALSE(together.requires_grad());
    const std::vector<std::string> many(3000, "a hex bolt"); // more than are run at once
    EXPECT_LT(largest(encoder->encode(many), encoder->encode({many[0]})), 1e-6);
}

TEST_F(TextEncoderFolder, ThreadsMayShareOne)
{
    weights("clip_openai");
    beside("merges.txt", "merges.txt");
    json("open_clip_config.json", {{"model_cfg", {{"quick_gelu", true}, {"text_cfg", {{"heads", 2}}}}}});
    const std::unique_ptr<TextEncoder> encoder = readTextEncoder(folder);
    std::vector<at::Tensor> results(3);
    std::vector<std::thread> threads;
    for (at::Tensor& result : results)
        threads.emplace_back([&] { result = encoder->encode(texts()); });
    for (std::thread& thread : threads)
        thread.join();
    for (const at::Tensor& result : results)
        EXPECT_LT(largest(result, data.expected.at("vectors")), 2e-5);
}

TEST_F(TextEncoderFolder, DigestTellsWeightsVocabularyAndSettings)
{
    const Fixture openai = loadText("clip_openai");
    const std::string merges = slurp(fixtures / "merges.txt");
    const auto digest = [&](const StateDict& weights, const std::string& vocabulary, const TextSettings& settings)
    { return ClipText(weights, BytePairs::fromMerges(vocabulary, 664, "m"), "m", settings).digest(); };
    StateDict changed = openai.weights;
    changed["text_projection"] = changed["text_projection"] + 0.01;
    // the last two merges in the other order
    std::string swapped = merges;
    const size_t last = merges.rfind('\n', merges.size() - 2) + 1, before = merges.rfind('\n', last - 2) + 1;
    swapped.replace(before, std::string::npos, merges.substr(last) + merges.substr(before, last - before));
    const TextSettings gelu = {.heads = 2, .quickGelu = false};
    const std::set<std::string> digests = {
        digest(openai.weights, merges, {.heads = 2}),  digest(changed, merges, {.heads = 2}),
        digest(openai.weights, merges, {.heads = 4}),  digest(openai.weights, merges, gelu),
        digest(openai.weights, swapped, {.heads = 2}), digest(openai.weights, merges, {.heads = 2, .layerNormEps = 1e-6})};
    EXPECT_EQ(digests.size(), 6U);
    EXPECT_EQ(digest(openai.weights, merges, {.heads = 2}), digest(openai.weights, merges, {.heads = 2, .quickGelu = true}));
}

TEST_F(TextEncoderFolder, WhatIsMissingOrOfAnotherModelIsNamed)
{
    EXPECT_THAT(refusal(), HasSubstr("has 0 files of weights"));
    weights("sentence");
    EXPECT_THAT(refusal(), HasSubstr("has no tokenizer beside it, expected tokenizer.json or vocab.txt"));
    beside("vocab.txt", "vocab.txt");
    EXPECT_THAT(refusal(), HasSubstr("16 wide, which cannot be divided into 0 heads"));
    json("config.json", {{"num_attention_heads", 3}});
    EXPECT_THAT(refusal(), HasSubstr("16 wide, which cannot be divided into 3 heads"));
    json("config.json", {{"num_attention_heads", 2}, {"hidden_size", 384}});
    EXPECT_THAT(refusal(), HasSubstr("the settings say that the transformer is 384 wide"));
    json("config.json", {{"num_attention_heads", "two"}});
    EXPECT_THAT(refusal(), HasSubstr("\"num_attention_heads\" is \"two\""));
    json("config.json", {{"num_attention_heads", 2}, {"hidden_act", "relu"}});
    EXPECT_THAT(refusal(), HasSubstr("\"hidden_act\" is \"relu\", expected gelu"));
    json("config.json", {{"num_attention_heads", 2}, {"position_embedding_type", "relative_key"}});
    EXPECT_THAT(refusal(), HasSubstr("\"position_embedding_type\" is \"relative_key\""));
    json("config.json", {{"num_attention_heads", 2}});
    EXPECT_NO_THROW(readTextEncoder(folder));
    json("1_Pooling/config.json", {{"pooling_mode_cls_token", true}, {"pooling_mode_mean_tokens", false}});
    EXPECT_THAT(refusal(), HasSubstr("does not take the mean of the tokens"));
    std::filesystem::remove_all(folder / "1_Pooling");
    json("modules.json", {{{"type", "sentence_transformers.models.Dense"}}});
    EXPECT_THAT(refusal(), HasSubstr("a module of type \"sentence_transformers.models.Dense\""));
    std::filesystem::remove(folder / "modules.json");
    std::ofstream(folder / "vocab.txt", std::ios::app) << "one\nmore\n";
    EXPECT_THAT(refusal(), HasSubstr("it is another model's"));

    std::filesystem::remove(folder / "vocab.txt");
    std::filesystem::remove(folder / "config.json");
    weights("clip_openai");
    EXPECT_THAT(refusal(), HasSubstr("expected tokenizer.json, merges.txt or bpe_simple_vocab_16e6.txt"));
    beside("tokenizer.json", "wordpiece_tokenizer.json");
    EXPECT_THAT(refusal(), HasSubstr("is not CLIP's tokenizer"));
    writeSafetensors(folder / "model.safetensors", {{}, {{"a", at::ones({1})}}});
    EXPECT_THAT(refusal(), HasSubstr("these are not the weights of a text encoder known here"));
    writeSafetensors(folder / "other.safetensors", {{}, {{"a", at::ones({1})}}});
    std::filesystem::rename(folder / "model.safetensors", folder / "more.safetensors");
    EXPECT_THAT(refusal(), HasSubstr("has 2 files of weights (.safetensors, .pth, .pt), expected one; state the file"));
}

TEST_F(TextEncoderFolder, EveryMissingOrMisshapenWeightIsNamed)
{
    const auto make = [](const std::string& name, const StateDict& weights)
    {
        if (name == "sentence")
            SentenceEncoder(weights, WordPiece::fromVocabulary(slurp(fixtures / "vocab.txt"), "v"), "v", {.heads = 2});
        else
            ClipText(weights, BytePairs::fromMerges(slurp(fixtures / "merges.txt"), 664, "m"), "m", {.heads = 2});
    };
    for (const std::string name : {"sentence", "clip_openai", "clip_hugging"})
    {
        const StateDict good = loadText(name).weights;
        EXPECT_EQ(errorOf([&] { make(name, good); }), "no error");
        int used = 0;
        for (const auto& [key, tensor] : good)
        {
            StateDict changed = good;
            changed.erase(key);
            const bool passedOver = key.starts_with("visual.") || key.starts_with("pooler.") || key == "logit_scale";
            const std::string text = errorOf([&] { make(name, changed); });
            if (passedOver)
            {
                EXPECT_EQ(text, "no error") << key;
                continue;
            }
            used++;
            EXPECT_NE(text, "no error") << key;
            changed[key] = at::zeros({3, 5});
            EXPECT_NE(errorOf([&] { make(name, changed); }), "no error") << key;
        }
        EXPECT_GT(used, 25);
        StateDict more = good;
        const std::string block = name == "sentence"      ? "encoder.layer.1."
                                  : name == "clip_openai" ? "transformer.resblocks.1."
                                                          : "text_model.encoder.layers.1.";
        more[block + "adapter"] = at::zeros({2});
        EXPECT_THAT(errorOf([&] { make(name, more); }), HasSubstr("adapter: is not part of a"));
    }
}

TEST_F(TextEncoderFolder, TextThatIsNotUtf8IsNamed)
{
    weights("sentence");
    beside("vocab.txt", "vocab.txt");
    json("config.json", {{"num_attention_heads", 2}});
    const std::unique_ptr<TextEncoder> encoder = readTextEncoder(folder);
    EXPECT_EQ(errorOf([&] { encoder->encode({"good", "bad\xff"}); }), "text 2 is not UTF-8: its byte 3 is 0xff");
}

/// A folder with all-MiniLM-L6-v2: model.safetensors, tokenizer.json, vocab.txt.
class MiniLm : public ::testing::Test
{
protected:
    std::filesystem::path folder = fromEnvironment("AGPNET_MINILM", SHARED_DEFAULT "/weights/minilm");

    void SetUp() override
    {
        if (!std::filesystem::exists(folder / "model.safetensors"))
            GTEST_SKIP() << folder << " has no model.safetensors";
    }
};

// The first numbers of the vectors that transformers 5.24 makes.
TEST_F(MiniLm, VectorsAreThoseOfTheReference)
{
    const std::unique_ptr<TextEncoder> encoder = readTextEncoder(folder);
    ASSERT_EQ(encoder->width(), 384);
    const at::Tensor vectors = encoder->encode({"a photo of a hex bolt", "a photo of a screw", "Die Katze schläft."});
    const float expected[3][4] = {{-0.0313365F, 0.1258512F, -0.0443519F, -0.0005394F},
                                  {-0.0742487F, 0.1297590F, -0.0340216F, 0.0022379F},
                                  {0.0064527F, 0.0396540F, -0.0113891F, 0.0181764F}};
    for (int64_t i = 0; i < 3; i++)
        for (int64_t k = 0; k < 4; k++)
            EXPECT_NEAR(vectors[i][k].item<float>(), expected[i][k], 2e-6) << i << " " << k;
    const at::Tensor alike = at::matmul(vectors, vectors.t());
    EXPECT_GT(alike[0][1].item<float>(), alike[0][2].item<float>());
}

} // namespace
} // namespace agpnet::test
