// The loop of every training: steps, checks for an early end, progress, processes, record. What a step is, the family says.
#pragma once

#include "agpnet/training.hpp"
#include "models/training/process_group.h"
#include "models/training/record.h"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace agpnet
{

/// What a family does in the loop. All processes of a training do the same in the same order.
class TrainingTask
{
public:
    virtual ~TrainingTask() = default;

    virtual const ProcessGroup& processes() const = 0;
    virtual int64_t stepsDone() const = 0;
    virtual int64_t lastStep() const = 0; ///< steps in all; fewer after beginEnd()
    virtual double step() = 0;            ///< one optimisation step; returns the loss

    /// How well the model does by now, where a check is due after this step; greater is better.
    virtual std::optional<double> check() = 0;
    virtual void beginEnd() = 0; ///< nothing is gained any more: go to the end of the schedule

    virtual std::map<std::string, double> times() const = 0; ///< seconds by part, of this run
};

/// Takes all remaining steps. The record grows with them, so that a training resumed from a saved one goes on alike.
/// @param keepGoing  called after each step, in every process; may be empty
/// @return false where keepGoing said so, in any of the processes
bool runTraining(TrainingTask& task, TrainingRecord& record, const std::function<bool(const TrainProgress&)>& keepGoing);

/// The decision that follows from all checks so far, from the first one on. True where the last few brought no gain over the best before
/// them. One check moves by chance; the best of several does not.
bool noLongerRises(const std::vector<double>& checks);

/// A training goes on as it was begun. Refuses options that differ, by name; `allowed` are those that may.
/// @param keys       those that the caller says something about
/// @param different  further differences, in words
void requireSameOptions(const std::string& path, const nlohmann::json& begun, const nlohmann::json& wanted,
                        const std::set<std::string>& keys, const std::function<bool(const std::string&)>& allowed,
                        std::vector<std::string> different);

} // namespace agpnet
