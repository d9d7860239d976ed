// agpnet tune as a user runs it: on the CPU and on an OpenCL device, killed, twice at once, and with schedules that crash, hang
// or are wrong.
#include "agpnet/agpnet.hpp"
#include "agpnet/plugin.h"
#include "apps/tune/journal.h"
#include "apps/tune/report.h"
#include "tests/end_to_end/program.h"
#include "tests/support/temp_folder.h"
#include "tuning/record.h"

#include <csignal>
#include <dlfcn.h>
#include <fcntl.h>
#include <opencv2/core/utils/logger.hpp>
#include <random>
#include <spawn.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

extern char** environ;

using namespace agpnet;
using namespace agpnet::test;
using nlohmann::json;
using tuning::Record;
using tuning::Status;

namespace
{

const std::string program = AGPNET_TUNE_PROGRAM, trial = AGPNET_TRIAL, shape = "'1x64x9x9->63x63'";

std::string faking(const std::filesystem::path& out, const char* kind, const char* how = "fresh", const char* timeout = "1")
{
    return fmt::format("{} {} {} 60 cpu {} residual {} {} --fake {}", program, out.string(), how, shape, timeout, program,
                       kind);
}

TEST(Tune, TakesTheFastestThatPasses)
{
    const TempFolder folder;
    const Outcome outcome = run(faking(folder / "a.json", "well"));
    ASSERT_EQ(outcome.code, 0) << outcome.text;
    const Record record = tuning::readRecord(folder / "a.json");
    ASSERT_EQ(record.entries.size(), 3u); // of the residual's three kinds
    for (const tuning::Entry& entry : record.entries)
    {
        EXPECT_EQ(entry.best, "v3");
        EXPECT_EQ(entry.defaultVariant, "v0");
        EXPECT_DOUBLE_EQ(entry.speedup, 1.5);
        EXPECT_EQ(entry.trials.size(), 6u);
        EXPECT_EQ(entry.device.name, "abacus");
    }
    EXPECT_FALSE(std::filesystem::exists(folder / "a.json.journal"));
}

struct Fault
{
    const char* kind;
    Status status;
    const char* says;
};

TEST(Tune, OneScheduleThatFailsDoesNotEndTheRun)
{
    for (const Fault& fault :
         {Fault{"crash", Status::LaunchError, "Segmentation fault"}, Fault{"exit", Status::LaunchError, "ended with code 7"},
          Fault{"hang", Status::Timeout, "no answer within 1 s"}, Fault{"wrong", Status::Mismatch, "an error of 3"},
          Fault{"refuse", Status::LaunchError, "no roomfor it"}})
    {
        const TempFolder folder;
        const Outcome outcome = run(faking(folder / "a.json", fault.kind));
        ASSERT_EQ(outcome.code, 0) << outcome.text;
        const Record record = tuning::readRecord(folder / "a.json");
        ASSERT_EQ(record.entries.size(), 3u) << fault.kind;
        for (const tuning::Entry& entry : record.entries)
        {
            EXPECT_EQ(entry.best, "v0") << fault.kind;
            ASSERT_EQ(entry.trials.size(), 6u) << fault.kind;
            for (const tuning::Trial& each : entry.trials)
                EXPECT_EQ(each.status, each.variant == "v3" ? fault.status : Status::Ok) << fault.kind << " " << each.variant;
            EXPECT_THAT(entry.trials[3].message, testing::HasSubstr(fault.says));
        }
    }
}

TEST(Tune, KilledAtAnyPointItGoesOn)
{
    const TempFolder folder;
    const std::filesystem::path out = folder / "a.json";
    std::mt19937 random(1);
    size_t known = 0;
    for (int i = 0; i < 50; i++)
    {
        std::vector<std::string> arguments = {program,    out.string(), "resume", "60",        "cpu", "1x64x9x9->63x63",
                                              "residual", "10",         program,  "--fake", "well"};
        std::vector<char*> raw;
        for (std::string& argument : arguments)
            raw.push_back(argument.data());
        raw.push_back(nullptr);
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        pid_t process = -1;
        ASSERT_EQ(::posix_spawn(&process, program.c_str(), &actions, nullptr, raw.data(), environ), 0);
        posix_spawn_file_actions_destroy(&actions);
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 60000));
        ::kill(process, SIGKILL);
        ::waitpid(process, nullptr, 0);
        if (std::filesystem::exists(out))
        {
            const Record record = tuning::readRecord(out); // an Error fails the test: the record is whole whenever it is there
            EXPECT_EQ(record.entries.size(), 3u);
            std::filesystem::remove(out); // and the next begins anew
            known = 0;
        }
        else
        {
            std::ifstream journal(out.string() + ".journal");
            const std::string text{std::istreambuf_iterator<char>(journal), {}};
            const size_t lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
            EXPECT_GE(lines, known) << "what was measured is lost";
            known = lines;
        }
    }
    const Outcome outcome = run(faking(out, "well", "resume", "10"));
    ASSERT_EQ(outcome.code, 0) << outcome.text;
    const Record record = tuning::readRecord(out);
    ASSERT_EQ(record.entries.size(), 3u);
    for (const tuning::Entry& entry : record.entries)
    {
        EXPECT_EQ(entry.best, "v3");
        EXPECT_EQ(entry.trials.size(), 6u);
    }
}

TEST(Tune, JournalGoesOnFromAnyByte)
{
    const TempFolder folder;
    const std::filesystem::path path = folder / "j";
    const json header = {{"agpnet_tuning_journal", 1}};
    const stages::Workload workload{"residual", "l2", "tokens", {1, 8, 3, 3}, {}};
    {
        app::Journal journal(path, header, false);
        for (int i = 0; i < 3; i++)
        {
            tuning::Trial each;
            each.variant = fmt::format("v{}", i);
            each.timing = each.reference = {1, 2, 0.5, 10};
            journal.add(workload, "first", each);
        }
    }
    const std::string whole = readBytes(path);
    std::vector<size_t> ends;
    for (size_t at = 0; (at = whole.find('\n', at)) != std::string::npos; at++)
        ends.push_back(at + 1);
    for (size_t length = 0; length <= whole.size(); length += length + 200 < whole.size() ? 97 : 1)
    {
        writeBytes(path, whole.substr(0, length));
        const auto lines =
            static_cast<size_t>(std::count_if(ends.begin(), ends.end(), [&](size_t end) { return end <= length; }));
        app::Journal journal(path, header, true);
        EXPECT_EQ(journal.continued(), lines == 0 ? 0 : lines - 1) << length;
        EXPECT_EQ(journal.find(workload, "first", "v0") != nullptr, lines >= 2);
        EXPECT_EQ(journal.find(workload, "second", "v0"), nullptr);
    }
    writeBytes(path, whole + "{\"problem\": 3}\nrubbish\n");
    EXPECT_EQ(app::Journal(path, header, true).continued(), 3u);
    EXPECT_EQ(readBytes(path), whole) << "what is not ours is cut off";
    EXPECT_EQ(app::Journal(path, {{"agpnet_tuning_journal", 2}}, true).continued(), 0u) << "another machine's";
}

TEST(Tune, TwoAtOnceKeepBothResults)
{
    const TempFolder folder;
    const std::filesystem::path out = folder / "a.json";
    {
        const app::Journal held(out.string() + ".journal", {{"other", 1}}, false);
        const Outcome refused = run(faking(out, "well"));
        EXPECT_EQ(refused.code, 1);
        EXPECT_THAT(refused.text, testing::HasSubstr("another agpnet tune is writing it"));
    }
    // Into one file from several processes at once: each keeps what the others wrote.
    ASSERT_EQ(run(faking(out, "well")).code, 0);
    Record base = tuning::readRecord(out);
    std::vector<std::thread> writers;
    for (int i = 0; i < 6; i++)
        writers.emplace_back(
            [&, i]
            {
                Record mine = base;
                for (tuning::Entry& entry : mine.entries)
                    entry.device.name = fmt::format("device {}", i);
                const app::FileLock lock(out);
                Record whole = tuning::readRecord(out);
                tuning::merge(whole, mine);
                tuning::writeRecord(out, whole);
            });
    for (std::thread& writer : writers)
        writer.join();
    EXPECT_EQ(tuning::readRecord(out).entries.size(), 7 * base.entries.size());
}

TEST(Tune, AFileThatIsNoRecordIsNotWrittenOver)
{
    const TempFolder folder;
    writeBytes(folder / "letter.json", "Dear all");
    const Outcome outcome = run(faking(folder / "letter.json", "well"));
    EXPECT_EQ(outcome.code, 1);
    EXPECT_THAT(outcome.text, testing::HasSubstr("it is not JSON"));
    EXPECT_EQ(readBytes(folder / "letter.json"), "Dear all");
}

TEST(Tune, ReportsNameWhatMattered)
{
    const TempFolder folder;
    ASSERT_EQ(run(faking(folder / "a.json", "wrong")).code, 0);
    Record record = tuning::readRecord(folder / "a.json");
    record.entries[0].device.name = "<b>|card|";
    const std::string md = app::markdownReport(record), html = app::htmlReport(record);
    EXPECT_THAT(md, testing::HasSubstr("mismatch"));
    EXPECT_THAT(md, testing::HasSubstr("| n |    0 | 1.00 |"));
    EXPECT_THAT(md, testing::HasSubstr("\\|card\\|"));
    EXPECT_THAT(html, testing::HasSubstr("&lt;b&gt;"));
    EXPECT_THAT(html, testing::Not(testing::HasSubstr("<b>")));
}

/// Tunes a device for real, in no time to speak of, and gives the record.
Record tuned(const TempFolder& folder, const std::string& device)
{
    const std::filesystem::path out = folder / "real.json";
    const Outcome outcome = run(fmt::format("{} {} fresh 1 {} {} residual 120 {}", program, out.string(), device, shape, trial));
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    return tuning::readRecord(out);
}

/// The library that this test is linked to, with the record and without.
void expectTheSameResults(const TempFolder& folder, const Record& record)
{
    Record forced = record; // so that something other than the default is chosen, whatever the noise of this machine said
    for (tuning::Entry& entry : forced.entries)
        for (const tuning::Trial& each : entry.trials)
            if (each.status == Status::Ok && each.variant != entry.defaultVariant)
                entry.best = each.variant;
    tuning::writeRecord(folder / "forced.json", forced);
    const int size[] = {1, 64, 9, 9};
    cv::Mat f(4, size, CV_32F), g(4, size, CV_32F), before, with, after;
    cv::randu(f, -1, 1);
    cv::randu(g, -1, 1);
    clearTuning();
    residual(f, g, before);
    loadTuning(folder / "forced.json");
    residual(f, g, with);
    clearTuning();
    residual(f, g, after);
    EXPECT_LT(cv::norm(with, before, cv::NORM_INF), 1e-5);
    EXPECT_EQ(cv::norm(after, before, cv::NORM_INF), 0);
}

TEST(Tune, TheCpuEndToEnd)
{
    const TempFolder folder;
    const Record record = tuned(folder, "cpu");
    ASSERT_GE(record.entries.size(), 1u);
    const tuning::Entry& entry = record.entries[0];
    EXPECT_FALSE(entry.device.software);
    EXPECT_EQ(entry.trials.at(0).variant, entry.defaultVariant);
    expectTheSameResults(folder, record);

    loadTuning(folder / "real.json");
    const auto decisionFor = [&](const std::string& wanted)
    {
        const json information = json::parse(tuningInformation());
        for (const json& decision : information.at("decisions"))
            if (decision.at("shape") == wanted && decision.at("stage") == "residual" && decision.at("kind") == entry.workload.kind)
                return decision;
        return json();
    };
    EXPECT_EQ(decisionFor("1x64x9x9").at("why"), "exact");
    EXPECT_EQ(decisionFor("1x64x9x9").at("variant"), entry.best);
    const Outcome info = run("AGPNET_TUNING=" + (folder / "real.json").string() + " " AGPNET_PROGRAM " info");
    EXPECT_EQ(info.code, 0);
    EXPECT_THAT(info.text, testing::HasSubstr(fmt::format("real.json: {} in use, 0 ignored", record.entries.size())));
    EXPECT_THAT(info.text, testing::ContainsRegex("residual .*1x64x9x9 .*cpu .*exact, "));
    clearTuning();
}

TEST(Tune, AnOpenClDeviceEndToEnd)
{
    const TempFolder folder;
    const Outcome there = run(fmt::format("echo '{{\"do\": \"device\", \"device\": \"opencl:0\"}}' | {}", trial));
    if (there.text.find("error") != std::string::npos)
        GTEST_SKIP() << there.text;
    const Record record = tuned(folder, "opencl:0");
    ASSERT_GE(record.entries.size(), 1u);
    EXPECT_EQ(record.entries[0].device.api, stages::Api::OpenCL);
    EXPECT_EQ(record.entries[0].trials.at(0).status, Status::Ok) << record.entries[0].trials[0].message;
    loadTuning(folder / "real.json");
    EXPECT_EQ(json::parse(tuningInformation()).at("choices").size(), record.entries.size());
    clearTuning();
}

TEST(Tune, TheProgramItself)
{
    const TempFolder folder;
    const std::string out = (folder / "a.json").string();
    const Outcome outcome =
        run(AGPNET_PROGRAM " tune --stage heatmap --shapes '1x64x9x9→63x63' --budget 1s --report md --out " + out);
    ASSERT_EQ(outcome.code, 0) << outcome.text;
    const Record record = tuning::readRecord(out);
    ASSERT_EQ(record.entries.size(), 1u);
    EXPECT_EQ(stages::shapeText(record.entries[0].workload), "1x1x9x9->63x63");
    EXPECT_THAT(readBytes(folder / "a.md"), testing::HasSubstr("## heatmap 1x1x9x9->63x63 on "));
    const Outcome merged = run(AGPNET_PROGRAM " tune merge " + out + " " + out + " --out " + (folder / "b.json").string());
    EXPECT_EQ(merged.code, 0) << merged.text;
    EXPECT_EQ(tuning::readRecord(folder / "b.json").entries.size(), 1u);
    for (const auto& [arguments, says] :
         std::vector<std::pair<std::string, std::string>>{{"--budget soon", "expected a time such as"},
                                                          {"--shapes 18x18", "expected NxCxHxW"},
                                                          {"--shapes 1x64x9x9", "does not say to what"},
                                                          {"--device tpu", "expected cpu, opencl:N or cuda:N"},
                                                          {"--device opencl:99", "OpenCL"},
                                                          {"--model /nowhere.agp", "/nowhere.agp"},
                                                          {"--deep /nowhere", "is no build folder"}})
    {
        const Outcome refused = run(AGPNET_PROGRAM " tune --out " + (folder / "c.json").string() + " " + arguments);
        EXPECT_EQ(refused.code, 1) << arguments << refused.text;
        EXPECT_THAT(refused.text, testing::HasSubstr(says)) << arguments;
        EXPECT_EQ(std::count(refused.text.begin(), refused.text.end(), '\n'), 1) << refused.text;
    }
    EXPECT_FALSE(std::filesystem::exists(folder / "c.json"));
    const Outcome dry = run(AGPNET_PROGRAM " tune --dry-run --out " + (folder / "c.json").string());
    EXPECT_THAT(dry.text, testing::HasSubstr("the record goes to"));
    EXPECT_FALSE(std::filesystem::exists(folder / "c.json"));
}

TEST(Tune, TheDeepSearchMakesRowsForTheTable)
{
    const TempFolder folder;
    const std::filesystem::path out = folder / "deep.json";
    const Outcome outcome = run(fmt::format("{} {} fresh 600 cpu '1x64x9x9->63x63' residual 120 --deep {} 3", program,
                                            out.string(), AGPNET_BUILD_FOLDER));
    ASSERT_EQ(outcome.code, 0) << outcome.text;
    const Record record = tuning::readRecord(out);
    ASSERT_EQ(record.entries.size(), 3u);
    const json rows = json::parse(readBytes(folder / "deep.variants")).at("variants");
    for (const tuning::Entry& entry : record.entries)
    {
        size_t made = 0;
        for (const tuning::Trial& each : entry.trials)
            if (each.variant.find("_lanes") != std::string::npos)
            {
                made++;
                EXPECT_EQ(each.status, Status::Ok) << each.variant << ": " << each.message;
                EXPECT_LE(each.maxError, 2e-5);
            }
        EXPECT_EQ(made, 3u) << outcome.text;
        const auto isBest = [&](const json& row) { return row.at("name") == entry.best && row.at("kind") == entry.workload.kind; };
        EXPECT_EQ(std::count_if(rows.begin(), rows.end(), isBest),
                  entry.best == entry.defaultVariant || entry.best.find("_lanes") == std::string::npos ? 0 : 1);
    }
}

/// What the environment's record makes a process of its own say.
std::string saidWith(const std::string& environment)
{
    return run(environment + " " AGPNET_PROGRAM " info").text;
}

TEST(Load, ABadRecordIsOneWarningAndTheDefault)
{
    const TempFolder folder;
    writeBytes(folder / "bad.json", "{\"agpnet_tuning\": 1, \"entries\": [{}]}");
    const std::string text = saidWith("AGPNET_TUNING=" + (folder / "bad.json").string());
    size_t warnings = 0;
    for (size_t at = 0; (at = text.find("a tuning record is ignored", at)) != std::string::npos; at++)
        warnings++;
    EXPECT_EQ(warnings, 1u) << text;
    EXPECT_THAT(text, testing::HasSubstr("entry 0 lacks \"stage\""));
    EXPECT_THAT(text, testing::HasSubstr("default"));
    EXPECT_THAT(saidWith("AGPNET_TUNING=off"), testing::HasSubstr("no record"));
    EXPECT_THAT(saidWith("AGPNET_TUNING=/nowhere.json"), testing::HasSubstr("/nowhere.json: cannot be read"));
}

TEST(Load, AStaleRecordIsOneWarningAndTheDefault)
{
    const TempFolder folder;
    ASSERT_EQ(run(faking(folder / "cache/agpnet/tuning/a.json", "well")).code, 0); // of sources that this build has not
    const std::string text = saidWith("AGPNET_TUNING= XDG_CACHE_HOME=" + (folder / "cache").string());
    EXPECT_THAT(text, testing::HasSubstr("3 of 3 measurements are ignored"));
    EXPECT_THAT(text, testing::HasSubstr("other sources of the stage"));
    EXPECT_THAT(text, testing::HasSubstr("0 in use, 3 ignored"));
}

TEST(Load, RefusesByTheDoors)
{
    const TempFolder folder;
    writeBytes(folder / "bad.json", "[]");
    EXPECT_THROW(loadTuning(folder / "bad.json"), cv::Exception);
    EXPECT_THROW(loadTuning(folder / "none.json"), cv::Exception);
    EXPECT_THROW(loadTuning(folder.path()), cv::Exception) << "one of the folder's is no record";
    auto* load = reinterpret_cast<agpnet_load_tuning_t*>(::dlsym(RTLD_DEFAULT, AGPNET_LOAD_TUNING));
    ASSERT_NE(load, nullptr);
    char message[256] = "";
    EXPECT_EQ(load((folder / "bad.json").c_str(), message, sizeof message), AGPNET_E_FAILED);
    EXPECT_THAT(message, testing::HasSubstr("no tuning record"));
    EXPECT_EQ(load(nullptr, nullptr, 0), AGPNET_OK);
    EXPECT_EQ(load(nullptr, nullptr, 5), AGPNET_E_ARGUMENT);
}

} // namespace
