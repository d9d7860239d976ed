// Which schedule a call takes: the policy on devices that need not be there, and the table that the stages consult.
#include "halide_generators/runtime/choices.h"
#include "halide_generators/reference/reference.h"

#include <atomic>
#include <cstring>
#include <gtest/gtest.h>
#include <thread>

using namespace agpnet::stages;

namespace
{

Workload workload(int n = 1, int c = 384, int side = 18)
{
    return {"residual", "l2", "tokens", {n, c, side, side}, {}};
}

DeviceIdentity card(const char* name, const char* architecture = "sm_90", const char* uuid = "")
{
    return {Api::Cpu, name, uuid, architecture, "", false}; // of the api that runs on every machine
}

/// The baseline's row runs everywhere and is never the default where there is a better one, so it tells a choice from the
/// default.
Choice choice(const Workload& at, const DeviceIdentity& on, const char* variant = "baseline")
{
    const CompiledVariant* row = firstVariant(Api::Cpu, at, variant);
    return {at, on, variant, row ? row->parameters : "", "record", 1.5};
}

TEST(Policy, ExactThenNearestThenArchitectureThenDefault)
{
    const DeviceIdentity here = card("A"), sibling = card("B"), stranger = card("C", "sm_70");
    const std::vector<Choice> all = {choice(workload(), stranger), choice(workload(), sibling), choice(workload(2), here),
                                     choice(workload(1, 768), here), choice(workload(), here)};
    const auto whyWith = [&](std::initializer_list<size_t> which)
    {
        std::vector<Choice> some;
        for (size_t i : which)
            some.push_back(all[i]);
        const Pick picked = pick(some, workload(), here);
        EXPECT_NE(picked.row, nullptr);
        EXPECT_EQ(picked.choice != nullptr, picked.why != Why::Default);
        return picked.why;
    };
    EXPECT_EQ(whyWith({0, 1, 2, 3, 4}), Why::Exact);
    EXPECT_EQ(whyWith({0, 1, 2}), Why::Nearest);
    EXPECT_EQ(whyWith({0, 1}), Why::Architecture);
    EXPECT_EQ(whyWith({0}), Why::Default);
    EXPECT_EQ(whyWith({}), Why::Default);
    EXPECT_EQ(pick({}, workload(), here).row, firstVariant(Api::Cpu, workload(), ""));
}

TEST(Policy, TheNearerShapeWinsAndAFarOneSaysNothing)
{
    const DeviceIdentity here = card("A");
    const std::vector<Choice> two = {choice(workload(4), here), choice(workload(2), here)};
    EXPECT_EQ(pick(two, workload(1), here).choice, &two[1]);
    EXPECT_EQ(pick(two, workload(16), here).choice, &two[0]);
    EXPECT_EQ(pick({choice(workload(1, 384, 180), here)}, workload(), here).why, Why::Default);
    Workload sizes = workload();
    sizes.from = {0, 0, 0, 0}; // a heat map without a blur asks like this
    EXPECT_EQ(pick(two, sizes, here).why, Why::Default);
}

TEST(Policy, DistanceIsSymmetricAndCountsEverySide)
{
    Workload a{"heatmap", "", "any", {1, 1, 18, 18}, {252, 252}}, b = a;
    EXPECT_EQ(distance(a, b), 0);
    b.to = {504, 252};
    EXPECT_DOUBLE_EQ(distance(a, b), 1);
    b.from[0] = 4;
    EXPECT_DOUBLE_EQ(distance(a, b), 3);
    EXPECT_DOUBLE_EQ(distance(b, a), 3);
}

TEST(Policy, AnotherStageKindLayoutOrApiSaysNothing)
{
    const DeviceIdentity here = card("A");
    Workload kind = workload(), layout = workload();
    kind.kind = "cosine";
    layout.layout = "planar";
    EXPECT_EQ(pick({choice(kind, here), choice(layout, here)}, workload(), here).why, Why::Default);
    DeviceIdentity other = here;
    other.api = Api::OpenCL;
    EXPECT_EQ(pick({choice(workload(), other)}, workload(), here).why, Why::Default);
}

TEST(Policy, ASoftwareDeviceSpeaksForItselfAlone)
{
    DeviceIdentity software = card("A"), hardware = card("A");
    software.software = true;
    EXPECT_EQ(pick({choice(workload(), software)}, workload(), hardware).why, Why::Default);
    EXPECT_EQ(pick({choice(workload(), hardware)}, workload(), software).why, Why::Default);
    EXPECT_EQ(pick({choice(workload(), software)}, workload(), software).why, Why::Exact);
    DeviceIdentity sibling = software;
    sibling.name = "B";
    EXPECT_EQ(pick({choice(workload(), software)}, workload(), sibling).why, Why::Default);
}

TEST(Policy, NoArchitectureIsLikeNoOther)
{
    EXPECT_EQ(pick({choice(workload(), card("B", ""))}, workload(), card("A", "")).why, Why::Default);
}

TEST(Policy, OfTwoOfANameTheVeryCardCounts)
{
    const std::vector<Choice> two = {choice(workload(), card("A", "sm_90", "11")), choice(workload(), card("A", "sm_90", "22"))};
    EXPECT_EQ(pick(two, workload(), card("A", "sm_90", "22")).choice, &two[1]);
    EXPECT_EQ(pick(two, workload(), card("A", "sm_90", "33")).choice, &two[0]);
}

TEST(Policy, WhatIsNotCompiledInIsPassedOver)
{
    const DeviceIdentity here = card("A");
    Choice unknown = choice(workload(), here), changed = choice(workload(), here);
    unknown.variant = "abacus";
    changed.parameters = "lanes=3";
    EXPECT_FALSE(compiledIn(unknown));
    EXPECT_FALSE(compiledIn(changed));
    EXPECT_EQ(pick({unknown, changed}, workload(), here).why, Why::Default);
    EXPECT_EQ(pick({unknown, choice(workload(2), here)}, workload(), here).why, Why::Nearest)
        << "the next one still has its chance";
}

TEST(Policy, ARowThatDoesNotFitTheChannelsIsPassedOver)
{
    // the noise on tokens is compiled for multiples of channels: with 384 the row for tokens is taken, with 380 the one for any
    // layout
    const DeviceIdentity here = card("A");
    const Workload fits{"perturb", "", "tokens", {1, 384, 18, 18}, {18, 18}},
        misfit{"perturb", "", "tokens", {1, 388, 18, 18}, {18, 18}};
    const Choice tuned = choice(fits, here);
    ASSERT_STREQ(pick({tuned}, fits, here).row->layout, "tokens");
    EXPECT_EQ(pick({tuned}, misfit, here).why, Why::Default) << "another row of its name, which nobody has measured";
}

reference::Array residualOf(const reference::Array& f, const reference::Array& g, const char* variant = "")
{
    reference::Array out(f.n, 1, f.h, f.w);
    const auto view = [](const reference::Array& array)
    {
        View v;
        v.data = const_cast<float*>(array.values.data());
        v.size = {array.n, array.c, array.h, array.w};
        v.stride = {int64_t{array.c} * array.h * array.w, int64_t{array.h} * array.w, array.w, 1};
        return v;
    };
    Device device;
    device.variant = variant;
    residual(device, view(f), view(g), Metric::L2, view(out));
    return out;
}

class Table : public testing::Test
{
protected:
    void TearDown() override { setChoices({}); }
};

TEST_F(Table, StagesTakeWhatItSays)
{
    const reference::Array f = reference::random(1, 37, 9, 9, 1), g = reference::random(1, 37, 9, 9, 2);
    const Workload at{"residual", "l2", "planar", {1, 37, 9, 9}, {}};
    const auto same = [](const reference::Array& a, const reference::Array& b)
    { return std::memcmp(a.values.data(), b.values.data(), a.values.size() * sizeof(float)) == 0; };
    setChoices({});
    EXPECT_EQ(decide({}, at).why, Why::Default);
    EXPECT_TRUE(same(residualOf(f, g), residualOf(f, g, decide({}, at).variant.c_str())));

    setChoices({choice(at, identify({}))});
    const Decision decision = decide({}, at);
    EXPECT_EQ(decision.why, Why::Exact);
    EXPECT_EQ(decision.variant, "baseline");
    EXPECT_EQ(decision.origin, "record");
    EXPECT_TRUE(same(residualOf(f, g), residualOf(f, g, "baseline")));
    EXPECT_TRUE(same(residualOf(f, g, firstVariant(Api::Cpu, at, "")->name), residualOf(f, g, firstVariant(Api::Cpu, at, "")->name)));
    Device named;
    named.variant = "baseline";
    EXPECT_EQ(decide(named, at).why, Why::Caller);

    setChoices({});
    EXPECT_EQ(decide({}, at).why, Why::Default);
}

TEST_F(Table, ResultsStayWithinTheReferenceWhateverIsChosen)
{
    const reference::Array f = reference::random(2, 64, 11, 7, 3), g = reference::random(2, 64, 11, 7, 4);
    const reference::Array expected = reference::residual(f, g, Metric::L2);
    const Workload at{"residual", "l2", "planar", {2, 64, 11, 7}, {}};
    for (const CompiledVariant* variant : allVariants())
    {
        if (firstVariant(Api::Cpu, at, variant->name) != variant)
            continue;
        setChoices({choice(at, identify({}), variant->name)});
        EXPECT_EQ(decide({}, at).variant, variant->name);
        const reference::Array found = residualOf(f, g);
        for (size_t k = 0; k < found.values.size(); k++)
            ASSERT_NEAR(found.values[k], expected.values[k], 1e-5) << variant->name;
    }
}

TEST_F(Table, ChangesWhileStagesRun)
{
    const reference::Array f = reference::random(1, 16, 5, 5, 5), g = reference::random(1, 16, 5, 5, 6);
    const reference::Array expected = reference::residual(f, g, Metric::L2);
    std::atomic<bool> done{false};
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; t++)
        threads.emplace_back(
            [&]
            {
                while (!done)
                {
                    const reference::Array found = residualOf(f, g);
                    for (size_t k = 0; k < found.values.size(); k++)
                        if (!(std::fabs(found.values[k] - expected.values[k]) < 1e-5))
                            wrong++;
                }
            });
    const Workload at{"residual", "l2", "planar", {1, 16, 5, 5}, {}};
    for (int i = 0; i < 300; i++)
        setChoices(i % 2 ? std::vector<Choice>() : std::vector{choice(at, identify({}))});
    done = true;
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(wrong, 0);
}

TEST_F(Table, RemembersNoMoreThanItNeeds)
{
    setChoices({});
    const reference::Array one = reference::random(1, 1, 1, 5000, 7);
    for (int width = 1; width <= 5000; width++) // more shapes than are remembered
    {
        reference::Array f(1, 1, 1, width);
        std::copy_n(one.values.begin(), width, f.values.begin());
        ASSERT_EQ(residualOf(f, f).values[0], 0);
    }
    EXPECT_LE(seenWorkloads(Api::Cpu).size(), 4096u);
    EXPECT_GT(seenWorkloads(Api::Cpu).size(), 100u);
}

} // namespace
