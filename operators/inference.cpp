#include "operators/inference.h"

#include "common/error.h"
#include "models/tensor_view.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <filesystem>
#include <map>
#include <mutex>

namespace agpnet
{
namespace
{

namespace fs = std::filesystem;

/// bfloat16 is chosen by itself only where training measured that it changes scores by less than this.
constexpr double acceptableBf16Error = 0.02;

ComputeType chosenType(const ModelFile& file, const std::string& precision)
{
    const ComputeType type = computeType(precision);
    if (precision == "auto" && !(file.bf16Error >= 0 && file.bf16Error <= acceptableBf16Error))
        return ComputeType::Float32;
    return type;
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

} // namespace

Inference::Inference(const ModelFile& file, const std::string& precision)
    : net_(file.config, file.backbone, Decoder(decoderShape(file.config, file.backbone.config), file.decoder), chosenType(file, precision)),
      scores_(file.scores)
{
}

Inference::Scored scored(const Config& config, const Reconstruction& reconstruction)
{
    const int64_t n = reconstruction.clean.size(0);
    at::Tensor residual = at::empty({n, 1, reconstruction.clean.size(2), reconstruction.clean.size(3)}, at::kFloat);
    const at::Tensor map = at::empty({n, 1, config.height, config.width}, at::kFloat);
    const at::Tensor maximum = at::empty({n, 1, 1, 1}, at::kFloat), top1 = at::empty_like(maximum);
    stages::residual({}, viewOf(reconstruction.clean), viewOf(reconstruction.reconstructed),
                     config.metric == "cosine" ? stages::Metric::Cosine : stages::Metric::L2, viewOf(residual));
    stages::heatmap({}, viewOf(residual), config.sigma, viewOf(map), viewOf(maximum), viewOf(top1));
    return {map, (config.score == "top1" ? top1 : maximum).view({n, 1})};
}

Inference::Scored Inference::run(const at::Tensor& images) const
{
    c10::InferenceMode inference;
    return scored(config(), net_.reconstruct(images));
}

std::shared_ptr<const Inference> sharedInference(const std::string& path, const std::string& precision)
{
    static std::mutex mutex;
    static std::map<std::string, std::weak_ptr<const Inference>> known;
    const std::string key = identity(path) + "|" + precision;
    const std::lock_guard lock(mutex); // also keeps two threads from reading one model twice
    std::erase_if(known, [](const auto& entry) { return entry.second.expired(); });
    if (auto model = known[key].lock())
        return model;
    auto model = std::make_shared<const Inference>(readModel(path), precision);
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
