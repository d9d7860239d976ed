// A reconstruction becomes maps and scores: residual, smoothing, enlargement, image score. By the stages, where the tensors are.
#pragma once

#include "models/agpnet.h"

namespace agpnet
{

struct AnomalyMaps
{
    at::Tensor maps;       ///< [N, 1, H, W]
    at::Tensor scoredMaps; ///< likewise: those that scores are taken from
    at::Tensor scores;     ///< [N, 1]
};

/// The distance of features from their reconstruction, [N, 1, h, w]. metric: as stages::metricOf() knows it.
at::Tensor residualOf(const std::string& metric, const Reconstruction& reconstruction);

/// Of residuals [N, 1, h, w] at height × width; sigma in pixels there.
AnomalyMaps heatmapOf(const Config& config, const at::Tensor& residual, int height, int width, double sigma);

/// At the model's input size. On a device nothing waits for the results.
AnomalyMaps anomalyMaps(const Config& config, const Reconstruction& reconstruction);

} // namespace agpnet
