// The operators behind every door: what they are called, take, give, and can be set to.
#pragma once

#include "agpnet/export.hpp"

#include <string>
#include <vector>

namespace agpnet
{

/// One JSON text with name, description, inputs, outputs and attributes (type, range, default) of each operator.
AGPNET_EXPORT std::string describeOperators();

/// The keys of the training configuration with their defaults: JSON text.
AGPNET_EXPORT std::string defaultConfig();

/// An ONNX file with one node ai.agpnet.Detect around a trained model, for cv::dnn::readNetFromONNX: input `image`
/// [1, 3, height, width], RGB, 0 to 1; outputs `map` and `score`. `model` is written into the node as given.
AGPNET_EXPORT void writeDetectGraph(const std::string& onnxPath, const std::string& model, int height, int width, double sensitivity = 1);

/// The same as stages: ai.agpnet.Reconstruct, Residual, Heatmap; for pipelines that put a stage of their own in between.
AGPNET_EXPORT void writeStageGraph(const std::string& onnxPath, const std::string& model, int height, int width);

} // namespace agpnet
