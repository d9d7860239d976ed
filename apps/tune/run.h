// A tuning run from its first measurement to the record.
#pragma once

#include "halide_generators/runtime/workload.h"

#include <cstdint>
#include <string>
#include <vector>

namespace agpnet::app
{

struct TuneOptions
{
    std::string device = "cpu";
    std::vector<std::string> worker; ///< the program that measures, with its arguments
    double budget = 120;             ///< seconds
    double timeout = 60;             ///< seconds after which a schedule counts as hung
    std::string out;                 ///< empty: where the library looks by itself
    std::string report;              ///< md, html or empty
    bool resume = false, dryRun = false;
    std::string deep;   ///< a build folder, whose generators make new schedules
    std::string preset; ///< where their rows go; empty: beside the record
    int trials = 64;    ///< new schedules for each workload
    uint64_t seed = 1;
};

/// An Error says why nothing was measured.
void runTune(const TuneOptions& options, const std::vector<stages::Workload>& workloads);
void mergeRecords(const TuneOptions& options, const std::vector<std::string>& records);

void listDevices(const TuneOptions& options);

} // namespace agpnet::app
