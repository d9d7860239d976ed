// What a process does that measures for another: one request a line in, one answer a line out, JSON both. It holds devices, data and
// compiled kernels from request to request. When a schedule kills it or hangs, the other process starts the next.
//
//   {"do": "device",     "device": "cpu"}                                        {"device": {...}, "halide", "plugin", "generators": {...},
//   "threads"}
//   {"do": "candidates", "device": ..., "problem": {...}}                        {"candidates": [{"variant", "parameters", "target"},
//   ...]}, the default first
//   {"do": "check",      "device": ..., "problem": ..., "variant": ...}          {"status", "max_error"} or {"status", "message"}
//   {"do": "compare",    ..., "variant", "against": ..., "seconds": 0.2}         {"speedup", "noise", "timing": {...}, "default": {...}}
//
// A request that cannot be answered: {"error": "..."}.
#pragma once

#include "tuning/bench_device.h"
#include "tuning/trial.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace agpnet::tuning
{

class Steps
{
public:
    /// Never throws but std::bad_alloc.
    std::string answer(const std::string& request);

private:
    nlohmann::json answered(const nlohmann::json& request);
    BenchDevice& opened(const std::string& name);
    Bench& bench(const std::string& device, const stages::Workload& workload);

    std::string deviceName_;
    std::unique_ptr<BenchDevice> device_;
    stages::Workload workload_;
    std::unique_ptr<Bench> bench_;
};

} // namespace agpnet::tuning
