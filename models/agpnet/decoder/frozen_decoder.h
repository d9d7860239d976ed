// The decoder as it inspects: the same function as Decoder::forward(), with its weights laid out for it and nothing recorded.
#pragma once

#include "models/agpnet/decoder/decoder.h"
#include "models/layers/frozen_blocks.h"

namespace agpnet
{

/// forward() may be called from several threads.
class FrozenDecoder
{
public:
    /// @param compute  matrix products run in it, the rest in float32
    /// @param ranges   of the blocks, "embed" and "out"
    FrozenDecoder(const Decoder& decoder, ComputeType compute, at::Device device = at::kCPU, Ranges ranges = {});

    at::Tensor forward(const at::Tensor& tokens) const; ///< [N, rows·columns, C] → the same shape, float32

    const DecoderShape& shape() const { return shape_; }

private:
    DecoderShape shape_;
    at::ScalarType input_; ///< type of the layers
    Ranges ranges_;
    at::Tensor positions_;
    at::Tensor embedFactor_, embedShift_; ///< what makes bytes of tokens; undefined: nothing does
    Linear embed_, out_;
    FrozenNorm norm_;
    FrozenBlocks frozen_;
};

} // namespace agpnet
