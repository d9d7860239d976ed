#include "models/agpnet/decoder/decoder.h"

#include "common/error.h"
#include "models/attention/attention.h"
#include "models/onnx/onnx_transformer.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>
#include <cmath>

namespace agpnet
{
namespace
{

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::ScalarType compute)
{
    return at::linear(x.to(compute), weight.to(compute), bias.to(compute));
}

/// Written out rather than at::scaled_dot_product_attention: its bfloat16 kernels for the CPU, backward above all, take more than
/// twice as long as these products at a few hundred tokens.
at::Tensor attendWithGradient(const at::Tensor& qkv)
{
    const at::Tensor parts = qkv.permute({2, 0, 3, 1, 4});
    const double scale = 1 / std::sqrt(static_cast<double>(qkv.size(4)));
    const at::Tensor weights = at::softmax(at::matmul(parts[0] * scale, parts[1].transpose(-2, -1)), -1);
    return at::matmul(weights, parts[2]).transpose(1, 2).flatten(2);
}

/// [1, h·w, width]: one quarter each of sin y, cos y, sin x, cos x over geometric frequencies.
at::Tensor sinePositions(int h, int w, int width)
{
    at::Tensor table = at::zeros({h, w, width}, at::kFloat);
    const int quarter = width / 4;
    auto at3 = table.accessor<float, 3>();
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            for (int i = 0; i < quarter; i++)
            {
                const double frequency = std::pow(10000.0, -static_cast<double>(i) / quarter);
                at3[y][x][i] = static_cast<float>(std::sin(y * frequency));
                at3[y][x][quarter + i] = static_cast<float>(std::cos(y * frequency));
                at3[y][x][2 * quarter + i] = static_cast<float>(std::sin(x * frequency));
                at3[y][x][3 * quarter + i] = static_cast<float>(std::cos(x * frequency));
            }
    return table.reshape({1, h * w, width});
}

} // namespace

template <typename Visit>
void Decoder::forEachParameter(Visit visit)
{
    const int64_t tokens = shape_.channels, c = shape_.width, m = shape_.mlp;
    visit("embed.weight", embedWeight_, {c, tokens});
    visit("embed.bias", embedBias_, {c});
    blocks_.resize(static_cast<size_t>(shape_.depth));
    for (size_t i = 0; i < blocks_.size(); i++)
    {
        Block& b = blocks_[i];
        const std::string prefix = fmt::format("blocks.{}.", i);
        visit(prefix + "norm1.weight", b.norm1Weight, {c});
        visit(prefix + "norm1.bias", b.norm1Bias, {c});
        visit(prefix + "attn.qkv.weight", b.qkvWeight, {3 * c, c});
        visit(prefix + "attn.qkv.bias", b.qkvBias, {3 * c});
        visit(prefix + "attn.proj.weight", b.projWeight, {c, c});
        visit(prefix + "attn.proj.bias", b.projBias, {c});
        visit(prefix + "norm2.weight", b.norm2Weight, {c});
        visit(prefix + "norm2.bias", b.norm2Bias, {c});
        visit(prefix + "mlp.fc1.weight", b.fc1Weight, {m, c});
        visit(prefix + "mlp.fc1.bias", b.fc1Bias, {m});
        visit(prefix + "mlp.fc2.weight", b.fc2Weight, {c, m});
        visit(prefix + "mlp.fc2.bias", b.fc2Bias, {c});
    }
    visit("norm.weight", normWeight_, {c});
    visit("norm.bias", normBias_, {c});
    visit("out.weight", outWeight_, {tokens, c});
    visit("out.bias", outBias_, {tokens});
}

void Decoder::collect()
{
    require(shape_.rows > 0 && shape_.columns > 0, "decoder: the token grid is {}x{}, expected at least 1x1", shape_.rows,
            shape_.columns);
    require(shape_.heads > 0 && shape_.width % shape_.heads == 0, "decoder: {} heads do not divide {} channels", shape_.heads,
            shape_.width);
    positions_ = sinePositions(shape_.rows, shape_.columns, shape_.width).to(embedWeight_.device());
    weights_.clear();
    forEachParameter([&](const std::string& name, at::Tensor& tensor, at::IntArrayRef) { weights_.emplace_back(name, tensor); });
}

Decoder::Decoder(const DecoderShape& shape, uint64_t seed) : shape_(shape)
{
    at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
    forEachParameter([&](const std::string& name, at::Tensor& tensor, at::IntArrayRef size) {
        if (name.ends_with(".bias"))
            tensor = at::zeros(size, at::kFloat);
        else if (size.size() == 1) // the scale of a layer norm
            tensor = at::ones(size, at::kFloat);
        else
            tensor = at::empty(size, at::kFloat).normal_(0, 0.02, generator);
    });
    collect();
}

Decoder::Decoder(const DecoderShape& shape, const NamedTensors& weights) : shape_(shape)
{
    forEachParameter([&](const std::string& name, at::Tensor& tensor, at::IntArrayRef size) {
        for (const auto& [candidate, value] : weights)
            if (candidate == name)
                tensor = value;
        require(tensor.defined(), "decoder: tensor '{}' is missing", name);
        require(tensor.sizes() == size, "decoder: tensor '{}' has shape {}, expected {}", name, fmt::join(tensor.sizes(), "x"),
                fmt::join(size, "x"));
        require(at::isFloatingType(tensor.scalar_type()), "decoder: tensor '{}' is not of a floating-point type", name);
    });
    collect();
}

at::Tensor Decoder::embedded(const at::Tensor& tokens, at::ScalarType compute) const
{
    return linear(tokens, embedWeight_, embedBias_, compute).to(at::kFloat) + positions_;
}

at::Tensor Decoder::projected(const Block& block, const at::Tensor& x, int64_t parts, at::ScalarType compute) const
{
    const int64_t c = shape_.width;
    const at::Tensor y = at::layer_norm(x, {c}, block.norm1Weight, block.norm1Bias);
    return linear(y, block.qkvWeight.narrow(0, 0, parts * c), block.qkvBias.narrow(0, 0, parts * c), compute)
        .view({x.size(0), x.size(1), parts, shape_.heads, c / shape_.heads});
}

at::Tensor Decoder::completed(const Block& b, at::Tensor x, const at::Tensor& attended, at::ScalarType compute) const
{
    x = x + linear(attended, b.projWeight, b.projBias, compute).to(at::kFloat);
    const at::Tensor y = at::layer_norm(x, {shape_.width}, b.norm2Weight, b.norm2Bias);
    return x + linear(at::gelu(linear(y, b.fc1Weight, b.fc1Bias, compute)), b.fc2Weight, b.fc2Bias, compute).to(at::kFloat);
}

at::Tensor Decoder::forward(const at::Tensor& tokens, at::ScalarType compute) const
{
    at::Tensor x = embedded(tokens, compute);
    for (const Block& block : blocks_)
    {
        const at::Tensor qkv = projected(block, x, 3, compute);
        x = completed(block, x, c10::GradMode::is_enabled() ? attendWithGradient(qkv) : attend(qkv), compute);
    }
    return linear(at::layer_norm(x, {shape_.width}, normWeight_, normBias_), outWeight_, outBias_, compute).to(at::kFloat);
}

at::Tensor Decoder::attention(const at::Tensor& tokens, at::ScalarType compute, int blocks) const
{
    const c10::AutoGradMode noGradient(false);
    const size_t wanted = blocks == 0 ? blocks_.size() : std::min(static_cast<size_t>(blocks), blocks_.size());
    at::Tensor x = embedded(tokens, compute);
    at::Tensor sum = at::zeros({tokens.size(0), tokens.size(1)}, tokens.options().dtype(at::kFloat));
    for (size_t i = 0; i + 1 < wanted; i++)
    {
        const at::Tensor qkv = projected(blocks_[i], x, 3, compute);
        sum += attentionReceived(qkv);
        x = completed(blocks_[i], x, attend(qkv), compute);
    }
    sum += attentionReceived(projected(blocks_[wanted - 1], x, 2, compute)); // of the last block nothing else is needed
    return sum / static_cast<double>(wanted);
}

OnnxValue Decoder::describe(OnnxWriter& onnx, const OnnxValue& tokens, const InputRanges* ranges) const
{
    constexpr double eps = 1e-5; // LibTorch's own
    onnx.part("decoder/embed");
    OnnxValue x = ranges ? quantisedLinear(onnx, tokens, {embedWeight_, embedBias_}, rangeOf(*ranges, "embed", shape_.channels))
                         : onnx.linear(tokens, embedWeight_, embedBias_);
    x = onnx.addConstant(x, positions_);
    for (size_t i = 0; i < blocks_.size(); i++)
    {
        onnx.part(fmt::format("decoder/block{}", i + 1));
        const Block& b = blocks_[i];
        x = transformerBlock(onnx, x, {{b.norm1Weight, b.norm1Bias, eps}, {b.norm2Weight, b.norm2Bias, eps}, {b.qkvWeight, b.qkvBias},
                                       {b.projWeight, b.projBias}, {b.fc1Weight, b.fc1Bias}, {b.fc2Weight, b.fc2Bias}, shape_.heads, false,
                                       ranges, fmt::format("blocks.{}", i)});
    }
    onnx.part("decoder/out");
    return linearAfterNorm(onnx, x, {normWeight_, normBias_, eps}, {outWeight_, outBias_},
                           ranges ? rangeOf(*ranges, "out", shape_.width) : at::Tensor());
}

Decoder Decoder::clone(at::Device device) const
{
    NamedTensors copies;
    for (const auto& [name, tensor] : weights_)
        copies.emplace_back(name, tensor.detach().to(device, tensor.scalar_type(), false, true));
    return Decoder(shape_, copies);
}

} // namespace agpnet
