#include "models/layers/quantisation.h"

#include "common/error.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <fmt/ranges.h>
#include <limits>

namespace agpnet
{
namespace
{

constexpr double mostByte = 255, zeroByte = 128, reachOfByte = 127;

/// A channel that hardly varies, or has small weights, must not set the scale of the others.
at::Tensor noLess(const at::Tensor& values)
{
    return values.clamp_min(std::max(1e-30, 1e-3 * values.max().item<double>()));
}

} // namespace

Quantisation quantisationOf(double least, double greatest)
{
    least = std::min(least, 0.0);
    greatest = std::max(greatest, 0.0);
    const double scale = (greatest - least) / mostByte;
    if (!(scale > 0)) // nothing but 0 was seen
        return {};
    return {scale, std::clamp<int64_t>(std::lround(-least / scale), 0, static_cast<int64_t>(mostByte))};
}

QuantisedWeight quantisedWeight(const at::Tensor& weight)
{
    constexpr float mostOfByte = 127;
    const at::Tensor scale = at::amax(weight.abs(), {1}).clamp_min(std::numeric_limits<float>::min()).div_(mostOfByte);
    return {weight.div(scale.unsqueeze(1)).round_().to(at::kChar), scale};
}

QuantisedInput quantisedInput(const at::Tensor& range, const at::Tensor& weight, const at::Tensor& bias)
{
    const at::Tensor centre = (range[0] + range[1]) / 2;
    const at::Tensor reach = noLess((range[1] - range[0]) / 2);
    const at::Tensor heeded = noLess(std::get<0>(weight.abs().max(0)));
    const at::Tensor smooth = (reach / heeded).sqrt(); // half of the unevenness goes into the weights
    const double scale = (reach / smooth).max().item<double>() / reachOfByte;

    QuantisedInput result;
    result.input = {scale, static_cast<int64_t>(zeroByte)};
    result.factor = 1 / (smooth * scale);
    result.shift = zeroByte - centre * result.factor;
    result.weight = weight * smooth;
    result.bias = at::mv(weight, centre);
    if (bias.defined())
        result.bias += bias;
    return result;
}

QuantisedAttention quantisedAttention(const at::Tensor& range, int64_t heads)
{
    const at::Tensor least = range[0].view({3, heads, -1}), greatest = range[1].view({3, heads, -1}); // [3, heads, D]
    const at::Tensor centre = (least + greatest) / 2, reach = (greatest - least) / 2;
    // what all keys have in common changes no weight: they are taken around their middle; queries cannot be
    const at::Tensor query = noLess(at::maximum(least[0].abs(), greatest[0].abs())), key = noLess(reach[1]), value = noLess(reach[2]);
    // a factor on a query's channel and its reciprocal on the keys' changes no logit: both get the same reach
    const at::Tensor both = (query * key).sqrt();
    const at::Tensor unit = reachOfByte / std::get<0>(both.max(1, true)); // [heads, 1]
    const at::Tensor queryFactor = unit * both / query, keyFactor = unit * both / key, valueFactor = reachOfByte / value;

    QuantisedAttention result;
    const at::Tensor factor = at::stack({queryFactor, keyFactor, valueFactor});
    const at::Tensor middle = at::stack({at::zeros_like(query), centre[1], centre[2]});
    result.factor = factor.flatten();
    result.shift = (zeroByte - middle * factor).flatten();
    const double log2e = 1.4426950408889634;
    result.scale = (log2e / std::sqrt(static_cast<double>(query.size(1))) / (unit * unit)).flatten();
    result.valueFactor = valueFactor.flatten();
    result.valueCentre = centre[2].flatten();
    return result;
}

at::Tensor rangeOf(const InputRanges& ranges, const std::string& name, int64_t channels)
{
    const auto found = ranges.find(name);
    require(found != ranges.end(), "the range of '{}' is not known, which products of 8 bits need", name);
    require(found->second.sizes() == at::IntArrayRef({2, channels}), "the range of '{}' has shape [{}], expected [2, {}]", name,
            fmt::join(found->second.sizes(), ", "), channels);
    return found->second;
}

void RangeRecorder::see(const std::string& name, const at::Tensor& rows)
{
    const at::Tensor seen = at::stack({std::get<0>(rows.min(0)), std::get<0>(rows.max(0))}).to(at::kCPU, at::kFloat);
    const std::lock_guard lock(mutex_);
    at::Tensor& range = ranges_[name];
    range = range.defined() ? at::stack({at::minimum(range[0], seen[0]), at::maximum(range[1], seen[1])}) : seen;
}

InputRanges RangeRecorder::ranges() const
{
    const std::lock_guard lock(mutex_);
    return ranges_;
}

} // namespace agpnet
