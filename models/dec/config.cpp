#include "models/dec/config.h"

#include "common/config_fields.h"

namespace agpnet::dec
{
namespace
{

/// The one list that reading, writing and the check for unknown keys share.
template <typename ConfigType, typename Visit>
void forEachField(ConfigType& c, Visit visit)
{
    visit("embedding", c.embedding);
    visit("height", c.height);
    visit("width", c.width);
    visit("whitening", c.whitening);
    visit("shrink", c.shrink);
    visit("adapter", c.adapter);
    visit("lambda", c.lambda);
    visit("choose", c.choose);
    visit("epochs", c.epochs);
    visit("learning_rate", c.learningRate);
    visit("momentum", c.momentum);
    visit("weight_decay", c.weightDecay);
    visit("classes_per_batch", c.classesPerBatch);
    visit("objects_per_class", c.objectsPerClass);
    visit("loss_alpha", c.lossAlpha);
    visit("loss_beta", c.lossBeta);
    visit("loss_base", c.lossBase);
    visit("loss_margin", c.lossMargin);
    visit("turn_ring", c.turnRing);
    visit("seed", c.seed);
    visit("virtual_names", c.virtualNames);
    visit("virtual_scale", c.virtualScale);
    visit("virtual_rate", c.virtualRate);
    visit("virtual_weight", c.virtualWeight);
}

void validate(const Config& c)
{
    checkRange("height", c.height, 0, 4096);
    checkRange("width", c.width, 0, 4096);
    checkRange("shrink", c.shrink, 1e-6, 1e6);
    checkRange("lambda", c.lambda, 0, 1);
    checkRange("epochs", c.epochs, 1, 100'000);
    checkRange("learning_rate", c.learningRate, 0, 10);
    checkRange("momentum", c.momentum, 0, 0.9999);
    checkRange("weight_decay", c.weightDecay, 0, 10);
    checkRange("classes_per_batch", c.classesPerBatch, 2, 4096);
    checkRange("objects_per_class", c.objectsPerClass, 2, 4096);
    checkRange("loss_alpha", c.lossAlpha, 1e-3, 1e3);
    checkRange("loss_beta", c.lossBeta, 1e-3, 1e3);
    checkRange("loss_base", c.lossBase, -1, 1);
    checkRange("loss_margin", c.lossMargin, 0, 2);
    checkRange("virtual_names", c.virtualNames, 0, 1'000'000);
    checkRange("virtual_scale", c.virtualScale, 0, 100);
    checkRange("virtual_rate", c.virtualRate, 0, 10);
    checkRange("virtual_weight", c.virtualWeight, 0, 100);
}

/// The multiple of `stride` nearest to the size that the published backbones were made for.
int usualSide(int64_t stride)
{
    constexpr int64_t usual = 224;
    return static_cast<int>(std::max<int64_t>(1, (usual + stride / 2) / stride) * stride);
}

} // namespace

Config preset(const std::string& name)
{
    Config config;
    if (name == "default")
        return config;
    if (name == "paper")
    {
        config.whitening = WhiteningKind::None;
        config.adapter = AdapterKind::Cam;
        config.choose = Choice::Config;
        config.learningRate = 1e-3;
        config.classesPerBatch = 2;
        config.turnRing = false;
        return config;
    }
    fail("config: 'preset' is '{}', expected default or paper", name);
}

void from_json(const nlohmann::json& json, Config& config)
{
    readFields(
        json, config, preset, [](auto& fields, const auto& visit) { forEachField(fields, visit); },
        [](const char* key, const nlohmann::json& value, auto& field) { readValue(key, value, field); });
    validate(config);
}

void to_json(nlohmann::json& json, const Config& config)
{
    json = nlohmann::json::object();
    forEachField(config, [&](const char* key, const auto& field) { json[key] = written(field); });
}

Config configFromTextOrFile(const std::string& textOrPath)
{
    return configJson(textOrPath).get<Config>();
}

Config completed(Config config, const BackboneProperties& backbone)
{
    backbone.embeddingWidth(config.embedding);
    for (const auto& [key, side] : {std::pair{"height", &config.height}, {"width", &config.width}})
    {
        if (*side == 0)
            *side = usualSide(backbone.stride);
        require(*side % backbone.stride == 0, "config: '{}' is {}, expected a multiple of the backbone's stride, {}", key, *side,
                backbone.stride);
    }
    return config;
}

} // namespace agpnet::dec
