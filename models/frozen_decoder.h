// The decoder as it inspects: the same function as Decoder::forward(), with its weights laid out for it and nothing recorded.
#pragma once

#include "models/decoder.h"
#include "models/frozen_blocks.h"

namespace agpnet
{

/// forward() may be called from several threads.
class FrozenDecoder
{
public:
    /// @param compute  matrix products run in it, float32 or bfloat16; the rest runs in float32
    FrozenDecoder(const Decoder& decoder, at::ScalarType compute, at::Device device = at::kCPU);

    at::Tensor forward(const at::Tensor& tokens) const; ///< [N, rows·columns, C] → the same shape, float32

    const DecoderShape& shape() const { return shape_; }

private:
    DecoderShape shape_;
    at::ScalarType compute_;
    at::Tensor positions_;
    Linear embed_, out_;
    FrozenNorm norm_;
    FrozenBlocks frozen_;
};

} // namespace agpnet
