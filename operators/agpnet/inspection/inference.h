// A model ready to run, shared by everything that uses its file.
#pragma once

#include "models/agpnet/file.h"
#include "models/device/captured_graph.h"
#include "operators/agpnet/inspection/predict.h"

#include <memory>
#include <string>

namespace agpnet
{

/// The precision in which the model computes if `precision` is requested: "auto" is the fastest that training found accurate.
ComputeType chosenType(const FewerBits& known, const std::string& precision, at::Device device);

/// A model ready to run. Immutable; its functions may be called from several threads.
class Inference
{
public:
    Inference(const ModelFile& file, const std::string& precision, at::Device device = at::kCPU);

    /// images: [N, 3, H, W], RGB, 0 to 1, at the input size. On a device by one launch, where it can be.
    AnomalyMaps maps(const at::Tensor& images) const;

    /// Device on which maps are made, and stay.
    enum class Place
    {
        Host,
        OpenCl, ///< OpenCV's OpenCL device, where the one image is; whole images only
        Model   ///< the model's device, where the images are; whole images only
    };
    std::vector<Prediction> predict(const std::vector<Frame>& images, const Inspection& inspection, Place place = Place::Host) const;

    const AgpNet& net() const { return net_; }
    const Config& config() const { return net_.config(); }
    const ValueRange& range() const { return range_; }
    const ScoreStatistics& scores() const { return scores_; }
    const ScoreStatistics& scores(const std::string& product) const; ///< "": of all together; refuses an unknown name
    const std::vector<ProductScores>& products() const { return products_; }

    /// Statistics of the named product; for "" those of product number `found`, the nearest to the image. `name` gets the name of that
    /// product, or "" if the model does not distinguish products.
    const ScoreStatistics& scores(const std::string& product, int64_t found, std::string* name = nullptr) const;

    const DriftRange& drift() const { return drift_; }
    double outOfRange(int64_t product, const at::Tensor& features) const; ///< distance over the limit: above 1 outside; -1: not known
    cv::Size inputSize() const { return {config().width, config().height}; }
    std::string precision() const { return nameOf(net_.compute()); }

private:
    Prediction predictOnOpenCl(const Frame& image) const;
    std::vector<Prediction> predictOnModel(const std::vector<Frame>& images) const;

    AgpNet net_;
    ValueRange range_;
    ScoreStatistics scores_;
    std::vector<ProductScores> products_;
    DriftRange drift_;
    CapturedGraph graph_; ///< graph of anomalyMaps()
};

/// Reads a model, or gives the one that is in use already if the file has not changed since.
std::shared_ptr<const Inference> sharedInference(const std::string& path, const std::string& precision, at::Device device = at::kCPU);

/// The header of the file, remembered until the file changes: cheap enough for shape inference.
std::shared_ptr<const nlohmann::json> sharedHeader(const std::string& path);

} // namespace agpnet
