#include "models/attention/attention.h"
#include "models/agpnet/decoder/decoder.h"
#include "models/agpnet/decoder/frozen_decoder.h"
#include "models/layers/linear.h"
#include "models/layers/quantisation.h"
#include "models/kernels/row_kernels.h"
#include "network_fixture.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

namespace agpnet::test
{
namespace
{

using ::testing::HasSubstr;

at::Tensor noise(at::IntArrayRef shape, uint64_t seed)
{
    return at::randn(shape, at::detail::createCPUGenerator(seed));
}

at::Tensor bytes(at::IntArrayRef shape, uint64_t seed)
{
    return at::randint(0, 256, shape, at::detail::createCPUGenerator(seed), at::kByte);
}

at::Tensor rangeOfRows(const at::Tensor& rows)
{
    return at::stack({std::get<0>(rows.min(0)), std::get<0>(rows.max(0))});
}

TEST(Quantisation, HasAByteForEachValueOfTheRange)
{
    for (const auto& [least, greatest] : {std::pair{-1.0, 1.0}, {0.0, 6.0}, {-0.17, 9.0}, {2.0, 5.0}, {-8.0, -3.0}, {-1e-6, 1e-3}})
    {
        const Quantisation q = quantisationOf(least, greatest);
        for (const double value : {least, greatest, 0.0, (least + greatest) / 2})
        {
            const double byte = std::clamp(std::round(value / q.scale) + static_cast<double>(q.zero), 0.0, 255.0);
            // half a step of the byte's own rounding, half a step of the zero's at the ends
            EXPECT_NEAR(q.scale * (byte - static_cast<double>(q.zero)), value, q.scale * 1.001) << least << " " << greatest;
        }
    }
    EXPECT_GT(quantisationOf(0, 0).scale, 0); // of nothing but zeros
}

/// Rows, inputs, outputs.
class QuantisedLinear : public ::testing::TestWithParam<std::tuple<int64_t, int64_t, int64_t>>
{
};

/// The integers, in double: whatever way is taken must give the same.
TEST_P(QuantisedLinear, IsTheSumOfProductsOfIntegers)
{
    const auto [rows, in, out] = GetParam();
    const at::Tensor input = bytes({rows, in}, 1), weight = noise({out, in}, 2), bias = noise({out}, 3);
    const Quantisation from = {0.02, 117}, to = {0.05, 30};
    const at::Tensor scale = std::get<0>(weight.abs().max(1, true)) / 127;
    const at::Tensor exact = at::linear((input.to(at::kDouble) - static_cast<double>(from.zero)) * from.scale,
                                        (weight / scale).round().to(at::kDouble) * scale, bias.to(at::kDouble));
    for (const Linear::Then then : {Linear::Then::Nothing, Linear::Then::Gelu, Linear::Then::Silu})
    {
        const at::Tensor expected = then == Linear::Then::Gelu ? at::gelu(exact) : then == Linear::Then::Silu ? at::silu(exact) : exact;
        const at::Tensor values = Linear(weight, bias, from, {}, rows)(input, then);
        EXPECT_EQ(values.scalar_type(), at::kFloat);
        EXPECT_LT(relative(values, expected), 2e-5) << static_cast<int>(then); // oneDNN's GELU is an approximation
        const at::Tensor rounded = Linear(weight, bias, from, to, 0)(input, then);
        ASSERT_EQ(rounded.scalar_type(), at::kByte);
        const at::Tensor wanted = (expected / to.scale + static_cast<double>(to.zero)).clamp(0, 255);
        EXPECT_LT((rounded.to(at::kDouble) - wanted).abs().max().item<double>(), 0.51) << static_cast<int>(then);
    }
}

INSTANTIATE_TEST_SUITE_P(Quantisation, QuantisedLinear,
                         ::testing::Values(std::tuple{1, 4, 3}, std::tuple{5, 16, 16}, std::tuple{17, 33, 31}, std::tuple{164, 384, 1536},
                                           std::tuple{161, 1536, 384}, std::tuple{2, 1, 1}));

TEST(Quantisation, UnevenChannelsKeepTheirDigits)
{
    // one channel a hundred times the others, and off the middle, as after the norms of a vision transformer
    const at::Tensor x = noise({500, 64}, 1);
    x.select(1, 7).mul_(100).add_(300);
    const at::Tensor weight = noise({32, 64}, 2), bias = noise({32}, 3);
    const QuantisedInput q = quantisedInput(rangeOfRows(x), weight, bias);
    const at::Tensor rounded = roundedRows(at::addcmul(q.shift, x, q.factor).contiguous());
    EXPECT_GE(rounded.min().item<int>(), 1);
    EXPECT_LE(rounded.max().item<int>(), 255);
    const at::Tensor expected = at::linear(x, weight, bias);
    const auto error = [&](const at::Tensor& found, const at::Tensor& wanted) { return (found - wanted).norm().item<double>(); };
    const double ours = error(Linear(q.weight, q.bias, q.input, {}, 0)(rounded), expected);
    // one scale for all channels as they are
    const Quantisation plain = quantisationOf(x.min().item<double>(), x.max().item<double>());
    const at::Tensor plainBytes = (x / plain.scale + static_cast<double>(plain.zero)).round().clamp(0, 255).to(at::kByte);
    EXPECT_LT(5 * ours, error(Linear(weight, bias, plain, {}, 0)(plainBytes), expected));
}

TEST(Quantisation, RecorderKeepsTheLeastAndTheGreatest)
{
    RangeRecorder recorder;
    const at::Tensor a = noise({9, 5}, 1), b = noise({3, 5}, 2).to(at::kBFloat16);
    recorder.see("x", a);
    recorder.see("x", b);
    recorder.see("y", b);
    const InputRanges ranges = recorder.ranges();
    EXPECT_TRUE(rangeOf(ranges, "x", 5).equal(rangeOfRows(at::cat({a, b.to(at::kFloat)}))));
    EXPECT_TRUE(rangeOf(ranges, "y", 5).equal(rangeOfRows(b.to(at::kFloat))));
    EXPECT_THAT(errorOf([&] { rangeOf(ranges, "z", 5); }), HasSubstr("the range of 'z' is not known"));
    EXPECT_THAT(errorOf([&] { rangeOf(ranges, "x", 6); }), HasSubstr("the range of 'x' has shape [2, 5], expected [2, 6]"));
}

TEST(RoundedRows, AreTheNearestBytes)
{
    const float nan = std::numeric_limits<float>::quiet_NaN(), infinite = std::numeric_limits<float>::infinity();
    const std::vector<float> values = {-1e30F, -0.6F,  -0.4F,  0,   0.49F, 0.5F,     0.51F,     1.5F, 2.5F,
                                       254.4F, 254.6F, 255.4F, 256, 1e30F, infinite, -infinite, nan};
    const std::vector<uint8_t> expected = {0, 0, 0, 0, 0, 0, 1, 2, 2, 254, 255, 255, 255, 255, 255, 0, 0};
    for (size_t begin = 0; begin < values.size(); begin++) // every place in a register, and every length of a tail
    {
        const auto count = static_cast<int64_t>(values.size() - begin);
        const at::Tensor found = roundedRows(at::tensor(values).narrow(0, static_cast<int64_t>(begin), count).clone());
        for (int64_t i = 0; i < count; i++)
            EXPECT_EQ(found[i].item<int>(), expected[begin + static_cast<size_t>(i)]) << values[begin + static_cast<size_t>(i)];
    }
}

TEST(NormRows, GivesBytes)
{
    for (const int64_t columns : {16, 48, 384, 20, 33}) // the last two are no whole vectors
    {
        const at::Tensor x = noise({50, columns}, 1) * 3 + 10, weight = noise({columns}, 3) * 60, bias = noise({columns}, 4) * 10 + 128;
        const at::Tensor expected = at::layer_norm(x, {columns}, weight, bias, 1e-6).clamp(0, 255);
        const at::Tensor found = at::empty({50, columns}, at::kByte);
        normRows(x, weight, bias, 1e-6, found);
        EXPECT_LT(largest(found.to(at::kFloat), expected), 0.501) << columns;
    }
}

/// Tokens, channels of a head, heads.
class AttendBytes : public ::testing::TestWithParam<std::tuple<int64_t, int64_t, int64_t>>
{
};

TEST_P(AttendBytes, MatchesDouble)
{
    const int64_t tokens = std::get<0>(GetParam()), width = std::get<1>(GetParam()), heads = std::get<2>(GetParam());
    const int64_t channels = heads * width;
    const at::Tensor qkv = bytes({2, tokens, 3 * channels}, 5);
    const BytesOfHeads meaning = {at::full({heads}, 3e-4 / std::sqrt(static_cast<double>(width)) * 8) * at::arange(1, heads + 1),
                                  noise({channels}, 6).abs() + 0.5, noise({channels}, 7) * 20 + 128};
    // [3, N, heads, T, D]
    const at::Tensor parts = qkv.to(at::kDouble).sub(128).view({2, tokens, 3, heads, width}).permute({2, 0, 3, 1, 4});
    const at::Tensor logits =
        at::matmul(parts[0], parts[1].transpose(-2, -1)) * meaning.scale.to(at::kDouble).view({1, heads, 1, 1}) * std::log(2.0);
    const at::Tensor values = at::matmul(at::softmax(logits, -1), parts[2]).transpose(1, 2).reshape({2, tokens, channels});
    const at::Tensor expected = (values * meaning.factor + meaning.shift).clamp(0, 255);

    KeysValues memory(qkv, 2, tokens, heads);
    ASSERT_TRUE(memory.divides());
    const int64_t part = 5 * memory.multiple();
    const auto forEachPart = [&](const auto& use)
    {
        for (int64_t image = 0; image < 2; image++)
            for (int64_t first = 0; first < tokens; first += part)
                use(image, first, qkv[image].narrow(0, first, std::min(part, tokens - first)));
    };
    forEachPart([&](int64_t image, int64_t first, const at::Tensor& rows) { memory.put(rows, image, first); });
    forEachPart([&](int64_t image, int64_t first, const at::Tensor& rows) {
        const at::Tensor found = memory.attend(rows, image, meaning);
        ASSERT_EQ(found.scalar_type(), at::kByte);
        // weights have 16 bits: half a byte of rounding, and a little
        EXPECT_LT(largest(found.to(at::kDouble), expected[image].narrow(0, first, rows.size(0))), 0.53) << image << " " << first;
    });
}

INSTANTIATE_TEST_SUITE_P(Quantisation, AttendBytes,
                         ::testing::Combine(::testing::Values(1, 3, 16, 17, 63, 64, 65, 325), ::testing::Values(4, 10, 32, 64, 72),
                                            ::testing::Values(1, 3)));

TEST(Quantisation, AttentionOfBytesIsThatOfValues)
{
    constexpr int64_t tokens = 200, heads = 2, width = 64, channels = heads * width;
    const at::Tensor qkv = noise({tokens, 3 * channels}, 1);
    qkv.select(1, 3).mul_(12);                 // a query's channel that stands out
    qkv.select(1, channels + 9).mul_(3).add_(40); // a key's, off the middle
    const QuantisedAttention q = quantisedAttention(rangeOfRows(qkv), heads);
    const at::Tensor rounded = roundedRows(at::addcmul(q.shift, qkv, q.factor).contiguous());
    KeysValues memory(rounded, 1, tokens, heads);
    memory.put(rounded, 0, 0);
    // a unit of the result is a hundredth
    const at::Tensor found =
        memory.attend(rounded, 0, {q.scale, 100 / q.valueFactor, 100 * q.valueCentre + 128}).to(at::kFloat).sub(128).div(100);
    const at::Tensor expected = attend(qkv.view({1, tokens, 3, heads, width}))[0];
    EXPECT_LT(relative(found, expected), 0.09);
}

TEST(Quantisation, DecoderStaysClose)
{
    const DecoderShape shape{.channels = 20, .width = 64, .depth = 2, .heads = 1, .mlp = 100, .rows = 7, .columns = 5};
    const Decoder decoder(shape, 3);
    const at::Tensor tokens = noise({3, 35, 20}, 4);
    const auto recorder = std::make_shared<RangeRecorder>();
    const at::Tensor exact = FrozenDecoder(decoder, ComputeType::Float32, at::kCPU, {nullptr, recorder}).forward(tokens);
    const auto known = std::make_shared<const InputRanges>(recorder->ranges());
    EXPECT_LT(relative(FrozenDecoder(decoder, ComputeType::Int8, at::kCPU, {known, nullptr}).forward(tokens), exact), 0.03);
    EXPECT_THAT(errorOf([&] { FrozenDecoder(decoder, ComputeType::Int8); }), HasSubstr("are not known, which products of 8 bits need"));
}

} // namespace
} // namespace agpnet::test
