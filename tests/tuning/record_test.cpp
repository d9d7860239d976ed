// The record as a file: what is read, what is refused and why, and what of it may be used.
#include "tests/support/error_text.h"
#include "tests/support/temp_folder.h"
#include "tuning/workloads.h"
#include "tuning/usable.h"

using namespace agpnet;
using namespace agpnet::tuning;
using agpnet::test::errorOf;
using nlohmann::json;

namespace
{

/// A record as a measurement on this build would be: the default lost to the second of its table.
Entry measured()
{
    Entry entry;
    entry.workload = {"residual", "l2", "tokens", {1, 384, 18, 18}, {}};
    entry.device = stages::identify({});
    entry.halide = stages::halideVersion;
    entry.generator = generatorHash("residual");
    entry.plugin = "0.1.0";
    entry.conditions = {2, 0.5, 1.01, "", 0, "2026-01-02T03:04:05Z"};
    for (const stages::CompiledVariant* variant : stages::allVariants())
        if (std::string_view(variant->api) == "cpu" && stages::firstVariant(stages::Api::Cpu, entry.workload, variant->name) == variant)
        {
            Trial trial;
            trial.variant = variant->name;
            trial.parameters = variant->parameters;
            trial.timing = trial.reference = {10, 11, 0.25, 700};
            entry.trials.push_back(trial);
        }
    entry.defaultVariant = entry.trials.at(0).variant;
    entry.best = entry.trials.at(1).variant;
    entry.defaultTiming = {10, 11, 0.25, 700};
    entry.speedup = entry.trials[1].speedup = 1.25;
    return entry;
}

json asJson(const Entry& entry)
{
    return toJson(Record{{entry}});
}

TEST(Record, IsTheSameAfterWritingAndReading)
{
    const test::TempFolder folder;
    Entry failed = measured();
    failed.workload = {"heatmap", "", "any", {2, 1, 18, 18}, {252, 250}};
    Trial trial;
    trial.variant = "wrong";
    trial.parameters = "bits=4 lanes=8";
    trial.status = Status::Timeout;
    trial.message = "no answer within 60 s";
    failed.trials.push_back(trial);
    const Record record{{measured(), failed}};
    writeRecord(folder / "a.json", record);
    EXPECT_EQ(toJson(readRecord(folder / "a.json")), toJson(record));
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1) << "something lies beside it";
}

TEST(Record, ShapesAreReadAsTheyAreWritten)
{
    for (const auto& [text, plain] :
         std::vector<std::pair<std::string, std::string>>{{"1x384x18x18", "1x384x18x18"},
                                                          {"2x1x18x20->252x280", "2x1x18x20->252x280"},
                                                          {"1x1x18x18→252x252", "1x1x18x18->252x252"}})
    {
        stages::Workload workload;
        parseShape(text, workload.from, workload.to);
        EXPECT_EQ(stages::shapeText(workload), plain);
    }
    for (const char* bad : {"", "1", "1x2x3", "1x2x3x4x5", "1x2x3x0", "1x2x3x-4", "axbxcxd", "1x2x3x4->", "1x2x3x4->5",
                            "1x2x3x4->5x6x7", "1x2x3x4->0x6", "1x2x3x4 ", "99999999x1x1x1", "1x2x3x4>5x6", "1x2x3x4->5 x6"})
    {
        stages::Workload workload;
        EXPECT_THAT(errorOf([&] { parseShape(bad, workload.from, workload.to); }), testing::HasSubstr("expected NxCxHxW")) << bad;
    }
}

struct Bad
{
    const char* what;
    std::function<void(json&)> spoil;
    const char* says;
};

TEST(Record, BadOnesAreRefusedWithTheReason)
{
    const auto entry = [](json& record) -> json& { return record["entries"][0]; };
    const auto trial = [](json& record) -> json& { return record["entries"][0]["trials"][0]; };
    const std::string endless(100000, 'x');
    const Bad table[] = {
        {"no version", [](json& r) { r.erase("agpnet_tuning"); }, "no tuning record"},
        {"version of text", [](json& r) { r["agpnet_tuning"] = "1"; }, "expected an integer"},
        {"later version", [](json& r) { r["agpnet_tuning"] = 2; }, "it is of version 2, expected 1"},
        {"unknown key", [](json& r) { r["extra"] = 1; }, "has \"extra\", which no record has"},
        {"entries of text", [](json& r) { r["entries"] = "many"; }, "expected an array"},
        {"entry of text", [](json& r) { r["entries"][0] = "x"; }, "expected an object"},
        {"too many entries", [](json& r) { r["entries"] = std::vector<int>(5000, 1); }, "at most 4096"},
        {"no stage", [&](json& r) { entry(r).erase("stage"); }, "lacks \"stage\""},
        {"unknown stage", [&](json& r) { entry(r)["stage"] = "launder"; }, "expected prepare, perturb, residual, heatmap"},
        {"unknown kind", [&](json& r) { entry(r)["kind"] = "l3"; }, "\"kind\" is \"l3\""},
        {"unknown layout", [&](json& r) { entry(r)["layout"] = "spiral"; }, "\"layout\" is \"spiral\""},
        {"other dtype", [&](json& r) { entry(r)["dtype"] = "uint8"; }, "does not take"},
        {"shape of numbers",
         [&](json& r) {
             entry(r)["shape"] = {1, 2, 3, 4};
         },
         "expected text"},
        {"shape of zero", [&](json& r) { entry(r)["shape"] = "1x384x0x18"; }, "the shape is"},
        {"shape of another stage", [&](json& r) { entry(r)["shape"] = "1x384x18x18->5x5"; }, "is none of residual"},
        {"unknown key in an entry", [&](json& r) { entry(r)["run"] = "rm"; }, "has \"run\""},
        {"endless text", [&](json& r) { entry(r)["plugin"] = endless; }, "at most 512"},
        {"control characters", [&](json& r) { entry(r)["halide"] = "\x1b[2J"; }, "control characters"},
        {"unknown api", [&](json& r) { entry(r)["device"]["api"] = "vulkan"; }, "expected cpu, opencl, cuda"},
        {"device of text", [&](json& r) { entry(r)["device"] = "cpu"; }, "expected an object"},
        {"software of a number", [&](json& r) { entry(r)["device"]["software"] = 1; }, "expected true or false"},
        {"speed-up below 1", [&](json& r) { entry(r)["speedup"] = 0.5; }, "expected 1 to"},
        {"speed-up that is none", [&](json& r) { entry(r)["speedup"] = nullptr; }, "expected a number"},
        {"huge number", [&](json& r) { entry(r)["default"]["timing"]["median_us"] = 1e300; }, "expected 0 to"},
        {"negative time", [&](json& r) { trial(r)["timing"]["min_us"] = -1; }, "expected 0 to"},
        {"half an iteration", [&](json& r) { trial(r)["timing"]["iterations"] = 0.5; }, "expected an integer"},
        {"too many trials", [&](json& r) { entry(r)["trials"] = std::vector<int>(5000, 1); }, "at most 4096"},
        {"trial twice", [&](json& r) { entry(r)["trials"].push_back(trial(r)); }, "two trials of"},
        {"unknown status", [&](json& r) { trial(r)["status"] = "perfect"; }, "\"status\" is \"perfect\""},
        {"parameters of an array",
         [&](json& r) {
             trial(r)["parameters"] = {1, 2};
         },
         "expected an object"},
        {"parameter with a blank in its name", [&](json& r) { trial(r)["parameters"]["stri p"] = 6; }, R"(parameter "stri p" is "6")"},
        {"parameter that looks like two", [&](json& r) { trial(r)["parameters"]["lanes"] = "8 strip=16"; }, R"(parameter "lanes" is "8 strip=16")"},
        {"parameter without a setting", [&](json& r) { trial(r)["parameters"]["lanes"] = ""; }, R"(parameter "lanes" is "")"},
        {"parameter of an object", [&](json& r) { trial(r)["parameters"]["lanes"] = json::object(); },
         "expected an integer or text"},
        {"best that was not tried", [&](json& r) { entry(r)["best"] = "magic"; }, "no trial that passed its check"},
        {"best that failed",
         [&](json& r)
         {
             json& best = entry(r)["trials"][1];
             best = {
                 {"variant", best["variant"]}, {"parameters", best["parameters"]}, {"status", "mismatch"}, {"message", "wrong"}};
         },
         "no trial that passed its check"},
    };
    for (const Bad& bad : table)
    {
        json record = asJson(measured());
        bad.spoil(record);
        EXPECT_THAT(errorOf([&] { recordFromText(record.dump()); }), testing::HasSubstr(bad.says)) << bad.what;
    }
    EXPECT_EQ(errorOf([] { recordFromText(""); }), "it is not JSON");
    EXPECT_EQ(errorOf([] { recordFromText(std::string(100000, '[')); }), "it is not JSON");
    const std::string whole = asJson(measured()).dump();
    for (size_t length = 0; length < whole.size(); length += 37)
        EXPECT_NE(errorOf([&] { recordFromText(whole.substr(0, length)); }), "no error") << "cut to " << length;
}

TEST(Record, FilesAreNamed)
{
    const test::TempFolder folder;
    EXPECT_THAT(errorOf([&] { readRecord(folder / "none.json"); }), testing::HasSubstr("none.json: cannot be read"));
    test::writeBytes(folder / "text.json", "hello");
    EXPECT_THAT(errorOf([&] { readRecord(folder / "text.json"); }), testing::HasSubstr("text.json: it is not JSON"));
    test::writeBytes(folder / "large.json", std::string((8 << 20) + 1, ' '));
    EXPECT_THAT(errorOf([&] { readRecord(folder / "large.json"); }), testing::HasSubstr("has at most 8388608"));
}

TEST(Record, MergingKeepsTheLaterAndAllTrials)
{
    Entry early = measured(), late = measured(), elsewhere = measured();
    Trial only;
    only.variant = "only_early";
    only.status = Status::Mismatch;
    early.trials.push_back(only);
    late.conditions.finished = "2026-02-01T00:00:00Z";
    late.best = late.defaultVariant;
    late.speedup = 1;
    elsewhere.device.name = "another";
    for (const bool turned : {false, true})
    {
        Record whole;
        merge(whole, {{turned ? late : early, elsewhere}});
        merge(whole, {{turned ? early : late}});
        ASSERT_EQ(whole.entries.size(), 2u);
        EXPECT_EQ(whole.entries[0].best, late.best);
        EXPECT_EQ(whole.entries[0].trials.size(), early.trials.size());
        EXPECT_EQ(whole.entries[0].trials.back().variant, "only_early");
        EXPECT_EQ(whole.entries[1].device.name, "another");
    }
}

TEST(Record, OnlyWhatThisBuildHasIsUsed)
{
    const Entry good = measured();
    Entry otherSource = good, otherHalide = good, otherName = good, otherParameters = good;
    otherSource.generator = std::string(64, '0');
    otherHalide.halide = "1.0.0";
    otherName.best = otherName.trials[1].variant = "abacus";
    otherParameters.trials[1].parameters = "lanes=3";
    const Usable usable = usableChoices({{good, otherSource, otherHalide, otherName, otherParameters}}, "here");
    ASSERT_EQ(usable.choices.size(), 1u);
    EXPECT_EQ(usable.choices[0].variant, good.best);
    EXPECT_EQ(usable.choices[0].origin, "here");
    ASSERT_EQ(usable.ignored.size(), 4u);
    EXPECT_THAT(usable.ignored[0], testing::HasSubstr("other sources"));
    EXPECT_THAT(usable.ignored[1], testing::HasSubstr("Halide 1.0.0"));
    EXPECT_THAT(usable.ignored[2], testing::HasSubstr("\"abacus\""));
    EXPECT_THAT(usable.ignored[3], testing::HasSubstr("lanes=3"));
}

} // namespace
