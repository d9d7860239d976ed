#include "device.h"

using namespace agpnet::stages;
using reference::Array;

namespace
{

// Published known answers of Random123 for philox4x32-10.
TEST(Philox, KnownAnswers)
{
    EXPECT_EQ(reference::philox({0, 0, 0, 0}, {0, 0}),
              (std::array<uint32_t, 4>{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}));
    EXPECT_EQ(reference::philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
              (std::array<uint32_t, 4>{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}));
    EXPECT_EQ(reference::philox({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}, {0xa4093822u, 0x299f31d0u}),
              (std::array<uint32_t, 4>{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}));
}

class Noise : public EveryPlace
{
protected:
    /// Pure noise: no attention, unit strength, on zeros.
    Array draw(int n, int c, int h, int w, PerturbParams params = {}, Order order = Order::Planar)
    {
        params.alpha = 0;
        params.beta = 1;
        Array flat(n, 1, h, w);
        return runPerturb(*place, Array(n, c, h, w), flat, params, order);
    }
};

TEST_P(Noise, EqualsReference)
{
    PerturbParams params;
    params.seed = 0x299f31d0a4093822ull;
    params.step = 0x03707344u;
    params.firstImage = 0x13198a2eu;
    for (Level level : {Level::Feature, Level::Image})
    {
        params.level = level;
        const Array noise = draw(2, 13, 9, 11, params);
        double worst = 0;
        for (int n = 0; n < 2; n++)
            for (int c = 0; c < 13; c++)
                for (int y = 0; y < 9; y++)
                    for (int x = 0; x < 11; x++)
                        worst = std::max(worst, std::fabs(noise.at(n, c, y, x) - reference::normal(x, y, c, n, 11, params)));
        EXPECT_LT(worst, 2e-6);
    }
}

TEST_P(Noise, IsStandardNormal)
{
    const Array noise = draw(1, 64, 128, 128);
    const double count = static_cast<double>(noise.count());
    double mean = 0, square = 0, cube = 0, fourth = 0, beyond = 0;
    for (float value : noise.values)
    {
        mean += value / count;
        square += std::pow(value, 2) / count;
        cube += std::pow(value, 3) / count;
        fourth += std::pow(value, 4) / count;
        beyond += (std::fabs(value) > 3) / count;
    }
    // five standard errors each
    EXPECT_NEAR(mean, 0, 5 * std::sqrt(1 / count));
    EXPECT_NEAR(square, 1, 5 * std::sqrt(2 / count));
    EXPECT_NEAR(cube, 0, 5 * std::sqrt(15 / count));
    EXPECT_NEAR(fourth, 3, 5 * std::sqrt(96 / count));
    EXPECT_NEAR(beyond, 0.0026998, 5 * std::sqrt(0.0026998 / count));
}

TEST_P(Noise, NeighboursAreUncorrelated)
{
    const Array noise = draw(2, 32, 64, 64);
    double along[4] = {}; // x, y, c, n
    double counted[4] = {};
    for (int n = 0; n < 2; n++)
        for (int c = 0; c < 32; c++)
            for (int y = 0; y < 64; y++)
                for (int x = 0; x < 64; x++)
                {
                    const double value = noise.at(n, c, y, x);
                    const bool inside[4] = {x < 63, y < 63, c < 31, n < 1};
                    for (int i = 0; i < 4; i++)
                        if (inside[i])
                        {
                            along[i] += value * noise.at(n + (i == 3), c + (i == 2), y + (i == 1), x + (i == 0));
                            counted[i]++;
                        }
                }
    for (int i = 0; i < 4; i++)
        EXPECT_NEAR(along[i] / counted[i], 0, 5 / std::sqrt(counted[i])) << "dimension " << i;
}

TEST_P(Noise, FollowsSeedStepAndLevelOnly)
{
    const Array first = draw(1, 8, 5, 7);
    EXPECT_EQ(difference(first, draw(1, 8, 5, 7)), 0);
    PerturbParams params;
    params.seed = 1;
    EXPECT_GT(difference(first, draw(1, 8, 5, 7, params)), 0.5);
    params.seed = uint64_t{1} << 32;
    EXPECT_GT(difference(first, draw(1, 8, 5, 7, params)), 0.5);
    params = {};
    params.step = 1;
    EXPECT_GT(difference(first, draw(1, 8, 5, 7, params)), 0.5);
    params = {};
    params.level = Level::Image;
    EXPECT_GT(difference(first, draw(1, 8, 5, 7, params)), 0.5);
}

TEST_P(Noise, LayoutDoesNotMatter)
{
    for (int channels : {3, 64, 70})
    {
        const Array planar = draw(2, channels, 6, 7);
        for (Order order : allOrders)
            EXPECT_LT(difference(planar, draw(2, channels, 6, 7, {}, order)), 2e-6) << nameOf(order) << ", " << channels;
    }
}

TEST_P(Noise, BatchMayBeCut)
{
    const Array whole = draw(3, 16, 5, 5);
    for (int n = 0; n < 3; n++)
    {
        PerturbParams params;
        params.firstImage = static_cast<uint32_t>(n);
        const Array single = draw(1, 16, 5, 5, params);
        for (size_t i = 0; i < single.count(); i++)
            ASSERT_NEAR(single.values[i], whole.values[whole.index(n, 0, 0, 0) + i], 2e-6);
    }
}

TEST_P(Noise, ChannelsMayBeAdded)
{
    const Array few = draw(1, 5, 6, 7), many = draw(1, 96, 6, 7, {}, Order::Tokens);
    for (size_t i = 0; i < few.count(); i++)
        ASSERT_NEAR(few.values[i], many.values[i], 2e-6);
}

AGPNET_EVERY_PLACE(Noise);

} // namespace
