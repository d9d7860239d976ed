#include "models/agpnet/config.h"

#include "common/config_fields.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

namespace agpnet
{
namespace
{

/// Calls visit(key, field) for every field: the one list that reading, writing and the unknown-key check share.
template <typename ConfigType, typename Visit>
void forEachField(ConfigType& c, Visit visit)
{
    visit("prefer", c.prefer);
    visit("height", c.height);
    visit("width", c.width);
    visit("input", c.input);
    visit("bits", c.bits);
    visit("layers", c.layers);
    visit("target", c.target);
    visit("decoder_depth", c.decoderDepth);
    visit("decoder_width", c.decoderWidth);
    visit("decoder_heads", c.decoderHeads);
    visit("decoder_mlp_ratio", c.decoderMlpRatio);
    visit("prior_mean_query", c.priorMeanQuery);
    visit("metric", c.metric);
    visit("score_metric", c.scoreMetric);
    visit("sigma", c.sigma);
    visit("score", c.score);
    visit("tile", c.tile);
    visit("tile_overlap", c.tileOverlap);
    visit("roi", c.roi);
    visit("augment", c.augment);
    visit("early_stop", c.earlyStop);
    visit("shots", c.shots);
    visit("noise", c.noise);
    visit("alpha", c.alpha);
    visit("beta", c.beta);
    visit("image_noise", c.imageNoise);
    visit("image_sigma", c.imageSigma);
    visit("image_share", c.imageShare);
    visit("attention_blocks", c.attentionBlocks);
    visit("ema", c.ema);
    visit("loss", c.loss);
    visit("steps", c.steps);
    visit("batch", c.batch);
    visit("learning_rate", c.learningRate);
    visit("weight_decay", c.weightDecay);
    visit("warmup", c.warmup);
    visit("drop_at", c.dropAt);
    visit("gradient_clip", c.gradientClip);
    visit("seed", c.seed);
    visit("precision", c.precision);
    visit("false_alarms", c.falseAlarms);
    visit("cache_mib", c.cacheMiB);
}

using agpnet::readValue; // beside those of this family's types
using agpnet::written;

void readValue(const char* key, const nlohmann::json& value, LayerGroups& field)
{
    const char expected[] = "a list of block numbers, or a list of such lists";
    if (!value.is_array() || value.size() > 64)
        wrongType(key, value, expected);
    field.clear();
    const bool nested = !value.empty() && value.front().is_array();
    if (!nested && !value.empty())
        field.emplace_back();
    for (const nlohmann::json& item : value)
    {
        if (item.is_array() != nested || (nested && item.size() > 64))
            wrongType(key, value, expected);
        if (nested)
            field.emplace_back();
        for (const nlohmann::json& number : nested ? item : nlohmann::json::array({item}))
            readValue(key, number, field.back().emplace_back());
    }
}

void readValue(const char* key, const nlohmann::json& value, std::vector<Polygon>& field)
{
    const char* expected = "a list of polygons, each a list of [x, y]";
    if (!value.is_array())
        wrongType(key, value, expected);
    field.clear();
    for (const nlohmann::json& polygon : value)
    {
        if (!polygon.is_array())
            wrongType(key, polygon, expected);
        field.emplace_back();
        for (const nlohmann::json& point : polygon)
        {
            if (!point.is_array() || point.size() != 2)
                wrongType(key, point, expected);
            double x = 0, y = 0;
            readValue(key, point[0], x);
            readValue(key, point[1], y);
            field.back().push_back({x, y});
        }
    }
}

void readValue(const char* key, const nlohmann::json& value, stages::Metric& field)
{
    const std::string text = readText(key, value);
    const std::vector<std::string>& names = stages::metricNames();
    require(std::find(names.begin(), names.end(), text) != names.end(), "config: '{}' is '{}', expected one of {}", key, text,
            fmt::join(names, ", "));
    field = stages::metricOf(text);
}

void readValue(const char* key, const nlohmann::json& value, std::vector<Augmentation>& field)
{
    if (!value.is_array() || value.size() > 64)
        wrongType(key, value, "a list of names");
    field.clear();
    for (const nlohmann::json& item : value)
    {
        const std::string text = readText(key, item);
        require(valueOf(text, field.emplace_back()), "config: '{}' names '{}', expected one of {}", key, text, namesOf<Augmentation>());
    }
}

nlohmann::json written(const stages::Metric& field)
{
    return stages::nameOf(field);
}

nlohmann::json written(const std::vector<Augmentation>& field)
{
    nlohmann::json names = nlohmann::json::array();
    for (const Augmentation each : field)
        names.push_back(textOf(each));
    return names;
}

nlohmann::json written(const LayerGroups& field)
{
    return field.size() == 1 ? nlohmann::json(field[0]) : nlohmann::json(field);
}

/// Few pictures are soon learned by heart: fewer steps for fewer of them, never more than the usual number.
int stepsForShots(int shots, int usual)
{
    return static_cast<int>(std::min<int64_t>(usual, 100 + 25 * static_cast<int64_t>(shots)));
}

void checkRegion(const std::vector<Polygon>& roi)
{
    for (size_t i = 0; i < roi.size(); i++)
    {
        require(roi[i].size() >= 3, "config: 'roi' polygon {} has {} points, expected at least 3", i, roi[i].size());
        for (const auto& [x, y] : roi[i])
            require(x >= 0 && x <= 1 && y >= 0 && y <= 1,
                    "config: 'roi' polygon {} has the point ({}, {}), expected shares of the image's sides, 0 to 1", i, x, y);
    }
}

} // namespace

int inputChannels(const NetworkConfig& config)
{
    return config.input == InputKind::Rgb ? 3 : 6;
}

std::vector<int> allLayers(const LayerGroups& groups)
{
    std::set<int> all;
    for (const std::vector<int>& group : groups)
        all.insert(group.begin(), group.end());
    return {all.begin(), all.end()};
}

void from_json(const nlohmann::json& json, Config& config)
{
    readFields(
        json, config, preset, [](auto& fields, const auto& visit) { forEachField(fields, visit); },
        [](const char* key, const nlohmann::json& value, auto& field) { readValue(key, value, field); });
    if (config.shots > 0)
    {
        if (!json.contains("steps"))
            config.steps = stepsForShots(config.shots, config.steps);
        if (!json.contains("augment"))
            config.augment = {Augmentation::FewShot};
    }
    validate(config);
}

void to_json(nlohmann::json& json, const Config& config)
{
    json = nlohmann::json::object();
    forEachField(config, [&](const char* key, const auto& field) { json[key] = written(field); });
}

void validate(const Config& c)
{
    checkRange("height", c.height, 0, 4096);
    checkRange("width", c.width, 0, 4096);
    for (const std::vector<int>& group : c.layers)
    {
        require(!group.empty(), "config: 'layers' holds an empty group, expected at least one block number in each");
        for (size_t i = 0; i < group.size(); i++)
        {
            checkRange("layers", group[i], 1, 1000);
            require(i == 0 || group[i] > group[i - 1], "config: 'layers' must rise, found {} after {}", group[i], group[i - (i > 0)]);
        }
    }
    require(c.bits == 0 || (c.bits >= 8 && c.bits <= 16), "config: 'bits' is {}, expected 0 (found in the training's images) or 8 to 16",
            c.bits);
    checkRange("decoder_width", c.decoderWidth, 0, 8192);
    checkRange("decoder_depth", c.decoderDepth, 1, 64);
    checkRange("decoder_heads", c.decoderHeads, 0, 256);
    checkRange("decoder_mlp_ratio", c.decoderMlpRatio, 0.1, 16);
    checkRange("sigma", c.sigma, 0, 256);
    require(c.tile == 0 || (c.tile >= 32 && c.tile <= 16384), "config: 'tile' is {}, expected 0 (off) or 32 to 16384 pixels", c.tile);
    checkRange("tile_overlap", c.tileOverlap, 0, 0.9);
    checkRegion(c.roi);
    checkRange("shots", c.shots, 0, 10'000);
    checkRange("alpha", c.alpha, 0, 100);
    checkRange("beta", c.beta, 0, 100);
    checkRange("image_sigma", c.imageSigma, 0, 100);
    checkRange("image_share", c.imageShare, 0, 1);
    checkRange("attention_blocks", c.attentionBlocks, 0, 64);
    checkRange("ema", c.ema, 0, 0.999999);
    checkRange("steps", c.steps, 1, 10'000'000);
    checkRange("batch", c.batch, 1, 4096);
    checkRange("learning_rate", c.learningRate, 0, 10);
    checkRange("weight_decay", c.weightDecay, 0, 10);
    checkRange("warmup", c.warmup, 0, 1);
    checkRange("drop_at", c.dropAt, 0, 1);
    checkRange("gradient_clip", c.gradientClip, 1e-6, 1e6);
    checkRange("false_alarms", c.falseAlarms, 1e-6, 0.5);
    checkRange("cache_mib", c.cacheMiB, 0, 1 << 20);
}

Config preset(const std::string& name)
{
    Config config;
    if (name == "default")
        return config;
    if (name == "paper")
    {
        config.layers = {{3, 6, 9, 12}};
        config.target = Target::LayerNorm;
        config.metric = config.scoreMetric = stages::Metric::L2;
        config.sigma = 0;
        config.score = ImageScore::Max;
        config.imageNoise = true;
        config.attentionBlocks = 0;
        config.decoderDepth = 4;
        return config;
    }
    if (name == "fast")
    {
        config.prefer = Prefer::Speed;
        config.steps = 300;
        return config;
    }
    fail("config: 'preset' is '{}', expected default, paper or fast", name);
}

std::set<std::string> keysOf(const nlohmann::json& config)
{
    std::set<std::string> keys;
    for (const auto& item : config.items())
        keys.insert(item.key());
    if (keys.erase(presetKey) == 0)
        return keys;
    const nlohmann::json usual = Config();
    for (const char* name : {"paper", "fast"}) // what another one would have chosen, this one has chosen too
    {
        const nlohmann::json chosen = preset(name);
        for (const auto& item : chosen.items())
            if (item.value() != usual.at(item.key()) && item.key() != "steps") // which is the most that it takes, no wish
                keys.insert(item.key());
    }
    return keys;
}

Config configFromTextOrFile(const std::string& textOrPath)
{
    return configJson(textOrPath).get<Config>();
}

} // namespace agpnet
