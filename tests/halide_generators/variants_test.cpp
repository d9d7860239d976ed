// Every compiled schedule by its name, those included that are there for one stage or layout alone.
#include "device.h"

#include "halide_generators/runtime/stage_table.h"

using namespace agpnet::stages;
using reference::Array;

namespace
{

/// Small ones, with and without a whole number of vectors.
std::vector<Workload> workloadsOf(const Variant& variant)
{
    const Stage& stage = stageOf(variant.stage);
    const auto of = [&](const std::array<int, 4>& features, const std::array<int, 2>& image)
    { return workloadOf(stage, variant.kind, variant.layout, features, image); };
    const Workload workload = of({2, 128, 6, 7}, {50, 61});
    if (stage.takesImage())
        return {of({1, 3, 18, 18}, {41, 67}), of({1, 3, 70, 70}, {41, 67})}; // averaged, interpolated
    if (workload.from[1] == 1 || variant.api == Api::Cpu)                    // some variants for CPUs are for multiples only
        return {workload};
    return {workload, of({2, 77, 6, 7}, {50, 61})};
}

class Variants : public testing::TestWithParam<std::string>
{
protected:
    /// The difference that is allowed is that of all stages' tests.
    static void expectReference(Place& place, const Workload& workload)
    {
        const reference::StageCheck& check = reference::checkOf(workload.stage);
        const CallArrays arrays(place, workload);
        check.call(place.device, workload, arrays.memory);
        const size_t count = stageOf(workload.stage).outputs.size();
        std::vector<Array> found;
        for (size_t i = 0; i < count; i++)
            found.push_back(arrays.read(i));
        const Array expected = check.expected(workload, arrays.values);
        expectNear(found[0], {expected.values.begin(), expected.values.end()}, 0);
        if (!check.derived)
            return;
        const std::vector<std::vector<double>> others = check.derived(workload, arrays.values, found);
        ASSERT_EQ(others.size() + 1, count);
        for (size_t i = 1; i < count; i++)
            expectNear(found[i], others[i - 1], i);
    }

    static void expectNear(const Array& found, const std::vector<double>& expected, size_t output)
    {
        ASSERT_EQ(found.values.size(), expected.size());
        double unit = 1; // sums of large terms have their errors, even where little is left
        for (const double value : expected)
            unit = std::max(unit, std::fabs(value));
        for (size_t i = 0; i < expected.size(); i++)
            ASSERT_LT(std::fabs(found.values[i] - expected[i]), 1e-5 * unit)
                << "output " << output << ", value " << i;
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
        for (const Workload& workload : workloadsOf(variant))
        {
            SCOPED_TRACE(fmt::format("{} {} {} {} {} {}", variant.stage, variant.kind, variant.layout, nameOf(variant.api),
                                     variant.name, shapeText(workload)));
            expectReference(*place, workload);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(, Variants, testing::Values("cpu", "opencl", "cuda"), [](const auto& each) { return each.param; });

TEST(StageTable, IsOneForShapesNamesAndChecks)
{
    ASSERT_EQ(reference::stageChecks().size(), stageTable().size());
    for (size_t i = 0; i < stageTable().size(); i++)
        EXPECT_EQ(reference::stageChecks()[i].stage, stageTable()[i].name);
    EXPECT_EQ(&stageOf("heatmap"), findStage("heatmap"));
    EXPECT_EQ(findStage("launder"), nullptr);
    EXPECT_THROW(stageOf("launder"), agpnet::Error);
    EXPECT_THROW(reference::checkOf("launder"), agpnet::Error);

    const Workload map{"heatmap", "", "any", {2, 1, 18, 17}, {252, 250}},
        image{"prepare", "uint16", "any", {1, 4, 30, 40}, {20, 25}}, distance{"residual", "l2", "tokens", {2, 8, 5, 4}, {}};
    EXPECT_EQ(shapeOf("N1hw", map), (std::array{2, 1, 252, 250}));
    EXPECT_EQ(shapeOf("N111", map), (std::array{2, 1, 1, 1}));
    EXPECT_EQ(shapeOf("image", image), (std::array{1, 4, 30, 40}));
    EXPECT_EQ(shapeOf("1Phw", image), (std::array{1, 3, 20, 25}));
    EXPECT_EQ(shapeOf("NCHW", distance), distance.from);
    EXPECT_THROW(shapeOf("NCH", distance), agpnet::Error);
    EXPECT_THROW(shapeOf("NCHX", distance), agpnet::Error);
    EXPECT_EQ(bytesMoved(distance), 4 * (2 * 2 * 8 * 5 * 4 + 2 * 5 * 4));
    EXPECT_EQ(bytesMoved(image), 2 * 4 * 30 * 40 + 4 * 3 * 20 * 25);
    EXPECT_EQ(bytesMoved(map), 4 * (2 * 18 * 17 + 2 * 252 * 250 + 2 + 2));
    EXPECT_EQ(resultsOf(map), 2 * 252 * 250);
    const Workload search{"nearest", "int8", "any", {7, 384, 1, 1}, {10, 1000}};
    EXPECT_EQ(shapeOf("wC11:kind", search), (std::array{1000, 384, 1, 1}));
    EXPECT_EQ(typeOf("wC11:kind", search), "int8");
    EXPECT_EQ(typeOf("Nh11:int32", search), "int32");
    EXPECT_EQ(typeOf("Nh11", search), "float32");
    EXPECT_EQ(bytesMoved(search), 4 * 7 * 384 + 1000 * 384 + 4 * 1000 + 2 * 4 * 7 * 10);
    EXPECT_EQ(resultsOf(search), 7 * 10);
    EXPECT_TRUE(stageOf("nearest").kindIsType() && stageOf("prepare").kindIsType() && !stageOf("residual").kindIsType());
    EXPECT_EQ(workloadOf(stageOf("nearest"), "int8", "tokens", {7, 384, 5, 4}, {10, 1000}), search);
    EXPECT_TRUE(stageOf("heatmap").resizes() && stageOf("prepare").resizes() && stageOf("perturb").resizes() &&
                !stageOf("residual").resizes());
    EXPECT_EQ(stageOf("residual").generatorArguments("tokens", "cosine"),
              (std::vector<std::string>{"layout=tokens", "metric=cosine"}));
    EXPECT_EQ(stageOf("heatmap").generatorArguments("any", ""), std::vector<std::string>());
}

TEST(StageTable, NumbersItsKinds)
{
    EXPECT_EQ(metricOf("l2"), Metric::L2);
    EXPECT_EQ(metricOf("cosine"), Metric::Cosine);
    EXPECT_EQ(metricOf("scaled"), Metric::Scaled);
    EXPECT_EQ(metricNames().size(), 3u);
    for (const std::string& name : metricNames())
        EXPECT_EQ(nameOf(metricOf(name)), name);
    for (const Depth depth : {Depth::UInt8, Depth::UInt16, Depth::Float32})
        EXPECT_EQ(depthOf(nameOf(depth)), depth);
    EXPECT_STREQ(nameOf(Depth::UInt16), "uint16");
    EXPECT_EQ(stageOf("prepare").kinds.size(), 3u);
    EXPECT_THROW(metricOf("l3"), agpnet::Error);
    EXPECT_THROW(depthOf("int8"), agpnet::Error);
    for (const RowType type : {RowType::Float32, RowType::Float16, RowType::Int8})
        EXPECT_EQ(rowTypeOf(nameOf(type)), type);
    EXPECT_STREQ(nameOf(RowType::Float16), "float16");
    EXPECT_EQ(stageOf("nearest").kinds.size(), 3u);
    EXPECT_THROW(rowTypeOf("uint8"), agpnet::Error);
}

} // namespace
