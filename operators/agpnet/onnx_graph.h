// Writes small ONNX graphs of ai.agpnet nodes.
#pragma once

#include "operators/core/operator.h"

#include <map>
#include <string>
#include <vector>

namespace agpnet
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

/// The bytes of an ONNX file.
std::string onnxGraph(const std::string& name, const std::vector<GraphNode>& nodes, const std::vector<GraphValue>& inputs,
                      const std::vector<GraphValue>& outputs);

} // namespace agpnet
