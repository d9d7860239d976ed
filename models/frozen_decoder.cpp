#include "models/frozen_decoder.h"

#include "common/error.h"
#include "models/row_kernels.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>
#include <map>

namespace agpnet
{
namespace
{

constexpr double eps = 1e-5; // LibTorch's own

} // namespace

FrozenDecoder::FrozenDecoder(const Decoder& decoder, at::ScalarType compute, at::Device device)
    : shape_(decoder.shape()), compute_(compute), positions_(decoder.positions().to(device)),
      frozen_(shape_.heads, Linear::Then::Gelu, compute, device.is_cpu() ? static_cast<int64_t>(shape_.rows) * shape_.columns : 0)
{
    std::map<std::string, at::Tensor> weights;
    for (const auto& [name, tensor] : decoder.parameters())
        weights.emplace(name, tensor.detach().to(device));
    const int64_t tokens = static_cast<int64_t>(shape_.rows) * shape_.columns;
    const auto linear = [&](const std::string& name) { return Linear(weights.at(name + ".weight"), weights.at(name + ".bias"), compute, tokens); };
    const auto norm = [&](const std::string& name) {
        return FrozenNorm{weights.at(name + ".weight").detach().clone(), weights.at(name + ".bias").detach().clone(), eps};
    };
    embed_ = linear("embed");
    for (int i = 0; i < shape_.depth; i++)
    {
        const std::string block = fmt::format("blocks.{}.", i);
        const auto weight = [&](const std::string& name) { return weights.at(block + name + ".weight"); };
        const auto bias = [&](const std::string& name) { return weights.at(block + name + ".bias"); };
        frozen_.add({norm(block + "norm1"), norm(block + "norm2"), weight("attn.qkv"), bias("attn.qkv"), weight("attn.proj"), bias("attn.proj"),
                     weight("mlp.fc1"), bias("mlp.fc1"), weight("mlp.fc2"), bias("mlp.fc2")});
    }
    norm_ = norm("norm");
    out_ = linear("out");
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
        const at::Tensor normed = at::empty_like(part.x, part.x.options().dtype(compute_));
        normRows(part.x, norm_.weight, norm_.bias, norm_.eps, normed);
        own(output, part).copy_(out_(normed));
    };
    FrozenBlocks::Around around;
    around.before = [&](const FrozenBlocks::Rows& part)
    {
        part.x.copy_(embed_(own(input, part).to(compute_)));
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
