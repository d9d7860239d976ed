// AdamW over a decoder's parameters: LibTorch's fused kernel, one pass over each tensor, with gradient clipping.
#pragma once

#include "models/agpnet/decoder/decoder.h"

namespace agpnet
{

class AdamW
{
public:
    /// Makes the tensors require gradients; they are changed in place by step().
    explicit AdamW(const Decoder::NamedTensors& parameters);

    /// Continues after `steps` steps with these moments.
    AdamW(const Decoder::NamedTensors& parameters, std::vector<at::Tensor> first, std::vector<at::Tensor> second, int64_t steps);

    /// Applies the gradients, scaled down where their common L2 norm is above `clip`, and forgets them.
    void step(double learningRate, double weightDecay, double clip);

    const std::vector<at::Tensor>& first() const { return first_; }   ///< moments, in the order of the parameters
    const std::vector<at::Tensor>& second() const { return second_; }

private:
    std::vector<at::Tensor> parameters_, first_, second_, steps_;
};

} // namespace agpnet
