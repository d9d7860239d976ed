// Every compiled schedule by its name, those included that are there for one stage or layout alone.
#include "device.h"

#include "halide_generators/problem.h"

using namespace agpnet::stages;
using reference::Array;

namespace
{

TEST(Variants, EachGivesWhatTheReferenceGives)
{
    const Array f = reference::random(1, 128, 7, 9, 1), g = reference::random(1, 128, 7, 9, 2),
                attention = reference::random(1, 1, 7, 9, 3);
    const Array small = reference::random(2, 1, 6, 7, 4), map = reference::blur(reference::resize(small, 50, 61), 3);
    for (const Variant& variant : variants())
    {
        std::string reason;
        const auto place =
            variant.usable ? openPlace(variant.api == Api::Cpu ? variant.name : nameOf(variant.api), reason) : nullptr;
        if (!place)
            continue; // this machine has no such device
        place->device.variant = variant.name;
        const Order order = variant.layout == "tokens" ? Order::Tokens : Order::Planar;
        const std::string what =
            fmt::format("{} {} {} {} {}", variant.stage, variant.kind, variant.layout, nameOf(variant.api), variant.name);
        double apart = 0;
        if (variant.stage == "perturb")
            apart = difference(runPerturb(*place, f, attention, {}, order), reference::perturb(f, attention, {}));
        else if (variant.stage == "residual")
            apart = difference(runResidual(*place, f, g, metricOf(variant.kind), order),
                               reference::residual(f, g, metricOf(variant.kind)));
        else if (variant.stage == "heatmap")
        {
            const Heat heat = runHeatmap(*place, small, 3, 50, 61);
            apart =
                std::max(difference(heat.map, map), std::fabs(heat.maximum.values[1] - reference::scores(heat.map).maximum[1]));
        }
        EXPECT_LT(apart, 1e-5) << what;
        // prepare: prepare_test.cpp and the tuning's own check
    }
}

} // namespace
