// The tuning record: what was measured where, with which schedules, and what won. docs/tuning-record.schema.json describes the file.
//
// A record is read as data from anyone: its size is bounded, every key and type is checked, and nothing in it is taken on trust but
// which of the compiled schedules is faster.
#pragma once

#include "halide_generators/runtime/device_identity.h"
#include "halide_generators/runtime/workload.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace agpnet::tuning
{

inline constexpr int recordVersion = 1;

/// Microseconds of one call.
struct Timing
{
    double minimum = 0, median = 0, mad = 0; ///< mad: median absolute deviation from the median
    int iterations = 0;                      ///< calls that were timed
};

enum class Status
{
    Ok,
    Mismatch,     ///< not what the reference gives
    LaunchError,  ///< the stage refused, or the process died
    Timeout,
    CompileError, ///< deep search: the schedule cannot be made
};

const char* nameOf(Status status);

/// One schedule that was tried. Everything after `message` is there if the status is ok.
struct Trial
{
    std::string variant;
    std::string parameters;
    Status status = Status::Ok;
    std::string message; ///< why not, where not ok
    double maxError = 0; ///< from the reference
    Timing timing;
    Timing reference; ///< the default, measured in turns with it
    double speedup = 1; ///< over the default, from the fastest turns
    double noise = 0;   ///< standard error of the speed-up
};

/// What may have disturbed the measurement.
struct Conditions
{
    int threads = 0;
    double load = 0;      ///< of the machine when it began, 1 minute's average
    double drift = 1;     ///< the slowest of the default's medians over the fastest: 1 on a machine that stayed as it was
    std::string clocks;   ///< the CPU's frequency governor, or empty
    long throttled = 0;   ///< how often the CPU throttled meanwhile, where the kernel counts it
    std::string finished; ///< UTC, ISO 8601
};

struct Entry
{
    stages::Workload workload;
    stages::DeviceIdentity device;
    std::string halide, generator, plugin; ///< versions; generator: the hash of the stage's sources
    Conditions conditions;
    std::string defaultVariant;
    Timing defaultTiming;
    std::string best;
    double speedup = 1; ///< of best over the default; 1 if that is the best
    std::vector<Trial> trials;
};

struct Record
{
    std::vector<Entry> entries;
};

/// "1x384x18x18", "1x1x18x18->252x252", also with the arrow →. An Error names the text.
void parseShape(const std::string& text, std::array<int, 4>& from, std::array<int, 2>& to);

/// "lanes=16 strip=8" and {"lanes": 16, "strip": 8}
nlohmann::json parametersToJson(const std::string& text);
std::string parametersFromJson(const nlohmann::json& json);

nlohmann::json toJson(const stages::Workload& workload);
nlohmann::json toJson(const stages::DeviceIdentity& device);
nlohmann::json toJson(const Timing& timing);
nlohmann::json toJson(const Trial& trial);
nlohmann::json toJson(const Record& record);

/// An Error says where the text is not what it should be.
stages::Workload workloadFromJson(const nlohmann::json& json);
stages::DeviceIdentity deviceFromJson(const nlohmann::json& json);
Timing timingFromJson(const nlohmann::json& json);
Trial trialFromJson(const nlohmann::json& json);
Record recordFromText(const std::string& text);

/// An Error names the file.
Record readRecord(const std::filesystem::path& path);
void writeRecord(const std::filesystem::path& path, const Record& record);

/// Adds `from` to `into`. Where both have a key (workload, device, versions of what was measured) the one finished later stays, with the
/// trials of the other that it has not.
void merge(Record& into, const Record& from);

} // namespace agpnet::tuning
