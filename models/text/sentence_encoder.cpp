#include "models/text/sentence_encoder.h"

#include "common/error.h"
#include "common/sha256.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/layer_norm.h>

namespace agpnet
{

namespace
{

constexpr std::string_view what = "BERT sentence encoder"; // for messages
const char words[] = "embeddings.word_embeddings.weight";

/// BERT's base and the MiniLMs made from it have 12 heads, its large one has 16.
int64_t guessedHeads(int64_t width)
{
    return width == 384 || width == 768 ? 12 : width / 64;
}

} // namespace

std::vector<std::string> SentenceEncoder::keyNames()
{
    return {words};
}

SentenceEncoder::SentenceEncoder(const StateDict& weights, WordPiece tokenizer, const std::string& file, const TextSettings& settings)
    : SentenceEncoder(NamedWeights(weights, findTheKey(weights, keyNames(), what).prefix), std::move(tokenizer), file, settings)
{
}

SentenceEncoder::SentenceEncoder(NamedWeights source, WordPiece tokenizer, const std::string& file, const TextSettings& settings)
    : tokenizer_(std::move(tokenizer)), words_(source.get(words, 2).to(at::kFloat)),
      positions_(source.get("embeddings.position_embeddings.weight", 2).to(at::kFloat)),
      segment_(source.get("embeddings.token_type_embeddings.weight", 2).to(at::kFloat)[0]),
      normWeight_(source.get("embeddings.LayerNorm.weight", {words_.size(1)}).to(at::kFloat)),
      normBias_(source.get("embeddings.LayerNorm.bias", {words_.size(1)}).to(at::kFloat)), width_(words_.size(1)),
      layerNormEps_(settings.layerNormEps.value_or(1e-12)),
      transformer_(source, "encoder.layer.",
                   {.norm1 = "attention.output.LayerNorm",
                    .qkv = {"attention.self.query.", "attention.self.key.", "attention.self.value."},
                    .projection = "attention.output.dense",
                    .norm2 = "output.LayerNorm",
                    .hidden = "intermediate.dense",
                    .output = "output.dense"},
                   width_, {.heads = headsOf(settings, width_, guessedHeads(width_)), .layerNormEps = layerNormEps_, .normAfter = true},
                   what)
{
    require(positions_.size(1) == width_ && segment_.size(0) == width_ && positions_.size(0) >= 2,
            "{}embeddings: the positions have shape {} and the token types {} channels, expected {} as the words", source.prefix(),
            shapeText(positions_), segment_.size(0), width_);
    require(tokenizer_.size() <= words_.size(0), "{}: has pieces up to number {}, but the weights have {} words: it is another model's",
            file, tokenizer_.size() - 1, words_.size(0));

    StateDict all = {{"words", words_}, {"positions", positions_}, {"segment", segment_}, {"norm", normWeight_}, {"normBias", normBias_}};
    transformer_.addTo(all);
    const std::string text =
        fmt::format("sentence {} {} {} {}", stateDictHash(all), tokenizer_.digest(), tokenizer_.longest(), transformer_.settings());
    digest_ = sha256(text.data(), text.size());
}

at::Tensor SentenceEncoder::run(const at::Tensor& ids) const
{
    const at::Tensor sum = at::embedding(words_, ids) + positions_.narrow(0, 0, ids.size(1)) + segment_;
    return transformer_.run(at::layer_norm(sum, {width_}, normWeight_, normBias_, layerNormEps_)).mean(1);
}

at::Tensor SentenceEncoder::encode(const std::vector<std::string>& texts) const
{
    std::vector<std::vector<int64_t>> ids;
    for (size_t i = 0; i < texts.size(); i++)
        ids.push_back(tokenizer_.encode(texts[i], positions_.size(0), fmt::format("text {}", i + 1)));
    return encodeByLength(ids, width_, [this](const at::Tensor& numbers) { return run(numbers); });
}

} // namespace agpnet
