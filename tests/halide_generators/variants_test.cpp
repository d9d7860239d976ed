// Every compiled schedule by its name, those included that are there for one stage or layout alone.
#include "device.h"

#include "halide_generators/runtime/workload.h"

using namespace agpnet::stages;
using reference::Array;

namespace
{

class Variants : public testing::TestWithParam<std::string>
{
protected:
    /// The difference that is allowed is that of all stages' tests.
    static void expectReference(Place& place, const Variant& variant)
    {
        const std::string what =
            fmt::format("{} {} {} {} {}", variant.stage, variant.kind, variant.layout, nameOf(variant.api), variant.name);
        const Order order = variant.layout == "tokens" ? Order::Tokens : Order::Planar;
        if (variant.stage == "heatmap")
        {
            const Array small = reference::random(2, 1, 6, 7, 4);
            const Heat heat = runHeatmap(place, small, 3, 50, 61);
            EXPECT_LT(difference(heat.map, reference::blur(reference::resize(small, 50, 61), 3)), 1e-5) << what;
            EXPECT_LT(std::fabs(heat.maximum.values[1] - reference::scores(heat.map).maximum[1]), 1e-5) << what;
            return;
        }
        if (variant.stage == "prepare")
        {
            const Drawn drawn(variant.kind == "uint8"    ? Depth::UInt8
                              : variant.kind == "uint16" ? Depth::UInt16
                                                         : Depth::Float32,
                              41, 67, 3, 4, 5);
            for (const int side : {18, 70}) // averaged, interpolated
                EXPECT_LT(
                    difference(runPrepare(place, drawn, side, side), reference::prepare(drawn.exact, 41, 67, 3, side, side)),
                    1e-5)
                    << what << " " << side;
            return;
        }
        for (const int channels : {128, 77})
        {
            if (channels % 128 != 0 && variant.api == Api::Cpu)
                continue; // some are for multiples only
            const Array f = reference::random(2, channels, 7, 9, 1), g = reference::random(2, channels, 7, 9, 2),
                        attention = reference::random(2, 1, 7, 9, 3);
            const double apart = variant.stage == "perturb" ? difference(runPerturb(place, f, attention, {}, order),
                                                                         reference::perturb(f, attention, {}))
                                                            : difference(runResidual(place, f, g, metricOf(variant.kind), order),
                                                                         reference::residual(f, g, metricOf(variant.kind)));
            EXPECT_LT(apart, 1e-5) << what << ", " << channels << " channels";
        }
    }
};

TEST_P(Variants, GiveWhatTheReferenceGives)
{
    for (const Variant& variant : variants())
    {
        if (nameOf(variant.api) != GetParam() || (variant.api == Api::Cpu && !variant.usable))
            continue;
        std::string reason;
        const auto place = openPlace(variant.api == Api::Cpu ? variant.name : nameOf(variant.api), reason);
        if (!place)
            GTEST_SKIP() << reason;
        place->device.variant = variant.name;
        expectReference(*place, variant);
    }
}

INSTANTIATE_TEST_SUITE_P(, Variants, testing::Values("cpu", "opencl", "cuda"), [](const auto& each) { return each.param; });

} // namespace
