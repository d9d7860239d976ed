// agpnet tune: which schedules are the fastest on this machine's devices, measured and written as a record.
#include "agpnet/agpnet.hpp"
#include "apps/cli/commands.h"
#include "apps/cli/numbers.h"
#include "apps/tune/run.h"
#include "apps/tune/worker.h"
#include "common/error.h"
#include "halide_generators/runtime/stage_table.h"
#include "tuning/workloads.h"
#include "tuning/record.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <sstream>

namespace agpnet::app
{
namespace
{

using nlohmann::json;
using stages::Workload;

struct Options : TuneOptions
{
    std::string stage, shapes, model, budgetText = "2m";
    bool list = false, isWorker = false;
    std::vector<std::string> merged; // of tune merge
};

double secondsOf(const std::string& text)
{
    double number = 0;
    int read = 0;
    require(std::sscanf(text.c_str(), "%lf%n", &number, &read) == 1 && number > 0,
            "--budget is '{}', expected a time such as 90s, 2m or 1h", text);
    const std::string unit = text.substr(static_cast<size_t>(read));
    require(unit.empty() || unit == "s" || unit == "m" || unit == "h", "--budget is '{}', expected a time such as 90s, 2m or 1h", text);
    return number * (unit == "h" ? 3600 : unit == "m" ? 60 : 1);
}

/// The calls that an inspection of a picture makes.
std::vector<Workload> workloadsOfModel(const std::string& model)
{
    clearTuning();
    const auto detector = AnomalyDetector::create(model);
    cv::Mat picture(480, 640, CV_8UC3), map;
    cv::randu(picture, 0, 256);
    detector->detect(picture, map);
    std::vector<Workload> workloads;
    const json information = json::parse(tuningInformation());
    for (json decision : information.at("decisions"))
        if (decision.at("seen") == true)
        {
            for (const char* key : {"api", "seen", "variant", "parameters", "why", "speedup", "record"})
                decision.erase(key);
            workloads.push_back(tuning::workloadFromJson(decision));
        }
    require(!workloads.empty(), "{}: inspecting a picture calls no stage", model);
    return workloads;
}

std::vector<Workload> workloadsOf(const Options& options)
{
    require(options.shapes.empty() || options.model.empty(), "--shapes and --model exclude each other");
    std::vector<Workload> all;
    const auto add = [&](const std::vector<Workload>& more)
    {
        for (const Workload& workload : more)
            if ((options.stage.empty() || workload.stage == options.stage) && std::find(all.begin(), all.end(), workload) == all.end())
                all.push_back(workload);
    };
    if (!options.model.empty())
        add(workloadsOfModel(options.model));
    else if (options.shapes.empty())
        add(tuning::usualWorkloads());
    std::istringstream shapes(options.shapes);
    for (std::string shape; std::getline(shapes, shape, ',');)
    {
        std::array<int, 4> from{};
        std::array<int, 2> to{};
        tuning::parseShape(shape, from, to);
        add(tuning::workloadsOf(from, to));
    }
    require(!all.empty(), "no shape has anything for the stage '{}'", options.stage);
    return all;
}

int tune(Options options)
{
    options.budget = secondsOf(options.budgetText);
    options.worker = {std::filesystem::read_symlink("/proc/self/exe").string(), "tune", "--worker"};
    if (options.list)
        listDevices(options);
    else
        runTune(options, workloadsOf(options));
    return exitOk;
}

} // namespace

void addTune(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("tune", "Measure which schedules are the fastest on a device, and keep a record");
    command->add_option("--device", options->device, "cpu, opencl:N or cuda:N (default: cpu)");
    command->add_option("--stage", options->stage, "One stage alone")->check(CLI::IsMember(stages::stageNames()));
    command->add_option("--shapes", options->shapes, "Features to maps: NxCxHxW->HxW, ... (default: 1x384x18x18->252x252)");
    command->add_option("--model", options->model, "The shapes of this model instead");
    command->add_option("--budget", options->budgetText, "At most so long: 90s, 2m, 1h (default: 2m)");
    command->add_option("--out", options->out, "The record (default: where the library looks for it)");
    command->add_flag("--resume", options->resume, "Continue a run that was ended");
    command->add_flag("--list", options->list, "The devices and schedules there are");
    command->add_flag("--dry-run", options->dryRun, "Tell what would be measured");
    command->add_option("--report", options->report, "A report beside the record")->check(CLI::IsMember({"md", "html"}));
    command->add_option("--deep", options->deep, "Make new schedules with the generators of this build folder");
    command->add_option("--trials", options->trials, "--deep: schedules for each problem")->check(CLI::Range(1, 10000));
    command->add_option("--preset", options->preset, "--deep: the file of rows for the winners (default: beside the record)");
    command->add_option("--seed", options->seed, "--deep: of the random choice");
    command->add_option("--timeout", options->timeout, "Seconds after which a schedule counts as hung")->check(positiveNumber());
    command->add_flag("--worker", options->isWorker)->group(""); // what this program is for itself
    command->callback(
        [options, &run]
        {
            if (!run)
                run = [options]
                { return options->isWorker ? serve([](const std::string& request) { return tuningStep(request); }) : tune(*options); };
        });

    CLI::App* merging = command->add_subcommand("merge", "Make one record of several");
    merging->add_option("records", options->merged, "The records")->required();
    merging->add_option("--out", options->out, "The record to write")->required();
    merging->add_option("--report", options->report, "A report beside it")->check(CLI::IsMember({"md", "html"}));
    merging->callback(
        [options, &run]
        {
            run = [options]
            {
                mergeRecords(*options, options->merged);
                return static_cast<int>(exitOk);
            };
        });
}

} // namespace agpnet::app
