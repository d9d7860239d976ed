#include "models/text/text_transformer.h"

#include "common/error.h"

#include <algorithm>
#include <map>

#include <ATen/TensorOperators.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <c10/core/GradMode.h>

namespace agpnet
{

namespace
{

constexpr size_t tokensAtOnce = 2048; // a bound on memory; more make nothing faster

} // namespace

TextTransformer::TextTransformer(NamedWeights& source, const std::string& blocks, const TextBlockNames& names, int64_t width,
                                 const Options& options, std::string_view what)
    : options_(options), width_(width)
{
    while (source.hasAnyUnder(fmt::format("{}{}.", blocks, blocks_.size())))
    {
        const std::string from = fmt::format("{}{}.", blocks, blocks_.size());
        const auto take = [&](const std::string& name, std::initializer_list<int64_t> shape)
        { return source.get(from + name, shape).to(at::kFloat); };
        const int64_t hidden = source.get(from + names.hidden + ".weight", 2).size(0);
        const int64_t rows = 3 * width / static_cast<int64_t>(names.qkv.size());
        std::vector<at::Tensor> matrices, biases;
        for (const std::string& name : names.qkv)
        {
            matrices.push_back(take(name + "weight", {rows, width}));
            biases.push_back(take(name + "bias", {rows}));
        }
        Block block;
        block.norm1Weight = take(names.norm1 + ".weight", {width});
        block.norm1Bias = take(names.norm1 + ".bias", {width});
        block.qkvWeight = matrices.size() == 1 ? matrices[0] : at::cat(matrices);
        block.qkvBias = biases.size() == 1 ? biases[0] : at::cat(biases);
        block.projectionWeight = take(names.projection + ".weight", {width, width});
        block.projectionBias = take(names.projection + ".bias", {width});
        block.norm2Weight = take(names.norm2 + ".weight", {width});
        block.norm2Bias = take(names.norm2 + ".bias", {width});
        block.hiddenWeight = take(names.hidden + ".weight", {hidden, width});
        block.hiddenBias = take(names.hidden + ".bias", {hidden});
        block.outputWeight = take(names.output + ".weight", {width, hidden});
        block.outputBias = take(names.output + ".bias", {width});
        blocks_.push_back(std::move(block));
    }
    require(!blocks_.empty(), "{}{}0: is missing from the weights: there are no transformer blocks", source.prefix(), blocks);
    source.finish(blocks, what);
}

at::Tensor TextTransformer::attention(const Block& block, const at::Tensor& tokens) const
{
    const int64_t count = tokens.size(0), length = tokens.size(1);
    const at::Tensor qkv = at::linear(tokens, block.qkvWeight, block.qkvBias)
                               .view({count, length, 3, options_.heads, width_ / options_.heads})
                               .permute({2, 0, 3, 1, 4});
    const at::Tensor seen = at::scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], {}, 0.0, options_.causal);
    return at::linear(seen.transpose(1, 2).reshape({count, length, width_}), block.projectionWeight, block.projectionBias);
}

at::Tensor TextTransformer::feedForward(const Block& block, const at::Tensor& tokens) const
{
    const at::Tensor hidden = at::linear(tokens, block.hiddenWeight, block.hiddenBias);
    const at::Tensor bent = options_.quickGelu ? hidden * (hidden * 1.702).sigmoid() : at::gelu(hidden);
    return at::linear(bent, block.outputWeight, block.outputBias);
}

at::Tensor TextTransformer::run(at::Tensor tokens) const
{
    const auto norm = [&](const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias)
    { return at::layer_norm(x, {width_}, weight, bias, options_.layerNormEps); };
    for (const Block& block : blocks_)
        if (options_.normAfter)
        {
            tokens = norm(tokens + attention(block, tokens), block.norm1Weight, block.norm1Bias);
            tokens = norm(tokens + feedForward(block, tokens), block.norm2Weight, block.norm2Bias);
        }
        else
        {
            tokens = tokens + attention(block, norm(tokens, block.norm1Weight, block.norm1Bias));
            tokens = tokens + feedForward(block, norm(tokens, block.norm2Weight, block.norm2Bias));
        }
    return tokens;
}

void TextTransformer::addTo(StateDict& weights) const
{
    for (size_t i = 0; i < blocks_.size(); i++)
    {
        const Block& block = blocks_[i];
        const at::Tensor* parts[] = {&block.norm1Weight,      &block.norm1Bias,      &block.qkvWeight,    &block.qkvBias,
                                     &block.projectionWeight, &block.projectionBias, &block.norm2Weight,  &block.norm2Bias,
                                     &block.hiddenWeight,     &block.hiddenBias,     &block.outputWeight, &block.outputBias};
        for (size_t part = 0; part < std::size(parts); part++)
            weights[fmt::format("block{}.{}", i, part)] = *parts[part];
    }
}

std::string TextTransformer::settings() const
{
    return fmt::format("heads {} eps {} after {} causal {} quick {}", options_.heads, options_.layerNormEps, options_.normAfter,
                       options_.causal, options_.quickGelu);
}

int64_t headsOf(const TextSettings& settings, int64_t width, int64_t guess)
{
    require(settings.width.value_or(width) == width, "the settings say that the transformer is {} wide, but its weights are {} wide",
            settings.width.value_or(0), width);
    const int64_t heads = settings.heads.value_or(guess);
    require(heads > 0 && width % heads == 0,
            "the transformer is {} wide, which cannot be divided into {} heads; state their number in config.json", width, heads);
    return heads;
}

at::Tensor encodeByLength(const std::vector<std::vector<int64_t>>& ids, int64_t width,
                          const std::function<at::Tensor(const at::Tensor&)>& run)
{
    // Not inference mode: its tensors may not enter a computation that has gradients.
    const c10::AutoGradMode noGradient(false);
    const at::AutoDispatchBelowADInplaceOrView belowAutograd;
    std::map<size_t, std::vector<size_t>> byLength; // places of the texts
    for (size_t i = 0; i < ids.size(); i++)
        byLength[ids[i].size()].push_back(i);

    at::Tensor result = at::empty({static_cast<int64_t>(ids.size()), width}, at::kFloat);
    for (const auto& [length, places] : byLength)
    {
        const size_t most = std::max<size_t>(1, tokensAtOnce / length);
        for (size_t begin = 0; begin < places.size(); begin += most)
        {
            const size_t count = std::min(most, places.size() - begin);
            at::Tensor numbers = at::empty({static_cast<int64_t>(count), static_cast<int64_t>(length)}, at::kLong);
            for (size_t i = 0; i < count; i++)
                std::copy_n(ids[places[begin + i]].begin(), length, numbers.data_ptr<int64_t>() + i * length);
            at::Tensor vectors = run(numbers);
            vectors = vectors / vectors.norm(2, {1}, true).clamp_min(1e-12);
            for (size_t i = 0; i < count; i++)
                result[static_cast<int64_t>(places[begin + i])].copy_(vectors[static_cast<int64_t>(i)]);
        }
    }
    return result;
}

} // namespace agpnet
