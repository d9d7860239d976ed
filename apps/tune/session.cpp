#include "apps/tune/session.h"

#include "common/error.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <opencv2/core/utility.hpp>

namespace agpnet::app
{

using nlohmann::json;
using stages::Workload;
using tuning::Status;
using tuning::Trial;

namespace
{

std::string firstWord(const char* path)
{
    std::ifstream file(path);
    std::string word;
    file >> word;
    return word;
}

/// Of the first core: they throttle together.
long throttleCount()
{
    return std::atol(firstWord("/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count").c_str());
}

std::string utcNow()
{
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

} // namespace

bool beatsTheDefault(const Trial& trial)
{
    return trial.status == Status::Ok && trial.speedup > 1.02 && trial.speedup - 3 * trial.noise > 1 &&
           trial.timing.minimum < trial.reference.minimum;
}

TuneSession::TuneSession(Worker& worker, Journal& journal, Settings settings)
    : worker_(worker), journal_(journal), settings_(std::move(settings)),
      facts_(worker_.ask({{"do", "device"}, {"device", settings_.device}}, settings_.timeout)),
      end_(std::chrono::steady_clock::now() +
           std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(settings_.budget))),
      throttled_(throttleCount())
{
    ::getloadavg(&load_, 1);
}

bool TuneSession::timeLeft() const
{
    return std::chrono::steady_clock::now() < end_;
}

std::vector<Candidate> TuneSession::candidates(const Workload& workload)
{
    const json answer =
        worker_.ask({{"do", "candidates"}, {"device", settings_.device}, {"problem", tuning::toJson(workload)}}, settings_.timeout);
    std::vector<Candidate> list;
    for (const json& each : answer.at("candidates"))
        list.push_back({each.at("variant").get<std::string>(), each.at("parameters").get<std::string>(),
                        each.at("target").get<std::string>()});
    return list;
}

Trial TuneSession::measure(const Workload& workload, const Candidate& candidate, const Candidate& standard, const std::string& look)
{
    if (const Trial* known = journal_.find(workload, look, candidate.variant))
        return *known;
    Trial trial;
    trial.variant = candidate.variant;
    trial.parameters = candidate.parameters;
    json request = {{"do", "check"}, {"device", settings_.device}, {"problem", tuning::toJson(workload)}, {"variant", candidate.variant}};
    try
    {
        const json check = worker_.ask(request, settings_.timeout);
        if (check.at("status") == tuning::nameOf(Status::Ok))
        {
            trial.maxError = check.at("max_error").get<double>();
            const double seconds = settings_.perTrial * (look == "second" ? 3 : 1);
            request["do"] = "compare";
            request["against"] = standard.variant;
            request["seconds"] = seconds;
            const json result = worker_.ask(request, settings_.timeout + 2 * seconds);
            trial.timing = tuning::timingFromJson(result.at("timing"));
            trial.reference = tuning::timingFromJson(result.at("default"));
            trial.speedup = result.at("speedup").get<double>();
            trial.noise = result.at("noise").get<double>();
        }
        else
        {
            trial.status = Status::Mismatch;
            trial.message = check.at("message").get<std::string>();
        }
    }
    catch (const WorkerLost& lost)
    {
        trial.status = lost.status;
        trial.message = lost.what();
    }
    catch (const Error& error)
    {
        trial.status = Status::LaunchError;
        trial.message = std::string(error.what()).substr(0, 400);
    }
    std::erase_if(trial.message, [](unsigned char c) { return c < 32 || c == 127; }); // a compiler's log has lines
    journal_.add(workload, look, trial);
    settings_.say(trial.status != Status::Ok ? fmt::format("  {:<28} {}: {}", trial.variant, tuning::nameOf(trial.status), trial.message)
                                             : fmt::format("  {:<28} {:9.1f} us  {:5.2f}x ± {:.2f}", trial.variant, trial.timing.median,
                                                           trial.speedup, trial.noise));
    return trial;
}

std::optional<tuning::Entry> TuneSession::conclude(const Workload& workload, const Candidate& standard)
{
    tuning::Entry entry;
    entry.workload = workload;
    entry.trials = journal_.all(workload, "first");
    const auto named = [&](const std::string& name)
    { return std::find_if(entry.trials.begin(), entry.trials.end(), [&](const Trial& trial) { return trial.variant == name; }); };
    const auto own = named(standard.variant);
    if (own == entry.trials.end() || own->status != Status::Ok)
        return std::nullopt;
    entry.defaultVariant = entry.best = standard.variant;
    entry.defaultTiming = own->timing;

    // The fastest of many is fast by luck too: what counts is the second look, whose luck is its own. If it fails, the next has a chance.
    std::vector<Trial> fastest = entry.trials;
    std::erase_if(fastest, [&](const Trial& trial) { return trial.variant == standard.variant || !beatsTheDefault(trial); });
    std::sort(fastest.begin(), fastest.end(), [](const Trial& a, const Trial& b) { return a.speedup > b.speedup; });
    fastest.resize(std::min<size_t>(fastest.size(), 3));
    for (const Trial& trial : fastest)
    {
        const Trial second = measure(workload, {trial.variant, trial.parameters, {}}, standard, "second");
        *named(trial.variant) = second;
        if (beatsTheDefault(second) && second.speedup > entry.speedup)
        {
            entry.best = second.variant;
            entry.speedup = second.speedup;
            entry.defaultTiming = second.reference;
        }
    }

    double slowest = 0, quickest = 0;
    for (const Trial& trial : entry.trials)
        if (trial.status == Status::Ok)
        {
            slowest = std::max(slowest, trial.reference.median);
            quickest = quickest == 0 ? trial.reference.median : std::min(quickest, trial.reference.median);
        }
    entry.device = tuning::deviceFromJson(facts_.at("device"));
    entry.halide = facts_.at("halide").get<std::string>();
    entry.plugin = facts_.at("plugin").get<std::string>();
    entry.generator = facts_.at("generators").at(workload.stage).get<std::string>();
    entry.conditions = {cv::getNumThreads(), load_, quickest > 0 ? slowest / quickest : 1,
                        firstWord("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"), throttleCount() - throttled_, utcNow()};
    settings_.say(entry.best == standard.variant ? fmt::format("  the default, {}, stays", standard.variant)
                                                 : fmt::format("  {} is {:.2f}x as fast as the default", entry.best, entry.speedup));
    return entry;
}

} // namespace agpnet::app
