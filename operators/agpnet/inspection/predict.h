// image → backbone → F_clean → decoder → residual → heatmap: what a model says of images of any size, before anything is decided.
#pragma once

#include "models/agpnet/anomaly_map.h"
#include "operators/agpnet/inspection/sink.h"
#include "operators/image/preprocess.h"
#include "operators/image/region.h"
#include "operators/image/tiles.h"

#include <functional>
#include <vector>

namespace agpnet
{

/// How the model sees an image: tiles and region of interest.
struct Inspection
{
    Tiling tiling;
    RegionOfInterest region;

    /// Neither tiles nor a region: the image goes through the model as a whole, and may stay on its device.
    bool isWhole(cv::Size image) const { return region.empty() && TileGrid(image, tiling).size() <= 1; }
};

/// The inspection of the config.
Inspection inspectionOf(const Config& config);

/// Refuses what Config would.
void requireTiling(int side, double overlap);

/// The values that decide about an image, on the host.
struct Evidence
{
    double score = 0;    ///< score of the map at the model's input size; for an image in tiles, at their scale
    int64_t product = 0; ///< product whose scale the features got; for tiles, the most frequent one
    at::Tensor features; ///< [2C]: DriftStatistics::statistics(), of tiles their mean
};

/// Evidence of each image of a batch, from AnomalyMaps::evidence: one copy to the host.
std::vector<Evidence> evidenceOnHost(const at::Tensor& evidence);

struct Prediction
{
    Evidence evidence;
    AnyMap map; ///< at the scale of the score
};

/// Sets the map to 0 outside the region, and gives the image score of what is inside: the maximum, or the mean of the greatest 1 %.
double keepInside(const RegionOfInterest& region, ImageScore score, cv::Mat& map);

/// A model's maps of images [N, 3, H, W] at its input size.
using Mapping = std::function<AnomalyMaps(const at::Tensor&)>;

/// Predicts images of any size, in tiles if the inspection has tiles; maps are on the host.
/// @param mapping  anomalyMaps(net, images), by the way of the caller
std::vector<Prediction> predict(const AgpNet& net, const Mapping& mapping, const std::vector<Frame>& images, const Inspection& inspection);

/// The same for a model in training.
std::vector<Prediction> predict(const AgpNet& net, const std::vector<Frame>& images, const Inspection& inspection);

} // namespace agpnet
