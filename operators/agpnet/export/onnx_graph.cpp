// Small ONNX graphs of ai.agpnet nodes.
#include "agpnet/onnx.hpp"
#include "common/atomic_file.h"
#include "common/protobuf.h"
#include "operators/agpnet/inspection/inference.h"
#include "operators/core/opencv_exceptions.h"
#include "operators/core/operator.h"

#include <map>
#include <string>
#include <vector>

namespace agpnet
{
namespace
{

struct GraphNode
{
    std::string op; ///< without the domain
    std::string name;
    std::vector<std::string> inputs, outputs;
    std::map<std::string, AttributeValue> attributes;
};

struct GraphValue
{
    std::string name;
    Shape shape;
};

// Field numbers are those of onnx.proto.
ProtobufMessage attributeProto(const std::string& name, const AttributeValue& value)
{
    ProtobufMessage proto;
    proto.bytes(1, name);
    if (const auto* real = std::get_if<double>(&value))
        proto.real(2, static_cast<float>(*real)).integer(20, 1);
    else if (const auto* integer = std::get_if<int64_t>(&value))
        proto.integer(3, static_cast<uint64_t>(*integer)).integer(20, 2);
    else
        proto.bytes(4, std::get<std::string>(value)).integer(20, 3);
    return proto;
}

ProtobufMessage nodeProto(const GraphNode& node)
{
    ProtobufMessage proto;
    for (const std::string& input : node.inputs)
        proto.bytes(1, input);
    for (const std::string& output : node.outputs)
        proto.bytes(2, output);
    proto.bytes(3, node.name).bytes(4, node.op);
    for (const auto& [name, value] : node.attributes)
        proto.bytes(5, attributeProto(name, value).text());
    return proto.bytes(7, operatorDomain);
}

ProtobufMessage valueProto(const GraphValue& value)
{
    constexpr int float32 = 1;
    ProtobufMessage shape;
    for (int extent : value.shape)
        shape.bytes(1, ProtobufMessage().integer(1, static_cast<uint64_t>(extent)).text());
    const ProtobufMessage tensor = ProtobufMessage().integer(1, float32).bytes(2, shape.text());
    return ProtobufMessage().bytes(1, value.name).bytes(2, ProtobufMessage().bytes(1, tensor.text()).text());
}

/// The bytes of an ONNX file.
std::string onnxGraph(const std::string& name, const std::vector<GraphNode>& nodes, const std::vector<GraphValue>& inputs,
                      const std::vector<GraphValue>& outputs)
{
    ProtobufMessage graph;
    for (const GraphNode& node : nodes)
        graph.bytes(1, nodeProto(node).text());
    graph.bytes(2, name);
    for (const GraphValue& input : inputs)
        graph.bytes(11, valueProto(input).text());
    for (const GraphValue& output : outputs)
        graph.bytes(12, valueProto(output).text());
    return ProtobufMessage()
        .integer(1, 8) // ir_version
        .bytes(2, "agpnet")
        .bytes(7, graph.text())
        .bytes(8, ProtobufMessage().bytes(1, "").integer(2, 13).text())
        .bytes(8, ProtobufMessage().bytes(1, operatorDomain).integer(2, 1).text())
        .text();
}

} // namespace

void writeDetectGraph(const std::string& onnxPath, const std::string& model, int height, int width, double sensitivity,
                      const std::string& precision)
{
    guarded([&] {
        computeType(precision); // refuses what is none
        require(height > 0 && width > 0, "graph input of {}x{}, expected at least 1x1", height, width);
        const int channels = inputChannels(sharedHeader(model)->at("config").get<Config>());
        const GraphNode node{
            "Detect", "detect", {"image"}, {"map", "score"}, {{"model", model}, {"sensitivity", sensitivity}, {"precision", precision}}};
        writeFileAtomically(onnxPath, onnxGraph("agpnet", {node}, {{"image", {1, channels, height, width}}},
                                                {{"map", {1, 1, height, width}}, {"score", {1, 1}}}));
    });
}

void writeStageGraph(const std::string& onnxPath, const std::string& model, int height, int width, const std::string& precision)
{
    guarded([&] {
        computeType(precision);
        require(height > 0 && width > 0, "graph input of {}x{}, expected at least 1x1", height, width);
        const Config config = sharedHeader(model)->at("config").get<Config>();
        require(config.tile == 0 && config.roi.empty(),
                "{}: the model uses {}, which separate stages do not support; expected a model of whole images, or a graph of one Detect",
                model, config.tile > 0 ? "tiles" : "a region of interest");
        const int channels = inputChannels(config);
        const auto residual = [&](const std::string& name, const std::string& metric) {
            return GraphNode{"Residual", name, {"features", "reconstructed"}, {name + "_map"}, {{"metric", metric}}};
        };
        const auto heatmap = [&](const std::string& name, const std::string& from, const std::vector<std::string>& outputs)
        {
            return GraphNode{"Heatmap",
                             name,
                             {from + "_map"},
                             outputs,
                             {{"height", int64_t{config.height}},
                              {"width", int64_t{config.width}},
                              {"sigma", config.sigma},
                              {"score", std::string(textOf(config.score))}}};
        };
        std::vector<GraphNode> nodes = {
            {"Reconstruct", "reconstruct", {"image"}, {"features", "reconstructed"}, {{"model", model}, {"precision", precision}}},
            residual("residual", stages::nameOf(config.metric))};
        if (config.scoreMetric == config.metric)
            nodes.push_back(heatmap("heatmap", "residual", {"map", "score"}));
        else
        {
            nodes.push_back(heatmap("heatmap", "residual", {"map", "score_of_map"}));
            nodes.push_back(residual("score_residual", stages::nameOf(config.scoreMetric)));
            nodes.push_back(heatmap("score_heatmap", "score_residual", {"score_map", "score"}));
        }
        writeFileAtomically(onnxPath, onnxGraph("agpnet", nodes, {{"image", {1, channels, height, width}}},
                                                {{"map", {1, 1, config.height, config.width}}, {"score", {1, 1}}}));
    });
}

} // namespace agpnet
