#include "models/text/clip_text.h"

#include "common/error.h"
#include "common/sha256.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/matmul.h>

namespace agpnet
{

namespace
{

constexpr std::string_view what = "CLIP text encoder"; // for messages
const char hugging[] = "text_model.embeddings.token_embedding.weight";
const char open[] = "token_embedding.weight";

} // namespace

/// Where everything is found, behind the prefix. By default as OpenAI has it.
struct ClipText::Names
{
    std::string words = open;
    std::string positions = "positional_embedding";
    std::string blocks = "transformer.resblocks.";
    TextBlockNames block = {.norm1 = "ln_1",
                            .qkv = {"attn.in_proj_"},
                            .projection = "attn.out_proj",
                            .norm2 = "ln_2",
                            .hidden = "mlp.c_fc",
                            .output = "mlp.c_proj"};
    std::string norm = "ln_final";

    static Names of(const std::string& key)
    {
        Names names;
        if (key == open)
            return names;
        names.words = hugging;
        names.positions = "text_model.embeddings.position_embedding.weight";
        names.blocks = "text_model.encoder.layers.";
        names.block = {.norm1 = "layer_norm1",
                       .qkv = {"self_attn.q_proj.", "self_attn.k_proj.", "self_attn.v_proj."},
                       .projection = "self_attn.out_proj",
                       .norm2 = "layer_norm2",
                       .hidden = "mlp.fc1",
                       .output = "mlp.fc2"};
        names.norm = "text_model.final_layer_norm";
        return names;
    }
};

std::vector<std::string> ClipText::keyNames()
{
    return {hugging, open};
}

int64_t ClipText::vocabularySize(const StateDict& weights)
{
    const FoundKey found = findTheKey(weights, keyNames(), what);
    return NamedWeights(weights, found.prefix).get(found.key, 2).size(0);
}

ClipText::ClipText(const StateDict& weights, BytePairs tokenizer, const std::string& file, const TextSettings& settings)
    : ClipText(NamedWeights(weights, findTheKey(weights, keyNames(), what).prefix), Names::of(findTheKey(weights, keyNames(), what).key),
               std::move(tokenizer), file, settings)
{
}

ClipText::ClipText(NamedWeights source, const Names& names, BytePairs tokenizer, const std::string& file, const TextSettings& settings)
    : tokenizer_(std::move(tokenizer)), words_(source.get(names.words, 2).to(at::kFloat)),
      positions_(source.get(names.positions, 2).to(at::kFloat)),
      normWeight_(source.get(names.norm + ".weight", {words_.size(1)}).to(at::kFloat)),
      normBias_(source.get(names.norm + ".bias", {words_.size(1)}).to(at::kFloat)), innerWidth_(words_.size(1)),
      layerNormEps_(settings.layerNormEps.value_or(1e-5)),
      // As for the image half: OpenAI's weights want QuickGELU; all of the wide ones are LAION's, which want GELU.
      transformer_(source, names.blocks, names.block, innerWidth_,
                   {.heads = headsOf(settings, innerWidth_, innerWidth_ / 64),
                    .layerNormEps = layerNormEps_,
                    .causal = true,
                    .quickGelu = settings.quickGelu.value_or(innerWidth_ < 1024)},
                   what)
{
    // OpenAI's is a matrix from the left; the others' is a linear layer.
    const bool linear = source.has("text_projection.weight");
    const at::Tensor projection = source.get(linear ? "text_projection.weight" : "text_projection", 2);
    require(projection.size(linear ? 1 : 0) == innerWidth_, "{}text_projection: has shape {}, expected one side of {}", source.prefix(),
            shapeText(projection), innerWidth_);
    require(!source.has("text_projection.bias"), "{}text_projection.bias: is not part of a {} as known here", source.prefix(), what);
    projection_ = (linear ? projection.t() : projection).to(at::kFloat).contiguous();
    require(positions_.size(1) == innerWidth_ && positions_.size(0) >= 2, "{}{}: has shape {}, expected [2 or more, {}]", source.prefix(),
            names.positions, shapeText(positions_), innerWidth_);
    require(tokenizer_.size() <= words_.size(0), "{}: has pieces up to number {}, but the weights have {} of them: it is another model's",
            file, tokenizer_.size() - 1, words_.size(0));

    StateDict all = {
        {"words", words_}, {"positions", positions_}, {"norm", normWeight_}, {"normBias", normBias_}, {"projection", projection_}};
    transformer_.addTo(all);
    const std::string text = fmt::format("clip {} {} {}", stateDictHash(all), tokenizer_.digest(), transformer_.settings());
    digest_ = sha256(text.data(), text.size());
}

at::Tensor ClipText::run(const at::Tensor& ids) const
{
    const at::Tensor tokens = transformer_.run(at::embedding(words_, ids) + positions_.narrow(0, 0, ids.size(1)));
    const at::Tensor end = tokens.select(1, -1); // the end token is the last
    return at::matmul(at::layer_norm(end, {innerWidth_}, normWeight_, normBias_, layerNormEps_), projection_);
}

at::Tensor ClipText::encode(const std::vector<std::string>& texts) const
{
    std::vector<std::vector<int64_t>> ids;
    for (size_t i = 0; i < texts.size(); i++)
        ids.push_back(tokenizer_.encode(texts[i], positions_.size(0), fmt::format("text {}", i + 1)));
    return encodeByLength(ids, width(), [this](const at::Tensor& numbers) { return run(numbers); });
}

} // namespace agpnet
