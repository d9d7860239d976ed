#include "agpnet/version.hpp"
#include "apps/cli/commands.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/numbers.h"
#include "apps/cli/output.h"

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <new>
#include <opencv2/core.hpp>
#include <string_view>
#include <unistd.h>

namespace
{

using namespace agpnet::app;

/// LibTorch's MKL, as it is loaded, ends a process whose working directory has been removed. This runs before that.
void requireWorkingDirectory()
{
    char path[PATH_MAX];
    constexpr std::string_view sentence = "agpnet: the working directory has been removed; expected to be started in one that is there\n";
    if (!::getcwd(path, sizeof path) && errno == ENOENT && ::write(STDERR_FILENO, sentence.data(), sentence.size()) >= 0)
        ::_exit(exitError);
}
[[gnu::section(".preinit_array"), gnu::used]] void (*const beforeLibraries)() = &requireWorkingDirectory;

/// The exit code. What goes wrong becomes one sentence.
template <typename Function>
int guardedForShell(Function function)
{
    try
    {
        const int code = function();
        flushOutput();
        return code;
    }
    catch (const Interrupted&)
    {
        std::fprintf(stderr, "agpnet: interrupted\n");
        return exitInterrupted;
    }
    catch (const std::bad_alloc&)
    {
        std::fprintf(stderr, "agpnet: not enough memory\n");
    }
    catch (const cv::Exception& error) // its what() carries OpenCV's own file and line; the sentence alone is for people
    {
        std::fprintf(stderr, "agpnet: %s\n", error.err.c_str());
    }
    catch (const std::filesystem::filesystem_error& error) // a folder on the way that may not be entered, say
    {
        std::fprintf(stderr, "agpnet: %s: cannot be looked at: %s\n", error.path1().c_str(), error.code().message().c_str());
    }
    catch (const std::exception& error)
    {
        std::fprintf(stderr, "agpnet: %s\n", error.what());
    }
    return exitError;
}

} // namespace

int main(int argc, char** argv)
{
    CLI::App app("AGPNet: unsupervised visual anomaly detection. Train on good images, get a score and an anomaly map for any image.",
                 "agpnet");
    app.set_version_flag("--version", agpnet::version());
    app.get_formatter()->column_width(34);
    std::string key;
    app.add_option("--require-signature", key,
                   "Use only models with a valid signature FILE.minisig by this minisign key, or by the key in this file")
        ->envname("AGPNET_REQUIRE_SIGNATURE");
    Run run;
    addTrain(app, run);
    addDetect(app, run);
    addCalibrate(app, run);
    addEvaluate(app, run);
    addIndex(app, run);
    addQuery(app, run);
    addWatch(app, run);
    addExport(app, run);
    addOperators(app, run);
    addInfo(app, run);
    addTune(app, run);
    addDemoData(app, run);
    requireFiniteNumbers(app);
    try
    {
        app.parse(argc, argv);
    }
    catch (const CLI::ParseError& error)
    {
        return guardedForShell([&] { return app.exit(error) == 0 ? exitOk : exitUsage; }); // --help and --version print too
    }
    if (!run)
    {
        std::fprintf(stderr, "%s\nagpnet: a subcommand is required\n", app.help().c_str());
        return exitUsage;
    }
    if (!key.empty())
        ::setenv("AGPNET_REQUIRE_SIGNATURE", key.c_str(), 1); // which the library asks for at each model, by whatever way it comes
    return guardedForShell(run);
}
