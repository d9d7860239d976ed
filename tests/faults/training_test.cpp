// The program trains while its disk fails or it is killed at a call that writes: it goes on to the same model, bit for bit.
#include "models/weights/safetensors.h"
#include "tests/end_to_end/program.h"
#include "tests/support/tiny_backbone.h"

#include <cerrno>
#include <csignal>
#include <fmt/format.h>
#include <opencv2/imgcodecs.hpp>
#include <random>

namespace agpnet
{
namespace
{

using test::Outcome;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class TrainingFaults : public ::testing::Test
{
protected:
    static void SetUpTestSuite()
    {
        folder = new test::TempFolder;
        backbone = test::writeTinyBackbone(*folder);
        for (int i = 0; i < 6; i++)
        {
            cv::Mat image(40, 48, CV_8UC3);
            cv::RNG(static_cast<uint64_t>(i) + 1).fill(image, cv::RNG::UNIFORM, 0, 256);
            cv::imwrite(*folder / ("parts/" + std::to_string(i) + ".png"), image);
        }
        const Outcome outcome = train("whole.agp", "");
        ASSERT_EQ(outcome.code, 0) << outcome.text;
    }
    static void TearDownTestSuite()
    {
        delete folder;
        folder = nullptr;
    }

    /// A state is saved after every step. What comes after a kill is 128 + SIGKILL, as a shell has it.
    static Outcome train(const std::string& out, const std::string& fault)
    {
        const std::string path = (folder->path() / out).string();
        const std::string preload =
            fault.empty() ? ""
                          : "LD_PRELOAD=" AGPNET_FAULT_LAYER "${LD_PRELOAD:+:$LD_PRELOAD} AGPNET_FAULT=" + test::shellQuoted(fault) + " ";
        return test::run("(OMP_NUM_THREADS=1 " + preload + AGPNET_PROGRAM " train --data " + (folder->path() / "parts").string() +
                         " --out " + path + " --backbone " + backbone + " --reference-backbone --checkpoint 0 --config " +
                         test::shellQuoted(test::tinyConfig(5)) + (fs::exists(path + ".state") ? " --resume" : "") + ")");
    }

    static void expectTheSameModel(const std::string& out)
    {
        const TensorFile left = readSafetensors(folder->path() / "whole.agp"), right = readSafetensors(folder->path() / out);
        ASSERT_EQ(left.tensors.size(), right.tensors.size());
        for (const auto& [name, tensor] : left.tensors)
            EXPECT_TRUE(tensor.equal(right.tensors.at(name))) << name;
        for (const auto& entry : fs::directory_iterator(folder->path()))
            EXPECT_EQ(entry.path().string().find(".part-"), std::string::npos) << entry.path();
    }

    static test::TempFolder* folder;
    static std::string backbone;
};
test::TempFolder* TrainingFaults::folder = nullptr;
std::string TrainingFaults::backbone;

TEST_F(TrainingFaults, KilledAtAnyCallThatWritesGoesOnToTheSameModel)
{
    std::mt19937 random(11);
    int kills = 0;
    for (int i = 0; i < 12; i++)
    {
        const std::string out = "killed" + std::to_string(i) + ".agp";
        // five states and the model: some 500 calls
        const Outcome outcome = train(out, fmt::format("any {} kill-{}", 1 + random() % 500, random() % 2 ? "before" : "after"));
        kills += outcome.code != 0;
        if (!fs::exists(folder->path() / out) || fs::exists(folder->path() / (out + ".state")))
        {
            const Outcome rest = train(out, "");
            ASSERT_EQ(rest.code, 0) << rest.text;
        }
        expectTheSameModel(out);
    }
    EXPECT_GE(kills, 8);
}

TEST_F(TrainingFaults, ADiskThatFailsOnceCostsACheckpointOnly)
{
    for (const auto& [fault, part] :
         {std::pair<std::string, const char*>{fmt::format("write 20 {}", ENOSPC), "No space left on device"},
          {fmt::format("fsync 2 {}", EIO), "cannot be flushed"},
          {fmt::format("rename 3 {}", EACCES), "cannot be put in place"},
          {fmt::format("mkostemp 1 {}", EMFILE), "Too many open files"}})
    {
        const Outcome outcome = train("once.agp", fault);
        EXPECT_EQ(outcome.code, 0) << outcome.text;
        EXPECT_THAT(outcome.text, HasSubstr(part));
        EXPECT_THAT(outcome.text, HasSubstr("training goes on"));
        expectTheSameModel("once.agp");
        fs::remove(folder->path() / "once.agp");
    }
}

TEST_F(TrainingFaults, AClockThatJumpsChangesNothing)
{
    const std::string preload = "LD_PRELOAD=" AGPNET_FAULT_LAYER "${LD_PRELOAD:+:$LD_PRELOAD} AGPNET_FAULT='clock 1 0' ";
    const Outcome shown = test::run(preload + "date +%Y"), real = test::run("date +%Y");
    ASSERT_EQ(shown.code, 0) << shown.text;
    ASSERT_EQ(std::stoi(shown.text), std::stoi(real.text) - 2) << "the layer does not reach the clock";
    const Outcome outcome = train("clock.agp", "clock 1 0");
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    expectTheSameModel("clock.agp");
}

TEST_F(TrainingFaults, AModelThatCannotBePutInPlaceIsKeptAsAState)
{
    const Outcome outcome = train("kept.agp", fmt::format("rename 6 {}", EROFS)); // after those of five states
    EXPECT_EQ(outcome.code, 1);
    EXPECT_THAT(outcome.text, HasSubstr("kept.agp: cannot be put in place: Read-only file system; the training is kept in"));
    EXPECT_FALSE(fs::exists(folder->path() / "kept.agp"));
    ASSERT_EQ(train("kept.agp", "").code, 0);
    expectTheSameModel("kept.agp");
}

} // namespace
} // namespace agpnet
