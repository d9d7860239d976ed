// Measures schedules of a workload in another process, with a journal, within a budget of time.
#pragma once

#include "apps/tune/journal.h"
#include "apps/tune/worker.h"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace agpnet::app
{

struct Candidate
{
    std::string variant;
    std::string parameters;
    std::string target; ///< of a compiled one
};

class TuneSession
{
public:
    struct Settings
    {
        std::string device;
        double budget = 120;       ///< seconds for all workloads
        double perTrial = 0.3;     ///< seconds that a schedule and the default are timed in turns
        double timeout = 60;       ///< seconds after which a schedule counts as hung
        std::function<void(const std::string&)> say;
    };

    TuneSession(Worker& worker, Journal& journal, Settings settings);

    const nlohmann::json& facts() const { return facts_; } ///< the worker's answer to "device"

    /// The compiled schedules for the workload, the default first.
    std::vector<Candidate> candidates(const stages::Workload& workload);

    /// Checked, then timed in turns with the default; from the journal if it is there.
    tuning::Trial measure(const stages::Workload& workload, const Candidate& candidate, const Candidate& standard, const std::string& look);

    /// What the journal has of the workload, as a record has it: the fastest is measured a second time, for longer, and is the best only if
    /// it then beats the default by more than the noise. None where the default itself fails.
    std::optional<tuning::Entry> conclude(const stages::Workload& workload, const Candidate& standard);

    bool timeLeft() const;

private:
    Worker& worker_;
    Journal& journal_;
    Settings settings_;
    nlohmann::json facts_;
    std::chrono::steady_clock::time_point end_;
    double load_ = 0;
    long throttled_ = 0;
};

/// A trial's speed-up is no matter of chance: it exceeds 1 by more than 2 % and by three times its noise, and holds for the fastest turns
/// too.
bool beatsTheDefault(const tuning::Trial& trial);

} // namespace agpnet::app
