// From names and shapes to a configuration: what the file of weights does not say in words.
#include "models/backbones/vit.h"

#include "common/error.h"
#include "common/json_fields.h"
#include "models/weights/named_weights.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include <ATen/ops/cat.h>

namespace agpnet
{

namespace
{

constexpr std::string_view what = "vision transformer"; // for messages

const char timmPatch[] = "patch_embed.proj.weight";
const char huggingPatch[] = "embeddings.patch_embeddings.projection.weight";
const char huggingClip[] = "embeddings.class_embedding";
const char clip[] = "class_embedding"; // the text half has no such token

/// A function, as families may be asked for before this file's globals are made.
std::vector<std::string> keyNames()
{
    return {timmPatch, huggingPatch, huggingClip, clip};
}

/// Where a block's parts are found.
struct BlockNames
{
    std::string norm1 = "norm1";
    std::vector<std::string> qkv = {"attn.qkv."}; ///< one packed layer or three
    std::string projection = "attn.proj";
    std::string scale1 = "ls1.gamma"; ///< empty: the family has no layer scale
    std::string norm2 = "norm2";
    std::string hidden = "mlp.fc1";
    std::string output = "mlp.fc2";
    std::string scale2 = "ls2.gamma";
};

/// Where everything is found, behind the prefix. By default in timm's names, which DINO, DINOv2 and DeiT share.
struct Names
{
    std::string family = "timm";
    std::string patch = "patch_embed.proj";
    std::string classToken = "cls_token";
    std::vector<std::string> registers = {"reg_token", "register_tokens"};
    std::string distillation = "dist_token";
    std::string positions = "pos_embed";
    std::string normPre = "norm_pre"; ///< empty: the family has none
    std::string blocks = "blocks.";
    std::string finalNorm = "norm";
    BlockNames block;

    bool isClip() const { return family == "clip" || family == "hf-clip"; }
};

/// Hugging Face's ViT, DeiT and Dinov2. Version 5 of transformers saves the names of version 4, but uses others in memory, and so
/// in a state_dict() saved by hand.
Names huggingNames(const NamedWeights& source)
{
    Names names;
    names.family = "hf-vit";
    names.patch = "embeddings.patch_embeddings.projection";
    names.classToken = "embeddings.cls_token";
    names.registers = {"embeddings.register_tokens"};
    names.distillation = "embeddings.distillation_token";
    names.positions = "embeddings.position_embeddings";
    names.normPre = "";
    names.finalNorm = "layernorm";
    names.blocks = source.has("layers.0.attention.q_proj.weight") ? "layers." : "encoder.layer.";
    const std::string first = names.blocks + "0.";
    const bool inMemory = source.has(first + "attention.q_proj.weight");
    names.block.qkv = inMemory ? std::vector<std::string>{"attention.q_proj.", "attention.k_proj.", "attention.v_proj."}
                               : std::vector<std::string>{"attention.attention.query.", "attention.attention.key.",
                                                          "attention.attention.value."};
    names.block.projection = inMemory ? "attention.o_proj" : "attention.output.dense";
    if (source.has(first + "norm1.weight"))
    {
        names.family = "hf-dinov2";
        names.block.scale1 = "layer_scale1.lambda1";
        names.block.scale2 = "layer_scale2.lambda1";
        return names;
    }
    names.block.norm1 = "layernorm_before";
    names.block.norm2 = "layernorm_after";
    names.block.scale1 = names.block.scale2 = "";
    names.block.hidden = inMemory ? "mlp.fc1" : "intermediate.dense";
    names.block.output = inMemory ? "mlp.fc2" : "output.dense";
    return names;
}

/// The image half of CLIP, as OpenAI and open_clip name it, or Hugging Face.
Names clipNames(bool hugging)
{
    Names names;
    names.family = hugging ? "hf-clip" : "clip";
    names.patch = hugging ? "embeddings.patch_embedding" : "conv1";
    names.classToken = hugging ? "embeddings.class_embedding" : "class_embedding";
    names.registers = {};
    names.distillation = "";
    names.positions = hugging ? "embeddings.position_embedding.weight" : "positional_embedding";
    names.normPre = hugging ? "pre_layrnorm" : "ln_pre"; // Hugging Face's spelling
    names.blocks = hugging ? "encoder.layers." : "transformer.resblocks.";
    names.finalNorm = hugging ? "post_layernorm" : "ln_post";
    names.block = hugging ? BlockNames{.norm1 = "layer_norm1",
                                       .qkv = {"self_attn.q_proj.", "self_attn.k_proj.", "self_attn.v_proj."},
                                       .projection = "self_attn.out_proj",
                                       .scale1 = "",
                                       .norm2 = "layer_norm2",
                                       .hidden = "mlp.fc1",
                                       .output = "mlp.fc2",
                                       .scale2 = ""}
                          : BlockNames{.norm1 = "ln_1",
                                       .qkv = {"attn.in_proj_"},
                                       .projection = "attn.out_proj",
                                       .scale1 = "",
                                       .norm2 = "ln_2",
                                       .hidden = "mlp.c_fc",
                                       .output = "mlp.c_proj",
                                       .scale2 = ""};
    return names;
}

Names namesOf(const NamedWeights& source, const std::string& key)
{
    if (key == huggingPatch)
        return huggingNames(source);
    if (key != timmPatch)
        return clipNames(key == huggingClip);
    Names names;
    if (source.has("mask_token") || source.has("register_tokens"))
        names.family = "dinov2";
    return names;
}

int64_t squareRoot(int64_t value)
{
    const auto root = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(value))));
    return root * root == value ? root : 0;
}

void findGrid(VitConfig& config, const NamedWeights& source, bool distilled, const std::string& name, int64_t positions,
              const VitOverrides& overrides)
{
    // Positions of the patches, and perhaps of the class token, and perhaps of the registers
    for (const int64_t prefix : {int64_t{1}, int64_t{0}, 1 + config.registers})
    {
        if (distilled && prefix != 2) // its two tokens always have theirs
            continue;
        const int64_t patches = positions - prefix;
        if (patches <= 0)
            continue;
        const int64_t rows = overrides.gridH.value_or(squareRoot(patches));
        if (rows <= 0 || patches % rows != 0)
            continue;
        config.positionedPrefix = prefix;
        config.gridH = rows;
        config.gridW = patches / rows;
        return;
    }
    if (overrides.gridH)
        fail("{}{}: has {} positions, which do not make {} rows of patches", source.prefix(), name, positions, *overrides.gridH);
    fail("{}{}: has {} positions, which is not the number of patches of a square; state the number of rows", source.prefix(), name,
         positions);
}

/// One transformer block, in our names.
void takeBlock(NamedWeights& source, const Names& names, const VitConfig& config, int64_t i, StateDict& ours)
{
    const BlockNames& block = names.block;
    const int64_t width = config.width;
    const std::string from = fmt::format("{}{}.", names.blocks, i);
    const std::string to = fmt::format("blocks.{}.", i);
    const auto take = [&](const std::string& name, const std::string& theirs, std::initializer_list<int64_t> shape)
    { ours[to + name] = source.get(from + theirs, shape); };
    take("norm1.weight", block.norm1 + ".weight", {width});
    take("norm1.bias", block.norm1 + ".bias", {width});
    const int64_t rows = 3 * width / static_cast<int64_t>(block.qkv.size());
    std::vector<at::Tensor> matrices, biases;
    for (const std::string& name : block.qkv)
    {
        matrices.push_back(source.get(from + name + "weight", {rows, width}));
        if (!biases.empty() || source.has(from + name + "bias") || names.isClip()) // elsewhere there may be none
            biases.push_back(source.get(from + name + "bias", {rows}));
    }
    require(biases.empty() || biases.size() == block.qkv.size(), "{}{}{}bias: is missing from the weights", source.prefix(), from,
            block.qkv[0]);
    ours[to + "attn.qkv.weight"] = matrices.size() == 1 ? matrices[0] : at::cat(matrices);
    if (!biases.empty())
        ours[to + "attn.qkv.bias"] = biases.size() == 1 ? biases[0] : at::cat(biases);
    take("attn.proj.weight", block.projection + ".weight", {width, width});
    take("attn.proj.bias", block.projection + ".bias", {width});
    take("norm2.weight", block.norm2 + ".weight", {width});
    take("norm2.bias", block.norm2 + ".bias", {width});
    take("mlp.fc1.weight", block.hidden + ".weight", {config.mlp, width});
    take("mlp.fc1.bias", block.hidden + ".bias", {config.mlp});
    take("mlp.fc2.weight", block.output + ".weight", {width, config.mlp});
    take("mlp.fc2.bias", block.output + ".bias", {width});
    if (config.layerScale)
    {
        take("ls1.gamma", block.scale1, {width});
        take("ls2.gamma", block.scale2, {width});
    }
}

/// What stands behind the last block, where the file has it. CLIP's projection lies beside the image half in some names, and in timm's it
/// is the classifier: a matrix whose bias is zero.
void takeEmbedding(NamedWeights& source, const StateDict& weights, const Names& names, VitConfig& config, StateDict& ours)
{
    const int64_t width = config.width;
    config.finalNorm = source.has(names.finalNorm + ".weight");
    if (!config.finalNorm)
        return;
    ours[finalNormWeight] = source.get(names.finalNorm + ".weight", {width});
    ours[finalNormBias] = source.get(names.finalNorm + ".bias", {width});
    if (!config.normPre)
        return;
    at::Tensor projection; // [width, out]
    const std::string hugging = "vision_model.";
    if (names.family == "hf-clip" && source.prefix().ends_with(hugging))
    {
        const auto found = weights.find(source.prefix().substr(0, source.prefix().size() - hugging.size()) + "visual_projection.weight");
        if (found != weights.end())
        {
            require(found->second.dim() == 2, "{}: has shape {}, expected [width of texts, {}]", found->first, shapeText(found->second),
                    width);
            projection = found->second.t();
        }
    }
    else if (names.family == "clip" && source.has("proj"))
        projection = source.get("proj", 2);
    else if (!names.isClip() && source.has("head.weight") && (!source.has("head.bias") || !source.get("head.bias", 1).any().item<bool>()))
        projection = source.get("head.weight", 2).t();
    if (!projection.defined())
        return;
    require(projection.dim() == 2 && projection.size(0) == width, "{}{}: has shape {}, expected one side of {}", source.prefix(),
            names.family == "hf-clip" ? "visual_projection.weight" : names.isClip() ? "proj" : "head.weight", shapeText(projection), width);
    config.projection = projection.size(1);
    ours[classProjection] = projection.contiguous();
}

/// What the weights do not say: each publisher's own settings, unless the caller knows better.
void addSettings(VitConfig& config, bool isClip, const VitOverrides& overrides)
{
    const int64_t width = config.width;
    // Nearly all published models of these families have heads of 64; the huge and giant ones have 16 heads.
    const bool huge = width == 1280 || width == 1408 || width == 1664;
    config.heads = overrides.heads.value_or(huge ? 16 : width / 64);
    require(config.heads > 0 && width % config.heads == 0,
            "the transformer is {} wide, which cannot be divided into {} heads; state their number", width, config.heads);

    // Each publisher's own settings. DINOv2 resampled without antialiasing until it had registers; timm's loader antialiases at
    // run time, but its weights were trained at one size by their publishers, most of whom did not: so we do not either.
    config.positionAntialias =
        overrides.positionAntialias.value_or(config.registers > 0 && (config.family == "dinov2" || config.family == "hf-dinov2"));
    config.layerNormEps = overrides.layerNormEps.value_or(config.normPre ? 1e-5 : config.family == "hf-vit" ? 1e-12 : 1e-6);
    // OpenAI's weights want QuickGELU. LAION's have the same names and want GELU, as do all of the huge ones, which are LAION's.
    config.quickGelu = overrides.quickGelu.value_or(isClip && !huge);
    if (config.normPre)
    {
        config.mean = {0.48145466, 0.4578275, 0.40821073};
        config.std = {0.26862954, 0.26130258, 0.27577711};
    }
    config.mean = overrides.mean.value_or(config.mean);
    config.std = overrides.std.value_or(config.std);
}

} // namespace

std::pair<VitConfig, StateDict> recogniseVit(const StateDict& weights, const VitOverrides& overrides)
{
    const FoundKey found = findTheKey(weights, keyNames(), what);
    NamedWeights source(weights, found.prefix);
    const Names names = namesOf(source, found.key);
    const BlockNames& block = names.block;
    const bool isClip = names.isClip();

    VitConfig config;
    config.family = names.family;
    StateDict ours;
    const at::Tensor patch = source.get(names.patch + ".weight", 4);
    require(patch.size(1) == 3 && patch.size(2) == patch.size(3), "{}{}.weight: has shape {}, expected [width, 3, patch, patch]",
            found.prefix, names.patch, shapeText(patch));
    config.width = patch.size(0);
    config.patch = patch.size(2);
    const int64_t width = config.width;
    ours["patch_embed.proj.weight"] = patch;
    config.normPre = isClip || (!names.normPre.empty() && source.has(names.normPre + ".weight"));
    if (config.normPre)
    {
        ours["norm_pre.weight"] = source.get(names.normPre + ".weight", {width});
        ours["norm_pre.bias"] = source.get(names.normPre + ".bias", {width});
    }
    if (!config.normPre || source.has(names.patch + ".bias"))
        ours["patch_embed.proj.bias"] = source.get(names.patch + ".bias", {width});
    ours["cls_token"] = isClip ? source.get(names.classToken, {width}).view({1, 1, width}) : source.get(names.classToken, {1, 1, width});

    for (const std::string& name : names.registers)
        if (source.has(name))
        {
            const at::Tensor registers = source.get(name, 3);
            require(registers.size(0) == 1 && registers.size(2) == width, "{}{}: has shape {}, expected [1, registers, {}]",
                    found.prefix, name, shapeText(registers), width);
            config.registers = registers.size(1);
            ours["reg_token"] = registers;
        }
    // A distilled DeiT's second token goes through the blocks as a register does.
    const bool distilled = !names.distillation.empty() && source.has(names.distillation);
    if (distilled)
    {
        require(config.registers == 0, "{}{}: occurs together with registers, expected one of them", found.prefix, names.distillation);
        config.registers = 1;
        ours["reg_token"] = source.get(names.distillation, {1, 1, width});
    }

    const at::Tensor stored = source.get(names.positions, isClip ? 2 : 3);
    const at::Tensor positions = isClip ? stored.unsqueeze(0) : stored;
    require(positions.size(0) == 1 && positions.size(2) == width, "{}{}: has shape {}, expected {}positions, {}]", found.prefix,
            names.positions, shapeText(stored), isClip ? "[" : "[1, ", width);
    findGrid(config, source, distilled, names.positions, positions.size(1), overrides);
    ours["pos_embed"] = positions;

    while (source.hasAnyUnder(fmt::format("{}{}.", names.blocks, config.depth)))
        config.depth++;
    require(config.depth > 0, "{}{}0: is missing from the weights: there are no transformer blocks", found.prefix, names.blocks);
    const std::string first = names.blocks + "0.";
    config.layerScale = !block.scale1.empty() && source.has(first + block.scale1);
    for (const char* swiglu : {"mlp.w12.weight", "mlp.w1.weight", "mlp.weights_in.weight"}) // says more than that fc1 is missing
        require(!source.has(first + swiglu), "{}{}{}: is of a SwiGLU feed-forward layer, which is not supported", found.prefix, first,
                swiglu);
    config.mlp = source.get(first + block.hidden + ".weight", 2).size(0);

    for (int64_t i = 0; i < config.depth; i++)
        takeBlock(source, names, config, i, ours);
    takeEmbedding(source, weights, names, config, ours);
    source.finish(names.blocks, "pre-norm vision transformer");

    addSettings(config, isClip, overrides);
    return {config, std::move(ours)};
}

Vit vitFromStateDict(const StateDict& weights, const VitOverrides& overrides, const ExtractorOptions& options)
{
    auto [config, ours] = recogniseVit(weights, overrides);
    return Vit(std::move(config), ours, options);
}

void to_json(nlohmann::json& json, const VitConfig& config)
{
    json = {{"family", config.family},
            {"patch", config.patch},
            {"width", config.width},
            {"heads", config.heads},
            {"depth", config.depth},
            {"mlp", config.mlp},
            {"registers", config.registers},
            {"layerScale", config.layerScale},
            {"normPre", config.normPre},
            {"quickGelu", config.quickGelu},
            {"finalNorm", config.finalNorm},
            {"projection", config.projection},
            {"gridH", config.gridH},
            {"gridW", config.gridW},
            {"positionedPrefix", config.positionedPrefix},
            {"positionAntialias", config.positionAntialias},
            {"layerNormEps", config.layerNormEps},
            {"mean", config.mean},
            {"std", config.std}};
}

void from_json(const nlohmann::json& json, VitConfig& config)
{
    const JsonFields fields(json, VitConfig());
    VitConfig read;
    read.family = fields.text("family");
    read.patch = fields.integer("patch", 1, 256);
    read.width = fields.integer("width", 1, 1 << 16);
    read.heads = fields.integer("heads", 1, 1 << 10);
    read.depth = fields.integer("depth", 1, 1 << 10);
    read.mlp = fields.integer("mlp", 1, 1 << 18);
    read.registers = fields.integer("registers", 0, 1 << 10);
    read.layerScale = fields.boolean("layerScale");
    read.normPre = fields.has("normPre") && fields.boolean("normPre"); // these two came later
    read.quickGelu = fields.has("quickGelu") && fields.boolean("quickGelu");
    read.finalNorm = fields.has("finalNorm") && fields.boolean("finalNorm"); // and these
    read.projection = fields.has("projection") ? fields.integer("projection", 0, 1 << 16) : 0;
    require(read.projection == 0 || read.finalNorm, "the backbone has a projection of its class token, but no norm before it");
    read.gridH = fields.integer("gridH", 1, 1 << 12);
    read.gridW = fields.integer("gridW", 1, 1 << 12);
    read.positionedPrefix = fields.integer("positionedPrefix", 0, 1 + read.registers);
    read.positionAntialias = fields.boolean("positionAntialias");
    read.layerNormEps = fields.number("layerNormEps", 0.0, 1.0);
    read.mean = fields.colours("mean", -1000.0);
    read.std = fields.colours("std", 1e-6);
    require(read.width % read.heads == 0, "the backbone is {} wide, which does not make {} heads", read.width, read.heads);
    config = read;
}

BackboneProperties propertiesOf(const VitConfig& config)
{
    const auto depth = static_cast<int>(config.depth);
    BackboneProperties properties;
    properties.stride = config.patch;
    properties.channels.assign(static_cast<size_t>(std::max(0, depth)), config.width);
    properties.mean = config.mean;
    properties.std = config.std;
    properties.classWidth = config.projection > 0 ? config.projection : config.finalNorm ? config.width : 0;
    // at half and at three quarters of the depth: docs/method.md has the measurement
    for (const int layer : {depth / 2, 3 * depth / 4})
        if (layer > (properties.defaultLayers.empty() ? 0 : properties.defaultLayers.back()))
            properties.defaultLayers.push_back(layer);
    return properties;
}

BackboneFamily vitFamily()
{
    return familyOf<VitConfig, Vit>(
        "vit", keyNames(),
        [](const StateDict& weights, const std::string& file) -> std::pair<nlohmann::json, StateDict>
        {
            VitOverrides overrides;
            // timm has OpenAI's CLIP under its own names twice, with one activation and with the other; only the first is as
            // trained
            if (file.find("clip") != std::string::npos &&
                (file.find("quickgelu") != std::string::npos || file.ends_with(".openai") || file.ends_with("_openai")))
                overrides.quickGelu = true;
            return recogniseVit(weights, overrides);
        });
}

} // namespace agpnet
