// From names and shapes to a configuration: what the file of weights does not say in words.
#include "models/vit.h"

#include "common/error.h"

#include <cmath>
#include <fmt/ranges.h>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include <ATen/ops/cat.h>

namespace agpnet
{

namespace
{

std::string shapeText(const at::Tensor& tensor)
{
    return fmt::format("[{}]", fmt::join(tensor.sizes(), ", "));
}

/// The weights behind a prefix, noting what has been used: what is left over in a block tells another architecture.
class Source
{
public:
    Source(const StateDict& weights, std::string prefix) : weights_(weights), prefix_(std::move(prefix)) {}

    bool has(const std::string& name) const { return weights_.contains(prefix_ + name); }

    at::Tensor get(const std::string& name, std::initializer_list<int64_t> shape)
    {
        const at::Tensor tensor = get(name);
        require(tensor.sizes() == at::IntArrayRef(shape), "{}{}: has shape {}, expected [{}]", prefix_, name, shapeText(tensor),
                fmt::join(at::IntArrayRef(shape), ", "));
        return tensor;
    }

    at::Tensor get(const std::string& name, int64_t rank)
    {
        const at::Tensor tensor = get(name);
        require(tensor.dim() == rank, "{}{}: has shape {}, expected {} dimensions", prefix_, name, shapeText(tensor), rank);
        return tensor;
    }

    /// Refuses whatever under `part` was not asked for.
    void finish(std::string_view part) const
    {
        const std::string begin = prefix_ + std::string(part);
        for (auto at = weights_.lower_bound(begin); at != weights_.end() && at->first.starts_with(begin); ++at)
        {
            const bool swiglu = at->first.find("mlp.w") != std::string::npos;
            require(used_.contains(at->first), "{}: {} (shape {})", at->first,
                    swiglu ? "is of a SwiGLU feed-forward layer, which is not supported"
                           : "is not part of a pre-norm vision transformer as known here",
                    shapeText(at->second));
        }
    }

    const std::string& prefix() const { return prefix_; }

private:
    at::Tensor get(const std::string& name)
    {
        const auto found = weights_.find(prefix_ + name);
        require(found != weights_.end(), "{}{}: is missing from the weights", prefix_, name);
        require(at::isFloatingType(found->second.scalar_type()), "{}{}: holds {}, expected floating-point numbers", prefix_, name,
                c10::toString(found->second.scalar_type()));
        used_.insert(found->first);
        return found->second;
    }

    const StateDict& weights_;
    std::string prefix_;
    std::set<std::string> used_;
};

constexpr std::string_view timmPatch = "patch_embed.proj.weight";
constexpr std::string_view huggingPatch = "embeddings.patch_embeddings.projection.weight";

struct Names
{
    bool hugging = false;
    std::string prefix;
};

Names findNames(const StateDict& weights)
{
    require(!weights.empty(), "there are no weights");
    std::vector<Names> found;
    for (const auto& [name, tensor] : weights)
        for (const std::string_view patch : {timmPatch, huggingPatch})
            if (name.ends_with(patch) && (name.size() == patch.size() || name[name.size() - patch.size() - 1] == '.'))
                found.push_back({patch == huggingPatch, name.substr(0, name.size() - patch.size())});
    require(!found.empty(), "{}: these are not the weights of a vision transformer: neither {} nor {} is among the {} tensors",
            weights.begin()->first, timmPatch, huggingPatch, weights.size());
    if (found.size() == 1)
        return found[0];
    // A training checkpoint holds student and teacher; the teacher is what gets published.
    const Names* teacher = nullptr;
    for (const Names& names : found)
        if (names.prefix.find("teacher") != std::string::npos)
            teacher = teacher ? nullptr : &names;
    require(teacher != nullptr, "the weights hold more than one transformer: {}{} and {}{}", found[0].prefix,
            found[0].hugging ? huggingPatch : timmPatch, found[1].prefix, found[1].hugging ? huggingPatch : timmPatch);
    return *teacher;
}

int64_t countBlocks(const StateDict& weights, const std::string& begin)
{
    int64_t depth = 0;
    const auto any = [&](int64_t block)
    {
        const std::string name = fmt::format("{}{}.", begin, block);
        const auto at = weights.lower_bound(name);
        return at != weights.end() && at->first.starts_with(name);
    };
    while (any(depth))
        depth++;
    return depth;
}

/// Where a name of ours is found in the Hugging Face weights of ViT and of Dinov2.
struct BlockNames
{
    std::string norm1 = "norm1";
    std::string norm2 = "norm2";
    std::string projection = "attn.proj";
    std::string scale1 = "ls1.gamma";
    std::string scale2 = "ls2.gamma";
    std::string hidden = "mlp.fc1";
    std::string output = "mlp.fc2";
};

int64_t squareRoot(int64_t value)
{
    const auto root = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(value))));
    return root * root == value ? root : 0;
}

void findGrid(VitConfig& config, const Source& source, const std::string& name, int64_t positions, const VitOverrides& overrides)
{
    // Positions of the patches, and perhaps of the class token, and perhaps of the registers
    std::set<int64_t> prefixes = {1, 0, 1 + config.registers};
    for (const int64_t prefix : {int64_t{1}, int64_t{0}, 1 + config.registers})
    {
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
    fail("{}{}: has {} positions, which do not make a square of patches; say how many rows there are", source.prefix(), name,
         positions);
}

} // namespace

std::pair<VitConfig, StateDict> recogniseVit(const StateDict& weights, const VitOverrides& overrides)
{
    const Names names = findNames(weights);
    Source source(weights, names.prefix);
    const std::string embeddings = names.hugging ? "embeddings." : "";
    const bool flatLayers = names.hugging && source.has("layers.0.attention.q_proj.weight"); // a ViT of transformers 5 in memory
    const std::string blocks = flatLayers ? "layers." : names.hugging ? "encoder.layer." : "blocks.";

    for (const char* other : {"norm_pre.weight", "dist_token", "embeddings.distillation_token"})
        require(!source.has(other), "{}{}: is not part of a plain vision transformer as known here", names.prefix, other);

    VitConfig config;
    StateDict ours;
    const std::string patchName = names.hugging ? "embeddings.patch_embeddings.projection" : "patch_embed.proj";
    const at::Tensor patch = source.get(patchName + ".weight", 4);
    require(patch.size(0) > 0 && patch.size(1) == 3 && patch.size(2) == patch.size(3) && patch.size(2) > 0,
            "{}{}.weight: has shape {}, expected [width, 3, patch, patch]", names.prefix, patchName, shapeText(patch));
    config.width = patch.size(0);
    config.patch = patch.size(2);
    const int64_t width = config.width;
    ours["patch_embed.proj.weight"] = patch;
    ours["patch_embed.proj.bias"] = source.get(patchName + ".bias", {width});
    ours["cls_token"] = source.get(embeddings + "cls_token", {1, 1, width});

    for (const char* name : {"reg_token", "register_tokens"})
        if (source.has(embeddings + name))
        {
            const at::Tensor registers = source.get(embeddings + name, 3);
            require(registers.size(0) == 1 && registers.size(1) > 0 && registers.size(2) == width,
                    "{}{}{}: has shape {}, expected [1, registers, {}]", names.prefix, embeddings, name, shapeText(registers),
                    width);
            config.registers = registers.size(1);
            ours["reg_token"] = registers;
        }

    const std::string positionName = names.hugging ? "embeddings.position_embeddings" : "pos_embed";
    const at::Tensor positions = source.get(positionName, 3);
    require(positions.size(0) == 1 && positions.size(2) == width, "{}{}: has shape {}, expected [1, positions, {}]", names.prefix,
            positionName, shapeText(positions), width);
    findGrid(config, source, positionName, positions.size(1), overrides);
    ours["pos_embed"] = positions;

    config.depth = countBlocks(weights, names.prefix + blocks);
    require(config.depth > 0, "{}{}0: is missing from the weights: there are no transformer blocks", names.prefix, blocks);
    const std::string first = blocks + "0.";
    BlockNames block;
    bool dinov2Names = true;
    // transformers 5 saves the names of version 4, but uses others in memory, and so in a state_dict() saved by hand
    const bool shortNames = source.has(first + "attention.q_proj.weight");
    if (names.hugging)
    {
        block.projection = shortNames ? "attention.o_proj" : "attention.output.dense";
        dinov2Names = source.has(first + "norm1.weight");
        if (!dinov2Names)
            block = {.norm1 = "layernorm_before",
                     .norm2 = "layernorm_after",
                     .projection = block.projection,
                     .scale1 = "",
                     .scale2 = "",
                     .hidden = shortNames ? "mlp.fc1" : "intermediate.dense",
                     .output = shortNames ? "mlp.fc2" : "output.dense"};
        else
        {
            block.scale1 = "layer_scale1.lambda1";
            block.scale2 = "layer_scale2.lambda1";
        }
        config.layerScale = dinov2Names && source.has(first + block.scale1);
        config.family = dinov2Names ? "hf-dinov2" : "hf-vit";
    }
    else
    {
        config.layerScale = source.has(first + block.scale1);
        config.family = source.has("mask_token") || source.has("register_tokens") ? "dinov2" : "timm";
    }
    source.finish(first + "mlp.w"); // first, as it says more than that fc1 is missing
    config.mlp = source.get(first + block.hidden + ".weight", 2).size(0);
    require(config.mlp > 0, "{}{}{}.weight: is empty", names.prefix, first, block.hidden);

    for (int64_t i = 0; i < config.depth; i++)
    {
        const std::string from = fmt::format("{}{}.", blocks, i);
        const std::string to = fmt::format("blocks.{}.", i);
        const auto take = [&](const std::string& name, const std::string& theirs, std::initializer_list<int64_t> shape)
        { ours[to + name] = source.get(from + theirs, shape); };
        take("norm1.weight", block.norm1 + ".weight", {width});
        take("norm1.bias", block.norm1 + ".bias", {width});
        if (names.hugging)
            for (const char* part : {"weight", "bias"})
            {
                const bool weight = part == std::string_view("weight");
                std::vector<at::Tensor> parts;
                for (const char* which : {"query", "key", "value"})
                {
                    const std::string layer = shortNames ? fmt::format("{}_proj", which[0]) : fmt::format("attention.{}", which);
                    const std::string name = fmt::format("{}attention.{}.{}", from, layer, part);
                    if (!weight && parts.empty() && !source.has(name))
                        break;
                    parts.push_back(weight ? source.get(name, {width, width}) : source.get(name, {width}));
                }
                if (!parts.empty())
                    ours[to + "attn.qkv." + part] = at::cat(parts);
            }
        else
        {
            take("attn.qkv.weight", "attn.qkv.weight", {3 * width, width});
            if (source.has(from + "attn.qkv.bias"))
                take("attn.qkv.bias", "attn.qkv.bias", {3 * width});
        }
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
    source.finish(blocks);

    // All published models of these families have heads of 64
    config.heads = overrides.heads.value_or(width / 64);
    require(config.heads > 0 && width % config.heads == 0,
            "the transformer is {} wide, which does not make {} heads; say how many there are", width, config.heads);

    // Each publisher's own settings. DINOv2 resampled without antialiasing until it had registers; timm's loader antialiases at
    // run time, but its weights were trained at one size by their publishers, most of whom did not: so we do not either.
    config.positionAntialias =
        overrides.positionAntialias.value_or(config.registers > 0 && (config.family == "dinov2" || config.family == "hf-dinov2"));
    config.layerNormEps = overrides.layerNormEps.value_or(config.family == "hf-vit" ? 1e-12 : 1e-6);
    config.mean = overrides.mean.value_or(config.mean);
    config.std = overrides.std.value_or(config.std);
    return {config, std::move(ours)};
}

Vit vitFromStateDict(const StateDict& weights, const VitOverrides& overrides, const VitOptions& options)
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
    require(json.is_object(), "the backbone's description is not an object");
    nlohmann::json known;
    to_json(known, VitConfig());
    for (const auto& [key, value] : json.items())
        require(known.contains(key), "the backbone's description has \"{}\", which is not known", key);
    const auto get = [&json](const char* key) -> const nlohmann::json&
    {
        require(json.contains(key), "the backbone's description lacks \"{}\"", key);
        return json[key];
    };
    const auto text = [](const nlohmann::json& value)
    { return value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace); };
    const auto integer = [&](const char* key, int64_t low, int64_t high)
    {
        const nlohmann::json& value = get(key);
        const bool fits = value.is_number_integer() && value >= low && value <= high;
        require(fits, "the backbone's \"{}\" is {}, expected an integer from {} to {}", key, text(value), low, high);
        return value.get<int64_t>();
    };
    const auto boolean = [&](const char* key)
    {
        require(get(key).is_boolean(), "the backbone's \"{}\" is {}, expected true or false", key, text(get(key)));
        return get(key).get<bool>();
    };
    const auto colours = [&](const char* key, double low)
    {
        const nlohmann::json& value = get(key);
        bool fits = value.is_array() && value.size() == 3;
        for (size_t i = 0; fits && i < 3; i++)
            fits = value[i].is_number() && value[i] >= low && value[i] <= 1000.0;
        require(fits, "the backbone's \"{}\" is {}, expected three numbers from {}", key, text(value), low);
        return value.get<std::array<double, 3>>();
    };

    VitConfig read;
    require(get("family").is_string(), "the backbone's \"family\" is not a text");
    read.family = get("family").get<std::string>();
    read.patch = integer("patch", 1, 256);
    read.width = integer("width", 1, 1 << 16);
    read.heads = integer("heads", 1, 1 << 10);
    read.depth = integer("depth", 1, 1 << 10);
    read.mlp = integer("mlp", 1, 1 << 18);
    read.registers = integer("registers", 0, 1 << 10);
    read.layerScale = boolean("layerScale");
    read.gridH = integer("gridH", 1, 1 << 12);
    read.gridW = integer("gridW", 1, 1 << 12);
    read.positionedPrefix = integer("positionedPrefix", 0, 1 + read.registers);
    read.positionAntialias = boolean("positionAntialias");
    const nlohmann::json& eps = get("layerNormEps");
    require(eps.is_number() && eps > 0.0 && eps <= 1.0, "the backbone's \"layerNormEps\" is {}, expected a number in (0, 1]",
            text(eps));
    read.layerNormEps = eps.get<double>();
    read.mean = colours("mean", -1000.0);
    read.std = colours("std", 1e-6);
    require(read.width % read.heads == 0, "the backbone is {} wide, which does not make {} heads", read.width, read.heads);
    config = read;
}

} // namespace agpnet
