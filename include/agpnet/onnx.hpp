/// @file
/// Export of trained models to ONNX: as a graph of this library's operators, or as a network of standard operators.
#pragma once

#include "agpnet/api.hpp"

#include <string>

namespace agpnet
{

/// Writes an ONNX file with one node ai.agpnet.Detect, for cv::dnn::readNetFromONNX(). Input: `image` [1, 3, height, width], RGB, 0 to 1.
/// Outputs: `map` and `score`.
/// @param model      path of the model; it is stored in the node as given
/// @param precision  `auto`, `fp32`, `bf16` or `int8`, as in AnomalyDetector::create()
AGPNET_EXPORT void writeDetectGraph(const std::string& onnxPath, const std::string& model, int height, int width, double sensitivity = 1,
                                    const std::string& precision = "auto");

/// The same with three nodes, ai.agpnet.Reconstruct, Residual and Heatmap, for pipelines that insert stages of their own.
AGPNET_EXPORT void writeStageGraph(const std::string& onnxPath, const std::string& model, int height, int width,
                                   const std::string& precision = "auto");

/// Writes an ONNX file of standard operators, with the whole network and its weights. ONNX Runtime, OpenVINO and OpenCV's importer (4.6 or
/// later) run it without this library, one image at a time. Input: `image` [1, 3, H, W] (6 channels if the model uses geometry), RGB, 0 to
/// 1, at the input size of the model. The caller resizes images to it; to shrink an image, use cv::INTER_AREA.
///
/// Outputs of a model of the method `agpnet`: `map` [1, 1, H, W] and `score` [1, 1]. The region of interest of the model is respected. The
/// metadata of the file has `agpnet.threshold` and `agpnet.pixel_threshold`; for each product it also has both keys with a dot and the name
/// of the product appended.
///
/// Outputs of a model of the method `dec`: `embedding` [1, D], of one view, and `descriptor` [1, D], of an object of which there is no
/// other view. Describer::aggregate() makes one descriptor of several embeddings. The metadata has `agpnet.space`, the digest of the
/// descriptors' space.
/// @param precision  `fp32` or `int8`, the latter not for `dec`. With `int8`, the linear layers of the transformers lie between
/// QuantizeLinear and DequantizeLinear;
///                   engines compute them with 8-bit products (OpenCV's importer does not). The file has 0.3 of the size. The model must
///                   know the quantization ranges of its layers
/// @throws cv::Exception for a model with tiles, for a backbone that cannot be exported, and for a file above 2 GB
AGPNET_EXPORT void writeOnnxModel(const std::string& onnxPath, const std::string& model, const std::string& precision = "fp32");

} // namespace agpnet
