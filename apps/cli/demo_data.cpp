// agpnet demo-data: drawn parts with exact masks.
#include "apps/cli/commands.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/numbers.h"
#include "apps/demo/demo_data.h"
#include "apps/tune/progress.h"

#include <optional>

namespace agpnet::app
{
namespace
{

struct Options
{
    std::string folder;
    tools::DemoOptions demo;
};

int demoData(Options& options)
{
    std::optional<Progress> progress;
    options.demo.progress = [&](size_t done, size_t total) {
        if (!progress)
            progress.emplace("image", "images", static_cast<int>(total));
        progress->update(static_cast<int>(done));
        stopIfInterrupted();
    };
    const InterruptGuard guard;
    const size_t count = tools::writeDemoData(options.folder, options.demo);
    progress.reset();
    std::printf("%s: %zu images\n", options.folder.c_str(), count);
    return exitOk;
}

} // namespace

void addDemoData(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("demo-data", "Draw images of good and defective parts, with exact masks");
    command->add_option("folder", options->folder, "Folder to write to: one MVTec layout for each product")->required();
    command->add_option("--product", options->demo.products, "Products to draw (default: all)");
    command->add_option("--train", options->demo.train, "Good training images of each product")->check(positiveNumber());
    command->add_option("--test-good", options->demo.testGood, "Good test images of each product")->check(nonNegativeNumber());
    command->add_option("--test-defective", options->demo.testDefective, "Test images for each kind of defect")->check(nonNegativeNumber());
    command->add_option("--side", options->demo.side, "Side of the images in pixels")->check(CLI::Range(32, 4096));
    command->add_option("--seed", options->demo.seed, "Seed of the drawing")->check(seedNumber());
    command->callback([options, &run] { run = [options] { return demoData(*options); }; });
}

} // namespace agpnet::app
