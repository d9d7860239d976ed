#include "operators/agpnet/inspection/inference.h"

#include "common/error.h"
#include "models/device/team.h"
#include "operators/image/opencl_image.h"
#include "operators/image/preprocess.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>
#include <cmath>
#include <filesystem>
#include <map>
#include <mutex>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgproc.hpp>

namespace agpnet
{
namespace
{

namespace fs = std::filesystem;

/// Fewer bits are chosen by themselves only where training measured that they change no score by more than this. What 8 bits add is noise to both sides: an
/// eighth of what normal scores vary by themselves widens them by less than 1 %.
constexpr double acceptableBf16Error = 0.02, acceptableInt8Error = 0.06, acceptableInt8Noise = 0.12;

bool acceptable(double error, double most)
{
    return error >= 0 && error <= most;
}

/// Files of before say nothing: all 16 bits, as they were trained.
ValueRange rangeOf(const ModelFile& file)
{
    ValueRange range{file.config.bits, 0};
    if (const auto values = file.record.find(valuesNote); values != file.record.end() && values->is_object() && values->contains("least") && (*values)["least"].is_number_integer())
        range.least = (*values)["least"].get<int>();
    return range;
}

/// Path, size and time of a file: another model when any of them changes.
std::string identity(const std::string& path)
{
    std::error_code error;
    const fs::path canonical = fs::canonical(path, error);
    require(!error, "{}: the model cannot be opened: {}", path, error.message());
    const auto time = fs::last_write_time(canonical, error).time_since_epoch().count();
    require(!error && fs::is_regular_file(canonical, error), "{}: the model is not a file", path);
    return fmt::format("{}|{}|{}", canonical.string(), fs::file_size(canonical, error), time);
}

/// The map as OpenCV sees it; it lives as long as the tensor.
cv::Mat matOf(const at::Tensor& map)
{
    return cv::Mat(static_cast<int>(map.size(-2)), static_cast<int>(map.size(-1)), CV_32F, map.mutable_data_ptr());
}

/// Before a region of interest is heeded. What is scored may be another map than the one that is shown.
struct Maps : Evidence
{
    cv::Mat shown, scored; ///< scored: needed only with a region
};

/// Of tiles, the product that most of them are of.
int64_t mostFrequent(const at::Tensor& products)
{
    return at::bincount(products).argmax().item<int64_t>();
}

/// The residuals of tiles are blended before they are smoothed and scored, so that both happen once and over the seams.
Maps inTiles(const AgpNet& net, const Frame& image, const TileGrid& grid)
{
    constexpr size_t atOnce = 8; // enough to be quick; memory does not grow with the image
    const Config& config = net.config();
    const cv::Size input(config.width, config.height);
    const std::vector<std::string> metrics = config.metric == config.scoreMetric ? std::vector{config.metric} : std::vector{config.metric, config.scoreMetric};
    std::vector<at::Tensor> products, features;
    std::vector<TileBlend> blends; // each made anew: copies of one would share its sums
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
            const at::Tensor maps = heatmapOf(config, residualOf(metrics[m], reconstruction), blends[m].tileMap().height, blends[m].tileMap().width, 0).maps.to(at::kCPU);
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

ComputeType chosenType(const FewerBits& known, const std::string& precision, at::Device device)
{
    const bool rangesKnown = !known.backbone.empty();
    if (precision == "auto")
    {
        if (device.is_cpu() && rangesKnown && acceptable(known.int8Error, acceptableInt8Error) && acceptable(known.int8Noise, acceptableInt8Noise) && eightBitsAreFaster())
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
        CV_LOG_ONCE_WARNING(nullptr, "agpnet: int8 was asked for, but this device has no products of 8 bits; the model computes in float32");
        return type;
    }
    if (!rangesKnown)
        CV_LOG_ONCE_WARNING(nullptr, "agpnet: int8 was asked for, but the model has no ranges of its layers' inputs; the model computes in float32");
    return rangesKnown ? type : ComputeType::Float32;
}

void requireTiling(int side, double overlap)
{
    Config config;
    config.tile = side;
    config.tileOverlap = overlap;
    validate(config);
}

std::vector<Evidence> onHost(const at::Tensor& evidence)
{
    std::vector<Evidence> result;
    for (const at::Tensor& image : evidence.to(at::kCPU).unbind())
        result.push_back({image[0].item<double>(), image[1].to(at::kLong).item<int64_t>(), image.narrow(0, 2, image.size(0) - 2)});
    return result;
}

cv::Mat mapAt(const cv::Mat& map, cv::Size size, const RegionOfInterest& region)
{
    if (size == map.size())
        return map;
    cv::Mat resized;
    cv::resize(map, resized, size, 0, 0, size.width < map.cols && size.height < map.rows ? cv::INTER_AREA : cv::INTER_LINEAR);
    if (!region.empty())
        resized.setTo(0, region.at(size) == 0);
    return resized;
}

Inspection inspectionOf(const Config& config)
{
    return {{config.tile, config.tileOverlap}, {config.roi, {}}};
}

std::vector<Inspected> inspected(const AgpNet& net, const std::vector<Frame>& images, const Inspection& inspection)
{
    return inspected(net, [&](const at::Tensor& batch) { return findingsIn(net, batch); }, images, inspection);
}

std::vector<Inspected> inspected(const AgpNet& net, const std::function<Findings(const at::Tensor&)>& find, const std::vector<Frame>& images,
                                 const Inspection& inspection)
{
    c10::InferenceMode inference;
    const Team::Scope threads;
    std::vector<Maps> results(images.size());
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
        const auto [maps, decidedBy] = find((batch.size() == 1 ? batch[0] : at::cat(batch)).to(net.device()));
        const std::vector<Evidence> evidence = onHost(decidedBy);
        shown = maps.maps.to(at::kCPU);
        const bool scoredAgain = !inspection.region.empty() && !maps.scoredMaps.is_same(maps.maps);
        scored = scoredAgain ? maps.scoredMaps.to(at::kCPU) : shown;
        for (size_t i = 0; i < whole.size(); i++)
        {
            const auto n = static_cast<int64_t>(i);
            results[whole[i]] = {evidence[i], matOf(shown[n]), matOf(scored[n])};
        }
    }
    std::vector<Inspected> finished;
    for (Maps& result : results)
    {
        finished.push_back({result, result.shown.clone()}); // the tensor goes, the map stays
        if (!inspection.region.empty())
        {
            keepInside(inspection.region, net.config().score, finished.back().map);
            finished.back().score = keepInside(inspection.region, net.config().score, result.scored);
        }
    }
    return finished;
}

Inference::Inference(const ModelFile& file, const std::string& precision, at::Device device)
    : net_(file.config, file.backbone, file.scale, Decoder(decoderShape(file.config, file.backbone.config), file.decoder),
           chosenType(file.fewerBits, precision, device), device, file.fewerBits.ranges()),
      range_(rangeOf(file)), scores_(file.scores), products_(file.products), drift_(file.drift),
      graph_([this](const at::Tensor& images) -> std::vector<at::Tensor> {
          const auto [maps, evidence] = findingsIn(net_, images);
          return {maps.maps, maps.scoredMaps, maps.scores, evidence};
      })
{
}

Findings Inference::find(const at::Tensor& images) const
{
    const std::vector<at::Tensor> found = graph_(images);
    return {{found[0], found[1], found[2]}, found[3]};
}

std::vector<Inspected> Inference::inspect(const std::vector<Frame>& images, const Inspection& inspection) const
{
    return inspected(net_, [this](const at::Tensor& batch) { return find(batch); }, images, inspection);
}

Inference::OnDevice Inference::inspect(const stages::Device& openCl, const Frame& image) const
{
    c10::InferenceMode inference;
    const Team::Scope threads;
    const Reconstruction reconstruction = net_.reconstruct(image.at(inputSize()));
    // the score is wanted on the host at once; taken there it waits for nothing
    const AnomalyMaps rated = heatmapOf(config(), residualOf(config().scoreMetric, reconstruction), config().height, config().width, config().sigma);
    return {onHost(evidenceOf(rated.scores, reconstruction))[0], heatmapOnDevice(openCl, residualOf(config().metric, reconstruction), config().sigma, inputSize())};
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
    const std::string key = identity(path) + "|" + precision + "|" + device.str();
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
    static std::mutex mutex;
    static std::map<std::string, std::shared_ptr<const nlohmann::json>> known;
    const std::string key = identity(path);
    const std::lock_guard lock(mutex);
    if (known.size() > 64)
        known.clear();
    auto& header = known[key];
    if (!header)
        header = std::make_shared<const nlohmann::json>(readModelHeader(path));
    return header;
}

} // namespace agpnet
