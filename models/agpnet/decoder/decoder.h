// The reconstruction network: a light vision transformer from feature tokens to feature tokens.
#pragma once

#include "models/onnx/onnx_writer.h"
#include "models/layers/quantisation.h"
#include "models/weights/state_dict.h"

#include <ATen/core/Tensor.h>
#include <cstdint>
#include <vector>

namespace agpnet
{

struct DecoderShape
{
    int channels = 0; ///< channels of the input and output tokens
    int width = 0; ///< channels within
    int depth = 0; ///< pre-norm transformer blocks
    int heads = 0;
    int mlp = 0;   ///< hidden channels of the MLP
    int rows = 0, columns = 0; ///< the token grid
};

/// x → embed to `width` + fixed 2-D sine positions → blocks (x += Attn(LN x); x += MLP(LN x)) → LN → linear to `channels`. Positions are
/// computed, not learned. Weights are plain named tensors: nothing here draws from the host's random generator. forward() and attention()
/// may be called from several threads as long as nobody changes the weights.
class Decoder
{
public:
    Decoder(const DecoderShape& shape, uint64_t seed);

    /// Takes tensors named as in parameters(); a missing or misshapen one is refused by name.
    Decoder(const DecoderShape& shape, const NamedTensors& weights);

    /// tokens [N, rows·columns, C] → the same shape, float32. Matrix products run in `compute` (float32 or bfloat16), the
    /// rest in float32.
    at::Tensor forward(const at::Tensor& tokens, at::ScalarType compute) const;

    /// Self-attention received by each token, [N, rows·columns], float32: mean over heads, queries and the first `blocks` blocks, at most
    /// those there are; 0: all.
    at::Tensor attention(const at::Tensor& tokens, at::ScalarType compute, int blocks) const;

    const NamedTensors& parameters() const { return weights_; }
    const at::Tensor& positions() const { return positions_; } ///< [1, rows·columns, width]
    const DecoderShape& shape() const { return shape_; }

    /// forward() as nodes of an ONNX graph.
    ///
    /// @param ranges  for products of 8 bits; null: float32
    OnnxValue describe(OnnxWriter& onnx, const OnnxValue& tokens, const InputRanges* ranges = nullptr) const;

    Decoder clone(at::Device device = at::kCPU) const; ///< deep copy, no gradients

private:
    struct Block
    {
        at::Tensor norm1Weight, norm1Bias, qkvWeight, qkvBias, projWeight, projBias;
        at::Tensor norm2Weight, norm2Bias, fc1Weight, fc1Bias, fc2Weight, fc2Bias;
    };

    /// Calls visit(name, tensor, shape) for every parameter, in a fixed order.
    template <typename Visit>
    void forEachParameter(Visit visit);
    void collect();
    /// The parts of forward(): before the blocks; of a block, what attention takes, [N, L, parts, heads, width / heads] (2: queries and
    /// keys, 3: values too); what follows attention.
    at::Tensor embedded(const at::Tensor& tokens, at::ScalarType compute) const;
    at::Tensor projected(const Block& block, const at::Tensor& x, int64_t parts, at::ScalarType compute) const;
    at::Tensor completed(const Block& block, at::Tensor x, const at::Tensor& attended, at::ScalarType compute) const;

    DecoderShape shape_;
    at::Tensor positions_; ///< [1, rows·columns, C]
    at::Tensor embedWeight_, embedBias_, normWeight_, normBias_, outWeight_, outBias_;
    std::vector<Block> blocks_;
    NamedTensors weights_;
};

} // namespace agpnet
