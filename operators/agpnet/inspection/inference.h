// image → backbone → F_clean → decoder → residual → heatmap → map, score. The fused path behind Detector and ai.agpnet.Detect.
#pragma once

#include "halide_generators/runtime/stages.h"
#include "models/agpnet/anomaly_map.h"
#include "models/agpnet/file.h"
#include "models/device/captured_graph.h"
#include "operators/image/preprocess.h"
#include "operators/image/region.h"
#include "operators/image/tiles.h"

#include <functional>
#include <memory>
#include <opencv2/core.hpp>
#include <string>

namespace agpnet
{

/// How an image is laid before the model, and where in it to look.
struct Inspection
{
    Tiling tiling;
    RegionOfInterest region;
};

/// What the model computes in where `precision` is asked for: "auto" takes what is fastest of what training found accurate.
ComputeType chosenType(const FewerBits& known, const std::string& precision, at::Device device);

/// Refuses what Config would.
void requireTiling(int side, double overlap);

/// As the config asks.
Inspection inspectionOf(const Config& config);

/// What is decided about an image is decided by this, on the host.
struct Evidence
{
    double score = 0;    ///< of the map that is scored, at the model's input size; of an image in tiles, at their scale
    int64_t product = 0; ///< whose scale its features were given; of tiles, most often
    at::Tensor features; ///< [2C]: DriftStatistics::statistics(), of tiles their mean
};

/// Of each image of a batch, from Findings::evidence: one copy to the host.
std::vector<Evidence> onHost(const at::Tensor& evidence);

struct Inspected : Evidence
{
    cv::Mat map; ///< CV_32F, of the score's scale
};

/// The map at the image's size; 0 outside the region, whose border does not bleed.
cv::Mat mapAt(const cv::Mat& map, cv::Size size, const RegionOfInterest& region);

/// A model ready to run. Immutable; its functions may be called from several threads.
class Inference
{
public:
    Inference(const ModelFile& file, const std::string& precision, at::Device device = at::kCPU);

    /// images: [N, 3, H, W], RGB, 0 to 1, at the input size. On a device by one launch, where it can be.
    Findings find(const at::Tensor& images) const;
    AnomalyMaps run(const at::Tensor& images) const { return find(images).maps; }

    /// images: of any size each.
    std::vector<Inspected> inspect(const std::vector<Frame>& images, const Inspection& inspection) const;

    struct OnDevice : Evidence
    {
        cv::UMat map; ///< CV_32F at the model's input size, on OpenCV's OpenCL device; perhaps still being written there
    };
    /// The whole of a picture, everywhere in it.
    OnDevice inspect(const stages::Device& openCl, const Frame& image) const;

    const AgpNet& net() const { return net_; }
    const Config& config() const { return net_.config(); }
    const ValueRange& range() const { return range_; }
    const ScoreStatistics& scores() const { return scores_; }
    const ScoreStatistics& scores(const std::string& product) const; ///< "": of all together; refuses an unknown name
    const std::vector<ProductScores>& products() const { return products_; }

    /// Of the product named; of "" that which an image was found to be of. Its name in `found`, "" where the model does not tell products apart.
    const ScoreStatistics& scores(const std::string& product, int64_t found, std::string* name = nullptr) const;

    const DriftRange& drift() const { return drift_; }
    double outOfRange(int64_t product, const at::Tensor& features) const; ///< distance over the limit: above 1 outside; -1: not known
    cv::Size inputSize() const { return {config().width, config().height}; }
    std::string precision() const { return nameOf(net_.compute()); }

private:
    AgpNet net_;
    ValueRange range_;
    ScoreStatistics scores_;
    std::vector<ProductScores> products_;
    DriftRange drift_;
    CapturedGraph graph_; ///< of findingsIn()
};

/// What Inference::inspect() does, with a model that is still in training.
std::vector<Inspected> inspected(const AgpNet& net, const std::vector<Frame>& images, const Inspection& inspection);

/// Likewise; find: findingsIn() by the way of the caller.
std::vector<Inspected> inspected(const AgpNet& net, const std::function<Findings(const at::Tensor&)>& find, const std::vector<Frame>& images,
                                 const Inspection& inspection);

/// Reads a model, or gives the one that is in use already if the file has not changed since.
std::shared_ptr<const Inference> sharedInference(const std::string& path, const std::string& precision, at::Device device = at::kCPU);

/// The header of the file, remembered until the file changes: cheap enough for shape inference.
std::shared_ptr<const nlohmann::json> sharedHeader(const std::string& path);

} // namespace agpnet
