// One measurement: every compiled schedule passes the check that a tuning run makes, and one that is wrong does not.
#include "halide_generators/runtime/choices.h"
#include "halide_generators/runtime/stage_table.h"
#include "tuning/workloads.h"
#include "tuning/steps.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace agpnet;
using namespace agpnet::tuning;
using nlohmann::json;

namespace
{

class Check : public testing::TestWithParam<const char*>
{
protected:
    void SetUp() override
    {
        const json answer = json::parse(steps.answer(json{{"do", "device"}, {"device", GetParam()}}.dump()));
        if (answer.contains("error"))
            GTEST_SKIP() << answer["error"].get<std::string>();
        EXPECT_TRUE(std::string(GetParam()) == "opencl:0" || !answer["device"]["software"].get<bool>());
    }

    Steps steps;
};

TEST_P(Check, PassesForEveryCompiledSchedule)
{
    std::vector<stages::Workload> workloads = workloadsOf({2, 128, 9, 7}, {63, 50});
    for (const stages::Workload& more : workloadsOf({1, 4, 30, 41}, {20, 25}))
        workloads.push_back(more);
    workloads.push_back({"residual", "l2", "planar", {1, 33, 9, 20}, {}});
    workloads.push_back({"prepare", "uint16", "any", {1, 3, 20, 31}, {40, 33}});
    workloads.push_back({"prepare", "float32", "any", {1, 6, 20, 31}, {12, 14}});
    workloads.push_back({"prepare", "uint8", "any", {1, 3, 48, 64}, {25, 25}});
    std::erase_if(workloads, [](const stages::Workload& workload) { return workload.from[3] == 640; }); // large, and nothing new
    size_t checked = 0;
    for (const stages::Workload& workload : workloads)
    {
        const json list =
            json::parse(steps.answer(json{{"do", "candidates"}, {"device", GetParam()}, {"problem", toJson(workload)}}.dump()));
        ASSERT_TRUE(list.contains("candidates")) << list;
        ASSERT_GE(list["candidates"].size(), 1u) << toJson(workload);
        for (const json& candidate : list["candidates"])
        {
            const json check = json::parse(steps.answer(
                json{{"do", "check"}, {"device", GetParam()}, {"problem", toJson(workload)}, {"variant", candidate["variant"]}}
                    .dump()));
            EXPECT_EQ(check.value("status", ""), "ok") << toJson(workload) << candidate << check;
            checked++;
        }
    }
    EXPECT_GE(checked, workloads.size());
}

TEST_P(Check, ComparisonIsOfBoth)
{
    const stages::Workload workload{"residual", "l2", "tokens", {1, 64, 9, 9}, {}};
    const json list =
        json::parse(steps.answer(json{{"do", "candidates"}, {"device", GetParam()}, {"problem", toJson(workload)}}.dump()));
    const std::string name = list["candidates"][0]["variant"];
    const json result = json::parse(steps.answer(json{
        {"do", "compare"},
        {"device", GetParam()},
        {"problem", toJson(workload)},
        {"variant", name},
        {"against", name},
        {"seconds", 0.02}}.dump()));
    const Timing first = timingFromJson(result.at("default")), second = timingFromJson(result.at("timing"));
    for (const Timing& timing : {first, second})
    {
        EXPECT_GT(timing.minimum, 0);
        EXPECT_LE(timing.minimum, timing.median);
        EXPECT_GE(timing.iterations, 7);
    }
    EXPECT_GT(result.at("speedup"), 0);
    EXPECT_GE(result.at("noise"), 0);
}

INSTANTIATE_TEST_SUITE_P(, Check, testing::Values("cpu", "opencl:0", "cuda:0"),
                         [](const auto& each) { return std::string(each.param).substr(0, std::string(each.param).find(':')); });

TEST(Workloads, AreThereForEveryStage)
{
    std::vector<std::string> stages;
    for (const ModelWorkloads& of : modelWorkloads())
        stages.push_back(of.stage);
    EXPECT_EQ(stages, stages::stageNames());
    for (const ModelWorkloads& of : modelWorkloads())
        for (const stages::Workload& workload : of.make({2, 8, 5, 4}, {25, 20}))
        {
            EXPECT_EQ(workload.stage, of.stage);
            EXPECT_EQ(workloadFromJson(toJson(workload)), workload);
        }
}

/// A schedule that is wrong, under the name that the test asks for: it runs the right one and spoils the result in a way.
int (*rightRow)(void**) = nullptr;
void (*spoil)(float* out) = nullptr;

int wrongRow(void** arguments)
{
    const int status = rightRow(arguments);
    struct Buffer // the head of a halide_buffer_t
    {
        uint64_t device;
        const void* interface;
        float* host;
    };
    spoil(static_cast<const Buffer*>(arguments[3])->host);
    return status;
}

TEST(Wrong, IsFound)
{
    const stages::Workload workload{"residual", "l2", "tokens", {1, 64, 9, 9}, {}};
    const stages::CompiledVariant* right = stages::firstVariant(stages::Api::Cpu, workload, "");
    static stages::CompiledVariant wrong = *right;
    wrong.name = "wrong";
    wrong.run = wrongRow;
    rightRow = right->run;
    stages::addVariant(wrong);
    const auto device = BenchDevice::open("cpu");
    Bench bench(*device, workload);
    spoil = [](float*) {};
    EXPECT_LE(bench.check("wrong"), tolerance);
    spoil = [](float* out) { out[80] *= 1.001f; };
    EXPECT_GT(bench.check("wrong"), tolerance);
    spoil = [](float* out) { out[3] = NAN; };
    EXPECT_EQ(bench.check("wrong"), INFINITY);
    spoil = [](float* out) { out[81] = 0; };
    EXPECT_EQ(bench.check("wrong"), INFINITY) << "written behind the end";
    spoil = [](float* out) { out[-1] = 0; };
    EXPECT_EQ(bench.check("wrong"), INFINITY) << "written before the beginning";
    EXPECT_LE(bench.check(right->name), tolerance);
}

TEST(Steps, WhatCannotBeAnsweredIsAnError)
{
    Steps steps;
    const auto errorOf = [&](const std::string& request) { return json::parse(steps.answer(request)).value("error", "none"); };
    EXPECT_THAT(errorOf("no JSON"), testing::HasSubstr("not understood"));
    EXPECT_THAT(errorOf("{}"), testing::HasSubstr("not understood"));
    EXPECT_THAT(errorOf(R"({"do": "dance", "device": "cpu"})"), testing::HasSubstr("not understood"));
    EXPECT_EQ(errorOf(R"({"do": "device", "device": "gpu"})"), "the device is 'gpu', expected cpu, opencl:N or cuda:N");
    EXPECT_EQ(errorOf(R"({"do": "device", "device": "cpu:1"})"), "the device is 'cpu:1', expected cpu, opencl:N or cuda:N");
    json request = {{"do", "check"},
                    {"device", "cpu"},
                    {"problem", toJson(stages::Workload{"residual", "l2", "tokens", {1, 8, 3, 3}, {}})},
                    {"variant", "abacus"}};
    EXPECT_EQ(errorOf(request.dump()), "residual: there is no variant \"abacus\" for cpu");
    request["problem"]["shape"] = "9999x9999x999x999";
    EXPECT_THAT(errorOf(request.dump()), testing::HasSubstr("too large"));
    request["problem"]["shape"] = "1x8x3x3";
    request["problem"]["layout"] = "any";
    EXPECT_THAT(errorOf(request.dump()), testing::HasSubstr("expected tokens or planar"));
}

} // namespace
