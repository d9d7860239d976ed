#include "models/agpnet/standardizer.h"
#include "tests/models/support.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace agpnet::test
{
namespace
{

using ::testing::HasSubstr;

at::Tensor normal(at::IntArrayRef size, double mean, double deviation, uint64_t seed)
{
    at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
    return at::empty(size).normal_(mean, deviation, generator);
}

TEST(Standardizer, BringsEachProductToMean0AndDeviation1)
{
    // what differs between the products is far more than what differs within one
    const at::Tensor a = normal({5, 30, 8}, 10, 1, 1), b = normal({3, 30, 8}, -20, 3, 2);
    const at::Tensor tokens = at::cat({b.slice(0, 0, 1), a, b.slice(0, 1, 3)}).to(at::kHalf);
    const Standardizer scale = Standardizer::measured(tokens, {1, 0, 0, 0, 0, 0, 1, 1});
    EXPECT_EQ(scale.mean.sizes(), at::IntArrayRef({2, 8}));
    EXPECT_TRUE(scale.product(tokens).equal(at::tensor({1, 0, 0, 0, 0, 0, 1, 1}, at::kLong)));
    const at::Tensor applied = scale.applied(tokens, scale.product(tokens));
    EXPECT_EQ(applied.scalar_type(), at::kFloat);
    for (const auto& [first, last] : {std::pair(1, 6), std::pair(6, 8)})
    {
        const at::Tensor own = applied.slice(0, first, last).flatten(0, 1);
        EXPECT_LT(own.mean({0}).abs().max().item<double>(), first == 1 ? 1e-3 : 0.5);
        EXPECT_NEAR(own.std(0).mean().item<double>(), 1, 0.1);
    }
    // an image is treated alike whatever stands beside it
    const at::Tensor alone = tokens.slice(0, 3, 4);
    EXPECT_TRUE(scale.applied(alone, scale.product(alone)).equal(applied.slice(0, 3, 4)));
    // and a new one goes to the product it looks like
    EXPECT_TRUE(scale.product(normal({2, 30, 8}, -18, 3, 3)).equal(at::tensor({1, 1}, at::kLong)));
}

TEST(Standardizer, OfOneProductIsThePlainOne)
{
    const at::Tensor tokens = normal({4, 9, 5}, 3, 2, 1);
    const Standardizer scale = Standardizer::measured(tokens, {});
    const at::Tensor flat = tokens.to(at::kDouble).flatten(0, 1);
    const at::Tensor expected = (tokens - flat.mean({0})) / flat.var({0}, false).sqrt();
    const auto applied = [&](const Standardizer& given) { return given.applied(tokens, given.product(tokens)); };
    EXPECT_TRUE(at::allclose(applied(scale), expected.to(at::kFloat), 1e-5, 1e-5));
    EXPECT_TRUE(applied(Standardizer()).equal(tokens));
    EXPECT_TRUE(applied(Standardizer::measured(tokens, {0, 0, 0, 0})).equal(applied(scale)));
}

TEST(Standardizer, AChannelThatNeverChangesIsNotDividedByNothing)
{
    at::Tensor tokens = normal({4, 9, 5}, 3, 2, 1);
    tokens.select(2, 3).fill_(7);
    EXPECT_TRUE(at::isfinite(Standardizer::measured(tokens, {}).applied(tokens, {})).all().item<bool>());
}

TEST(Standardizer, RefusesWhatIsNone)
{
    const at::Tensor tokens = normal({3, 4, 5}, 0, 1, 1), one = at::ones({2, 5});
    EXPECT_THAT(errorOf([&] { Standardizer::measured(tokens, {0, 1}); }), HasSubstr("3 images, but the products of 2"));
    EXPECT_THAT(errorOf([&] { Standardizer::measured(tokens, {0, 2, 0}); }), HasSubstr("product 2 of 3 has no image"));
    EXPECT_EQ(Standardizer::checked(at::ones({5}), at::ones({5}), 5).mean.sizes(), at::IntArrayRef({1, 5}));
    EXPECT_EQ(Standardizer::checked(one, one, 5).mean.sizes(), one.sizes());
    EXPECT_THAT(errorOf([&] { Standardizer::checked(one, one, 6); }), HasSubstr("shape [2, 5], expected [products, 6]"));
    EXPECT_THAT(errorOf([&] { Standardizer::checked(at::ones({0, 5}), at::ones({0, 5}), 5); }), HasSubstr("shape [0, 5]"));
    EXPECT_THAT(errorOf([&] { Standardizer::checked(one.to(at::kHalf), one, 5); }), HasSubstr("of float32"));
    EXPECT_THAT(errorOf([&] { Standardizer::checked(one, at::ones({3, 5}), 5); }), HasSubstr("means of 2 products and deviations of 3"));
    EXPECT_THAT(errorOf([&] { Standardizer::checked(one, at::zeros({2, 5}), 5); }), HasSubstr("not above 0"));
    EXPECT_THAT(errorOf([&] { Standardizer::checked(one / at::zeros({2, 5}), one, 5); }), HasSubstr("not finite"));
}

} // namespace
} // namespace agpnet::test
