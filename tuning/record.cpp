#include "tuning/record.h"

#include "common/atomic_file.h"
#include "common/error.h"
#include "halide_generators/runtime/stage_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <set>

namespace agpnet::tuning
{

using nlohmann::json;
using stages::DeviceIdentity;
using stages::Workload;

namespace
{

constexpr uintmax_t mostBytes = 8 << 20;
constexpr size_t mostEntries = 4096, mostTrials = 4096, mostText = 512;
constexpr Status allStatus[] = {Status::Ok, Status::Mismatch, Status::LaunchError, Status::Timeout, Status::CompileError};

/// One object of the file: each field is asked for once, and what was not asked for is refused.
class Fields
{
public:
    Fields(const json& object, std::string where) : object_(object), where_(std::move(where))
    {
        require(object.is_object(), "{} is {}, expected an object", where_, object.type_name());
    }

    bool has(const char* key) const { return object_.contains(key); }

    const json& get(const char* key)
    {
        asked_.insert(key);
        const auto found = object_.find(key);
        require(found != object_.end(), "{} lacks \"{}\"", where_, key);
        return *found;
    }

    std::string text(const char* key)
    {
        const json& value = get(key);
        require(value.is_string(), "{}: \"{}\" is {}, expected text", where_, key, value.type_name());
        std::string text = value.get<std::string>();
        require(text.size() <= mostText, "{}: \"{}\" has {} characters, at most {} are possible", where_, key, text.size(), mostText);
        require(std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 32 || c == 127; }),
                "{}: \"{}\" has control characters", where_, key);
        return text;
    }

    std::string oneOf(const char* key, const std::vector<std::string>& known)
    {
        const std::string value = text(key);
        require(std::find(known.begin(), known.end(), value) != known.end(), "{}: \"{}\" is \"{}\", expected {}", where_, key, value,
                fmt::join(known, ", "));
        return value;
    }

    bool boolean(const char* key)
    {
        const json& value = get(key);
        require(value.is_boolean(), "{}: \"{}\" is {}, expected true or false", where_, key, value.type_name());
        return value.get<bool>();
    }

    double number(const char* key, double low, double high)
    {
        const json& value = get(key);
        require(value.is_number(), "{}: \"{}\" is {}, expected a number", where_, key, value.type_name());
        const double number = value.get<double>();
        require(number >= low && number <= high, "{}: \"{}\" is {}, expected {} to {}", where_, key, number, low, high);
        return number;
    }

    long integer(const char* key, long low, long high)
    {
        const json& value = get(key);
        require(value.is_number_integer(), "{}: \"{}\" is {}, expected an integer", where_, key, value.dump().substr(0, 40));
        return static_cast<long>(number(key, static_cast<double>(low), static_cast<double>(high)));
    }

    const json& array(const char* key, size_t most)
    {
        const json& value = get(key);
        require(value.is_array(), "{}: \"{}\" is {}, expected an array", where_, key, value.type_name());
        require(value.size() <= most, "{}: \"{}\" has {} elements, at most {} are possible", where_, key, value.size(), most);
        return value;
    }

    void done() const
    {
        for (const auto& [key, value] : object_.items())
            require(asked_.count(key) == 1, "{} has \"{}\", which no record has", where_, key.substr(0, 40));
    }

private:
    const json& object_;
    std::string where_;
    std::set<std::string> asked_;
};

/// Of the values that the stage reads.
std::string inputType(const Workload& workload)
{
    return stages::stageOf(workload.stage).kindIsType() ? workload.kind : "float32";
}

Workload workloadFrom(Fields& fields)
{
    Workload workload;
    workload.stage = fields.oneOf("stage", stages::stageNames());
    std::vector<std::string> kinds = stages::kindNames();
    kinds.emplace_back(); // a stage without kinds
    workload.kind = fields.oneOf("kind", kinds);
    workload.layout = fields.oneOf("layout", {"tokens", "planar", "any"});
    const std::string dtype = fields.text("dtype");
    require(dtype == inputType(workload), "\"dtype\" is \"{}\", which {} {} does not take", dtype, workload.stage, workload.kind);
    parseShape(fields.text("shape"), workload.from, workload.to);
    require(stages::stageOf(workload.stage).resizes() == (workload.to[0] > 0), "the shape \"{}\" is none of {}",
            stages::shapeText(workload), workload.stage);
    return workload;
}

json conditionsToJson(const Conditions& conditions)
{
    return {{"threads", conditions.threads}, {"load", conditions.load},           {"drift", conditions.drift},
            {"clocks", conditions.clocks},   {"throttled", conditions.throttled}, {"finished", conditions.finished}};
}

Conditions conditionsFromJson(const json& object)
{
    Fields fields(object, "\"conditions\"");
    Conditions conditions;
    conditions.threads = static_cast<int>(fields.integer("threads", 0, 65536));
    conditions.load = fields.number("load", 0, 1e6);
    conditions.drift = fields.number("drift", 0, 1e9);
    conditions.clocks = fields.text("clocks");
    conditions.throttled = fields.integer("throttled", 0, 1L << 40);
    conditions.finished = fields.text("finished");
    fields.done();
    return conditions;
}

json toJson(const Entry& entry)
{
    json object = tuning::toJson(entry.workload);
    object["device"] = tuning::toJson(entry.device);
    object["halide"] = entry.halide;
    object["generator"] = entry.generator;
    object["plugin"] = entry.plugin;
    object["conditions"] = conditionsToJson(entry.conditions);
    object["default"] = {{"variant", entry.defaultVariant}, {"timing", tuning::toJson(entry.defaultTiming)}};
    object["best"] = entry.best;
    object["speedup"] = entry.speedup;
    object["trials"] = json::array();
    for (const Trial& trial : entry.trials)
        object["trials"].push_back(tuning::toJson(trial));
    return object;
}

Entry entryFromJson(const json& object, size_t index)
{
    Fields fields(object, fmt::format("entry {}", index));
    Entry entry;
    entry.workload = workloadFrom(fields);
    entry.device = deviceFromJson(fields.get("device"));
    entry.halide = fields.text("halide");
    entry.generator = fields.text("generator");
    entry.plugin = fields.text("plugin");
    entry.conditions = conditionsFromJson(fields.get("conditions"));
    Fields standard(fields.get("default"), fmt::format("entry {}: \"default\"", index));
    entry.defaultVariant = standard.text("variant");
    entry.defaultTiming = timingFromJson(standard.get("timing"));
    standard.done();
    entry.best = fields.text("best");
    entry.speedup = fields.number("speedup", 1, 1e6);
    std::set<std::string> names;
    for (const json& trial : fields.array("trials", mostTrials))
    {
        entry.trials.push_back(trialFromJson(trial));
        require(names.insert(entry.trials.back().variant).second, "entry {} has two trials of \"{}\"", index, entry.trials.back().variant);
    }
    const auto best =
        std::find_if(entry.trials.begin(), entry.trials.end(), [&](const Trial& trial) { return trial.variant == entry.best; });
    require(best != entry.trials.end() && best->status == Status::Ok, "entry {}: the best, \"{}\", is no trial that passed its check",
            index, entry.best);
    fields.done();
    return entry;
}

bool sameKey(const Entry& a, const Entry& b)
{
    return a.workload == b.workload && a.device.api == b.device.api && a.device.name == b.device.name && a.device.uuid == b.device.uuid &&
           a.device.software == b.device.software && a.halide == b.halide && a.generator == b.generator;
}

} // namespace

const char* nameOf(Status status)
{
    switch (status)
    {
    case Status::Mismatch: return "mismatch";
    case Status::LaunchError: return "launch_error";
    case Status::Timeout: return "timeout";
    case Status::CompileError: return "compile_error";
    default: return "ok";
    }
}

void parseShape(const std::string& text, std::array<int, 4>& from, std::array<int, 2>& to)
{
    std::string plain = text;
    if (const size_t arrow = plain.find("→"); arrow != std::string::npos)
        plain.replace(arrow, std::string("→").size(), "->");
    int read = 0, more = 0;
    to = {};
    const bool first = std::sscanf(plain.c_str(), "%7dx%7dx%7dx%7d%n", &from[0], &from[1], &from[2], &from[3], &read) == 4;
    const std::string rest = first ? plain.substr(static_cast<size_t>(read)) : "";
    const bool second = rest.empty() || (std::sscanf(rest.c_str(), "->%7dx%7d%n", &to[0], &to[1], &more) == 2 &&
                                         static_cast<size_t>(more) == rest.size() && to[0] > 0 && to[1] > 0);
    require(first && second && std::all_of(from.begin(), from.end(), [](int side) { return side > 0; }) &&
                plain.find(' ') == std::string::npos,
            "the shape is \"{}\", expected NxCxHxW or NxCxHxW->HxW, of positive numbers", text.substr(0, 60));
}

json parametersToJson(const std::string& text)
{
    json object = json::object();
    for (size_t at = 0; at < text.size();)
    {
        const size_t end = std::min(text.find(' ', at), text.size()), equals = text.find('=', at);
        const std::string key = text.substr(at, equals - at), value = text.substr(equals + 1, end - equals - 1);
        int number = 0;
        const auto [last, error] = std::from_chars(value.data(), value.data() + value.size(), number);
        if (error == std::errc() && last == value.data() + value.size())
            object[key] = number;
        else
            object[key] = value;
        at = end + 1;
    }
    return object;
}

std::string parametersFromJson(const json& object)
{
    require(object.is_object() && object.size() <= 64, "\"parameters\" is {}, expected an object of at most 64", object.type_name());
    std::string text;
    for (const auto& [key, value] : object.items())
    {
        require(value.is_number_integer() || value.is_string(), "parameter \"{}\" is {}, expected an integer or text", key.substr(0, 40),
                value.type_name());
        const std::string setting = value.is_string() ? value.get<std::string>() : value.dump();
        for (const std::string& part : {key, setting})
            require(!part.empty() && part.find_first_of(" =") == std::string::npos,
                    "parameter \"{}\" is \"{}\", expected neither blanks nor = nor nothing", key.substr(0, 40), setting.substr(0, 40));
        text += fmt::format("{}{}={}", text.empty() ? "" : " ", key, setting);
    }
    require(text.size() <= 4 * mostText, "\"parameters\" has {} characters, at most {} are possible", text.size(), 4 * mostText);
    return text;
}

json toJson(const Workload& workload)
{
    return {{"stage", workload.stage},
            {"kind", workload.kind},
            {"layout", workload.layout},
            {"dtype", inputType(workload)},
            {"shape", stages::shapeText(workload)}};
}

Workload workloadFromJson(const json& object)
{
    Fields fields(object, "the workload");
    Workload workload = workloadFrom(fields);
    fields.done();
    return workload;
}

json toJson(const DeviceIdentity& device)
{
    return {{"api", stages::nameOf(device.api)},     {"name", device.name},     {"uuid", device.uuid},
            {"architecture", device.architecture}, {"driver", device.driver}, {"software", device.software}};
}

DeviceIdentity deviceFromJson(const json& object)
{
    Fields fields(object, "\"device\"");
    DeviceIdentity device;
    device.api = stages::apiOf(fields.oneOf("api", {"cpu", "opencl", "cuda"}));
    device.name = fields.text("name");
    device.uuid = fields.text("uuid");
    device.architecture = fields.text("architecture");
    device.driver = fields.text("driver");
    device.software = fields.boolean("software");
    fields.done();
    return device;
}

json toJson(const Timing& timing)
{
    return {{"min_us", timing.minimum}, {"median_us", timing.median}, {"mad_us", timing.mad}, {"iterations", timing.iterations}};
}

Timing timingFromJson(const json& object)
{
    Fields fields(object, "a timing");
    Timing timing;
    timing.minimum = fields.number("min_us", 0, 1e12);
    timing.median = fields.number("median_us", 0, 1e12);
    timing.mad = fields.number("mad_us", 0, 1e12);
    timing.iterations = static_cast<int>(fields.integer("iterations", 0, 2000000000));
    fields.done();
    return timing;
}

json toJson(const Trial& trial)
{
    json object = {{"variant", trial.variant}, {"parameters", parametersToJson(trial.parameters)}, {"status", nameOf(trial.status)}};
    if (trial.status != Status::Ok)
        object["message"] = trial.message;
    else
    {
        object["max_error"] = trial.maxError;
        object["timing"] = toJson(trial.timing);
        object["default"] = toJson(trial.reference);
        object["speedup"] = trial.speedup;
        object["noise"] = trial.noise;
    }
    return object;
}

Trial trialFromJson(const json& object)
{
    Fields fields(object, "a trial");
    Trial trial;
    trial.variant = fields.text("variant");
    trial.parameters = parametersFromJson(fields.get("parameters"));
    const std::string status = fields.oneOf("status", {"ok", "mismatch", "launch_error", "timeout", "compile_error"});
    for (Status each : allStatus)
        if (status == nameOf(each))
            trial.status = each;
    if (trial.status != Status::Ok)
        trial.message = fields.text("message");
    else
    {
        trial.maxError = fields.number("max_error", 0, 1e30);
        trial.timing = timingFromJson(fields.get("timing"));
        trial.reference = timingFromJson(fields.get("default"));
        trial.speedup = fields.number("speedup", 0, 1e6);
        trial.noise = fields.number("noise", 0, 1e6);
    }
    fields.done();
    return trial;
}

json toJson(const Record& record)
{
    json entries = json::array();
    for (const Entry& entry : record.entries)
        entries.push_back(toJson(entry));
    return {{"agpnet_tuning", recordVersion}, {"entries", entries}};
}

Record recordFromText(const std::string& text)
{
    json document;
    try
    {
        document = json::parse(text);
    }
    catch (const json::exception&)
    {
        fail("it is not JSON");
    }
    require(document.is_object() && document.contains("agpnet_tuning"), "it is no tuning record: there is no \"agpnet_tuning\" in it");
    Fields fields(document, "the record");
    const long version = fields.integer("agpnet_tuning", 0, 1000000);
    require(version == recordVersion, "it is of version {}, expected {}", version, recordVersion);
    Record record;
    for (const json& entry : fields.array("entries", mostEntries))
        record.entries.push_back(entryFromJson(entry, record.entries.size()));
    fields.done();
    return record;
}

Record readRecord(const std::filesystem::path& path)
{
    std::error_code error;
    const uintmax_t bytes = std::filesystem::file_size(path, error);
    require(!error, "{}: cannot be read: {}", path.string(), error.message());
    require(bytes <= mostBytes, "{}: has {} bytes, a tuning record has at most {}", path.string(), bytes, mostBytes);
    std::string text(static_cast<size_t>(bytes), '\0');
    std::ifstream file(path, std::ios::binary);
    require(static_cast<bool>(file.read(text.data(), static_cast<std::streamsize>(bytes))), "{}: cannot be read", path.string());
    try
    {
        return recordFromText(text);
    }
    catch (const Error& why)
    {
        fail("{}: {}", path.string(), why.what());
    }
}

void writeRecord(const std::filesystem::path& path, const Record& record)
{
    writeFileAtomically(path, toJson(record).dump(1) + "\n");
}

void merge(Record& into, const Record& from)
{
    for (const Entry& other : from.entries)
    {
        const auto same = std::find_if(into.entries.begin(), into.entries.end(), [&](const Entry& entry) { return sameKey(entry, other); });
        if (same == into.entries.end())
        {
            into.entries.push_back(other);
            continue;
        }
        Entry later = *same, earlier = other;
        if (other.conditions.finished >= same->conditions.finished) // ISO 8601 in UTC sorts as text
            std::swap(later, earlier);
        for (const Trial& trial : earlier.trials)
            if (std::none_of(later.trials.begin(), later.trials.end(),
                             [&](const Trial& known) { return known.variant == trial.variant; }) &&
                later.trials.size() < mostTrials)
                later.trials.push_back(trial);
        *same = later;
    }
    require(into.entries.size() <= mostEntries, "together they have {} entries, at most {} are possible", into.entries.size(), mostEntries);
}

} // namespace agpnet::tuning
