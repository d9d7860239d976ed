// Levels of CPUs, and scripts/as-cpu, which shows a program a lesser one.
#include "common/cpu.h"
#include "tests/end_to_end/program.h"
#include "tests/support/error_text.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <tuple>
#include <vector>

namespace agpnet::test
{
namespace
{

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

const std::vector<std::string> levels = {"baseline", "avx2", "avx2-vnni", "avx512", "avx512-vnni", "avx512-bf16", "amx"};

TEST(Cpu, ALevelIsOfItsOwnFeatures)
{
    for (const std::string& level : levels)
        EXPECT_EQ(levelOf(featuresOf(level)), level);
    EXPECT_EQ(levelOf({.avx2 = true, .avx512 = true, .avx512Vnni = true}), "avx512-vnni"); // Ice Lake has no AVX-VNNI
    EXPECT_EQ(levelOf({.avx2 = true, .avxVnni = true, .avx512 = true}), "avx512");
    EXPECT_EQ(registersOf(featuresOf("baseline")), "plain");
    EXPECT_EQ(registersOf(featuresOf("avx2-vnni")), "avx2");
    EXPECT_EQ(registersOf(featuresOf("amx")), "avx512");
    EXPECT_THAT(errorOf([] { featuresOf("sse9"); }), HasSubstr("CPU level is 'sse9', expected one of baseline, avx2, avx2-vnni"));
}

/// What as-cpu takes as its way, and a level.
class AsCpu : public ::testing::TestWithParam<std::tuple<const char*, std::string>>
{
protected:
    static bool machineIs(const std::string& level)
    {
        const auto place = [](const std::string& name) { return std::find(levels.begin(), levels.end(), name); };
        return place(levelOf(cpuFeatures())) >= place(level) && (level != "avx2-vnni" || cpuFeatures().avxVnni);
    }

    Outcome as(const std::string& command) const
    {
        return run("AGPNET_BUILD=" AGPNET_BUILD_FOLDER " AGPNET_AS_CPU_WAY=" + std::string(std::get<0>(GetParam())) +
                   " " AGPNET_AS_CPU_SCRIPT " " + level_ + " " + command);
    }

    void SetUp() override
    {
        if (!machineIs(level_))
            GTEST_SKIP() << "this CPU is less than " << level_;
        const Outcome tried = as("/bin/true");
        if (tried.code == 125)
            GTEST_SKIP() << tried.text;
        ASSERT_EQ(tried.code, 0) << tried.text;
    }

    std::string level_ = std::get<1>(GetParam());
};

TEST_P(AsCpu, ShowsTheLevelsFeatures)
{
    CpuFeatures expected = featuresOf(level_);
    expected.avxVnni = expected.avxVnni && cpuFeatures().avxVnni;
    const Outcome found = as(AGPNET_CPU_SHOWN);
    const auto digit = [](bool has) { return has ? '1' : '0'; };
    const std::string bits = {digit(expected.avx2),       digit(expected.avxVnni),    digit(expected.avx512),
                              digit(expected.avx512Vnni), digit(expected.avx512Bf16), digit(expected.amx)};
    EXPECT_EQ(found.code, 0);
    EXPECT_THAT(found.text, HasSubstr("\n" + bits + " " + level_ + "\n"));
}

TEST_P(AsCpu, LeavesProgramsAlone)
{
    EXPECT_EQ(as("/bin/sh -c 'exit 7'").code, 7);
    EXPECT_THAT(as("echo 'two  words'").text, HasSubstr("\ntwo  words\n"));
    EXPECT_EQ(as(AGPNET_CPU_SHOWN " signals").code, 0);
    // a child, and one that dies of its own fault
    const Outcome child = as("/bin/sh -c '" AGPNET_CPU_SHOWN "; kill -SEGV $$; exit 0'");
    EXPECT_THAT(child.text, HasSubstr(" " + level_ + "\n"));
    EXPECT_NE(child.code, 0);
}

INSTANTIATE_TEST_SUITE_P(Cpu, AsCpu, ::testing::Combine(::testing::Values("cpuid", "environment"), ::testing::ValuesIn(levels)),
                         [](const auto& parameter) {
                             std::string name = std::string(std::get<0>(parameter.param)) + "_" + std::get<1>(parameter.param);
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

TEST(Cpu, AsCpuRefusesInOneSentence)
{
    const Outcome unknown = run(AGPNET_AS_CPU_SCRIPT " sse9 /bin/true");
    EXPECT_EQ(unknown.code, 2);
    EXPECT_THAT(unknown.text, MatchesRegex("as-cpu: the level is 'sse9', expected one of baseline, .*amx\n"));
    if (!cpuFeatures().amx)
    {
        EXPECT_EQ(run("AGPNET_BUILD=" AGPNET_BUILD_FOLDER " AGPNET_AS_CPU_WAY=cpuid " AGPNET_AS_CPU_SCRIPT " amx /bin/true").code, 125);
    }
}

} // namespace
} // namespace agpnet::test
