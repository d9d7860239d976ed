#include "operators/trainer_impl.h"

#include "agpnet/version.hpp"
#include "common/error.h"
#include "operators/detector_impl.h"
#include "operators/guard.h"
#include "operators/inference.h"
#include "operators/preprocess.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <limits>
#include <numeric>
#include <optional>
#include <random>
#include <torch/version.h>

namespace agpnet
{
namespace
{

constexpr size_t recentImages = 32;    ///< kept for thresholds when batches come one by one
constexpr size_t mostCalibrated = 64;  ///< images; more change the thresholds little
constexpr size_t leastForHoldout = 20; ///< with fewer images all are trained on
constexpr double thresholdDeviations = 3;

/// A permutation that is the same with every standard library.
std::vector<size_t> permutation(size_t count, uint64_t seed)
{
    std::vector<size_t> order(count);
    std::iota(order.begin(), order.end(), size_t{0});
    std::mt19937_64 random(seed);
    for (size_t i = count; i > 1; i--)
        std::swap(order[i - 1], order[random() % i]);
    return order;
}

/// Which images are trained on and which are held back: the same for the same count and seed.
struct Split
{
    Split(size_t count, uint64_t seed)
    {
        const std::vector<size_t> order = permutation(count, seed);
        const size_t held = count >= leastForHoldout ? std::min(count / 10, mostCalibrated) : 0;
        heldBack.assign(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(held));
        trained.assign(order.begin() + static_cast<std::ptrdiff_t>(held), order.end());
    }
    std::vector<size_t> trained, heldBack;
};

std::string now()
{
    const std::time_t time = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&time, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

} // namespace

TrainerImpl::TrainerImpl(Training training, nlohmann::json record) : training_(std::move(training)), record_(std::move(record)) {}

double TrainerImpl::stepBatch(const at::Tensor& batch)
{
    const auto start = std::chrono::steady_clock::now();
    const double loss = training_.step(batch);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    record_["seconds"] = record_.value("seconds", 0.0) + seconds;
    record_["images_seen"] = record_.value("images_seen", int64_t{0}) + batch.size(0);
    if (!record_.contains("first_loss"))
        record_["first_loss"] = loss;
    record_["last_loss"] = loss;
    scores_ = {}; // thresholds of an earlier state no longer hold
    for (int64_t i = 0; i < batch.size(0); i++)
    {
        recent_.push_back(batch[i].unsqueeze(0));
        if (recent_.size() > recentImages)
            recent_.pop_front();
    }
    return loss;
}

double TrainerImpl::stepTensor(const at::Tensor& images, const char* what)
{
    require(images.dim() == 4 && images.size(1) == 3, "{}: shape [{}], expected [N, 3, H, W]", what, fmt::join(images.sizes(), ", "));
    checkBlob(images, what);
    const at::Tensor batch = resized(images, inputSize());
    return stepBatch(batch.is_alias_of(images) ? batch.clone() : batch);
}

double TrainerImpl::step(cv::InputArrayOfArrays images)
{
    return guarded([&] { return stepBatch(imagesToBatch(matsOf(images), inputSize())); });
}

double TrainerImpl::stepBlob(cv::InputArray blob)
{
    return guarded([&] {
        const cv::Mat mat = blob.getMat();
        require(mat.dims == 4 && mat.type() == CV_32F && mat.isContinuous(),
                "blob: {} dimensions of {}, expected a continuous [N, 3, H, W] of CV_32F", mat.dims, cv::typeToString(mat.type()));
        return stepTensor(at::from_blob(mat.data, {mat.size[0], mat.size[1], mat.size[2], mat.size[3]}, at::kFloat), "blob");
    });
}

bool TrainerImpl::fit(size_t count, const std::function<cv::Mat(size_t)>& image, const std::function<bool(const TrainProgress&)>& keepGoing)
{
    return guarded([&] {
        require(count > 0, "no training images, expected at least one");
        const uint64_t seed = training_.config().seed;
        const Split split(count, seed);
        const size_t trained = split.trained.size(), size = static_cast<size_t>(batchSize());
        record_["images"] = trained;
        record_["images_held_back"] = split.heldBack.size();
        size_t epoch = std::numeric_limits<size_t>::max();
        std::vector<size_t> order;
        while (!training_.finished())
        {
            std::vector<cv::Mat> batch;
            for (size_t i = 0; i < size; i++)
            {
                // the place in the data follows from the step alone, so that a resumed training goes on exactly
                const size_t place = static_cast<size_t>(training_.stepsDone()) * size + i;
                if (place / trained != epoch)
                {
                    epoch = place / trained;
                    order = permutation(trained, seed + 1 + epoch);
                }
                batch.push_back(image(split.trained[order[place % trained]]));
            }
            TrainProgress progress;
            progress.loss = stepBatch(imagesToBatch(batch, inputSize()));
            progress.step = stepsDone();
            progress.steps = steps();
            if (keepGoing && !keepGoing(progress) && !training_.finished())
                return false;
        }
        const bool held = !split.heldBack.empty();
        const std::vector<size_t>& normals = held ? split.heldBack : split.trained;
        calibrateOn(std::min(normals.size(), mostCalibrated),
                    [&](size_t i) { return imagesToBatch({image(normals[i])}, inputSize()); }, held ? "held-back" : "training");
        return true;
    });
}

void TrainerImpl::calibrate(size_t count, const std::function<cv::Mat(size_t)>& image, bool heldBack)
{
    guarded([&] {
        require(count > 0, "no images to take thresholds from, expected at least one");
        calibrateOn(count, [&](size_t i) { return imagesToBatch({image(i)}, inputSize()); }, heldBack ? "held-back" : "training");
    });
}

void TrainerImpl::calibrateOn(size_t count, const std::function<at::Tensor(size_t)>& batch, const char* from) const
{
    const AgpNet net = training_.model(computeType("auto"));
    std::optional<AgpNet> exact; // only where there is something to compare
    if (net.compute() == ComputeType::BFloat16)
        exact.emplace(training_.model(ComputeType::Float32));
    constexpr size_t compared = 8;
    std::vector<double> scores, peaks;
    double error = -1;
    for (size_t i = 0; i < count; i++)
    {
        const at::Tensor image = batch(i);
        // thresholds in the type that detection will choose
        const Inference::Scored result = scored(net.config(), net.reconstruct(image));
        scores.push_back(result.scores.item<double>());
        peaks.push_back(result.maps.max().item<double>());
        if (exact && i < compared)
        {
            const double score = scored(net.config(), exact->reconstruct(image)).scores.item<double>();
            error = std::max(error, std::abs(scores.back() - score) / std::max(1e-12, std::abs(score)));
        }
    }
    const auto moments = [](const std::vector<double>& values) {
        const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
        double sum = 0;
        for (double value : values)
            sum += (value - mean) * (value - mean);
        return std::pair(mean, values.size() > 1 ? std::sqrt(sum / static_cast<double>(values.size() - 1)) : 0.0);
    };
    const auto [mean, deviation] = moments(scores);
    const auto [peakMean, peakDeviation] = moments(peaks);
    scores_.from = from;
    scores_.count = static_cast<int64_t>(count);
    scores_.mean = mean;
    scores_.deviation = deviation;
    scores_.least = *std::min_element(scores.begin(), scores.end());
    scores_.most = *std::max_element(scores.begin(), scores.end());
    scores_.threshold = mean + thresholdDeviations * deviation;
    scores_.pixelThreshold = peakMean + thresholdDeviations * peakDeviation;
    bf16Error_ = error;
}

ModelFile TrainerImpl::modelFile() const
{
    if (scores_.count == 0)
    {
        require(!recent_.empty(), "the model has not been trained: no step was taken");
        calibrateOn(recent_.size(), [&](size_t i) { return recent_[i]; }, "training");
    }
    ModelFile file;
    file.config = training_.config();
    file.backbone = training_.backbone();
    for (const auto& [name, tensor] : training_.decoder().parameters())
        file.decoder.emplace_back(name, tensor.detach());
    file.scores = scores_;
    file.bf16Error = bf16Error_;
    file.record = record_;
    file.record["steps"] = stepsDone();
    file.record["noise_unit"] = training_.noiseUnit();
    file.record["finished"] = now();
    file.record["device"] = "cpu";
    file.record["precision"] = computeType(training_.config().precision) == ComputeType::BFloat16 ? "bf16" : "fp32";
    file.record["versions"] = {{"agpnet", version()}, {"libtorch", TORCH_VERSION}, {"opencv", CV_VERSION}};
    return file;
}

void TrainerImpl::saveModel(const std::string& path, bool embedBackbone)
{
    writeModel(path, modelFile(), embedBackbone ? EmbedBackbone::Yes : EmbedBackbone::No);
}

void TrainerImpl::save(const std::string& path, bool embedBackbone)
{
    guarded([&] { saveModel(path, embedBackbone); });
}

void TrainerImpl::saveState(const std::string& path) const
{
    guarded([&] { writeTrainingState(path, training_, record_); });
}

std::string TrainerImpl::config() const
{
    return nlohmann::json(training_.config()).dump();
}

void TrainerImpl::note(const std::string& key, const std::string& json)
{
    guarded([&] {
        nlohmann::json value = nlohmann::json::parse(json, nullptr, false);
        require(!value.is_discarded(), "note '{}': '{}' is not valid JSON", key, json);
        record_[key] = std::move(value);
    });
}

cv::Ptr<Detector> TrainerImpl::detector() const
{
    return guarded([&]() -> cv::Ptr<Detector> {
        const ModelFile file = modelFile();
        return cv::makePtr<DetectorImpl>(std::make_shared<const Inference>(file, "auto"), headerOf(file, EmbedBackbone::Yes).dump());
    });
}

cv::Ptr<Trainer> Trainer::create(const std::string& backbone, const std::string& config)
{
    return guarded([&]() -> cv::Ptr<Trainer> {
        const Config parsed = configFromTextOrFile(config);
        return cv::Ptr<Trainer>(new TrainerImpl(Training(parsed, readBackbone(backbone))));
    });
}

cv::Ptr<Trainer> Trainer::resume(const std::string& path)
{
    return guarded([&]() -> cv::Ptr<Trainer> {
        TrainingState state = readTrainingState(path);
        return cv::Ptr<Trainer>(new TrainerImpl(std::move(state.training), std::move(state.extra)));
    });
}

} // namespace agpnet
