#include "operators/training/training_loop.h"

#include "common/error.h"
#include "common/stopwatch.h"

#include <algorithm>

namespace agpnet
{
namespace
{

constexpr size_t patience = 4; // checks
constexpr double leastGain = 1e-3;

void checkGain(TrainingTask& task, TrainingRecord& record)
{
    const std::optional<double> found = task.check();
    if (!found)
        return;
    EarlyStopRecord& stop = record.earlyStop ? *record.earlyStop : record.earlyStop.emplace();
    stop.checks.push_back(task.processes().first(*found));
    if (!noLongerRises(stop.checks))
        return;
    task.beginEnd();
    stop.seenAt = static_cast<int>(task.stepsDone());
}

} // namespace

bool noLongerRises(const std::vector<double>& checks)
{
    if (checks.size() <= patience)
        return false;
    const auto recent = checks.end() - static_cast<std::ptrdiff_t>(patience);
    return *std::max_element(recent, checks.end()) < *std::max_element(checks.begin(), recent) + leastGain;
}

bool runTraining(TrainingTask& task, TrainingRecord& record, const std::function<bool(const TrainProgress&)>& keepGoing)
{
    const std::map<std::string, double> before = record.profile;
    const auto spent = [&](const std::string& part, double seconds) {
        const auto earlier = before.find(part);
        record.profile[part] = (earlier == before.end() ? 0 : earlier->second) + seconds;
    };
    double checking = 0;
    while (task.stepsDone() < task.lastStep())
    {
        TrainProgress progress;
        progress.loss = task.step();
        {
            const TimeInto time(checking);
            checkGain(task, record);
        }
        for (const auto& [part, seconds] : task.times())
            spent(part, seconds);
        spent("checks", checking);
        progress.step = static_cast<int>(task.stepsDone());
        progress.steps = static_cast<int>(task.lastStep());
        if (task.processes().any(keepGoing && !keepGoing(progress)) && task.stepsDone() < task.lastStep())
            return false;
    }
    return true;
}

void requireSameOptions(const std::string& path, const nlohmann::json& begun, const nlohmann::json& wanted,
                        const std::set<std::string>& keys, const std::function<bool(const std::string&)>& allowed,
                        std::vector<std::string> different)
{
    for (const std::string& key : keys)
        if (wanted.at(key) != begun.at(key) && !allowed(key))
            different.push_back(fmt::format("'{}' is {}, was {}", key, wanted.at(key).dump(), begun.at(key).dump()));
    require(different.empty(), "{}: was begun with other options, and cannot go on with these: {}; expected the same, or more steps", path,
            fmt::join(different, "; "));
}

} // namespace agpnet
