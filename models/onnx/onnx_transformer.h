// A pre-norm transformer block in standard ONNX operators: the backbone has them, and so has the decoder.
#pragma once

#include "models/onnx/onnx_writer.h"
#include "models/layers/quantisation.h"

namespace agpnet
{

/// Weights are [out, in]; a bias may be undefined.
struct OnnxLinear
{
    at::Tensor weight, bias;
};

struct OnnxNorm
{
    at::Tensor weight, bias;
    double eps;
};

struct OnnxBlock
{
    OnnxNorm norm1, norm2;
    OnnxLinear qkv, projection, hidden, output;
    int64_t heads;
    bool silu; ///< instead of GELU
    const InputRanges* ranges = nullptr; ///< products of 8 bits, as Linear and FrozenBlocks have them; null: float32
    std::string name = {};               ///< name of the block in them: "blocks.0"
};

/// A layer norm and the linear layer behind it. What the norm multiplies and adds goes into the layer's weights: the same
/// numbers, two operators less.
///
/// @param range  of what goes into the layer, for products of 8 bits; undefined: float32
OnnxValue linearAfterNorm(OnnxWriter& onnx, const OnnxValue& x, const OnnxNorm& norm, const OnnxLinear& linear,
                          const at::Tensor& range = {});

/// A linear layer in products of 8 bits, of an input that comes in values.
OnnxValue quantisedLinear(OnnxWriter& onnx, const OnnxValue& x, const OnnxLinear& linear, const at::Tensor& range);

/// x: [1, T, C]. x += projection(attention(norm1 x)); x += output(activation(hidden(norm2 x)))
OnnxValue transformerBlock(OnnxWriter& onnx, const OnnxValue& x, const OnnxBlock& block);

} // namespace agpnet
