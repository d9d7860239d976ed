// agpnet export: a model as ONNX.
#include "agpnet/agpnet.hpp"
#include "apps/cli/commands.h"
#include "apps/cli/numbers.h"

#include <tuple>

namespace agpnet::app
{
namespace
{

struct Options
{
    std::string model, onnx, graph, size, precision = "auto";
    bool stages = false;
    double sensitivity = 1;
};

std::string onnxPrecision(const Options& options)
{
    return options.precision == "auto" ? "fp32" : options.precision;
}

int exportDescriber(const Options& options)
{
    const cv::Ptr<Describer> describer = Describer::create(options.model);
    writeOnnxModel(options.onnx, options.model, onnxPrecision(options));
    const cv::Size size = describer->getInputSize();
    std::printf("%s: takes one view of %dx%d and gives its embedding and descriptor of %d values, needs neither the model nor AGPNet\n",
                options.onnx.c_str(), size.height, size.width, describer->getWidth());
    return exitOk;
}

int exportGraph(const Options& options)
{
    if (options.graph.empty() && modelMethod(options.model) == "dec")
        return exportDescriber(options);
    cv::Size size = AnomalyDetector::create(options.model)->getInputSize(); // also refuses a file that is no model
    if (options.graph.empty())
    {
        writeOnnxModel(options.onnx, options.model, onnxPrecision(options));
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

} // namespace

void addExport(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command =
        app.add_subcommand("export", "Write a model as ONNX: a graph of our operators for cv::dnn, or standard operators for any engine");
    command->add_option("model", options->model, "The .agp file; its path goes into the graph as given")->required();
    CLI::Option_group* kind = command->add_option_group("kind");
    CLI::Option* graph = kind->add_option("--onnx-graph", options->graph, "The .onnx file to write: our operators, which name the model");
    kind->add_option("--onnx", options->onnx, "The .onnx file to write: standard operators with the weights, for engines without AGPNet");
    kind->require_option(1);
    command->add_flag("--stages", options->stages, "Reconstruct, Residual and Heatmap as nodes instead of one Detect")->needs(graph);
    command->add_option("--size", options->size, "Input HEIGHTxWIDTH of the graph (default: the model's)")->needs(graph);
    command->add_option("--sensitivity", options->sensitivity, "Attribute sensitivity of Detect")->check(positiveNumber())->needs(graph);
    command
        ->add_option("--precision", options->precision,
                     "With --onnx: fp32 (default) or, for inspection, int8; with --onnx-graph: attribute of its nodes")
        ->check(CLI::IsMember({"auto", "fp32", "bf16", "int8"}));
    command->callback([options, &run] { run = [options] { return exportGraph(*options); }; });
}

} // namespace agpnet::app
