#include "models/model_file.h"

#include "common/error.h"
#include "models/safetensors.h"

#include <ATen/ATen.h>
#include <cmath>
#include <cstdlib>
#include <filesystem>

namespace agpnet
{
namespace
{

using nlohmann::json;
namespace fs = std::filesystem;

const char headerKey[] = "agpnet";
const char backbonePrefix[] = "backbone.";
const char decoderPrefix[] = "decoder.";
const char scaleMean[] = "scale.mean", scaleDeviation[] = "scale.deviation";

/// Reads a member of the header with a sentence for what is missing or of the wrong type.
template <typename Value>
Value member(const std::string& path, const json& object, const char* key)
{
    try
    {
        return object.at(key).get<Value>();
    }
    catch (const std::exception& error) // of JSON, or an Error of the value's own reader
    {
        fail("{}: header member '{}': {}", path, key, error.what());
    }
}

json parseHeader(const std::string& path, const std::map<std::string, std::string>& metadata, const char* kind)
{
    const auto it = metadata.find(headerKey);
    require(it != metadata.end(), "{}: not an AGPNet file (its safetensors metadata has no '{}')", path, headerKey);
    json header = json::parse(it->second, nullptr, false);
    require(header.is_object(), "{}: the header is not valid JSON", path);
    const int version = member<int>(path, header, "format_version");
    require(version >= 1, "{}: format version {}, expected 1 to {}", path, version, modelFormatVersion);
    require(version <= modelFormatVersion,
            "{}: written in format version {} by a newer AGPNet; this one reads up to version {}, please update it", path, version,
            modelFormatVersion);
    const auto found = member<std::string>(path, header, "kind");
    require(found == kind, "{}: holds a {}, expected a {}", path, found, kind);
    // Written before score and map could have distances of their own: thresholds and scores are those of the map's.
    if (header.contains("config") && header["config"].is_object() && header["config"].contains("metric") && !header["config"].contains("score_metric"))
        header["config"]["score_metric"] = header["config"]["metric"];
    return header;
}

json backboneHeader(const Backbone& backbone, EmbedBackbone embed)
{
    json header = {{"name", backbone.name}, {"hash", backbone.hash}, {"config", backbone.config}, {"embedded", embed == EmbedBackbone::Yes}};
    if (embed == EmbedBackbone::No)
        header["path"] = backbone.path.empty() ? "" : fs::absolute(backbone.path).string();
    return header;
}

TensorFile fileOf(const json& header)
{
    return {{{headerKey, header.dump()}}, {}};
}

/// The tensors whose names begin with the prefix, without it.
Decoder::NamedTensors selected(const char* prefix, const TensorFile& file)
{
    const std::string start = prefix;
    Decoder::NamedTensors found;
    for (const auto& [name, tensor] : file.tensors)
        if (name.starts_with(start))
            found.emplace_back(name.substr(start.size()), tensor);
    return found;
}

std::vector<fs::path> placesOfBackbone(const std::string& model, const std::string& recorded, const std::string& name)
{
    std::vector<fs::path> places;
    const fs::path file = recorded.empty() ? fs::path(name + ".safetensors") : fs::path(recorded).filename();
    places.push_back(fs::path(model).parent_path() / file);
    if (!recorded.empty())
        places.emplace_back(recorded);
    if (const char* folder = std::getenv("AGPNET_BACKBONES"); folder && *folder)
        places.push_back(fs::path(folder) / file);
    return places;
}

Backbone backboneOf(const std::string& path, const json& header, const TensorFile& file)
{
    const json entry = member<json>(path, header, "backbone");
    Backbone backbone;
    backbone.name = member<std::string>(path, entry, "name");
    backbone.hash = member<std::string>(path, entry, "hash");
    backbone.config = member<BackboneConfig>(path, entry, "config");
    if (member<bool>(path, entry, "embedded"))
    {
        for (auto& [name, tensor] : selected(backbonePrefix, file))
            backbone.weights.emplace(name, tensor);
        require(!backbone.weights.empty(), "{}: the header says that the backbone is embedded, but the file holds no '{}' tensors", path,
                backbonePrefix);
        return backbone;
    }
    std::string tried;
    for (const fs::path& place : placesOfBackbone(path, member<std::string>(path, entry, "path"), backbone.name))
    {
        std::error_code ignored;
        tried += (tried.empty() ? "" : ", ") + place.string();
        if (!fs::is_regular_file(place, ignored))
            continue;
        Backbone candidate = readBackbone(place.string());
        if (candidate.hash != backbone.hash)
        {
            tried += " (there, but with other weights)";
            continue;
        }
        candidate.name = backbone.name;
        candidate.config = backbone.config;
        return candidate;
    }
    fail("{}: needs the backbone '{}' with hash {}, which was not found; looked at {}; set AGPNET_BACKBONES to its folder", path,
         backbone.name, backbone.hash.substr(0, 12), tried);
}

FeatureScale scaleOf(const std::string& path, const Config& config, const TensorFile& file, int64_t channels)
{
    if (config.target != "standardised")
        return {};
    const auto tensor = [&](const char* name) {
        const auto it = file.tensors.find(name);
        require(it != file.tensors.end(), "{}: tensor '{}' is missing", path, name);
        return it->second;
    };
    try
    {
        return FeatureScale::checked(tensor(scaleMean), tensor(scaleDeviation), channels);
    }
    catch (const Error& error)
    {
        fail("{}: {}", path, error.what());
    }
}

json toJson(const ScoreStatistics& s)
{
    return {{"from", s.from},       {"count", s.count}, {"mean", s.mean},           {"deviation", s.deviation},
            {"least", s.least},     {"most", s.most},   {"threshold", s.threshold}, {"pixel_threshold", s.pixelThreshold}};
}

json toJson(const ModelFile& model)
{
    json scores = toJson(model.scores);
    for (const ProductScores& product : model.products)
    {
        json entry = toJson(product.scores);
        entry["name"] = product.name;
        scores["classes"].push_back(entry);
    }
    return scores;
}

ScoreStatistics scoresOf(const std::string& path, const json& entry)
{
    ScoreStatistics s;
    s.from = member<std::string>(path, entry, "from");
    s.count = member<int64_t>(path, entry, "count");
    for (auto [key, field] : {std::pair{"mean", &s.mean}, {"deviation", &s.deviation}, {"least", &s.least}, {"most", &s.most},
                              {"threshold", &s.threshold}, {"pixel_threshold", &s.pixelThreshold}})
    {
        *field = member<double>(path, entry, key);
        require(std::isfinite(*field), "{}: header member '{}' is not finite", path, key);
    }
    return s;
}

std::vector<ProductScores> productsOf(const std::string& path, const json& scores)
{
    std::vector<ProductScores> products;
    if (!scores.contains("classes"))
        return products;
    const json list = member<json>(path, scores, "classes");
    require(list.is_array(), "{}: header member 'classes' is {}, expected a list", path, list.type_name());
    for (const json& entry : list)
        products.push_back({member<std::string>(path, entry, "name"), scoresOf(path, entry)});
    return products;
}

} // namespace

nlohmann::json headerOf(const ModelFile& model, EmbedBackbone embed)
{
    return {{"format_version", modelFormatVersion},
            {"kind", "model"},
            {"config", model.config},
            {"backbone", backboneHeader(model.backbone, embed)},
            {"scores", toJson(model)},
            {"training", model.record},
            {"bf16_error", model.bf16Error}};
}

void writeModel(const std::string& path, const ModelFile& model, EmbedBackbone embed)
{
    TensorFile file = fileOf(headerOf(model, embed));
    if (model.scale.mean.defined())
    {
        file.tensors.emplace(scaleMean, model.scale.mean);
        file.tensors.emplace(scaleDeviation, model.scale.deviation);
    }
    for (const auto& [name, tensor] : model.decoder)
        file.tensors.emplace(decoderPrefix + name, tensor.detach());
    if (embed == EmbedBackbone::Yes)
        for (const auto& [name, tensor] : model.backbone.weights)
            file.tensors.emplace(backbonePrefix + name, tensor);
    writeSafetensors(path, file);
}

ModelFile readModel(const std::string& path)
{
    const TensorFile file = readSafetensors(path);
    const json header = parseHeader(path, file.metadata, "model");
    ModelFile model;
    model.config = member<Config>(path, header, "config");
    model.backbone = backboneOf(path, header, file);
    model.decoder = selected(decoderPrefix, file);
    const json scores = member<json>(path, header, "scores");
    model.scores = scoresOf(path, scores);
    model.products = productsOf(path, scores);
    model.record = member<json>(path, header, "training");
    require(model.record.is_object(), "{}: header member 'training' is {}, expected an object", path, model.record.type_name());
    model.bf16Error = member<double>(path, header, "bf16_error");
    DecoderShape shape;
    try
    {
        shape = decoderShape(model.config, model.backbone.config);
        Decoder(shape, model.decoder); // refuses what does not fit
    }
    catch (const Error& error)
    {
        fail("{}: {}", path, error.what());
    }
    model.scale = scaleOf(path, model.config, file, shape.channels);
    return model;
}

nlohmann::json readModelHeader(const std::string& path)
{
    return parseHeader(path, readSafetensors(path).metadata, "model"); // mapped: no tensor is touched
}

void writeTrainingState(const std::string& path, const Training& training, const json& extra)
{
    const json header = {{"format_version", modelFormatVersion},
                         {"kind", "training state"},
                         {"config", training.config()},
                         {"backbone", backboneHeader(training.backbone(), EmbedBackbone::No)},
                         {"extra", extra}};
    TensorFile file = fileOf(header);
    for (const auto& [name, tensor] : training.state())
        file.tensors.emplace(name, tensor);
    writeSafetensors(path, file);
}

TrainingState readTrainingState(const std::string& path)
{
    const TensorFile file = readSafetensors(path);
    const json header = parseHeader(path, file.metadata, "training state");
    TrainingState state{Training(member<Config>(path, header, "config"), backboneOf(path, header, file)), member<json>(path, header, "extra")};
    try
    {
        state.training.restore(selected("", file));
    }
    catch (const Error& error)
    {
        fail("{}: {}", path, error.what());
    }
    return state;
}

} // namespace agpnet
