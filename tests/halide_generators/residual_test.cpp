#include "device.h"

using namespace agpnet::stages;
using reference::Array;

namespace
{

class Residual : public EveryPlace
{
};

struct Shape
{
    int n, c, h, w;
};

TEST_P(Residual, EqualsReference)
{
    const Shape shapes[] = {{1, 1, 1, 1},  {1, 3, 1, 1},   {1, 384, 18, 18}, {3, 5, 7, 9},  {2, 33, 5, 1},
                            {2, 64, 1, 5}, {1, 31, 3, 70}, {1, 272, 4, 5},   {3, 1, 6, 17}, {1, 3, 252, 252}};
    for (const Shape& s : shapes)
        for (const std::string& name : metricNames())
            for (Order order : allOrders)
            {
                const Metric metric = metricOf(name);
                const Array f = reference::random(s.n, s.c, s.h, s.w, 1), g = reference::random(s.n, s.c, s.h, s.w, 2);
                ASSERT_LT(difference(runResidual(*place, f, g, metric, order), reference::residual(f, g, metric)), 2e-5)
                    << s.n << "x" << s.c << "x" << s.h << "x" << s.w << ", " << nameOf(order) << ", metric " << name;
            }
}

TEST_P(Residual, MixedLayouts)
{
    const Array f = reference::random(2, 40, 5, 6, 3), g = reference::random(2, 40, 5, 6, 4);
    for (Order first : allOrders)
        for (Order second : allOrders)
        {
            const auto a = place->make(f, first), b = place->make(g, second), out = place->make(2, 1, 5, 6, second);
            residual(place->device, a->view, b->view, Metric::L2, out->view);
            EXPECT_LT(difference(out->read(), reference::residual(f, g, Metric::L2)), 1e-5)
                << nameOf(first) << " " << nameOf(second);
        }
}

TEST_P(Residual, EqualFeaturesGiveNothing)
{
    const Array f = reference::random(2, 70, 5, 6, 5);
    for (Order order : allOrders)
    {
        EXPECT_EQ(difference(runResidual(*place, f, f, Metric::L2, order), Array(2, 1, 5, 6)), 0);
        EXPECT_EQ(difference(runResidual(*place, f, f, Metric::Scaled, order), Array(2, 1, 5, 6)), 0);
        EXPECT_LT(difference(runResidual(*place, f, f, Metric::Cosine, order), Array(2, 1, 5, 6)), 1e-6);
    }
}

TEST_P(Residual, ZeroFeaturesHaveCosineDistanceOne)
{
    const Array zero(1, 40, 3, 3), g = reference::random(1, 40, 3, 3, 6);
    for (Order order : allOrders)
        for (float value : runResidual(*place, zero, g, Metric::Cosine, order).values)
            EXPECT_EQ(value, 1.0f);
}

TEST_P(Residual, IsSymmetricAndScales)
{
    const Array f = reference::random(1, 50, 4, 4, 7), g = reference::random(1, 50, 4, 4, 8);
    EXPECT_LT(difference(runResidual(*place, f, g, Metric::L2), runResidual(*place, g, f, Metric::L2)), 1e-6);
    Array doubled = f;
    for (float& value : doubled.values)
        value *= 2;
    EXPECT_LT(difference(runResidual(*place, f, g, Metric::Cosine), runResidual(*place, doubled, g, Metric::Cosine)), 1e-6);
}

AGPNET_EVERY_PLACE(Residual);

} // namespace
