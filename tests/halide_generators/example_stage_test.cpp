// The stage that CONTRIBUTING.md makes, from its blocks as they stand there: compiled, called, compared, tuned. It is in no
// library of ours.
#include "device.h"

#include "halide_generators/runtime/call_layer.h"
#include "halide_generators/runtime/choices.h"
#include "halide_generators/runtime/stage_table.h"
#include "tuning/steps.h"
#include "tuning/usable.h"
#include "tuning/workloads.h"

namespace agpnet::stages
{

extern const std::span<const CompiledStage> exampleStages;
extern const std::span<const CompiledVariant> exampleVariants;

#include "example_stage/call.h"

} // namespace agpnet::stages

namespace reference
{

using namespace agpnet::stages;

#include "example_stage/reference.h"

namespace
{
#include "example_stage/check.h"

const StageCheck exampleChecks[] = {
#include "example_stage/check_line.h"
};
} // namespace

} // namespace reference

using namespace agpnet;
using namespace agpnet::stages;
using nlohmann::json;
using reference::Array;

namespace
{

const tuning::ModelWorkloads exampleWorkloads[] = {
#include "example_stage/workloads_line.h"
};

[[maybe_unused]] const bool added = []
{
    addStages(exampleStages, exampleVariants);
    reference::addStageCheck(reference::exampleChecks[0]);
    tuning::addModelWorkloads(exampleWorkloads[0]);
    return true;
}();

#include "example_stage/test.h"

json answerOf(tuning::Steps& steps, const json& request)
{
    return json::parse(steps.answer(request.dump()));
}

TEST(ExampleStage, StandsInTheTables)
{
    EXPECT_EQ(stageNames().back(), "deviation");
    EXPECT_EQ(reference::stageChecks().back().stage, "deviation");
    EXPECT_EQ(tuning::modelWorkloads().back().stage, "deviation");
    EXPECT_EQ(stageOf("deviation").hash.size(), 64u);
    const Workload workload = tuning::workloadsOf({2, 128, 9, 7}, {63, 50}).back();
    EXPECT_EQ(workload, (Workload{"deviation", "", "planar", {2, 128, 9, 7}, {}}));
    EXPECT_EQ(tuning::workloadFromJson(tuning::toJson(workload)), workload);
    EXPECT_THROW(addStages(exampleStages, exampleVariants), Error) << "it is there already";
}

TEST(ExampleStage, IsTuned)
{
    const Workload workload{"deviation", "", "planar", {1, 96, 17, 19}, {}};
    tuning::Steps steps;
    const json facts = answerOf(steps, {{"do", "device"}, {"device", "cpu"}});
    EXPECT_EQ(facts.at("generators").at("deviation"), stageOf("deviation").hash);
    json request = {{"do", "candidates"}, {"device", "cpu"}, {"problem", tuning::toJson(workload)}};
    const json candidates = answerOf(steps, request).at("candidates");
    ASSERT_GE(candidates.size(), 1u);
    const std::string standard = candidates[0].at("variant"), last = candidates.back().at("variant");
    for (const json& candidate : candidates)
    {
        request["do"] = "check";
        request["variant"] = candidate.at("variant");
        const json check = answerOf(steps, request);
        EXPECT_EQ(check.value("status", ""), "ok") << check;
        request["do"] = "compare";
        request["against"] = standard;
        request["seconds"] = 0.02;
        const json comparison = answerOf(steps, request);
        ASSERT_TRUE(comparison.contains("timing")) << comparison;
        EXPECT_GT(tuning::timingFromJson(comparison.at("timing")).minimum, 0);
    }

    // a record of it is read, and the call takes what it says
    tuning::Trial trial;
    trial.variant = last;
    trial.parameters = candidates.back().at("parameters");
    trial.timing = trial.reference = {10, 11, 0.1, 70};
    tuning::Entry entry;
    entry.workload = workload;
    entry.device = identify({});
    entry.halide = halideVersion;
    entry.generator = tuning::generatorHash("deviation");
    entry.defaultVariant = standard;
    entry.best = last;
    entry.trials = {trial};
    const tuning::Record record = tuning::recordFromText(tuning::toJson(tuning::Record{{entry}}).dump());
    const tuning::Usable usable = tuning::usableChoices(record, "here");
    EXPECT_EQ(usable.ignored, std::vector<std::string>());
    setChoices(usable.choices);
    EXPECT_EQ(decide({}, workload).variant, last);
    EXPECT_EQ(decide({}, workload).why, Why::Exact);
    setChoices({});
}

} // namespace
