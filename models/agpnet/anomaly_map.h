// A reconstruction becomes maps and scores: residual, smoothing, enlargement, image score. By the stages, where the tensors are.
#pragma once

#include "models/agpnet/network.h"

namespace agpnet
{

struct AnomalyMaps
{
    at::Tensor maps;       ///< [N, 1, H, W]
    at::Tensor scoredMaps; ///< [N, 1, H, W]: the maps that the scores are computed from
    at::Tensor scores;     ///< [N, 1]
    at::Tensor evidence = {}; ///< see evidenceOf(); of anomalyMaps(net, images) alone
};

/// The distance of features from their reconstruction, [N, 1, h, w].
at::Tensor residualOf(stages::Metric metric, const Reconstruction& reconstruction);

/// Computes the maps of residuals [N, 1, h, w] at height × width; sigma is in pixels of the map.
AnomalyMaps heatmapOf(const Config& config, const at::Tensor& residual, int height, int width, double sigma);

/// At the model's input size. On a device nothing waits for the results.
AnomalyMaps anomalyMaps(const Config& config, const Reconstruction& reconstruction);

/// What images are decided by, in one tensor so that a device is waited for once: [N, 2 + 2C] of each its score, the number of its product,
/// DriftStatistics::statistics().
at::Tensor evidenceOf(const at::Tensor& scores, const Reconstruction& reconstruction);

/// All that one pass of a model gives, evidence included.
AnomalyMaps anomalyMaps(const AgpNet& net, const at::Tensor& images);

} // namespace agpnet
