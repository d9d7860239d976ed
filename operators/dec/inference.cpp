#include "operators/dec/inference.h"

#include "common/error.h"
#include "models/device/team.h"
#include "models/model_file/file_identity.h"
#include "models/model_file/header_cache.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>
#include <map>
#include <mutex>

namespace agpnet::dec
{

ComputeType computeTypeOf(const std::string& precision, at::Device device)
{
    require(precision == "auto" || precision == "fp32" || precision == "bf16", "precision is '{}', expected auto, fp32 or bf16", precision);
    return precision == "auto" && device.is_cpu() ? ComputeType::Float32 : computeType(precision, device);
}

at::Tensor embedded(const Network& network, const std::vector<Frame>& images)
{
    constexpr size_t batch = 16;
    const c10::InferenceMode inference;
    const Team::Scope threads;
    const cv::Size size(network.config().width, network.config().height);
    std::vector<at::Tensor> rows;
    for (size_t first = 0; first < images.size(); first += batch)
    {
        std::vector<at::Tensor> inputs;
        for (size_t i = first; i < std::min(images.size(), first + batch); i++)
            inputs.push_back(images[i].at(size));
        rows.push_back(network.embed(inputs.size() == 1 ? inputs[0] : at::cat(inputs)).to(at::kCPU));
    }
    require(!rows.empty(), "no images given, expected at least one");
    return rows.size() == 1 ? rows[0] : at::cat(rows);
}

Inference::Inference(const ModelFile& file, const std::string& precision, at::Device device)
    : network_(file.config, file.backbone, file.space, computeTypeOf(precision, device), device), space_(file.digest()),
      header_(headerOf(file, EmbedBackbone::Yes).dump())
{
}

at::Tensor Inference::embed(const std::vector<Frame>& images) const
{
    return embedded(network_, images);
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

int widthOf(const std::string& path, const nlohmann::json& header)
{
    const auto config = headerMember<Config>(path, header, "config");
    const auto backbone = headerMember<nlohmann::json>(path, header, "backbone");
    return static_cast<int>(headerMember<BackboneConfig>(path, backbone, "config").embeddingWidth(config.embedding));
}

} // namespace agpnet::dec
