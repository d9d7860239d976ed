#include "operators/agpnet/inspection/inference.h"

#include "common/error.h"
#include "models/device/team.h"
#include "models/model_file/file_identity.h"
#include "models/model_file/header_cache.h"
#include "operators/image/opencl_image.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <map>
#include <mutex>
#include <opencv2/core/utils/logger.hpp>

namespace agpnet
{
namespace
{

/// Fewer bits are chosen by themselves only where training measured that they change no score by more than this. What 8 bits add is noise
/// to both sides: an eighth of what normal scores vary by themselves widens them by less than 1 %.
constexpr double acceptableBf16Error = 0.02, acceptableInt8Error = 0.06, acceptableInt8Noise = 0.12;

bool acceptable(double error, double most)
{
    return error >= 0 && error <= most;
}

/// Files of earlier versions have no range: all 16 bits, as they were trained.
ValueRange rangeOf(const ModelFile& file)
{
    return {file.config.bits, file.record.values ? file.record.values->least : 0};
}

} // namespace

ComputeType chosenType(const FewerBits& known, const std::string& precision, at::Device device)
{
    const bool rangesKnown = !known.backbone.empty();
    if (precision == "auto")
    {
        if (device.is_cpu() && rangesKnown && acceptable(known.int8Error, acceptableInt8Error) &&
            acceptable(known.int8Noise, acceptableInt8Noise) && eightBitsAreFaster())
            return ComputeType::Int8;
        return acceptable(known.bf16Error, acceptableBf16Error) ? computeType("auto", device) : ComputeType::Float32;
    }
    const ComputeType type = computeType(precision, device);
    if (precision == "bf16" && type == ComputeType::Float32)
        CV_LOG_ONCE_WARNING(nullptr, "agpnet: bf16 was asked for, but this CPU has no bfloat16 products; the model computes in float32");
    if (precision != "int8")
        return type;
    if (type == ComputeType::Float32)
    {
        CV_LOG_ONCE_WARNING(nullptr,
                            "agpnet: int8 was asked for, but this device has no products of 8 bits; the model computes in float32");
        return type;
    }
    if (!rangesKnown)
        CV_LOG_ONCE_WARNING(nullptr,
                            "agpnet: int8 was asked for, but the model has no ranges of its layers' inputs; the model computes in float32");
    return rangesKnown ? type : ComputeType::Float32;
}

Inference::Inference(const ModelFile& file, const std::string& precision, at::Device device)
    : net_(file.config, file.backbone, file.scale, Decoder(decoderShape(file.config, file.backbone.config), file.decoder),
           chosenType(file.fewerBits, precision, device), device, file.fewerBits.ranges()),
      range_(rangeOf(file)), scores_(file.scores), products_(file.products), drift_(file.drift),
      graph_([this](const at::Tensor& images) -> std::vector<at::Tensor> {
          const AnomalyMaps maps = anomalyMaps(net_, images);
          return {maps.maps, maps.scoredMaps, maps.scores, maps.evidence};
      })
{
}

AnomalyMaps Inference::maps(const at::Tensor& images) const
{
    const std::vector<at::Tensor> found = graph_(images);
    return {found[0], found[1], found[2], found[3]};
}

std::vector<Prediction> Inference::predict(const std::vector<Frame>& images, const Inspection& inspection, Place place) const
{
    const c10::InferenceMode inference;
    if (place == Place::OpenCl)
        return {predictOnOpenCl(images.at(0))};
    if (place == Place::Model)
        return predictOnModel(images);
    return agpnet::predict(net_, [this](const at::Tensor& batch) { return maps(batch); }, images, inspection);
}

Prediction Inference::predictOnOpenCl(const Frame& image) const
{
    const Team::Scope threads;
    const Reconstruction reconstruction = net_.reconstruct(image.at(inputSize()));
    // the score is wanted on the host at once; taken there it waits for nothing
    const AnomalyMaps rated =
        heatmapOf(config(), residualOf(config().scoreMetric, reconstruction), config().height, config().width, config().sigma);
    return {evidenceOnHost(evidenceOf(rated.scores, reconstruction))[0],
            heatmapOnDevice(openClDevice(), residualOf(config().metric, reconstruction), config().sigma, inputSize())};
}

std::vector<Prediction> Inference::predictOnModel(const std::vector<Frame>& images) const
{
    std::vector<at::Tensor> inputs;
    for (const Frame& image : images)
        inputs.push_back(image.at(inputSize()));
    const AnomalyMaps found = maps(inputs.size() == 1 ? inputs[0] : at::cat(inputs));
    std::vector<Prediction> predictions;
    for (Evidence& evidence : evidenceOnHost(found.evidence))
        predictions.push_back({std::move(evidence), found.maps.narrow(0, static_cast<int64_t>(predictions.size()), 1)});
    return predictions;
}

const ScoreStatistics& Inference::scores(const std::string& product) const
{
    if (product.empty())
        return scores_;
    std::string known;
    for (const ProductScores& entry : products_)
    {
        if (entry.name == product)
            return entry.scores;
        known += (known.empty() ? "" : ", ") + entry.name;
    }
    fail("product is '{}', expected {}", product,
         known.empty() ? "none: the model was trained for one product" : fmt::format("one of {}", known));
}

const ScoreStatistics& Inference::scores(const std::string& product, int64_t found, std::string* name) const
{
    // a model whose products share one scale cannot tell them apart
    const bool told = product.empty() && products_.size() > 1 && products_.size() == static_cast<size_t>(net_.products());
    const std::string& whose = told ? products_[static_cast<size_t>(found)].name : product;
    if (name)
        *name = whose;
    return scores(whose);
}

double Inference::outOfRange(int64_t product, const at::Tensor& features) const
{
    if (!drift_.features.known())
        return -1;
    c10::InferenceMode inference;
    const Team::Scope threads;
    return drift_.features.distance(features, product) / drift_.limits.at(static_cast<size_t>(product)).value;
}

std::shared_ptr<const Inference> sharedInference(const std::string& path, const std::string& precision, at::Device device)
{
    static std::mutex mutex;
    static std::map<std::string, std::weak_ptr<const Inference>> known;
    const std::string key = fileIdentity(path) + "|" + precision + "|" + device.str();
    const std::lock_guard lock(mutex); // also keeps two threads from reading one model twice
    std::erase_if(known, [](const auto& entry) { return entry.second.expired(); });
    if (auto model = known[key].lock())
        return model;
    auto model = std::make_shared<const Inference>(readModel(path), precision, device);
    known[key] = model;
    return model;
}

std::shared_ptr<const nlohmann::json> sharedHeader(const std::string& path)
{
    static HeaderCache headers(readModelHeader);
    return headers(path);
}

} // namespace agpnet
