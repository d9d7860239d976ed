/// @file
/// The operators behind every door: what they are called, take, give, and can be set to.
#pragma once

#include "agpnet/api.hpp"

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
/// `precision`: "auto", "fp32", "bf16" or "int8", as AnomalyDetector::create() takes it.
AGPNET_EXPORT void writeDetectGraph(const std::string& onnxPath, const std::string& model, int height, int width, double sensitivity = 1,
                                    const std::string& precision = "auto");

/// The same as stages: ai.agpnet.Reconstruct, Residual, Heatmap; for pipelines that put a stage of their own in between.
AGPNET_EXPORT void writeStageGraph(const std::string& onnxPath, const std::string& model, int height, int width,
                                   const std::string& precision = "auto");

/// An ONNX file of standard operators that holds the whole inference and its weights: for ONNX Runtime, OpenVINO, OpenCV's own importer (from
/// 4.6), without this library. One image at a time. Input `image` [1, 3, H, W] (6 channels where the model takes geometry) at
/// the model's input size, RGB, 0 to 1: pictures are resized to it beforehand, by area where they shrink. Outputs `map` [1, 1, H, W] and
/// `score` [1, 1]; a region of interest is heeded. The file's metadata has `agpnet.threshold` and `agpnet.pixel_threshold`, and the
/// same followed by a dot and a name for each product.
/// @param precision  "fp32", or "int8": the transformers' linear layers between QuantizeLinear and DequantizeLinear, of which engines make products of
///                   8 bits (not OpenCV's importer), 0.3 of the size; for models that know the ranges of their inputs
/// @throws cv::Exception for a model that looks at tiles, for a backbone without such a description, and where the file would exceed 2 GB
AGPNET_EXPORT void writeOnnxModel(const std::string& onnxPath, const std::string& model, const std::string& precision = "fp32");

} // namespace agpnet
