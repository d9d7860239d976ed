// Schedules that are not compiled in yet: made by the build's generators, measured as the others are, and written as rows for the table of
// variants.
#pragma once

#include "apps/tune/session.h"

#include <filesystem>
#include <random>
#include <string>
#include <vector>

namespace agpnet::app
{

/// What a build folder has of it. An Error names what is missing.
struct BuildTools
{
    explicit BuildTools(const std::filesystem::path& build);

    std::filesystem::path generators; ///< the folder of agpnet_<stage>_generator
    std::filesystem::path trial;      ///< the program that measures schedules from files
    std::filesystem::path compiler;   ///< to link an object into a library
    nlohmann::json spaces;            ///< of halide_generators/search_space.json
};

class DeepSearch
{
public:
    /// Compiled schedules are kept in `folder`, so that a run that is continued finds them.
    DeepSearch(BuildTools tools, std::filesystem::path folder, Worker& worker, TuneSession& session, Journal& journal, uint64_t seed);

    /// Tries up to `count` schedules for the workload, for about `seconds`, half of them at random and half near the best so far.
    void search(const stages::Workload& workload, const Candidate& standard, stages::Api api, int count, double seconds);

    /// The rows of the table for those that an entry names as the best.
    nlohmann::json variantsOf(const tuning::Record& record) const;

private:
    struct Space;
    using Point = std::vector<size_t>; ///< an index into each parameter's values

    bool compile(const stages::Workload& workload, const Candidate& candidate, const nlohmann::json& row);

    BuildTools tools_;
    std::filesystem::path folder_;
    Worker& worker_;
    TuneSession& session_;
    Journal& journal_;
    std::mt19937_64 random_;
    std::vector<nlohmann::json> rows_; ///< of what was compiled
};

} // namespace agpnet::app
