// One stage on data of its own: checked against a plain reference, then timed in turns with the default.
#pragma once

#include "halide_generators/reference/stage_checks.h"
#include "tuning/call_data.h"
#include "tuning/record.h"

#include <deque>
#include <string>

namespace agpnet::tuning
{

/// How far a result may be from the reference, which is made in double precision: 2e-5 of the value, or of 1 where that is more.
inline constexpr double tolerance = 2e-5;

struct Comparison
{
    Timing first, second;
    double speedup = 1; ///< of the second over the first
    double noise = 0;   ///< standard error of it
};

/// The data of a workload on a device: several sets, so that no call finds its own from the call before in the nearest caches.
class Bench
{
public:
    /// An Error where there is no such workload, or where it is too large.
    Bench(BenchDevice& device, stages::Workload workload);

    /// The largest error, as a share of the tolerance's unit (the value, or 1); infinite where something else was written too. An Error
    /// where the stage refuses.
    double check(const std::string& variant);

    /// Both in turns for about `seconds`.
    Comparison compare(const std::string& first, const std::string& second, double seconds);

private:
    void call(const std::string& variant, const CallData& data);
    double timed(const std::string& variant, int calls); ///< seconds of one call

    BenchDevice& device_;
    stages::Workload workload_;
    reference::StageCheck check_;
    std::deque<CallData> sets_;
    reference::Array expected_; ///< the first output of the first set
    size_t next_ = 0;
};

} // namespace agpnet::tuning
