// What there is: operators, info; and small things to write: export, demo-data.
#include "agpnet/agpnet.hpp"
#include "apps/agpnet/commands.h"
#include "apps/agpnet/progress.h"
#include "apps/tools/demo_data.h"
#include "common/error.h"

#include <nlohmann/json.hpp>

namespace agpnet::app
{
namespace
{

using nlohmann::json;

std::string joined(const json& ports)
{
    std::string text;
    for (const json& port : ports)
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", port.at("name").get<std::string>(), port.at("shape").get<std::string>());
    return text;
}

void printOperators(const json& list)
{
    for (const json& op : list)
    {
        std::printf("%s\n  %s\n  in   %s\n  out  %s\n", op.at("name").get<std::string>().c_str(), op.at("doc").get<std::string>().c_str(),
                    joined(op.at("inputs")).c_str(), joined(op.at("outputs")).c_str());
        for (const json& attribute : op.at("attributes"))
        {
            std::string range;
            if (attribute.contains("choices"))
                range = fmt::format("{}", fmt::join(attribute["choices"].get<std::vector<std::string>>(), "|"));
            else if (attribute.contains("minimum"))
                range = fmt::format("{:g} to {:g}", attribute["minimum"].get<double>(), attribute["maximum"].get<double>());
            std::printf("    %-12s %-6s %s%s%s\n", attribute.at("name").get<std::string>().c_str(), attribute.at("type").get<std::string>().c_str(),
                        attribute.at("doc").get<std::string>().c_str(), range.empty() ? "" : fmt::format("  [{}]", range).c_str(),
                        attribute.contains("default") ? fmt::format("  = {}", attribute["default"].dump()).c_str() : "  (required)");
        }
        std::printf("\n");
    }
}

void printBuild(const json& info)
{
    std::printf("agpnet    %s\n", info.at("agpnet").get<std::string>().c_str());
    std::printf("opencv    %s (built for %s), %d threads\n", info["opencv"]["found"].get<std::string>().c_str(),
                info["opencv"]["built_for"].get<std::string>().c_str(), info["opencv"]["threads"].get<int>());
    std::printf("libtorch  %s, %d threads\n", info["libtorch"]["version"].get<std::string>().c_str(), info["libtorch"]["threads"].get<int>());
    std::printf("cpu       %s, bfloat16 %s\n", info["cpu"]["capability"].get<std::string>().c_str(), info["cpu"]["bf16"].get<bool>() ? "yes" : "no");
    std::printf("opencl    %s\n\n", info["opencl"].contains("device") ? info["opencl"]["device"].get<std::string>().c_str() : "not used by OpenCV here");
    std::printf("%-10s %-7s %-10s %-8s %-8s %s\n", "stage", "api", "schedule", "layout", "kind", "runs here");
    for (const json& row : info["schedules"])
        std::printf("%-10s %-7s %-10s %-8s %-8s %s\n", row["stage"].get<std::string>().c_str(), row["api"].get<std::string>().c_str(),
                    row["name"].get<std::string>().c_str(), row["layout"].get<std::string>().c_str(), row["kind"].get<std::string>().c_str(),
                    row["usable"].get<bool>() ? "yes" : "no");
}

struct Options
{
    std::string model, onnx, folder;
    bool asJson = false, config = false, stages = false;
    std::string size;
    double sensitivity = 1;
    tools::DemoOptions demo;
};

int operators(const Options& options)
{
    if (options.config)
        std::printf("%s\n", json::parse(defaultConfig()).dump(2).c_str());
    else if (options.asJson)
        std::printf("%s\n", describeOperators().c_str());
    else
        printOperators(json::parse(describeOperators()));
    return exitOk;
}

int info(const Options& options)
{
    const std::string text = options.model.empty() ? buildInformation() : Detector::load(options.model)->header();
    if (options.asJson)
        std::printf("%s\n", text.c_str());
    else if (options.model.empty())
        printBuild(json::parse(text));
    else
        std::printf("%s\n", json::parse(text).dump(2).c_str());
    return exitOk;
}

int exportGraph(const Options& options)
{
    cv::Size size = Detector::load(options.model)->inputSize(); // also refuses a file that is no model
    if (!options.size.empty())
        require(std::sscanf(options.size.c_str(), "%dx%d", &size.height, &size.width) == 2, "--size is '{}', expected HEIGHTxWIDTH",
                options.size);
    if (options.stages)
        writeStageGraph(options.onnx, options.model, size.height, size.width);
    else
        writeDetectGraph(options.onnx, options.model, size.height, size.width, options.sensitivity);
    std::printf("%s: takes images of %dx%d, names the model %s\n", options.onnx.c_str(), size.height, size.width, options.model.c_str());
    return exitOk;
}

int demoData(Options& options)
{
    std::optional<Progress> progress;
    options.demo.progress = [&](size_t done, size_t total) {
        if (!progress)
            progress.emplace("image", "images", static_cast<int>(total));
        progress->update(static_cast<int>(done));
    };
    const size_t count = tools::writeDemoData(options.folder, options.demo);
    progress.reset();
    std::printf("%s: %zu images\n", options.folder.c_str(), count);
    return exitOk;
}

} // namespace

void addOperators(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("operators", "List the operators, their attributes and ranges");
    command->add_flag("--json", options->asJson, "As JSON");
    command->add_flag("--config", options->config, "The training configuration's keys and defaults instead");
    command->callback([options, &run] { run = [options] { return operators(*options); }; });
}

void addInfo(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("info", "Tell about this build and machine, or about a model");
    command->add_option("model", options->model, "A .agp file; without one: versions, devices, schedules");
    command->add_flag("--json", options->asJson, "As JSON");
    command->callback([options, &run] { run = [options] { return info(*options); }; });
}

void addExport(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("export", "Write an ONNX graph of our operators around a model, for cv::dnn");
    command->add_option("model", options->model, "The .agp file; its path goes into the graph as given")->required();
    command->add_option("--onnx-graph", options->onnx, "The .onnx file to write")->required();
    command->add_flag("--stages", options->stages, "Reconstruct, Residual and Heatmap as nodes instead of one Detect");
    command->add_option("--size", options->size, "Input HEIGHTxWIDTH of the graph (default: the model's)");
    command->add_option("--sensitivity", options->sensitivity, "Attribute of Detect")->check(CLI::PositiveNumber);
    command->callback([options, &run] { run = [options] { return exportGraph(*options); }; });
}

void addDemoData(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("demo-data", "Draw a set of good and defective parts with exact masks");
    command->add_option("folder", options->folder, "Where: one MVTec layout per product")->required();
    command->add_option("--product", options->demo.products, "Which (default: all)");
    command->add_option("--train", options->demo.train, "Good images to train on, each product")->check(CLI::PositiveNumber);
    command->add_option("--test-good", options->demo.testGood, "Good test images, each product")->check(CLI::NonNegativeNumber);
    command->add_option("--test-defective", options->demo.testDefective, "Test images for each kind of defect")->check(CLI::NonNegativeNumber);
    command->add_option("--side", options->demo.side, "Pixels")->check(CLI::Range(32, 4096));
    command->add_option("--seed", options->demo.seed, "Of the drawing")->check(CLI::NonNegativeNumber);
    command->callback([options, &run] { run = [options] { return demoData(*options); }; });
}

} // namespace agpnet::app
