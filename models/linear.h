// A linear layer that never learns: its weight laid out once, and the activation that follows fused into it.
#pragma once

#include <ATen/core/Tensor.h>

namespace agpnet
{

class Linear
{
public:
    enum class Then
    {
        Nothing,
        Gelu,
        Silu
    };

    Linear() = default;

    /// @param weight    [out, in], of any floating-point type; copied into `type`, float32 or bfloat16
    /// @param bias      [out], or undefined
    /// @param packedFor rows of input to lay the weight out for, others work as well; 0: leave it as it is. Where this LibTorch
    ///                  cannot, or not on this CPU, it stays as it is
    Linear(const at::Tensor& weight, const at::Tensor& bias, at::ScalarType type, int64_t packedFor);

    at::Tensor operator()(const at::Tensor& input, Then then = Then::Nothing) const; ///< of the layer's type

    const at::Tensor& weight() const { return weight_; } ///< [out, in], unless it is laid out otherwise
    const at::Tensor& bias() const { return bias_; }

    /// Whether this LibTorch lays weights out for oneDNN, and fuses what follows.
    static bool canPack();

private:
    at::Tensor weight_, bias_;
    bool packed_ = false;
};

} // namespace agpnet
