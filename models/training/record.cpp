#include "models/training/record.h"

#include "common/error.h"

#include <algorithm>
#include <string_view>

namespace agpnet
{
namespace
{

using nlohmann::json;

constexpr std::string_view ownKeys[] = {"seconds",  "images_seen",      "first_loss", "last_loss", "values",  "sets",
                                        "images",   "images_held_back", "early_stop", "profile",   "steps",   "noise_unit",
                                        "finished", "device",           "processes",  "precision", "versions"};

bool isOwn(std::string_view key)
{
    return std::find(std::begin(ownKeys), std::end(ownKeys), key) != std::end(ownKeys);
}

/// What read() says by its key.
void requireObject(const json& value)
{
    if (!value.is_object())
        throw json::type_error::create(302, "expected an object", &value);
}

template <typename Value>
void read(const json& object, const char* key, Value& value)
{
    if (const auto it = object.find(key); it != object.end())
        try
        {
            it->get_to(value);
        }
        catch (const json::exception& error)
        {
            fail("'{}' is {}: {}", key, it->dump().substr(0, 40), error.what());
        }
}

template <typename Value>
void read(const json& object, const char* key, std::optional<Value>& value)
{
    if (object.contains(key))
        read(object, key, value.emplace());
}

} // namespace

void to_json(json& object, const ValuesRecord& values)
{
    object = {{"bits", values.bits},   {"given", values.given},       {"images", values.images},
              {"least", values.least}, {"greatest", values.greatest}, {"above", values.above}};
}

void from_json(const json& object, ValuesRecord& values)
{
    requireObject(object);
    read(object, "bits", values.bits);
    read(object, "given", values.given);
    read(object, "images", values.images);
    read(object, "least", values.least);
    read(object, "greatest", values.greatest);
    read(object, "above", values.above);
}

void to_json(json& object, const SetRecord& set)
{
    object = {{"name", set.name}, {"count", set.count}, {"held_back", set.heldOut}};
    if (set.chosen)
        object["chosen"] = *set.chosen;
}

void from_json(const json& object, SetRecord& set)
{
    requireObject(object);
    read(object, "name", set.name);
    read(object, "count", set.count);
    read(object, "held_back", set.heldOut);
    read(object, "chosen", set.chosen);
}

void to_json(json& object, const EarlyStopRecord& stop)
{
    object = {{"checks", stop.checks}};
    if (stop.seenAt)
        object["seen_at"] = *stop.seenAt;
}

void from_json(const json& object, EarlyStopRecord& stop)
{
    requireObject(object);
    read(object, "checks", stop.checks);
    read(object, "seen_at", stop.seenAt);
}

json toJson(const std::vector<SetRecord>& sets)
{
    return sets;
}

void TrainingRecord::addNote(const std::string& key, json note)
{
    require(!isOwn(key), "note '{}': is a key of the record's own, expected another one", key);
    notes[key] = std::move(note);
}

void to_json(json& object, const TrainingRecord& record)
{
    object = record.notes;
    if (record.imagesSeen > 0 || record.seconds > 0)
        object["seconds"] = record.seconds;
    if (record.imagesSeen > 0)
        object["images_seen"] = record.imagesSeen;
    if (record.firstLoss)
        object["first_loss"] = *record.firstLoss;
    if (record.lastLoss)
        object["last_loss"] = *record.lastLoss;
    if (record.values)
        object["values"] = *record.values;
    if (!record.sets.empty())
    {
        object["sets"] = record.sets;
        object["images"] = record.images;
        object["images_held_back"] = record.imagesHeldOut;
    }
    if (record.earlyStop)
        object["early_stop"] = *record.earlyStop;
    if (!record.profile.empty())
        object["profile"] = record.profile;
    if (const auto& end = record.end)
    {
        object["steps"] = end->steps;
        object["noise_unit"] = end->noiseUnit;
        object["finished"] = end->finished;
        object["device"] = end->device;
        object["processes"] = end->processes;
        object["precision"] = end->precision;
        object["versions"] = end->versions;
    }
}

void from_json(const json& object, TrainingRecord& record)
{
    require(object.is_object(), "is {}, expected an object", object.type_name());
    record = {};
    read(object, "seconds", record.seconds);
    read(object, "images_seen", record.imagesSeen);
    read(object, "first_loss", record.firstLoss);
    read(object, "last_loss", record.lastLoss);
    read(object, "values", record.values);
    read(object, "sets", record.sets);
    read(object, "images", record.images);
    read(object, "images_held_back", record.imagesHeldOut);
    read(object, "early_stop", record.earlyStop);
    read(object, "profile", record.profile);
    if (object.contains("steps"))
    {
        EndRecord& end = record.end.emplace();
        read(object, "steps", end.steps);
        read(object, "noise_unit", end.noiseUnit);
        read(object, "finished", end.finished);
        read(object, "device", end.device);
        read(object, "processes", end.processes);
        read(object, "precision", end.precision);
        read(object, "versions", end.versions);
    }
    for (const auto& [key, value] : object.items())
        if (!isOwn(key))
            record.notes[key] = value;
}

} // namespace agpnet
