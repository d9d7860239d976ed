#include "models/anomaly_map.h"

#include "models/feature_range.h"
#include "models/stage_device.h"
#include "models/tensor_view.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

namespace agpnet
{

at::Tensor residualOf(const std::string& metric, const Reconstruction& reconstruction)
{
    at::Tensor residual = at::empty({reconstruction.clean.size(0), 1, reconstruction.clean.size(2), reconstruction.clean.size(3)}, reconstruction.clean.options());
    stages::residual(stageDeviceOf(residual), viewOf(reconstruction.clean), viewOf(reconstruction.reconstructed), stages::metricOf(metric), viewOf(residual));
    return residual;
}

AnomalyMaps heatmapOf(const Config& config, const at::Tensor& residual, int height, int width, double sigma)
{
    const int64_t n = residual.size(0);
    const at::Tensor map = at::empty({n, 1, height, width}, residual.options());
    const at::Tensor maximum = at::empty({n, 1, 1, 1}, residual.options()), top1 = at::empty_like(maximum);
    stages::heatmap(stageDeviceOf(residual), viewOf(residual), sigma, viewOf(map), viewOf(maximum), viewOf(top1));
    return {map, map, (config.score == "top1" ? top1 : maximum).view({n, 1})};
}

AnomalyMaps anomalyMaps(const Config& config, const Reconstruction& reconstruction)
{
    const AnomalyMaps shown = heatmapOf(config, residualOf(config.metric, reconstruction), config.height, config.width, config.sigma);
    if (config.scoreMetric == config.metric)
        return shown;
    const AnomalyMaps rated = heatmapOf(config, residualOf(config.scoreMetric, reconstruction), config.height, config.width, config.sigma);
    return {shown.maps, rated.maps, rated.scores};
}

at::Tensor evidenceOf(const at::Tensor& scores, const Reconstruction& reconstruction)
{
    // a product's number is exact in float32
    return at::cat({scores, reconstruction.product.unsqueeze(1).to(at::kFloat), FeatureRange::statistics(reconstruction.clean)}, 1);
}

Findings findingsIn(const AgpNet& net, const at::Tensor& images)
{
    const Reconstruction reconstruction = net.reconstruct(images);
    const AnomalyMaps maps = anomalyMaps(net.config(), reconstruction);
    return {maps, evidenceOf(maps.scores, reconstruction)};
}

} // namespace agpnet
