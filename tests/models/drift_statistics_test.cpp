#include "models/thresholds/drift_statistics.h"
#include "tests/models/support.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

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

TEST(DriftStatistics, StatisticsAreMeanAndDeviationOfEachChannel)
{
    const at::Tensor clean = normal({3, 5, 4, 6}, 2, 3, 1);
    for (const at::Tensor& laid : {clean, clean.permute({0, 2, 3, 1}).contiguous().permute({0, 3, 1, 2})}) // as tokens lie
    {
        const at::Tensor found = DriftStatistics::statistics(laid);
        ASSERT_EQ(found.sizes(), at::IntArrayRef({3, 10}));
        EXPECT_TRUE(at::allclose(found.slice(1, 0, 5), clean.mean({2, 3}), 1e-5, 1e-5));
        EXPECT_TRUE(at::allclose(found.slice(1, 5), clean.flatten(2).std(2, false), 1e-5, 1e-5));
    }
}

TEST(DriftStatistics, DistancesOfTheMeasuredAreThoseWithoutThem)
{
    const at::Tensor statistics = normal({9, 6}, 1, 2, 2);
    const DriftStatistics::Measured all = DriftStatistics::measured(statistics);
    for (int64_t i = 0; i < 9; i++)
    {
        const at::Tensor others = at::cat({statistics.slice(0, 0, i), statistics.slice(0, i + 1)}).to(at::kDouble);
        const at::Tensor expected = ((statistics[i] - others.mean({0})) / others.std(0, true)).square().mean().sqrt();
        EXPECT_NEAR(all.distances[i].item<double>(), expected.item<double>(), 1e-9);
    }
    EXPECT_TRUE(at::allclose(all.mean, statistics.mean({0}), 1e-5, 1e-6));
    EXPECT_TRUE(at::allclose(all.deviation, statistics.std(0, true), 1e-5, 1e-6));
}

TEST(DriftStatistics, IsNearForNewImagesOfTheKindAndFarForOthers)
{
    const DriftStatistics::Measured a = DriftStatistics::measured(normal({64, 200}, 0, 1, 3)),
                                    b = DriftStatistics::measured(normal({64, 200}, 5, 2, 4));
    const DriftStatistics range{at::stack({a.mean, b.mean}), at::stack({a.deviation, b.deviation})};
    const at::Tensor fresh = normal({200}, 0, 1, 5);
    EXPECT_NEAR(range.distance(fresh, 0), 1, 0.2);
    EXPECT_GT(range.distance(fresh, 1), 2);
    EXPECT_GT(range.distance(fresh + 1, 0), 1.3) << "a light that changed a little";
    EXPECT_THAT(errorOf([&] { range.distance(fresh, 2); }), HasSubstr("known of 2"));
    EXPECT_THAT(errorOf([&] { DriftStatistics().distance(fresh, 0); }), HasSubstr("known of 0"));
}

TEST(DriftStatistics, AStatisticThatNeverChangesIsNotDividedByNothing)
{
    at::Tensor statistics = normal({8, 6}, 1, 1, 6);
    statistics.select(1, 2).fill_(3);
    const DriftStatistics::Measured measured = DriftStatistics::measured(statistics);
    EXPECT_TRUE(at::isfinite(measured.distances).all().item<bool>());
    EXPECT_GT(measured.deviation.min().item<double>(), 0);
}

TEST(DriftStatistics, RefusesWhatIsNone)
{
    EXPECT_THAT(errorOf([] { DriftStatistics::measured(at::zeros({7, 4})); }), HasSubstr("features of 7 images, expected at least 8"));
    const at::Tensor ones = at::ones({2, 8});
    EXPECT_THAT(errorOf([&] { DriftStatistics::checked(ones, ones, 5); }), HasSubstr("[2, 8], expected [products, 10]"));
    EXPECT_THAT(errorOf([&] { DriftStatistics::checked(ones, ones.slice(0, 1), 4); }),
                HasSubstr("means of 2 products and deviations of 1"));
    EXPECT_THAT(errorOf([&] { DriftStatistics::checked(ones, ones * 0, 4); }), HasSubstr("not above 0"));
    EXPECT_THAT(errorOf([&] { DriftStatistics::checked(ones / 0, ones, 4); }), HasSubstr("not finite"));
    EXPECT_THAT(errorOf([&] { DriftStatistics::checked(ones.to(at::kInt), ones, 4); }), HasSubstr("float32"));
}

} // namespace
} // namespace agpnet::test
