// AdamW over a network's parameters: LibTorch's fused kernel, one pass over each tensor, with gradient clipping.
#pragma once

#include "models/weights/state_dict.h"

#include <cstdint>

namespace agpnet
{

class AdamW
{
public:
    /// Makes the tensors require gradients; they are changed in place by step().
    explicit AdamW(const NamedTensors& parameters);

    /// Continues after `steps` steps with these moments.
    AdamW(const NamedTensors& parameters, std::vector<at::Tensor> first, std::vector<at::Tensor> second, int64_t steps);

    /// Applies the gradients, scaled down where their common L2 norm is above `clip`, and forgets them.
    void step(double learningRate, double weightDecay, double clip);

    const std::vector<at::Tensor>& first() const { return first_; }   ///< moments, in the order of the parameters
    const std::vector<at::Tensor>& second() const { return second_; }

private:
    std::vector<at::Tensor> parameters_, first_, second_, steps_;
};

} // namespace agpnet
