#include "agpnet/version.hpp"
#include "apps/agpnet/commands.h"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <opencv2/core.hpp>

int main(int argc, char** argv)
{
    using namespace agpnet::app;
    CLI::App app("AGPNet: learns from pictures of good parts, then finds what is wrong, and where.", "agpnet");
    app.set_version_flag("--version", agpnet::version());
    app.get_formatter()->column_width(34);
    std::string key;
    app.add_option("--require-signature", key, "Use only models that FILE.minisig signs by this key of minisign, or file of one")->envname("AGPNET_REQUIRE_SIGNATURE");
    Run run;
    addTrain(app, run);
    addDetect(app, run);
    addCalibrate(app, run);
    addEvaluate(app, run);
    addWatch(app, run);
    addExport(app, run);
    addOperators(app, run);
    addInfo(app, run);
    addTune(app, run);
    addDemoData(app, run);
    try
    {
        app.parse(argc, argv);
    }
    catch (const CLI::ParseError& error)
    {
        return app.exit(error) == 0 ? exitOk : exitUsage;
    }
    if (!run)
    {
        std::fprintf(stderr, "%s\nagpnet: a subcommand is required\n", app.help().c_str());
        return exitUsage;
    }
    if (!key.empty())
        ::setenv("AGPNET_REQUIRE_SIGNATURE", key.c_str(), 1); // which the library asks for at each model, by whatever way it comes
    try
    {
        return run();
    }
    catch (const cv::Exception& error) // its what() carries OpenCV's own file and line; the sentence alone is for people
    {
        std::fprintf(stderr, "agpnet: %s\n", error.err.c_str());
    }
    catch (const std::exception& error)
    {
        std::fprintf(stderr, "agpnet: %s\n", error.what());
    }
    return exitError;
}
