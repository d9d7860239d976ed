#include "models/frozen_decoder.h"

#include "common/error.h"
#include "models/attention.h"
#include "models/row_kernels.h"

#include <ATen/TensorOperators.h>
#include <c10/core/InferenceMode.h>
#include <map>

namespace agpnet
{
namespace
{

constexpr double eps = 1e-5; // LibTorch's own

} // namespace

FrozenDecoder::FrozenDecoder(const Decoder& decoder, at::ScalarType compute, at::Device device)
    : shape_(decoder.shape()), compute_(compute), positions_(decoder.positions().to(device))
{
    std::map<std::string, at::Tensor> weights;
    for (const auto& [name, tensor] : decoder.parameters())
        weights.emplace(name, tensor.detach().to(device));
    const int64_t tokens = static_cast<int64_t>(shape_.rows) * shape_.columns;
    const auto linear = [&](const std::string& name) { return Linear(weights.at(name + ".weight"), weights.at(name + ".bias"), compute, tokens); };
    const auto norm = [&](const std::string& name) {
        return Norm{weights.at(name + ".weight").detach().clone(), weights.at(name + ".bias").detach().clone()};
    };
    embed_ = linear("embed");
    for (int i = 0; i < shape_.depth; i++)
    {
        const std::string block = fmt::format("blocks.{}.", i);
        blocks_.push_back({norm(block + "norm1"), norm(block + "norm2"), linear(block + "attn.qkv"), linear(block + "attn.proj"),
                           linear(block + "mlp.fc1"), linear(block + "mlp.fc2")});
    }
    norm_ = norm("norm");
    out_ = linear("out");
}

at::Tensor FrozenDecoder::forward(const at::Tensor& tokens) const
{
    const c10::InferenceMode inference;
    const int64_t n = tokens.size(0), l = tokens.size(1), c = shape_.width, heads = shape_.heads;
    at::Tensor x = embed_(tokens.to(compute_)).to(at::kFloat) + positions_;
    at::Tensor branch; // what the last branch adds
    const auto normalised = [&](const Norm& norm) { return addThenNorm(x, branch, norm.weight, norm.bias, eps, compute_); };
    for (const Block& block : blocks_)
    {
        branch = block.projection(attend(block.qkv(normalised(block.norm1)).view({n, l, 3, heads, c / heads})));
        branch = block.output(block.hidden(normalised(block.norm2), Linear::Then::Gelu));
    }
    return out_(normalised(norm_)).to(at::kFloat);
}

} // namespace agpnet
