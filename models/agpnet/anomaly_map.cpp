#include "models/agpnet/anomaly_map.h"

#include "models/thresholds/drift_statistics.h"
#include "models/device/stage_device.h"
#include "models/device/tensor_view.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

namespace agpnet
{
namespace
{

void residualInto(const at::Tensor& residual, stages::Metric metric, const Reconstruction& reconstruction)
{
    stages::residual(stageDeviceOf(residual), viewOf(reconstruction.clean), viewOf(reconstruction.reconstructed), metric, viewOf(residual));
}

at::Tensor emptyResiduals(int64_t n, const at::Tensor& features)
{
    return at::empty({n, 1, features.size(2), features.size(3)}, features.options());
}

} // namespace

at::Tensor residualOf(stages::Metric metric, const Reconstruction& reconstruction)
{
    at::Tensor residual = emptyResiduals(reconstruction.clean.size(0), reconstruction.clean);
    residualInto(residual, metric, reconstruction);
    return residual;
}

AnomalyMaps heatmapOf(const Config& config, const at::Tensor& residual, int height, int width, double sigma)
{
    const int64_t n = residual.size(0);
    const at::Tensor map = at::empty({n, 1, height, width}, residual.options());
    const at::Tensor maximum = at::empty({n, 1, 1, 1}, residual.options()), top1 = at::empty_like(maximum);
    stages::heatmap(stageDeviceOf(residual), viewOf(residual), sigma, viewOf(map), viewOf(maximum), viewOf(top1));
    return {map, map, (config.score == ImageScore::Top1 ? top1 : maximum).view({n, 1})};
}

AnomalyMaps anomalyMaps(const Config& config, const Reconstruction& reconstruction)
{
    if (config.scoreMetric == config.metric)
        return heatmapOf(config, residualOf(config.metric, reconstruction), config.height, config.width, config.sigma);
    // both kinds of map in one call: what it does for each image it does side by side
    const int64_t n = reconstruction.clean.size(0);
    const at::Tensor residuals = emptyResiduals(2 * n, reconstruction.clean);
    residualInto(residuals.narrow(0, 0, n), config.metric, reconstruction);
    residualInto(residuals.narrow(0, n, n), config.scoreMetric, reconstruction);
    const AnomalyMaps both = heatmapOf(config, residuals, config.height, config.width, config.sigma);
    return {both.maps.narrow(0, 0, n), both.maps.narrow(0, n, n), both.scores.narrow(0, n, n)};
}

at::Tensor evidenceOf(const at::Tensor& scores, const Reconstruction& reconstruction)
{
    // a product's number is exact in float32
    return at::cat({scores, reconstruction.product.unsqueeze(1).to(at::kFloat), DriftStatistics::statistics(reconstruction.clean)}, 1);
}

AnomalyMaps anomalyMaps(const AgpNet& net, const at::Tensor& images)
{
    const Reconstruction reconstruction = net.reconstruct(images);
    AnomalyMaps maps = anomalyMaps(net.config(), reconstruction);
    maps.evidence = evidenceOf(maps.scores, reconstruction);
    return maps;
}

} // namespace agpnet
