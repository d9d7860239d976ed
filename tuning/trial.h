// One stage on data of its own: checked against a plain reference, then timed in turns with the default.
#pragma once

#include "halide_generators/runtime/workload.h"
#include "tuning/bench_device.h"
#include "tuning/record.h"

#include <functional>
#include <memory>

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
    Bench(BenchDevice& device, stages::Workload workload);
    ~Bench();

    /// The largest error, as a share of the tolerance's unit (the value, or 1); infinite where something else was written too. An Error
    /// where the stage refuses.
    double check(const std::string& variant);

    /// Both in turns for about `seconds`.
    Comparison compare(const std::string& first, const std::string& second, double seconds);

private:
    struct Set;
    void call(const std::string& variant, Set& set);
    double timed(const std::string& variant, int calls); ///< seconds of one call

    BenchDevice& device_;
    stages::Workload workload_;
    std::vector<std::unique_ptr<Set>> sets_;
    std::vector<std::vector<float>> expected_; ///< of the first set: each output; what depends on the map itself is checked against it
    size_t next_ = 0;
};

} // namespace agpnet::tuning
