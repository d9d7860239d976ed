// A tuning run for tests:  tune_program OUT resume|fresh BUDGET DEVICE SHAPES STAGE TIMEOUT WORKER... | --deep BUILD TRIALS
// As a worker it answers as if it measured:  tune_program --fake KIND, where KIND of its schedules crash, hang or are wrong.
#include "apps/tune/run.h"
#include "apps/tune/worker.h"
#include "tuning/workloads.h"
#include "tuning/record.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <thread>

namespace
{

using nlohmann::json;

/// Six schedules; the fourth is half as fast again as the default, or fails in its way.
std::string fake(const std::string& kind, const std::string& line)
{
    const json request = json::parse(line);
    const std::string what = request.at("do"), variant = request.value("variant", "");
    if (what == "device")
        return json{
            {"device",
             {{"api", "cpu"}, {"name", "abacus"}, {"uuid", ""}, {"architecture", "wood"}, {"driver", ""}, {"software", false}}},
            {"halide", "1"},
            {"plugin", "1"},
            {"generators", {{"residual", "a"}, {"heatmap", "b"}, {"perturb", "c"}, {"prepare", "d"}}}}
            .dump();
    if (what == "candidates")
    {
        json list = json::array();
        for (int i = 0; i < 6; i++)
            list.push_back({{"variant", fmt::format("v{}", i)}, {"parameters", fmt::format("n={}", i)}, {"target", "wood"}});
        return json{{"candidates", list}}.dump();
    }
    if (variant == "v3" && kind == "crash")
    {
        std::signal(SIGSEGV, SIG_DFL); // a sanitizer would make something else of it
        std::raise(SIGSEGV);
    }
    if (variant == "v3" && kind == "hang")
        std::this_thread::sleep_for(std::chrono::hours(1));
    if (variant == "v3" && kind == "exit")
        std::exit(7);
    if (variant == "v3" && kind == "refuse")
        return R"({"error": "no room\nfor it"})";
    if (what == "check")
        return variant == "v3" && kind == "wrong" ? R"({"status": "mismatch", "message": "an error of 3"})"
                                                  : R"({"status": "ok", "max_error": 1e-6})";
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const double speedup = variant == "v3" ? 1.5 : variant == "v0" ? 1.0 : 0.9;
    const json timing = {{"min_us", 10 / speedup}, {"median_us", 11 / speedup}, {"mad_us", 0.1}, {"iterations", 70}};
    return json{{"speedup", speedup},
                {"noise", 0.01},
                {"timing", timing},
                {"default", {{"min_us", 10}, {"median_us", 11}, {"mad_us", 0.1}, {"iterations", 70}}}}
        .dump();
}

} // namespace

int main(int argc, char** argv)
{
    if (argc == 3 && std::string(argv[1]) == "--fake")
        return agpnet::app::serve([&](const std::string& line) { return fake(argv[2], line); });
    if (argc < 9)
        return 2;
    try
    {
        agpnet::app::TuneOptions options;
        options.out = argv[1];
        options.resume = std::string(argv[2]) == "resume";
        options.budget = std::atof(argv[3]);
        options.device = argv[4];
        std::vector<agpnet::stages::Workload> workloads;
        std::istringstream shapes(argv[5]);
        for (std::string shape; std::getline(shapes, shape, ',');)
        {
            std::array<int, 4> from{};
            std::array<int, 2> to{};
            agpnet::tuning::parseShape(shape, from, to);
            const auto more = agpnet::tuning::workloadsOf(from, to);
            workloads.insert(workloads.end(), more.begin(), more.end());
        }
        std::erase_if(workloads, [&](const auto& workload) { return workload.stage != argv[6]; });
        options.timeout = std::atof(argv[7]);
        options.worker.assign(argv + 8, argv + argc);
        if (argc == 11 && options.worker[0] == "--deep")
        {
            options.deep = argv[9];
            options.trials = std::atoi(argv[10]);
        }
        agpnet::app::runTune(options, workloads);
        return 0;
    }
    catch (const std::exception& error)
    {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
