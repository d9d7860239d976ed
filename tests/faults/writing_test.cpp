// Writing goes wrong at every call it makes: the target is the old file or the new one, whole, and nothing lies beside it.
#include "common/atomic_file.h"
#include "models/model_file/checksum.h"
#include "models/agpnet/file.h"
#include "tests/faults/fault_layer.h"
#include "tests/support/error_text.h"
#include "tests/support/tiny_backbone.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <cerrno>
#include <csignal>
#include <gmock/gmock.h>
#include <random>
#include <sys/wait.h>
#include <unistd.h>

namespace agpnet
{
namespace
{

using test::clearFault;
using test::failAllocation;
using test::setFault;
using ::testing::AnyOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class Writing : public ::testing::TestWithParam<const char*>
{
protected:
    static void SetUpTestSuite()
    {
        at::set_num_threads(1); // children are forked
        folder = new test::TempFolder;
        const auto [config, weights] = recogniseBackbone(test::tinyBackbone().tensors);
        Backbone backbone;
        backbone.name = "tiny";
        backbone.config = config;
        backbone.weights = weights;
        training = new Training(configFromTextOrFile(test::tinyConfig()), backbone);
        model = new ModelFile;
        model->config = training->config();
        model->backbone = backbone;
        model->config.target = Target::LayerNorm;
        for (const auto& [name, tensor] : training->decoder().parameters())
            model->decoder.emplace_back(name, tensor.detach());
        model->scores = {"training", 4, 1, 0.5, 0.5, 2, {2.5, "deviations"}, {3, "deviations"}, 0.9};
    }
    static void TearDownTestSuite()
    {
        delete model;
        delete training;
        delete folder;
        model = nullptr;
        training = nullptr;
        folder = nullptr;
    }

    void SetUp() override
    {
        target = *folder / GetParam();
        write(true);
        oldBytes = test::readBytes(target);
        write(false);
        newBytes = test::readBytes(target);
        ASSERT_NE(oldBytes, newBytes);
        write(true);
    }

    void write(bool old) const
    {
        const std::string what = GetParam();
        if (what == "text")
            writeFileAtomically(target, std::string(old ? 10'000 : 300'000, old ? 'o' : 'n'));
        else if (what == "model.agp")
        {
            ModelFile file = *model;
            file.record.notes["old"] = old;
            writeModel(target, file, old ? EmbedBackbone::No : EmbedBackbone::Yes);
        }
        else
            writeTrainingState(target, *training, {{"old", old}});
    }

    /// The error of writing what is new; "no error" if there was none.
    std::string attempt() const
    {
        return test::errorOf([&] { write(false); });
    }

    void expectNoParts() const
    {
        for (const auto& entry : fs::directory_iterator(target.parent_path()))
            EXPECT_EQ(entry.path().string().find(".part-"), std::string::npos) << entry.path();
    }

    static test::TempFolder* folder;
    static Training* training;
    static ModelFile* model;
    fs::path target;
    std::string oldBytes, newBytes;
};
test::TempFolder* Writing::folder = nullptr;
Training* Writing::training = nullptr;
ModelFile* Writing::model = nullptr;

struct Fault
{
    const char* what;
    std::string text;  ///< for setFault()
    const char* error; ///< part of the sentence; nullptr: it is written all the same
};

TEST_P(Writing, FailsWithASentenceAndTheOldFileOrSucceeds)
{
    const auto fault = [](const char* call, int nth, int number) { return fmt::format("{} {} {}", call, nth, number); };
    const Fault faults[] = {
        {"folder not writable", fault("mkostemp", 1, EACCES), "cannot be written: Permission denied"},
        {"too many files open", fault("mkostemp", 1, EMFILE), "cannot be written: Too many open files"},
        {"disk full at once", fault("write", 1, ENOSPC), "cannot be written: No space left on device"},
        {"quota used up", fault("write", 1, EDQUOT), "cannot be written: Disk quota exceeded"},
        {"device broken", fault("write", 1, EIO), "cannot be written: Input/output error"},
        {"file too large", fault("write", 1, EFBIG), "cannot be written: File too large"},
        {"nothing is taken", fault("write", 1, 0), "cannot be written: Input/output error"},
        {"half is taken", "write 1 short", nullptr},
        {"interrupted by a signal", fault("write", 1, EINTR), nullptr},
        {"flush finds the device broken", fault("fsync", 1, EIO), "cannot be flushed: Input/output error"},
        {"flush finds the disk full", fault("fsync", 1, ENOSPC), "cannot be flushed: No space left on device"},
        {"file system without flush", fault("fsync", 1, EINVAL), nullptr},
        {"target not writable", fault("rename", 1, EACCES), "cannot be put in place: Permission denied"},
        {"file system has become read-only", fault("rename", 1, EROFS), "cannot be put in place: Read-only file system"},
        {"close fails after the rename", fault("close", 1, EIO), nullptr},
    };
    for (const Fault& f : faults)
    {
        setFault(f.text.c_str());
        const std::string error = attempt();
        ASSERT_GE(clearFault(), 1) << f.what << ": the call was never made";
        EXPECT_THAT(error, f.error ? HasSubstr(f.error) : HasSubstr("")) << f.what;
        EXPECT_EQ(error == "no error", f.error == nullptr) << f.what << ": " << error;
        if (f.error)
        {
            EXPECT_THAT(error, HasSubstr(target.string())) << f.what;
        }
        EXPECT_TRUE(test::readBytes(target) == (f.error ? oldBytes : newBytes)) << f.what;
        expectNoParts();
        write(true);
    }
}

TEST_P(Writing, OnADiskThatFillsUpAtAnyWriteKeepsTheOldFile)
{
    for (int n = 1;; n++)
    {
        setFault(fmt::format("write {} {}", n, ENOSPC).c_str());
        const std::string error = attempt();
        const long calls = clearFault();
        if (calls < n) // all writes were made
        {
            EXPECT_EQ(error, "no error");
            break;
        }
        EXPECT_THAT(error, HasSubstr("No space left on device"));
        ASSERT_TRUE(test::readBytes(target) == oldBytes) << n;
        expectNoParts();
    }
    EXPECT_TRUE(test::readBytes(target) == newBytes);
}

TEST_P(Writing, KilledAtAnyCallLeavesTheOldFileOrTheNewOne)
{
    setFault("any 1000000 0");
    write(false);
    const long calls = clearFault();
    ASSERT_GT(calls, 4);
    std::mt19937 random(7);
    int old = 0;
    constexpr int tries = 400;
    for (int i = 0; i < tries; i++)
    {
        write(true);
        const std::string fault =
            fmt::format("any {} kill-{}", 1 + random() % static_cast<unsigned long>(calls), random() % 2 ? "before" : "after");
        const pid_t child = ::fork();
        if (child == 0)
        {
            setFault(fault.c_str());
            attempt();
            ::_exit(0);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << fault;
        const std::string bytes = test::readBytes(target);
        ASSERT_TRUE(bytes == oldBytes || bytes == newBytes) << fault;
        old += bytes == oldBytes;
        if (GetParam() != std::string("text"))
        {
            EXPECT_NE(checkedSum(target), "") << fault;
        }
        for (const auto& entry :
             fs::directory_iterator(target.parent_path())) // a killed program cannot tidy up; agpnet train does at its next start
            if (entry.path().string().find(".part-") != std::string::npos)
                fs::remove(entry.path());
    }
    EXPECT_GT(old, 0);
    EXPECT_LT(old, tries);
}

TEST_P(Writing, WithoutMemoryKeepsTheOldFile)
{
    constexpr size_t least = 4 << 10;
    failAllocation(1'000'000'000, least);
    write(false);
    const long allocations = failAllocation(0);
    ASSERT_GE(allocations, 1);
    write(true);
    for (long n = 1; n <= allocations; n++)
    {
        bool caught = false;
        failAllocation(n, least);
        try
        {
            write(false);
        }
        catch (const std::exception&) // std::bad_alloc, or LibTorch's own
        {
            caught = true;
        }
        failAllocation(0);
        EXPECT_TRUE(caught) << n;
        ASSERT_TRUE(test::readBytes(target) == oldBytes) << n;
        expectNoParts();
    }
}

INSTANTIATE_TEST_SUITE_P(, Writing, ::testing::Values("text", "model.agp", "model.agp.state"),
                         [](const auto& which) {
                             return std::string(which.param) == "text"        ? "text"
                                    : std::string(which.param) == "model.agp" ? "model"
                                                                              : "state";
                         });

} // namespace
} // namespace agpnet
