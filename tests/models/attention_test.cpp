#include "models/attention/attention.h"
#include "models/attention/attention_bf16.h"
#include "models/kernels/row_kernels.h"
#include "support.h"

#include <cmath>
#include <limits>
#include <tuple>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

namespace agpnet::test
{
namespace
{

at::Tensor noise(at::IntArrayRef shape, uint64_t seed)
{
    return at::randn(shape, at::detail::createCPUGenerator(seed));
}

class SoftmaxWidths : public ::testing::TestWithParam<int64_t>
{
};

TEST_P(SoftmaxWidths, MatchesFloat32)
{
    const at::Tensor logits = (noise({7, GetParam()}, 1) * 30).to(at::kBFloat16);
    const at::Tensor expected = at::softmax(logits.to(at::kFloat) * 0.125, -1);
    at::Tensor rows = logits.clone();
    softmaxRows(rows.mutable_data_ptr<at::BFloat16>(), 7, GetParam(), 0.125F);
    // half a unit in the last place of bfloat16
    EXPECT_LT(((rows.to(at::kFloat) - expected) / expected).abs().max().item<double>(), 1.0 / 256 + 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Attention, SoftmaxWidths, ::testing::Values(1, 2, 15, 16, 17, 31, 325, 1370));

TEST(Softmax, ExtremeLogitsStayFinite)
{
    at::Tensor rows = at::full({2, 33}, -3e38, at::kBFloat16);
    rows[0][5] = 3e38;
    softmaxRows(rows.mutable_data_ptr<at::BFloat16>(), 2, 33, 1.0F);
    EXPECT_EQ(rows[0][5].item<float>(), 1.0F);
    EXPECT_LT(rows[0][6].item<float>(), 1e-30F);
    EXPECT_NEAR(rows[1][6].item<float>(), 1.0F / 33, 1e-3F);

    rows[0][7] = std::numeric_limits<float>::quiet_NaN();
    softmaxRows(rows.mutable_data_ptr<at::BFloat16>(), 1, 33, 1.0F);
    EXPECT_TRUE(std::isnan(rows[0][7].item<float>())); // not hidden
}

TEST(AddRows, IsExact)
{
    for (const int64_t columns : {1, 15, 16, 17, 384})
        for (const auto type : {at::kFloat, at::kBFloat16})
        {
            const at::Tensor before = noise({3, columns}, 1), y = noise({3, columns}, 2).to(type);
            const at::Tensor x = before.clone();
            addRows(x, y);
            EXPECT_TRUE(x.equal(before + y.to(at::kFloat))) << columns << " " << at::toString(type);
        }
}

TEST(NormRows, MatchesTheLibrary)
{
    for (const int64_t columns : {16, 48, 384, 1024, 20, 33}) // the last two are no whole vectors
        for (const auto type : {at::kFloat, at::kBFloat16})
        {
            SCOPED_TRACE(testing::Message() << columns << " " << at::toString(type));
            const at::Tensor x = noise({122, columns}, 1) * 3 + 10; // far from 0: the mean must go before squaring
            const at::Tensor weight = noise({columns}, 3), bias = noise({columns}, 4);
            const at::Tensor expected = at::layer_norm(x, {columns}, weight, bias, 1e-6);
            const at::Tensor found = at::empty({122, columns}, type);
            normRows(x, weight, bias, 1e-6, found);
            const at::Tensor error = (found.to(at::kFloat) - expected).abs();
            // half a unit in the last place of bfloat16
            EXPECT_TRUE((error <= (type == at::kFloat ? 1e-5 : 1.0 / 256) * expected.abs() + 1e-5).all().item<bool>())
                << error.max().item<double>();
        }
}

TEST(NormRows, HidesNothing)
{
    at::Tensor x = noise({3, 32}, 1);
    x[1][5] = std::numeric_limits<float>::quiet_NaN();
    const at::Tensor found = at::empty({3, 32}, at::kBFloat16);
    normRows(x, noise({32}, 2), noise({32}, 3), 1e-6, found);
    EXPECT_FALSE(found[0].isnan().any().item<bool>());
    EXPECT_TRUE(found[1].isnan().all().item<bool>());
    EXPECT_FALSE(found[2].isnan().any().item<bool>());
}

TEST(Attend, MatchesTheLibrary)
{
    for (const auto type : {at::kFloat, at::kBFloat16})
    {
        const at::Tensor qkv = noise({3, 50, 3, 2, 64}, 2).to(type);
        const at::Tensor parts = qkv.to(at::kFloat).permute({2, 0, 3, 1, 4});
        const at::Tensor expected =
            at::scaled_dot_product_attention(parts[0], parts[1], parts[2]).transpose(1, 2).reshape({3, 50, 128});
        const at::Tensor result = attend(qkv);
        EXPECT_EQ(result.scalar_type(), type);
        EXPECT_TRUE(result.is_contiguous());
        EXPECT_LT(((result.to(at::kFloat) - expected).norm() / expected.norm()).item<double>(),
                  type == at::kFloat ? 1e-5 : 0.006);

        const at::Tensor received = attentionReceived(qkv);
        EXPECT_TRUE(attentionReceived(qkv.narrow(2, 0, 2)).equal(received));
        const at::Tensor weights = at::softmax(at::matmul(parts[0], parts[1].transpose(-2, -1)) / 8, -1);
        EXPECT_EQ(received.scalar_type(), at::kFloat);
        EXPECT_TRUE(at::allclose(received, weights.mean(at::IntArrayRef{1, 2}), type == at::kFloat ? 1e-4 : 1e-2, 1e-5));
        EXPECT_TRUE(at::allclose(received.sum(1), at::ones({3}), 5e-3)); // each query spends 1
    }
}

/// Tokens, channels of a head, type. Blocks are of 12 queries, panels of up to 64 keys; in bfloat16, 64 channels have their own kernel
/// where the CPU has bfloat16 products.
class AttendShapes : public ::testing::TestWithParam<std::tuple<int64_t, int64_t, at::ScalarType>>
{
};

TEST_P(AttendShapes, MatchesDouble)
{
    const auto [tokens, width, type] = GetParam();
    const at::Tensor qkv = (noise({2, tokens, 3, 3, width}, 5) * 2).to(type);
    const at::Tensor parts = qkv.to(at::kDouble).permute({2, 0, 3, 1, 4});
    const at::Tensor weights =
        at::softmax(at::matmul(parts[0], parts[1].transpose(-2, -1)) / std::sqrt(static_cast<double>(width)), -1);
    const at::Tensor expected = at::matmul(weights, parts[2]).transpose(1, 2).reshape({2, tokens, 3 * width});
    const at::Tensor found = attend(qkv);
    EXPECT_EQ(found.sizes(), expected.sizes());
    EXPECT_TRUE(attend(qkv).equal(found));
    // in bfloat16 weights and result are rounded, and what is not of this library's kernel rounds the logits too
    const double bound = type == at::kFloat ? 2e-5 : canAttendBf16(width) ? 0.01 : 0.03;
    EXPECT_LT((found.to(at::kDouble) - expected).abs().max().item<double>(), bound * parts[2].abs().max().item<double>());
}

INSTANTIATE_TEST_SUITE_P(Attention, AttendShapes,
                         ::testing::Combine(::testing::Values(1, 2, 11, 12, 13, 15, 16, 17, 31, 33, 47, 48, 49, 63, 64, 65, 144,
                                                              324, 325, 1370),
                                            ::testing::Values(20, 32, 64, 80), ::testing::Values(at::kFloat, at::kBFloat16)));

class AttendTypes : public ::testing::TestWithParam<at::ScalarType>
{
};
INSTANTIATE_TEST_SUITE_P(Attention, AttendTypes, ::testing::Values(at::kFloat, at::kBFloat16));

TEST_P(AttendTypes, HidesNothing)
{
    at::Tensor qkv = noise({2, 50, 3, 2, 64}, 6).to(GetParam());
    qkv[1][7][0][0][3] = std::numeric_limits<float>::quiet_NaN(); // a query: of its token and head alone
    at::Tensor found = attend(qkv).view({2, 50, 2, 64}).isnan();
    EXPECT_EQ(found.sum().item<int64_t>(), 64);
    EXPECT_TRUE(found[1][7][0].all().item<bool>());
    qkv[0][49][1][1][5] = std::numeric_limits<float>::quiet_NaN(); // a key: of all queries of its head
    found = attend(qkv).view({2, 50, 2, 64}).isnan();
    EXPECT_TRUE(found[0].select(1, 1).all().item<bool>());
    EXPECT_EQ(found.sum().item<int64_t>(), 64 + 50 * 64);
}

TEST_P(AttendTypes, ExtremeLogitsStayFinite)
{
    at::Tensor qkv = noise({1, 40, 3, 1, 64}, 7);
    qkv.select(2, 0).mul_(1e15);
    qkv.select(2, 1).mul_(1e15);
    const at::Tensor found = attend(qkv.to(GetParam())).view({40, 64}).to(at::kFloat);
    const at::Tensor values = qkv[0].select(1, 2).select(1, 0).to(GetParam()).to(at::kFloat);
    for (int64_t token = 0; token < 40; token++) // one key has all the weight: each row is one of the values
        EXPECT_EQ((values - found[token]).abs().amax(1).min().item<float>(), 0.0F) << token;
}

} // namespace
} // namespace agpnet::test
