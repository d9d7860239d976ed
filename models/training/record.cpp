#include "models/training/record.h"

#include "common/error.h"

#include <string_view>

namespace agpnet
{

using nlohmann::json;

// before what reads and writes members by them
void to_json(json& object, const ValuesRecord& values);
void from_json(const json& object, ValuesRecord& values);
void to_json(json& object, const SetRecord& set);
void from_json(const json& object, SetRecord& set);
void to_json(json& object, const EarlyStopRecord& stop);
void from_json(const json& object, EarlyStopRecord& stop);

namespace
{

// One list of members for each structure, for reading, writing and the check of notes: visit(key, member, whether it is known yet).

void forEachMember(ValuesRecord& values, auto visit)
{
    visit("bits", values.bits, true);
    visit("given", values.given, true);
    visit("images", values.images, true);
    visit("least", values.least, true);
    visit("greatest", values.greatest, true);
    visit("above", values.above, true);
}

void forEachMember(SetRecord& set, auto visit)
{
    visit("name", set.name, true);
    visit("count", set.count, true);
    visit("held_back", set.heldOut, true);
    visit("chosen", set.chosen, set.chosen.has_value());
}

void forEachMember(EarlyStopRecord& stop, auto visit)
{
    visit("checks", stop.checks, true);
    visit("seen_at", stop.seenAt, stop.seenAt.has_value());
}

void forEachMember(EndRecord& end, auto visit)
{
    visit("steps", end.steps, true);
    visit("noise_unit", end.noiseUnit, true);
    visit("finished", end.finished, true);
    visit("device", end.device, true);
    visit("processes", end.processes, true);
    visit("precision", end.precision, true);
    visit("versions", end.versions, true);
}

/// Without the end, whose members stand beside these in JSON.
void forEachMember(TrainingRecord& record, auto visit)
{
    visit("seconds", record.seconds, record.imagesSeen > 0 || record.seconds > 0);
    visit("images_seen", record.imagesSeen, record.imagesSeen > 0);
    visit("first_loss", record.firstLoss, record.firstLoss.has_value());
    visit("last_loss", record.lastLoss, record.lastLoss.has_value());
    visit("values", record.values, record.values.has_value());
    visit("sets", record.sets, !record.sets.empty());
    visit("images", record.images, !record.sets.empty());
    visit("images_held_back", record.imagesHeldOut, !record.sets.empty());
    visit("early_stop", record.earlyStop, record.earlyStop.has_value());
    visit("profile", record.profile, !record.profile.empty());
}

bool isOwn(std::string_view key)
{
    bool own = false;
    const auto compare = [&](const char* name, const auto&, bool) { own |= key == name; };
    TrainingRecord record;
    EndRecord end;
    forEachMember(record, compare);
    forEachMember(end, compare);
    return own;
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

template <typename Record>
void readMembers(const json& object, Record& record)
{
    requireObject(object);
    forEachMember(record, [&](const char* key, auto& member, bool) { read(object, key, member); });
}

template <typename Value>
json written(const Value& value)
{
    return value;
}

template <typename Value>
json written(const std::optional<Value>& value)
{
    return *value;
}

template <typename Record>
void writeMembers(json& object, Record record)
{
    forEachMember(record, [&](const char* key, const auto& member, bool known) {
        if (known)
            object[key] = written(member);
    });
}

} // namespace

void to_json(json& object, const ValuesRecord& values) { writeMembers(object, values); }
void from_json(const json& object, ValuesRecord& values) { readMembers(object, values); }
void to_json(json& object, const SetRecord& set) { writeMembers(object, set); }
void from_json(const json& object, SetRecord& set) { readMembers(object, set); }
void to_json(json& object, const EarlyStopRecord& stop) { writeMembers(object, stop); }
void from_json(const json& object, EarlyStopRecord& stop) { readMembers(object, stop); }

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
    writeMembers(object, record);
    if (record.end)
        writeMembers(object, *record.end);
}

void from_json(const json& object, TrainingRecord& record)
{
    require(object.is_object(), "is {}, expected an object", object.type_name());
    record = {};
    readMembers(object, record);
    if (object.contains("steps"))
        readMembers(object, record.end.emplace());
    for (const auto& [key, value] : object.items())
        if (!isOwn(key))
            record.notes[key] = value;
}

} // namespace agpnet
