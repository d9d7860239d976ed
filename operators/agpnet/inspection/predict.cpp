#include "operators/agpnet/inspection/predict.h"

#include "models/device/team.h"
#include "models/thresholds/drift_statistics.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>
#include <cmath>
#include <functional>
#include <numeric>

namespace agpnet
{
namespace
{

/// The map as OpenCV sees it; it lives as long as the tensor.
cv::Mat matOf(const at::Tensor& map)
{
    return cv::Mat(static_cast<int>(map.size(-2)), static_cast<int>(map.size(-1)), CV_32F, map.mutable_data_ptr());
}

/// Before the region of interest is applied. The map that is scored may be another one than the map that is shown.
struct HostMaps
{
    Evidence evidence;
    cv::Mat shown, scored; ///< scored: needed only with a region
};

/// The product of most of the tiles.
int64_t mostFrequent(const at::Tensor& products)
{
    return at::bincount(products).argmax().item<int64_t>();
}

/// The residuals of tiles are blended before they are smoothed and scored, so that both happen once and over the seams.
HostMaps inTiles(const AgpNet& net, const Frame& image, const TileGrid& grid)
{
    constexpr size_t atOnce = 8; // enough to be quick; memory does not grow with the image
    const Config& config = net.config();
    const cv::Size input(config.width, config.height);
    const std::vector<stages::Metric> metrics =
        config.metric == config.scoreMetric ? std::vector{config.metric} : std::vector{config.metric, config.scoreMetric};
    std::vector<at::Tensor> products, features;
    std::vector<TileBlend> blends; // each constructed separately: copies would share sums
    for (size_t i = 0; i < metrics.size(); i++)
        blends.emplace_back(grid, input);
    for (size_t first = 0; first < grid.size(); first += atOnce)
    {
        std::vector<at::Tensor> tiles;
        for (size_t i = first; i < std::min(first + atOnce, grid.size()); i++)
            tiles.push_back(image.at(grid[i], input));
        const Reconstruction reconstruction = net.reconstruct(at::cat(tiles).to(net.device()));
        products.push_back(reconstruction.product.to(at::kCPU));
        features.push_back(DriftStatistics::statistics(reconstruction.clean).to(at::kCPU));
        for (size_t m = 0; m < metrics.size(); m++)
        {
            const at::Tensor maps =
                heatmapOf(config, residualOf(metrics[m], reconstruction), blends[m].tileMap().height, blends[m].tileMap().width, 0)
                    .maps.to(at::kCPU);
            for (size_t i = 0; i < tiles.size(); i++)
                blends[m].add(first + i, matOf(maps[static_cast<int64_t>(i)]));
        }
    }
    // sigma is meant at the input's scale
    const double shrunk = std::sqrt(static_cast<double>(blends[0].tileMap().area()) / input.area());
    const auto smoothed = [&](TileBlend& blend) {
        const cv::Mat& raw = blend.blended();
        const at::Tensor residual = at::from_blob(raw.data, {1, 1, raw.rows, raw.cols}, at::kFloat);
        return heatmapOf(config, residual, raw.rows, raw.cols, config.sigma * shrunk);
    };
    const AnomalyMaps shown = smoothed(blends.front());
    const AnomalyMaps rated = metrics.size() == 1 ? shown : smoothed(blends.back());
    return {{rated.scores.item<double>(), mostFrequent(at::cat(products)), at::cat(features).mean({0})},
            matOf(shown.maps).clone(),
            matOf(rated.maps).clone()};
}

} // namespace

void requireTiling(int side, double overlap)
{
    Config config;
    config.tile = side;
    config.tileOverlap = overlap;
    validate(config);
}

std::vector<Evidence> evidenceOnHost(const at::Tensor& evidence)
{
    std::vector<Evidence> result;
    for (const at::Tensor& image : evidence.to(at::kCPU).unbind())
        result.push_back({image[0].item<double>(), image[1].to(at::kLong).item<int64_t>(), image.narrow(0, 2, image.size(0) - 2)});
    return result;
}

Inspection inspectionOf(const Config& config)
{
    return {{config.tile, config.tileOverlap}, {config.roi, {}}};
}

double keepInside(const RegionOfInterest& region, ImageScore score, cv::Mat& map)
{
    const cv::Mat inside = region.at(map.size());
    std::vector<float> values;
    for (int y = 0; y < map.rows; y++)
    {
        float* row = map.ptr<float>(y);
        const uchar* within = inside.ptr<uchar>(y);
        for (int x = 0; x < map.cols; x++)
            if (within[x])
                values.push_back(row[x]);
            else
                row[x] = 0;
    }
    if (score == ImageScore::Max)
        return *std::max_element(values.begin(), values.end());
    const auto top = static_cast<std::ptrdiff_t>(std::max<size_t>(1, values.size() / 100));
    std::nth_element(values.begin(), values.begin() + top - 1, values.end(), std::greater<>());
    return std::accumulate(values.begin(), values.begin() + top, 0.0) / static_cast<double>(top);
}

std::vector<Prediction> predict(const AgpNet& net, const std::vector<Frame>& images, const Inspection& inspection)
{
    return predict(net, [&](const at::Tensor& batch) { return anomalyMaps(net, batch); }, images, inspection);
}

std::vector<Prediction> predict(const AgpNet& net, const Mapping& mapping, const std::vector<Frame>& images, const Inspection& inspection)
{
    c10::InferenceMode inference;
    const Team::Scope threads;
    std::vector<HostMaps> results(images.size());
    std::vector<size_t> whole; // those that go through the model together
    std::vector<at::Tensor> batch;
    for (size_t i = 0; i < images.size(); i++)
    {
        const TileGrid grid(images[i].size(), inspection.tiling);
        if (grid.size() > 1)
        {
            results[i] = inTiles(net, images[i], grid);
            continue;
        }
        whole.push_back(i);
        batch.push_back(images[i].at(cv::Size(net.config().width, net.config().height)));
    }
    at::Tensor shown, scored; // what `results` refer to
    if (!batch.empty())
    {
        const AnomalyMaps maps = mapping((batch.size() == 1 ? batch[0] : at::cat(batch)).to(net.device()));
        const std::vector<Evidence> evidence = evidenceOnHost(maps.evidence);
        shown = maps.maps.to(at::kCPU);
        const bool scoredAgain = !inspection.region.empty() && !maps.scoredMaps.is_same(maps.maps);
        scored = scoredAgain ? maps.scoredMaps.to(at::kCPU) : shown;
        for (size_t i = 0; i < whole.size(); i++)
        {
            const auto n = static_cast<int64_t>(i);
            results[whole[i]] = {evidence[i], matOf(shown[n]), matOf(scored[n])};
        }
    }
    std::vector<Prediction> predictions;
    for (HostMaps& result : results)
    {
        cv::Mat map = result.shown.clone(); // the tensor goes, the map stays
        if (!inspection.region.empty())
        {
            keepInside(inspection.region, net.config().score, map);
            result.evidence.score = keepInside(inspection.region, net.config().score, result.scored);
        }
        predictions.push_back({std::move(result.evidence), std::move(map)});
    }
    return predictions;
}

} // namespace agpnet
