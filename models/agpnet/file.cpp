#include "models/agpnet/file.h"

#include "common/error.h"
#include "common/signature.h"
#include "models/weights/checksum.h"
#include "models/weights/safetensors.h"

#include <ATen/ATen.h>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fmt/ranges.h>

namespace agpnet
{
namespace
{

using nlohmann::json;
namespace fs = std::filesystem;

const char backbonePrefix[] = "backbone.";
const char decoderPrefix[] = "decoder.";
const char scaleMean[] = "scale.mean", scaleDeviation[] = "scale.deviation";
const char backboneRange[] = "input_range.backbone.", decoderRange[] = "input_range.decoder.";
const char rangeMean[] = "range.mean", rangeDeviation[] = "range.deviation";

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
    json header = headerIn(path, metadata);
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

/// With the header, and in it the sum of everything.
void writeSealed(const std::string& path, json header, TensorFile file)
{
    header[checksumKey] = checksumOf(header, file);
    file.metadata = {{headerKey, header.dump()}};
    writeSafetensors(path, file);
}

/// Before anything is made of what a file holds.
void requireWhole(const std::string& path, const json& header, const TensorFile& file)
{
    if (checksumsWanted())
        checkedSum(path, header, file);
}

/// Where AGPNET_REQUIRE_SIGNATURE names a public key, a model is one that its owner signed, or none. Its backbone, if elsewhere, is the one that the
/// signed header names by its hash.
void requireSigned(const std::string& path, const Bytes& bytes)
{
    if (const char* key = std::getenv("AGPNET_REQUIRE_SIGNATURE"); key && *key)
        PublicKey::parse(key).requireSigned(path, bytes.data, bytes.size);
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
    const fs::path file = fs::path(recorded.empty() ? name + ".safetensors" : recorded).filename(); // a name that leads elsewhere is cut
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

at::Tensor tensorOf(const std::string& path, const TensorFile& file, const char* name)
{
    const auto it = file.tensors.find(name);
    require(it != file.tensors.end(), "{}: tensor '{}' is missing", path, name);
    return it->second;
}

Standardizer scaleOf(const std::string& path, const Config& config, const TensorFile& file, int64_t channels)
{
    if (config.target != "standardised")
        return {};
    const at::Tensor mean = tensorOf(path, file, scaleMean), deviation = tensorOf(path, file, scaleDeviation);
    try
    {
        return Standardizer::checked(mean, deviation, channels);
    }
    catch (const Error& error)
    {
        fail("{}: {}", path, error.what());
    }
}

/// How a threshold came to be; its value stands beside this, where files of before have it too.
json ruleToJson(const Threshold& t)
{
    json rule = {{"method", t.method}, {"normal", t.normal}, {"anomalous", t.anomalous}, {"false_alarms", t.rate < 0 ? json(nullptr) : json(t.rate)}};
    if (t.method == "tail")
        rule["tail"] = {{"from", t.tail.from}, {"share", t.tail.share}, {"shape", t.tail.shape}, {"scale", t.tail.scale}};
    if (t.method == "cost")
        rule["cost"] = t.cost;
    return rule;
}

json toJson(const ScoreStatistics& s)
{
    return {{"from", s.from},
            {"count", s.count},
            {"mean", s.mean},
            {"deviation", s.deviation},
            {"median", s.median},
            {"least", s.least},
            {"most", s.most},
            {"threshold", s.threshold.value},
            {"pixel_threshold", s.pixelThreshold.value},
            {"threshold_rule", ruleToJson(s.threshold)},
            {"pixel_threshold_rule", ruleToJson(s.pixelThreshold)}};
}

json toJson(const DriftRange& drift)
{
    json list = json::array();
    for (const Threshold& limit : drift.limits)
    {
        list.push_back(ruleToJson(limit));
        list.back()["limit"] = limit.value;
    }
    return list;
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

double finite(const std::string& path, const json& object, const char* key)
{
    const auto value = member<double>(path, object, key);
    require(std::isfinite(value), "{}: header member '{}' is not finite", path, key);
    return value;
}

void readRule(const std::string& path, const json& rule, Threshold& t)
{
    t.method = member<std::string>(path, rule, "method");
    t.normal = member<int64_t>(path, rule, "normal");
    t.anomalous = member<int64_t>(path, rule, "anomalous");
    t.rate = member<json>(path, rule, "false_alarms").is_null() ? -1 : finite(path, rule, "false_alarms");
    if (t.method == "tail")
    {
        const json tail = member<json>(path, rule, "tail");
        t.tail = {finite(path, tail, "from"), finite(path, tail, "share"), finite(path, tail, "shape"), finite(path, tail, "scale")};
    }
    if (t.method == "cost")
        t.cost = finite(path, rule, "cost");
}

/// `rule`: the member that says how it came to be; not in files of before there were several ways.
Threshold thresholdOf(const std::string& path, const json& entry, const char* key, const char* rule)
{
    Threshold t;
    t.value = finite(path, entry, key);
    t.method = "deviations";
    t.normal = member<int64_t>(path, entry, "count");
    if (entry.contains(rule))
        readRule(path, member<json>(path, entry, rule), t);
    return t;
}

ScoreStatistics scoresOf(const std::string& path, const json& entry)
{
    ScoreStatistics s;
    s.from = member<std::string>(path, entry, "from");
    s.count = member<int64_t>(path, entry, "count");
    for (auto [key, field] : {std::pair{"mean", &s.mean}, {"deviation", &s.deviation}, {"least", &s.least}, {"most", &s.most}})
        *field = finite(path, entry, key);
    s.threshold = thresholdOf(path, entry, "threshold", "threshold_rule");
    s.pixelThreshold = thresholdOf(path, entry, "pixel_threshold", "pixel_threshold_rule");
    s.median = entry.contains("median") ? finite(path, entry, "median") : s.mean; // which is all that files of before have
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

/// Unknown where the file does not say.
DriftRange driftOf(const std::string& path, const json& header, const TensorFile& file, int64_t products, int64_t channels)
{
    DriftRange drift;
    if (!header.contains("drift") || header["drift"].empty())
        return drift;
    const json list = member<json>(path, header, "drift");
    require(list.is_array(), "{}: header member 'drift' is {}, expected a list", path, list.type_name());
    for (const json& entry : list)
    {
        Threshold& limit = drift.limits.emplace_back();
        limit.value = finite(path, entry, "limit");
        require(limit.value > 0, "{}: header member 'limit' is {}, expected above 0", path, limit.value);
        readRule(path, entry, limit);
    }
    const at::Tensor mean = tensorOf(path, file, rangeMean), deviation = tensorOf(path, file, rangeDeviation);
    try
    {
        drift.features = DriftStatistics::checked(mean, deviation, channels);
    }
    catch (const Error& error)
    {
        fail("{}: {}", path, error.what());
    }
    const auto rows = static_cast<size_t>(drift.features.mean.size(0));
    require(rows == static_cast<size_t>(products) && rows == drift.limits.size(),
            "{}: the range of features is of {} products with {} limits, expected {} of both", path, rows, drift.limits.size(), products);
    return drift;
}

/// None where the file says nothing.
InputRanges inputRangesOf(const std::string& path, const TensorFile& file, const char* prefix)
{
    InputRanges ranges;
    for (const auto& [name, range] : selected(prefix, file))
    {
        require(range.scalar_type() == at::kFloat && range.dim() == 2 && range.size(0) == 2 && range.size(1) > 0,
                "{}: tensor '{}{}' is {} of shape [{}], expected float32 [2, channels]", path, prefix, name, toString(range.scalar_type()),
                fmt::join(range.sizes(), ", "));
        require(at::isfinite(range).all().item<bool>() && (range[0] <= range[1]).all().item<bool>(),
                "{}: tensor '{}{}' is no range, expected finite values, the first row no greater than the second", path, prefix, name);
        ranges.emplace(name, range.clone()); // of no mapped file
    }
    return ranges;
}

} // namespace

nlohmann::json headerOf(const ModelFile& model, EmbedBackbone embed)
{
    return {{"format_version", modelFormatVersion},
            {"kind", "model"},
            {"config", model.config},
            {"backbone", backboneHeader(model.backbone, embed)},
            {"scores", toJson(model)},
            {"drift", toJson(model.drift)},
            {"training", model.record},
            {"bf16_error", model.fewerBits.bf16Error},
            {"int8_error", model.fewerBits.int8Error},
            {"int8_noise", model.fewerBits.int8Noise}};
}

NetRanges FewerBits::ranges() const
{
    return {{std::make_shared<const InputRanges>(backbone), nullptr}, {std::make_shared<const InputRanges>(decoder), nullptr}};
}

void writeModel(const std::string& path, const ModelFile& model, EmbedBackbone embed)
{
    TensorFile file;
    if (model.scale.mean.defined())
    {
        file.tensors.emplace(scaleMean, model.scale.mean);
        file.tensors.emplace(scaleDeviation, model.scale.deviation);
    }
    if (model.drift.features.known())
    {
        file.tensors.emplace(rangeMean, model.drift.features.mean);
        file.tensors.emplace(rangeDeviation, model.drift.features.deviation);
    }
    for (const auto& [prefix, ranges] : {std::pair{backboneRange, &model.fewerBits.backbone}, {decoderRange, &model.fewerBits.decoder}})
        for (const auto& [name, range] : *ranges)
            file.tensors.emplace(prefix + name, range);
    for (const auto& [name, tensor] : model.decoder)
        file.tensors.emplace(decoderPrefix + name, tensor.detach());
    if (embed == EmbedBackbone::Yes)
        for (const auto& [name, tensor] : model.backbone.weights)
            file.tensors.emplace(backbonePrefix + name, tensor);
    writeSealed(path, headerOf(model, embed), std::move(file));
}

ModelFile readModel(const std::string& path)
{
    const Bytes bytes = mapFile(path);
    requireSigned(path, bytes);
    const TensorFile file = readSafetensors(bytes);
    const json header = parseHeader(path, file.metadata, "model");
    requireWhole(path, header, file);
    ModelFile model;
    model.config = member<Config>(path, header, "config");
    model.backbone = backboneOf(path, header, file);
    model.backbone.mapped = bytes;
    model.decoder = selected(decoderPrefix, file);
    const json scores = member<json>(path, header, "scores");
    model.scores = scoresOf(path, scores);
    model.products = productsOf(path, scores);
    model.record = member<json>(path, header, "training");
    require(model.record.is_object(), "{}: header member 'training' is {}, expected an object", path, model.record.type_name());
    model.fewerBits.bf16Error = member<double>(path, header, "bf16_error");
    if (header.contains("int8_error")) // not in files of before there were products of 8 bits
    {
        model.fewerBits.int8Error = member<double>(path, header, "int8_error");
        model.fewerBits.int8Noise = member<double>(path, header, "int8_noise");
    }
    model.fewerBits.backbone = inputRangesOf(path, file, backboneRange);
    model.fewerBits.decoder = inputRangesOf(path, file, decoderRange);
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
    model.drift = driftOf(path, header, file, model.scale.products(), shape.channels);
    forgetPages(bytes); // the checks have read all of it
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
    TensorFile file;
    for (const auto& [name, tensor] : training.state())
        file.tensors.emplace(name, tensor);
    writeSealed(path, header, std::move(file));
}

TrainingState readTrainingState(const std::string& path, at::Device device)
{
    const TensorFile file = readSafetensors(path);
    const json header = parseHeader(path, file.metadata, "training state");
    requireWhole(path, header, file);
    const auto config = member<Config>(path, header, "config");
    const json extra = member<json>(path, header, "extra");
    Backbone backbone = backboneOf(path, header, file);
    try
    {
        // before memory for a decoder is asked for on the header's word
        Decoder(decoderShape(config, backbone.config), selected(decoderPrefix, file));
        TrainingState state{Training(config, std::move(backbone), device), extra};
        state.training.restore(selected("", file));
        return state;
    }
    catch (const Error& error)
    {
        fail("{}: {}", path, error.what());
    }
}

} // namespace agpnet
