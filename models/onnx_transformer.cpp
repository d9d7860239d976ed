#include "models/onnx_transformer.h"

#include <ATen/ATen.h>
#include <cmath>

namespace agpnet
{

OnnxValue linearAfterNorm(OnnxWriter& onnx, const OnnxValue& x, const OnnxNorm& norm, const OnnxLinear& linear)
{
    const at::Tensor weight = linear.weight.to(at::kDouble);
    at::Tensor bias = at::mv(weight, norm.bias.to(at::kDouble));
    if (linear.bias.defined())
        bias = bias + linear.bias;
    return onnx.linear(onnx.normed(x, norm.eps), weight * norm.weight, bias);
}

OnnxValue transformerBlock(OnnxWriter& onnx, const OnnxValue& x, const OnnxBlock& block)
{
    const int64_t tokens = x.shape[1], width = x.shape[2], each = width / block.heads;
    OnnxLinear qkv{block.qkv.weight.clone(), block.qkv.bias.defined() ? block.qkv.bias.clone() : at::Tensor()};
    for (const at::Tensor& part : {qkv.weight, qkv.bias})
        if (part.defined())
            part.narrow(0, 0, width).div_(std::sqrt(static_cast<double>(each))); // of the queries: what attention would divide by
    const std::vector<OnnxValue> parts = onnx.split(linearAfterNorm(onnx, x, block.norm1, qkv), 2, 3);
    const auto heads = [&](const OnnxValue& value, const OnnxWriter::Shape& order) {
        return onnx.transpose(onnx.reshape(value, {1, tokens, block.heads, each}), order);
    };
    const OnnxValue seen = onnx.softmax(onnx.product(heads(parts[0], {0, 2, 1, 3}), heads(parts[1], {0, 2, 3, 1})));
    const OnnxValue gathered = onnx.transpose(onnx.product(seen, heads(parts[2], {0, 2, 1, 3})), {0, 2, 1, 3});
    const OnnxValue y = onnx.add(x, onnx.linear(onnx.reshape(gathered, x.shape), block.projection.weight, block.projection.bias));
    const OnnxValue hidden = linearAfterNorm(onnx, y, block.norm2, block.hidden);
    return onnx.add(y, onnx.linear(block.silu ? onnx.silu(hidden) : onnx.gelu(hidden), block.output.weight, block.output.bias));
}

} // namespace agpnet
