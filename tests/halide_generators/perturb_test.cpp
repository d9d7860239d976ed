#include "device.h"

using namespace agpnet::stages;
using reference::Array;

namespace
{

class Perturb : public EveryPlace
{
};

struct Shape
{
    int n, c, h, w, cellsY, cellsX;
};

TEST_P(Perturb, EqualsReference)
{
    const Shape shapes[] = {{1, 1, 1, 1, 1, 1},    {1, 3, 1, 1, 1, 1},    {3, 5, 7, 9, 7, 9},       {1, 384, 18, 18, 18, 18},
                            {2, 64, 1, 17, 1, 17}, {2, 64, 17, 1, 17, 1}, {1, 3, 252, 252, 18, 18}, {3, 3, 31, 37, 5, 4},
                            {1, 4, 5, 6, 11, 13},  {2, 272, 4, 5, 3, 2},  {1, 66, 3, 3, 3, 3},      {1, 2, 33, 65, 1, 1}};
    for (const Shape& s : shapes)
        for (double ratio : {1.0, 0.4})
            for (Order order : allOrders)
            {
                PerturbParams params;
                params.ratio = ratio;
                params.alpha = 0.7f;
                params.beta = 0.2f;
                params.seed = 0x1234567890abcdefull;
                params.step = 17;
                params.level = ratio < 1 ? Level::Image : Level::Feature;
                const Array x = reference::random(s.n, s.c, s.h, s.w, 1);
                const Array attention = reference::random(s.n, 1, s.cellsY, s.cellsX, 2, 0, 5);
                const Array out = runPerturb(*place, x, attention, params, order);
                ASSERT_LT(difference(out, reference::perturb(x, attention, params)), 4e-6)
                    << s.n << "x" << s.c << "x" << s.h << "x" << s.w << " with " << s.cellsY << "x" << s.cellsX << ", ratio "
                    << ratio << ", " << nameOf(order);
            }
}

TEST_P(Perturb, KeepsExactlyTheMostAttended)
{
    Array attention = reference::random(2, 1, 13, 11, 3, 0, 1);
    for (float& value : attention.values)
        value = std::floor(value * 8) / 8; // many ties
    const Array x(2, 1, 13, 11);
    for (double ratio : {0.0, 0.003, 0.1, 0.5, 0.9, 1.0})
    {
        PerturbParams params;
        params.ratio = ratio;
        params.alpha = 0;
        params.beta = 1;
        const Array out = runPerturb(*place, x, attention, params);
        EXPECT_EQ(difference(out, reference::perturb(x, attention, params)) < 4e-6, true) << ratio;
        for (int n = 0; n < 2; n++)
        {
            const auto first = out.values.begin() + 143 * n;
            EXPECT_EQ(std::count_if(first, first + 143, [](float v) { return v != 0; }), std::lround(ratio * 143)) << ratio;
        }
    }
}

TEST_P(Perturb, EqualAttentionGivesBeta)
{
    PerturbParams params;
    params.alpha = 100;
    params.beta = 0;
    const Array x = reference::random(1, 8, 4, 4, 4);
    Array attention(1, 1, 4, 4);
    std::fill(attention.values.begin(), attention.values.end(), 0.3f);
    EXPECT_EQ(difference(runPerturb(*place, x, attention, params), x), 0);
}

TEST_P(Perturb, WorksInPlace)
{
    for (Order order : allOrders)
    {
        const Array x = reference::random(2, 65, 5, 7, 5), attention = reference::random(2, 1, 5, 7, 6);
        const auto tensor = place->make(x, order), cells = place->make(attention);
        perturb(place->device, tensor->view, cells->view, {}, tensor->view);
        EXPECT_LT(difference(tensor->read(), reference::perturb(x, attention, {})), 4e-6) << nameOf(order);
    }
}

TEST_P(Perturb, ScaleAndShiftOfAttentionDoNotMatter)
{
    const Array x = reference::random(1, 64, 6, 6, 7), attention = reference::random(1, 1, 6, 6, 8, 0, 1);
    Array moved = attention;
    for (float& value : moved.values)
        value = value * 4 + 16;
    EXPECT_LT(difference(runPerturb(*place, x, attention, {}), runPerturb(*place, x, moved, {})), 1e-4);
}

TEST_P(Perturb, SurvivesNaNAttention)
{
    Array attention = reference::random(2, 1, 5, 5, 9, 0, 1);
    attention.at(0, 0, 2, 2) = NAN;
    PerturbParams params;
    for (double ratio : {0.5, 1.0})
    {
        params.ratio = ratio;
        const Array x = reference::random(2, 8, 5, 5, 10);
        const Array out = runPerturb(*place, x, attention, params), expected = reference::perturb(x, attention, params);
        for (size_t i = out.index(1, 0, 0, 0); i < out.count(); i++)
            ASSERT_NEAR(out.values[i], expected.values[i], 4e-6) << "the other image suffers";
    }
}

AGPNET_EVERY_PLACE(Perturb);

} // namespace
