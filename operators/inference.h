// image → backbone → F_clean → decoder → residual → heatmap → map, score. The fused path behind Detector and ai.agpnet.Detect.
#pragma once

#include "models/model_file.h"

#include <memory>
#include <opencv2/core.hpp>
#include <string>

namespace agpnet
{

/// A model ready to run. Immutable; run() may be called from several threads.
class Inference
{
public:
    Inference(const ModelFile& file, const std::string& precision);

    struct Scored
    {
        at::Tensor maps;   ///< [N, 1, H, W] at the model's input size
        at::Tensor scores; ///< [N, 1]
    };
    Scored run(const at::Tensor& images) const; ///< [N, 3, H, W], RGB, 0 to 1, at the input size

    const AgpNet& net() const { return net_; }
    const Config& config() const { return net_.config(); }
    const ScoreStatistics& scores() const { return scores_; }
    cv::Size inputSize() const { return {config().width, config().height}; }
    std::string precision() const { return net_.compute() == ComputeType::BFloat16 ? "bf16" : "fp32"; }

private:
    AgpNet net_;
    ScoreStatistics scores_;
};

/// residual and heatmap of a reconstruction, as the config asks.
Inference::Scored scored(const Config& config, const Reconstruction& reconstruction);

/// Reads a model, or gives the one that is in use already if the file has not changed since.
std::shared_ptr<const Inference> sharedInference(const std::string& path, const std::string& precision);

/// The header of the file, remembered until the file changes: cheap enough for shape inference.
std::shared_ptr<const nlohmann::json> sharedHeader(const std::string& path);

} // namespace agpnet
