#include "apps/tune/run.h"

#include "apps/tune/deep.h"
#include "apps/tune/progress.h"
#include "apps/tune/report.h"
#include "apps/tune/session.h"
#include "common/atomic_file.h"
#include "common/error.h"
#include "tuning/workloads.h"

#include <algorithm>
#include <cstdlib>
#include <optional>

namespace agpnet::app
{

namespace fs = std::filesystem;
using nlohmann::json;
using stages::Workload;
using tuning::Record;

namespace
{

/// Where the library looks by itself.
fs::path usualRecord(const stages::DeviceIdentity& device)
{
    const char* cache = std::getenv("XDG_CACHE_HOME");
    const char* home = std::getenv("HOME");
    fs::path folder;
    if (cache && fs::path(cache).is_absolute())
        folder = cache;
    else
    {
        require(home && fs::path(home).is_absolute(), "there is no home folder to write to; say --out");
        folder = fs::path(home) / ".cache";
    }
    std::string name = std::string(stages::nameOf(device.api)) + "-";
    for (char c : device.name)
        if (std::isalnum(static_cast<unsigned char>(c)))
            name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        else if (name.back() != '-')
            name += '-';
    while (name.back() == '-')
        name.pop_back();
    return folder / "agpnet" / "tuning" / (name + ".json");
}

std::string titleOf(const Workload& workload)
{
    return fmt::format("{}{}{} {} {}", workload.stage, workload.kind.empty() ? "" : " ", workload.kind, workload.layout,
                       stages::shapeText(workload));
}

void writeReport(const TuneOptions& options, const fs::path& out, const Record& record)
{
    if (options.report.empty())
        return;
    fs::path path = out;
    path.replace_extension(options.report);
    writeFileAtomically(path, options.report == "md" ? markdownReport(record) : htmlReport(record));
    std::printf("%s: the report\n", path.c_str());
}

void tellWhatWouldBeMeasured(const TuneOptions& options, const std::vector<Workload>& workloads, Worker& worker,
                             const stages::DeviceIdentity& identity, const fs::path& out)
{
    size_t schedules = 0;
    for (const Workload& workload : workloads)
    {
        const json list = worker.ask({{"do", "candidates"}, {"device", options.device}, {"problem", tuning::toJson(workload)}},
                                     options.timeout);
        schedules += list.at("candidates").size();
        std::printf("%-44s %zu schedules\n", titleOf(workload).c_str(), list.at("candidates").size());
    }
    std::printf("%zu problems, %zu schedules on %s%s, at most %s; the record goes to %s\n", workloads.size(), schedules,
                identity.name.c_str(), identity.software ? " (in software)" : "", durationText(options.budget).c_str(),
                out.c_str());
}

void say(const std::string& line)
{
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
}

TuneSession::Settings settingsOf(const TuneOptions& options, size_t workloads)
{
    TuneSession::Settings settings;
    settings.device = options.device;
    settings.budget = options.budget;
    settings.timeout = options.timeout;
    settings.perTrial =
        !options.deep.empty() ? 0.15 : std::clamp(options.budget / static_cast<double>(workloads) / 20, 0.05, 1.0);
    settings.say = say;
    return settings;
}

/// False where the time was up before all was measured; what was measured is in the record. `deep`: null where no schedules are
/// made.
bool measureAll(const TuneOptions& options, const std::vector<Workload>& workloads, stages::Api api, TuneSession& session,
                DeepSearch* deep, Record& record)
{
    bool complete = true;
    for (const Workload& workload : workloads)
    {
        if (!session.timeLeft())
            return false;
        say(titleOf(workload));
        const std::vector<Candidate> candidates = session.candidates(workload);
        require(!candidates.empty(), "{}: no schedule for it runs on {}", titleOf(workload), options.device);
        for (const Candidate& candidate : candidates)
        {
            const bool first = candidate.variant == candidates.front().variant;
            if (!first && !session.timeLeft())
            {
                complete = false;
                break;
            }
            if (session.measure(workload, candidate, candidates.front(), "first").status != tuning::Status::Ok && first)
                break;
        }
        if (deep)
            deep->search(workload, candidates.front(), api, options.trials,
                         options.budget / static_cast<double>(workloads.size()));
        if (std::optional<tuning::Entry> entry = session.conclude(workload, candidates.front()))
            record.entries.push_back(std::move(*entry));
        else
            say("  the default fails: nothing is recorded");
    }
    return complete;
}

void writePreset(const TuneOptions& options, const fs::path& out, const json& rows)
{
    const fs::path preset = options.preset.empty() ? fs::path(out).replace_extension("variants") : fs::path(options.preset);
    writeFileAtomically(preset, rows.dump(2) + "\n");
    std::printf("%s: %zu rows for halide_generators/presets\n", preset.c_str(), rows.at("variants").size());
}

void addToRecord(const TuneOptions& options, const fs::path& out, const Record& record)
{
    const FileLock lock(out);
    Record whole = fs::exists(out) ? tuning::readRecord(out) : Record();
    tuning::merge(whole, record);
    tuning::writeRecord(out, whole);
    writeReport(options, out, whole);
}

} // namespace

void listDevices(const TuneOptions& options)
{
    Worker worker(options.worker);
    const double timeout = options.timeout;
    for (const char* api : {"cpu", "opencl", "cuda"})
        for (int i = 0; i < 16; i++)
        {
            const std::string name = std::string(api) == "cpu" ? api : fmt::format("{}:{}", api, i);
            try
            {
                const auto device =
                    tuning::deviceFromJson(worker.ask({{"do", "device"}, {"device", name}}, timeout).at("device"));
                std::printf("%-10s %s%s%s\n", name.c_str(), device.name.c_str(), device.software ? " (in software)" : "",
                            device.driver.empty() ? "" : fmt::format(", driver {}", device.driver).c_str());
            }
            catch (const Error& error)
            {
                if (i == 0)
                    std::printf("%-10s none: %s\n", name.c_str(), error.what());
                break;
            }
            if (std::string(api) == "cpu")
                break;
        }
    for (const Workload& workload : tuning::usualWorkloads())
    {
        std::string names;
        const json list = worker.ask({{"do", "candidates"}, {"device", "cpu"}, {"problem", tuning::toJson(workload)}}, timeout);
        for (const json& each : list.at("candidates"))
            names += fmt::format(" {}", each.at("variant").get<std::string>());
        std::printf("%-40s cpu:%s\n", titleOf(workload).c_str(), names.c_str());
    }
}

void runTune(const TuneOptions& options, const std::vector<Workload>& workloads)
{
    std::optional<BuildTools> tools;
    if (!options.deep.empty())
        tools.emplace(options.deep);
    const std::vector<std::string> command = tools ? std::vector{tools->trial.string()} : options.worker;
    Worker worker(command);
    const json facts = worker.ask({{"do", "device"}, {"device", options.device}}, options.timeout);
    const stages::DeviceIdentity identity = tuning::deviceFromJson(facts.at("device"));
    const fs::path out = options.out.empty() ? usualRecord(identity) : fs::path(options.out);
    if (options.dryRun)
        return tellWhatWouldBeMeasured(options, workloads, worker, identity, out);
    if (out.has_parent_path())
        fs::create_directories(out.parent_path());
    if (fs::exists(out))
        tuning::readRecord(out); // refuses to be written over, before the work and not after
    Journal journal(out.string() + ".journal", {{"agpnet_tuning_journal", 1}, {"facts", facts}, {"worker", command[0]}},
                    options.resume);
    if (options.resume)
        std::printf("continued: %zu trials are there\n", journal.continued());
    std::printf("%s%s: %zu problems, at most %s\n", identity.name.c_str(),
                identity.software ? " (in software: its ranking is used for no GPU)" : "", workloads.size(),
                durationText(options.budget).c_str());
    std::fflush(stdout);

    TuneSession session(worker, journal, settingsOf(options, workloads.size()));
    const fs::path workFolder = out.string() + ".schedules";
    std::optional<DeepSearch> deep;
    if (tools)
        deep.emplace(*tools, workFolder, worker, session, journal, options.seed);
    Record record;
    const bool complete = measureAll(options, workloads, identity.api, session, deep ? &*deep : nullptr, record);
    if (deep)
        writePreset(options, out, deep->variantsOf(record));
    addToRecord(options, out, record);
    if (complete)
    {
        journal.remove();
        std::error_code ignored;
        fs::remove_all(workFolder, ignored);
    }
    std::printf("%s: %zu problems%s\n", out.c_str(), record.entries.size(),
                complete ? "" : "; the time was up before all was measured: --resume continues");
}

void mergeRecords(const TuneOptions& options, const std::vector<std::string>& records)
{
    Record whole;
    for (const std::string& path : records)
        tuning::merge(whole, tuning::readRecord(path));
    const FileLock lock(options.out);
    tuning::writeRecord(options.out, whole);
    writeReport(options, options.out, whole);
    std::printf("%s: %zu measurements of %zu records\n", options.out.c_str(), whole.entries.size(), records.size());
}

} // namespace agpnet::app
