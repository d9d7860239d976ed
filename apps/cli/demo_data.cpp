// agpnet demo-data: drawn parts with exact masks, or objects of several views.
#include "apps/cli/commands.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/numbers.h"
#include "apps/demo/demo_data.h"
#include "apps/demo/demo_parts.h"
#include "apps/tune/progress.h"

#include <optional>

namespace agpnet::app
{
namespace
{

struct Options
{
    std::string folder;
    bool parts = false;
    std::optional<int> side; ///< the kinds have defaults of their own
    uint64_t seed = 1;
    tools::DemoOptions demo;
    tools::DemoPartsOptions demoParts;
};

int demoData(Options& options)
{
    std::optional<Progress> progress;
    const auto show = [&](size_t done, size_t total) {
        if (!progress)
            progress.emplace("image", "images", static_cast<int>(total));
        progress->update(static_cast<int>(done));
        stopIfInterrupted();
    };
    options.demo.progress = options.demoParts.progress = show;
    options.demo.seed = options.demoParts.seed = options.seed;
    options.demo.side = options.side.value_or(options.demo.side);
    options.demoParts.side = options.side.value_or(options.demoParts.side);
    const InterruptGuard guard;
    const size_t count = options.parts ? tools::writeDemoParts(options.folder, options.demoParts)
                                       : tools::writeDemoData(options.folder, options.demo);
    progress.reset();
    std::printf("%s: %zu images\n", options.folder.c_str(), count);
    return exitOk;
}

} // namespace

void addDemoData(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command =
        app.add_subcommand("demo-data", "Draw images of good and defective parts, with exact masks, or of objects to search");
    command->add_option("folder", options->folder, "Folder to write to: one MVTec layout for each product, or with --parts CLASS/OBJECT/")
        ->required();
    CLI::Option* product = command->add_option("--product", options->demo.products, "Products to draw (default: all)");
    CLI::Option* train =
        command->add_option("--train", options->demo.train, "Good training images of each product")->check(positiveNumber());
    CLI::Option* good =
        command->add_option("--test-good", options->demo.testGood, "Good test images of each product")->check(nonNegativeNumber());
    CLI::Option* defective = command->add_option("--test-defective", options->demo.testDefective, "Test images for each kind of defect")
                                 ->check(nonNegativeNumber());
    CLI::Option* parts = command->add_flag(
        "--parts", options->parts, "Draw machine parts to search: known/ and unknown/ classes with views of each object, photos/ of some");
    for (CLI::Option* other : {product, train, good, defective})
        other->excludes(parts);
    command->add_option("--objects", options->demoParts.objects, "Objects of each class")->check(positiveNumber())->needs(parts);
    command->add_option("--views", options->demoParts.views, "Views of each object, in a ring around it")
        ->check(CLI::Range(1, 360))
        ->needs(parts);
    command->add_option("--side", options->side, "Side of the images in pixels (default: 256, with --parts 224)")
        ->check(CLI::Range(64, 2048));
    command->add_option("--seed", options->seed, "Seed of the drawing")->check(seedNumber());
    command->callback([options, &run] { run = [options] { return demoData(*options); }; });
}

} // namespace agpnet::app
