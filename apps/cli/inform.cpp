// What there is: operators, info; and small things to write: export, demo-data.
#include "agpnet/agpnet.hpp"
#include "apps/cli/commands.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/numbers.h"
#include "apps/tune/progress.h"
#include "apps/cli/threshold_notes.h"
#include "apps/demo/demo_data.h"
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

void printTuning(const json& tuning)
{
    std::printf("\n");
    for (const json& record : tuning["records"])
        std::printf("tuning    %s: %d in use, %zu ignored%s\n", record["path"].get<std::string>().c_str(), record["used"].get<int>(),
                    record["ignored"].size(),
                    record["ignored"].empty() ? "" : fmt::format(" ({})", record["ignored"][0].get<std::string>()).c_str());
    if (tuning["records"].empty())
        std::printf("tuning    no record; agpnet tune makes one\n");
    std::printf("%-10s %-8s %-8s %-22s %-7s %-28s %s\n", "stage", "kind", "layout", "shape", "api", "chosen", "why");
    for (const json& choice : tuning["decisions"])
    {
        const std::string why = choice["why"].get<std::string>();
        std::printf("%-10s %-8s %-8s %-22s %-7s %-28s %s\n", choice["stage"].get<std::string>().c_str(), choice["kind"].get<std::string>().c_str(),
                    choice["layout"].get<std::string>().c_str(), choice["shape"].get<std::string>().c_str(), choice["api"].get<std::string>().c_str(),
                    choice["variant"].get<std::string>().c_str(),
                    why == "default" ? "default" : fmt::format("{}, {:.2f}x when measured", why, choice["speedup"].get<double>()).c_str());
    }
}

void printBuild(const json& info)
{
    std::printf("agpnet    %s\n", info.at("agpnet").get<std::string>().c_str());
    std::printf("opencv    %s (built for %s), %d threads\n", info["opencv"]["found"].get<std::string>().c_str(),
                info["opencv"]["built_for"].get<std::string>().c_str(), info["opencv"]["threads"].get<int>());
    std::printf("libtorch  %s, %d threads\n", info["libtorch"]["version"].get<std::string>().c_str(), info["libtorch"]["threads"].get<int>());
    const auto cpu = [&](const char* what) { return info["cpu"].at(json::json_pointer(what)).get<std::string>(); };
    std::printf("cpu       %s, LibTorch computes with %s\n", cpu("/level").c_str(), cpu("/capability").c_str());
    std::printf("products  auto prefers %s; bf16 computes in %s, int8 in %s\n", cpu("/paths/precision/auto").c_str(), cpu("/paths/precision/bf16").c_str(),
                cpu("/paths/precision/int8").c_str());
    std::printf("attention fp32 %s, bf16 %s, int8 %s; rows %s\n", cpu("/paths/attention/fp32").c_str(), cpu("/paths/attention/bf16").c_str(),
                cpu("/paths/attention/int8").c_str(), cpu("/paths/rows").c_str());
    std::printf("opencl    %s\n\n", info["opencl"].contains("device") ? info["opencl"]["device"].get<std::string>().c_str() : "not used by OpenCV here");
    std::printf("%-10s %-7s %-10s %-8s %-8s %s\n", "stage", "api", "schedule", "layout", "kind", "runs here");
    for (const json& row : info["schedules"])
        std::printf("%-10s %-7s %-10s %-8s %-8s %s\n", row["stage"].get<std::string>().c_str(), row["api"].get<std::string>().c_str(),
                    row["name"].get<std::string>().c_str(), row["layout"].get<std::string>().c_str(), row["kind"].get<std::string>().c_str(),
                    row["usable"].get<bool>() ? "yes" : "no");
    printTuning(info.at("tuning"));
}

struct Options
{
    std::string model, onnx, graph, folder;
    bool asJson = false, config = false, stages = false, verify = false;
    std::string size, precision = "auto";
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

/// Whether a model is what was written, and where it comes from.
int verify(const Options& options)
{
    const std::string sum = verifyModel(options.model);
    require(!sum.empty(), "{}: holds no checksum, because the AGPNet that wrote it knew none; training or saving it again adds one", options.model);
    const json header = json::parse(AnomalyDetector::create(options.model)->getHeader());
    const json record = header.at("training");
    const json provenance = {{"sha256", sum},
                             {"backbone", header.at("backbone").at("hash")},
                             {"data", record.value("data", json())},
                             {"seed", header.at("config").at("seed")},
                             {"finished", record.value("finished", json())},
                             {"versions", record.value("versions", json())}};
    if (options.asJson)
        std::printf("%s\n", provenance.dump().c_str());
    else
        std::printf("%s: holds what was written\n%s\n", options.model.c_str(), provenance.dump(2).c_str());
    return exitOk;
}

int info(const Options& options)
{
    if (options.verify)
        return verify(options);
    json told = json::parse(buildInformation());
    std::vector<std::string> notes; // which the file does not hold
    if (!options.model.empty())
    {
        const cv::Ptr<AnomalyDetector> detector = AnomalyDetector::create(options.model);
        const json cpu = std::move(told["cpu"]);
        told = json::parse(detector->getHeader());
        told["here"] = {{"cpu", cpu["level"]}, {"precision", detector->getPrecision()}}; // of this machine, not in the file
        notes = thresholdNotes(told.at("scores"));
        told["notes"] = notes;
    }
    if (options.asJson)
        std::printf("%s\n", told.dump().c_str());
    else if (options.model.empty())
        printBuild(told);
    else
        std::printf("%s\n", told.dump(2).c_str());
    for (const std::string& note : notes)
        if (!options.asJson)
            std::fprintf(stderr, "agpnet: note: %s\n", note.c_str());
    return exitOk;
}

int exportGraph(const Options& options)
{
    cv::Size size = AnomalyDetector::create(options.model)->getInputSize(); // also refuses a file that is no model
    if (options.graph.empty())
    {
        const std::string precision = options.precision == "auto" ? "fp32" : options.precision;
        writeOnnxModel(options.onnx, options.model, precision);
        std::printf("%s: takes images of %dx%d, needs neither the model nor AGPNet\n", options.onnx.c_str(), size.height, size.width);
        return exitOk;
    }
    if (!options.size.empty())
        std::tie(size.height, size.width) = parseSize(options.size);
    if (options.stages)
        writeStageGraph(options.graph, options.model, size.height, size.width, options.precision);
    else
        writeDetectGraph(options.graph, options.model, size.height, size.width, options.sensitivity, options.precision);
    std::printf("%s: takes images of %dx%d, names the model %s\n", options.graph.c_str(), size.height, size.width, options.model.c_str());
    return exitOk;
}

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
    CLI::Option* model = command->add_option("model", options->model, "A .agp file; without one: versions, devices, schedules");
    command->add_flag("--json", options->asJson, "As JSON");
    command->add_flag("--verify", options->verify, "Check the whole file against its SHA-256, and tell where the model comes from")->needs(model);
    command->callback([options, &run] { run = [options] { return info(*options); }; });
}

void addExport(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("export", "Write a model as ONNX: a graph of our operators for cv::dnn, or standard operators for any engine");
    command->add_option("model", options->model, "The .agp file; its path goes into the graph as given")->required();
    CLI::Option_group* kind = command->add_option_group("kind");
    CLI::Option* graph = kind->add_option("--onnx-graph", options->graph, "The .onnx file to write: our operators, which name the model");
    kind->add_option("--onnx", options->onnx, "The .onnx file to write: standard operators with the weights, for engines without AGPNet");
    kind->require_option(1);
    command->add_flag("--stages", options->stages, "Reconstruct, Residual and Heatmap as nodes instead of one Detect")->needs(graph);
    command->add_option("--size", options->size, "Input HEIGHTxWIDTH of the graph (default: the model's)")->needs(graph);
    command->add_option("--sensitivity", options->sensitivity, "Attribute of Detect")->check(positiveNumber())->needs(graph);
    command->add_option("--precision", options->precision, "Of --onnx: fp32 (default) or int8; of --onnx-graph: attribute of its nodes")->check(CLI::IsMember({"auto", "fp32", "bf16", "int8"}));
    command->callback([options, &run] { run = [options] { return exportGraph(*options); }; });
}

void addDemoData(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("demo-data", "Draw a set of good and defective parts with exact masks");
    command->add_option("folder", options->folder, "Where: one MVTec layout per product")->required();
    command->add_option("--product", options->demo.products, "Which (default: all)");
    command->add_option("--train", options->demo.train, "Good images to train on, each product")->check(positiveNumber());
    command->add_option("--test-good", options->demo.testGood, "Good test images, each product")->check(nonNegativeNumber());
    command->add_option("--test-defective", options->demo.testDefective, "Test images for each kind of defect")->check(nonNegativeNumber());
    command->add_option("--side", options->demo.side, "Pixels")->check(CLI::Range(32, 4096));
    command->add_option("--seed", options->demo.seed, "Of the drawing")->check(seedNumber());
    command->callback([options, &run] { run = [options] { return demoData(*options); }; });
}

} // namespace agpnet::app
