#include "models/training/record.h"

#include "tests/support/error_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace agpnet
{
namespace
{

using nlohmann::json;
using ::testing::HasSubstr;

/// As trainings write it: what is known while they run, and once the model is made.
const char whole[] = R"({"seconds":12.5,"images_seen":800,"first_loss":1.5,"last_loss":0.25,
    "values":{"bits":12,"given":false,"images":9,"least":3000,"greatest":4095,"above":0},
    "sets":[{"name":"a","count":90,"held_back":9},{"name":"b","count":4,"held_back":0,"chosen":[3,1]}],"images":83,"images_held_back":9,
    "early_stop":{"checks":[0.5,0.75],"seen_at":50},"profile":{"decoder":3.5,"noise":1.5},
    "steps":100,"noise_unit":0.75,"finished":"2026-01-02T03:04:05Z","device":"cpu","processes":2,"precision":"fp32",
    "versions":{"agpnet":"0.1.0"},
    "data":{"path":"/parts","sha256":"00"},"shots":["x.png"]})";

TEST(TrainingRecord, EveryMemberGoesThroughJson)
{
    const json written = json::parse(whole);
    EXPECT_EQ(json(written.get<TrainingRecord>()), written);
    const auto record = written.get<TrainingRecord>();
    EXPECT_EQ(record.sets.at(1).chosen, (std::vector<size_t>{3, 1}));
    EXPECT_EQ(record.earlyStop->seenAt, 50);
    EXPECT_EQ(record.end->versions.at("agpnet"), "0.1.0");
    EXPECT_EQ(record.notes.size(), 2u) << "the caller's alone";
}

TEST(TrainingRecord, WhatIsNotKnownIsLeftOut)
{
    EXPECT_EQ(json(TrainingRecord()), json::object());
    for (const char* key : {"values", "early_stop", "profile", "sets", "first_loss", "data"})
    {
        json some = json::parse(whole);
        some.erase(key);
        if (std::string(key) == "sets") // which the two sums go with
        {
            some.erase("images");
            some.erase("images_held_back");
        }
        EXPECT_EQ(json(some.get<TrainingRecord>()), some) << key;
    }
}

TEST(TrainingRecord, OfAnotherTypeIsRefusedByName)
{
    for (const char* key : {"seconds", "images_seen", "values", "sets", "early_stop", "profile", "steps", "versions"})
    {
        json wrong = json::parse(whole);
        wrong[key] = "text";
        EXPECT_THAT(test::errorOf([&] { wrong.get<TrainingRecord>(); }), HasSubstr(std::string("'") + key + "' is \"text\"")) << key;
    }
    EXPECT_THROW(json::array().get<TrainingRecord>(), Error);
}

TEST(TrainingRecord, NotesCannotTakeItsOwnKeys)
{
    TrainingRecord record;
    record.addNote("data", {{"path", "/parts"}});
    EXPECT_EQ(json(record), json::parse(R"({"data":{"path":"/parts"}})"));
    const json all = json::parse(whole);
    for (const auto& [key, value] : all.items())
        if (key != "data" && key != "shots")
        {
            EXPECT_THROW(record.addNote(key, 1), Error) << key;
        }
}

} // namespace
} // namespace agpnet
