#include "models/agpnet/decoder/frozen_decoder.h"

#include "common/error.h"
#include "models/kernels/row_kernels.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>
#include <map>

namespace agpnet
{
namespace
{

constexpr double eps = 1e-5; // LibTorch's own

} // namespace

FrozenDecoder::FrozenDecoder(const Decoder& decoder, ComputeType compute, at::Device device, Ranges ranges)
    : shape_(decoder.shape()), input_(compute == ComputeType::Int8 ? at::kByte : scalarType(compute)), ranges_(std::move(ranges)),
      positions_(decoder.positions().to(device)),
      frozen_(shape_.heads, Linear::Then::Gelu,
              FrozenOptions{compute, device.is_cpu() ? static_cast<int64_t>(shape_.rows) * shape_.columns : 0, ranges_})
{
    std::map<std::string, at::Tensor> weights;
    for (const auto& [name, tensor] : decoder.parameters())
        weights.emplace(name, tensor.detach().to(device));
    const int64_t tokens = static_cast<int64_t>(shape_.rows) * shape_.columns;
    const auto linear = [&](const std::string& name)
    { return Linear(weights.at(name + ".weight"), weights.at(name + ".bias"), scalarType(compute), tokens); };
    const auto norm = [&](const std::string& name) {
        return FrozenNorm{weights.at(name + ".weight").detach().clone(), weights.at(name + ".bias").detach().clone(), eps};
    };
    const auto quantised = [&](const char* name)
    {
        require(ranges_.known != nullptr, "the ranges of the decoder's inputs are not known, which products of 8 bits need");
        const at::Tensor weight = weights.at(fmt::format("{}.weight", name));
        return quantisedInput(rangeOf(*ranges_.known, name, weight.size(1)), weight, weights.at(fmt::format("{}.bias", name)));
    };
    for (int i = 0; i < shape_.depth; i++)
    {
        const std::string block = fmt::format("blocks.{}.", i);
        const auto weight = [&](const std::string& name) { return weights.at(block + name + ".weight"); };
        const auto bias = [&](const std::string& name) { return weights.at(block + name + ".bias"); };
        frozen_.add({norm(block + "norm1"), norm(block + "norm2"), weight("attn.qkv"), bias("attn.qkv"), weight("attn.proj"),
                     bias("attn.proj"), weight("mlp.fc1"), bias("mlp.fc1"), weight("mlp.fc2"), bias("mlp.fc2")});
    }
    norm_ = norm("norm");
    if (compute != ComputeType::Int8)
    {
        embed_ = linear("embed");
        out_ = linear("out");
        return;
    }
    const QuantisedInput embed = quantised("embed"), out = quantised("out");
    embedFactor_ = embed.factor;
    embedShift_ = embed.shift;
    embed_ = Linear(embed.weight, embed.bias, embed.input, {}, tokens);
    norm_ = {norm_.weight * out.factor, norm_.bias * out.factor + out.shift, eps};
    out_ = Linear(out.weight, out.bias, out.input, {}, tokens);
}

at::Tensor FrozenDecoder::forward(const at::Tensor& tokens) const
{
    const c10::InferenceMode inference;
    const int64_t batch = tokens.size(0), length = tokens.size(1);
    const at::Tensor input = tokens.to(at::kFloat).contiguous().view({batch * length, shape_.channels});
    const at::Tensor output = at::empty_like(input);
    // the rows that a part has of the whole
    const auto own = [](const at::Tensor& whole, const FrozenBlocks::Rows& part) { return whole.narrow(0, part.first, part.x.size(0)); };
    const auto finish = [&](const FrozenBlocks::Rows& part, int64_t blocks)
    {
        if (blocks != shape_.depth)
            return;
        const at::Tensor normed = at::empty_like(part.x, part.x.options().dtype(input_));
        normRows(part.x, norm_.weight, norm_.bias, norm_.eps, normed);
        own(output, part).copy_(out_(ranges_.seen("out", normed)));
    };
    FrozenBlocks::Around around;
    around.before = [&](const FrozenBlocks::Rows& part)
    {
        const at::Tensor tokensOfPart = ranges_.seen("embed", own(input, part));
        part.x.copy_(
            embed_(embedFactor_.defined() ? roundedRows(at::addcmul(embedShift_, tokensOfPart, embedFactor_)) : tokensOfPart.to(input_)));
        for (int64_t row = 0; row < part.x.size(0);)
        {
            const int64_t first = (part.first + row) % length, count = std::min(part.x.size(0) - row, length - first);
            part.x.narrow(0, row, count).add_(positions_[0].narrow(0, first, count));
            row += count;
        }
        finish(part, 0);
    };
    around.after = finish;
    frozen_.forward(at::empty({batch, length, shape_.width}, input.options()), shape_.depth, around);
    return output.view(tokens.sizes());
}

} // namespace agpnet
