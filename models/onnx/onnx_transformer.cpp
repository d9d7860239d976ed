#include "models/onnx/onnx_transformer.h"

#include <ATen/ATen.h>
#include <cmath>
#include <optional>

namespace agpnet
{

namespace
{

/// From values to what `to` makes bytes of, still in values: (x - centre) / smooth.
struct Smoothing
{
    at::Tensor factor, shift; ///< [in]
};

Smoothing smoothingFor(const QuantisedInput& to)
{
    return {to.factor * to.input.scale, (to.shift - static_cast<double>(to.input.zero)) * to.input.scale};
}

OnnxValue productOf(OnnxWriter& onnx, const OnnxValue& smooth, const QuantisedInput& to)
{
    return onnx.quantisedLinear(onnx.quantised(smooth, to.input.scale, to.input.zero), to.weight, to.bias);
}

} // namespace

OnnxValue quantisedLinear(OnnxWriter& onnx, const OnnxValue& x, const OnnxLinear& linear, const at::Tensor& range)
{
    const QuantisedInput to = quantisedInput(range, linear.weight, linear.bias);
    const Smoothing smoothing = smoothingFor(to);
    return productOf(onnx, onnx.addChannels(onnx.multiplyChannels(x, smoothing.factor), smoothing.shift), to);
}

OnnxValue linearAfterNorm(OnnxWriter& onnx, const OnnxValue& x, const OnnxNorm& norm, const OnnxLinear& linear, const at::Tensor& range)
{
    if (range.defined())
    {
        const QuantisedInput to = quantisedInput(range, linear.weight, linear.bias);
        const Smoothing smoothing = smoothingFor(to);
        return productOf(onnx,
                         onnx.addChannels(onnx.multiplyChannels(onnx.normed(x, norm.eps), norm.weight * smoothing.factor),
                                          norm.bias * smoothing.factor + smoothing.shift),
                         to);
    }
    const at::Tensor weight = linear.weight.to(at::kDouble);
    at::Tensor bias = at::mv(weight, norm.bias.to(at::kDouble));
    if (linear.bias.defined())
        bias = bias + linear.bias;
    return onnx.linear(onnx.normed(x, norm.eps), weight * norm.weight, bias);
}

OnnxValue transformerBlock(OnnxWriter& onnx, const OnnxValue& x, const OnnxBlock& block)
{
    const int64_t tokens = x.shape[1], width = x.shape[2], each = width / block.heads;
    const auto range = [&](const char* input, int64_t channels)
    { return block.ranges ? rangeOf(*block.ranges, block.name + "." + input, channels) : at::Tensor(); };
    OnnxLinear qkv{block.qkv.weight.clone(), block.qkv.bias.defined() ? block.qkv.bias.clone() : at::Tensor()};
    for (const at::Tensor& part : {qkv.weight, qkv.bias})
        if (part.defined())
            part.narrow(0, 0, width).div_(std::sqrt(static_cast<double>(each))); // of the queries: what attention would divide by
    std::optional<QuantisedInput> projection;
    if (block.ranges)
    {
        // attention's weights have the sum 1: what is done to each value is done to what comes out
        projection = quantisedInput(range("projection", width), block.projection.weight, block.projection.bias);
        const Smoothing smoothing = smoothingFor(*projection);
        if (!qkv.bias.defined())
            qkv.bias = at::zeros({3 * width});
        qkv.weight.narrow(0, 2 * width, width).mul_(smoothing.factor.unsqueeze(1));
        qkv.bias.narrow(0, 2 * width, width).mul_(smoothing.factor).add_(smoothing.shift);
    }
    const std::vector<OnnxValue> parts = onnx.split(linearAfterNorm(onnx, x, block.norm1, qkv, range("qkv", width)), 2, 3);
    const auto heads = [&](const OnnxValue& value, const OnnxWriter::Shape& order) {
        return onnx.transpose(onnx.reshape(value, {1, tokens, block.heads, each}), order);
    };
    const OnnxValue seen = onnx.softmax(onnx.product(heads(parts[0], {0, 2, 1, 3}), heads(parts[1], {0, 2, 3, 1})));
    const OnnxValue gathered = onnx.reshape(onnx.transpose(onnx.product(seen, heads(parts[2], {0, 2, 1, 3})), {0, 2, 1, 3}), x.shape);
    const OnnxValue y = onnx.add(x, projection ? productOf(onnx, gathered, *projection)
                                               : onnx.linear(gathered, block.projection.weight, block.projection.bias));
    const OnnxValue hidden = linearAfterNorm(onnx, y, block.norm2, block.hidden, range("hidden", width));
    const OnnxValue active = block.silu ? onnx.silu(hidden) : onnx.gelu(hidden);
    if (!block.ranges)
        return onnx.add(y, onnx.linear(active, block.output.weight, block.output.bias));
    const at::Tensor outputRange = range("output", block.output.weight.size(1));
    const Quantisation output = quantisationOf(outputRange[0].min().item<double>(), outputRange[1].max().item<double>());
    return onnx.add(y, onnx.quantisedLinear(onnx.quantised(active, output.scale, output.zero), block.output.weight, block.output.bias));
}

} // namespace agpnet
