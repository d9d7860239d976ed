// The subcommands. Each adds itself to the parser and runs when it was chosen; what it returns is the exit code.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace agpnet::app
{

enum ExitCode
{
    exitOk = 0,
    exitError = 1,     ///< one sentence on stderr says why
    exitUsage = 2,     ///< the command line was not understood
    exitAnomaly = 3,   ///< detect --exit-code: at least one image is anomalous
    exitDrift = 4,     ///< detect --watch-stats --exit-code: the images are not like those of training
    exitInterrupted = 130
};

/// Runs the chosen command.
using Run = std::function<int()>;

void addTrain(CLI::App& app, Run& run);
void addDetect(CLI::App& app, Run& run);
void addCalibrate(CLI::App& app, Run& run);
void addEvaluate(CLI::App& app, Run& run);
void addIndex(CLI::App& app, Run& run);
void addQuery(CLI::App& app, Run& run);
void addWatch(CLI::App& app, Run& run);
void addExport(CLI::App& app, Run& run);
void addOperators(CLI::App& app, Run& run);
void addInfo(CLI::App& app, Run& run);
void addTune(CLI::App& app, Run& run);
void addDemoData(CLI::App& app, Run& run);

} // namespace agpnet::app
