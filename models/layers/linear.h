// A linear layer that never learns: its weight laid out once, and the activation that follows fused into it.
#pragma once

#include "models/layers/quantisation.h"

#include <ATen/core/Tensor.h>
#include <optional>

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

    /// In products of 8 bits: the weight becomes bytes with a scale for each output. Where canQuantise() is false, the same values are
    /// computed in float32, as slowly as float32.
    ///
    /// @param weight  [out, in], float32
    /// @param bias    [out], float32
    /// @param input   what the bytes given mean
    /// @param output  what the bytes returned mean; without it values are returned, float32
    Linear(const at::Tensor& weight, const at::Tensor& bias, Quantisation input, std::optional<Quantisation> output, int64_t packedFor);

    /// input: [rows, in], of the layer's type (bytes for 8 bits)
    at::Tensor operator()(const at::Tensor& input, Then then = Then::Nothing) const;

    const at::Tensor& weight() const { return weight_; } ///< [out, in], unless it is laid out otherwise
    const at::Tensor& bias() const { return bias_; }

    /// Whether this LibTorch lays weights out for oneDNN, and fuses what follows.
    static bool canPack();

    /// Whether this LibTorch has products of 8 bits, and the CPU instructions for them. Without these they are no quicker than float32, and
    /// sums of products may overflow.
    static bool canQuantise();

private:
    struct Bytes
    {
        Quantisation input;
        std::optional<Quantisation> output;
        at::Tensor scale, zero; ///< scale and zero point of the weight
    };

    at::Tensor weight_, bias_;
    bool packed_ = false;
    std::optional<Bytes> bytes_;
};

} // namespace agpnet
