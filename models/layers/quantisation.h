// Products of 8 bits: how values become bytes, and what a network's values are seen to be. Weights have a scale for each output, inputs one
// for all rows; as in SmoothQuant (arXiv 2211.10438) an input's channels are brought to a like size first, here around their middle, by
// what comes before.
#pragma once

#include <ATen/core/Tensor.h>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace agpnet
{

/// A value is scale * (byte - zero).
struct Quantisation
{
    double scale = 1;
    int64_t zero = 0; ///< 0 to 255
};

/// All values from `least` to `greatest`, and 0, have a byte.
Quantisation quantisationOf(double least, double greatest);

struct QuantisedWeight
{
    at::Tensor bytes; ///< [out, in], signed, -127 to 127
    at::Tensor scale; ///< [out], float32
};

QuantisedWeight quantisedWeight(const at::Tensor& weight); ///< [out, in], float32

/// A linear layer whose input's channels become bytes of one scale: factor * x + shift, rounded, are those of `input`.
struct QuantisedInput
{
    at::Tensor factor, shift; ///< [in], float32
    Quantisation input;
    at::Tensor weight, bias;  ///< [out, in] and [out], float32: what the layer has to do with such an input
};

/// @param range   [2, in]: the minimum and the maximum of each channel
/// @param weight  [out, in], float32
/// @param bias    [out], float32, or undefined
QuantisedInput quantisedInput(const at::Tensor& range, const at::Tensor& weight, const at::Tensor& bias);

/// Queries, keys and values that become bytes of like sizes: byte = factor * x + shift, rounded.
struct QuantisedAttention
{
    at::Tensor factor, shift;    ///< [3 C], float32
    at::Tensor scale;            ///< [heads]: of logits to the base 2
    at::Tensor valueFactor, valueCentre; ///< [C]: a value is byte less 128, divided by the factor, plus the centre
};

/// @param range  [2, 3 C]
QuantisedAttention quantisedAttention(const at::Tensor& range, int64_t heads);

/// Quantization ranges of the inputs of a network's int8 layers, by name ("blocks.0.qkv"): [2, channels], float32, minimum and maximum of
/// each channel.
using InputRanges = std::map<std::string, at::Tensor>;

/// Refuses a name that is not there, and another number of channels.
at::Tensor rangeOf(const InputRanges& ranges, const std::string& name, int64_t channels);

/// Keeps the ranges of what it is shown. May be shown by several threads.
class RangeRecorder
{
public:
    void see(const std::string& name, const at::Tensor& rows); ///< [rows, channels]
    InputRanges ranges() const;

private:
    mutable std::mutex mutex_;
    InputRanges ranges_;
};

/// Quantization ranges for the layers of a network.
struct Ranges
{
    std::shared_ptr<const InputRanges> known = nullptr; ///< wanted for products of 8 bits
    std::shared_ptr<RangeRecorder> recorder = nullptr;  ///< is shown the inputs, in other products

    /// Shows them to the recorder, if there is one. Returns them.
    const at::Tensor& seen(const std::string& name, const at::Tensor& rows) const
    {
        if (recorder)
            recorder->see(name, rows);
        return rows;
    }
};

} // namespace agpnet
