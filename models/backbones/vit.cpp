#include "models/backbones/vit.h"

#include "common/error.h"
#include "models/layers/frozen_blocks.h"
#include "models/onnx/onnx_transformer.h"

#include <algorithm>
#include <cmath>
#include <fmt/ranges.h>
#include <map>
#include <mutex>

#include <ATen/TensorOperators.h>
#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/upsample_bicubic2d.h>
#include <c10/core/GradMode.h>

namespace agpnet
{

struct Vit::Impl
{
    VitConfig config;
    ExtractorOptions options;
    at::ScalarType type = at::kFloat;
    bool packed = false;

    Linear patch;
    FrozenNorm normPre; // undefined weight: none
    FrozenNorm finalNorm;  // likewise
    at::Tensor projection; // [C, width], or undefined
    at::Tensor prefix;    // [1, P, C] class token and registers, with their positions, float32
    at::Tensor positions; // [1, C, gridH, gridW], float32
    std::optional<FrozenBlocks> frozen;

    mutable std::mutex mutex; // protects the cache
    mutable std::map<std::pair<int64_t, int64_t>, at::Tensor> positionCache;

    int64_t tokens() const { return prefix.size(1) + config.gridH * config.gridW; }
    at::Tensor plain(const at::Tensor& tensor) const { return tensor.detach().to(options.device, at::kFloat).contiguous(); }

    Linear linear(const at::Tensor& weight, const at::Tensor& bias) const
    {
        return Linear(weight, bias, type, packed ? tokens() : 0);
    }

    at::Tensor positionsFor(int64_t rows, int64_t columns) const;
    at::Tensor attention(const at::Tensor& q, const at::Tensor& k, AttentionAggregate aggregate) const;
};

Vit::Vit(VitConfig config, const StateDict& weights, const ExtractorOptions& options)
    : Extractor(propertiesOf(config)), impl_(std::make_unique<Impl>())
{
    const c10::AutoGradMode noGradient(false);
    Impl& it = *impl_;
    it.config = std::move(config);
    it.options = options;
    it.options.copied = {}; // only for this call
    it.options.ranges.recorder = {}; // the blocks have it
    it.type = scalarType(options.compute);
    it.packed = options.prepack && options.device.is_cpu() && Linear::canPack();

    const VitConfig& c = it.config;
    require(c.heads > 0 && c.width > 0 && c.width % c.heads == 0 && c.patch > 0 && c.depth > 0 && c.gridH > 0 && c.gridW > 0,
            "the backbone's description has {} heads in a width of {}, a patch of {}, {} blocks, and a grid of {} x {}", c.heads,
            c.width, c.patch, c.depth, c.gridH, c.gridW);
    const auto get = [&](const std::string& name, std::initializer_list<int64_t> shape)
    {
        const auto found = weights.find(name);
        require(found != weights.end(), "{}: is missing from the weights", name);
        require(found->second.sizes() == at::IntArrayRef(shape), "{}: has shape [{}], expected [{}]", name,
                fmt::join(found->second.sizes(), ", "), fmt::join(at::IntArrayRef(shape), ", "));
        return it.plain(found->second);
    };

    const int64_t patches = c.gridH * c.gridW;
    const at::Tensor position = get("pos_embed", {1, c.positionedPrefix + patches, c.width});
    it.prefix = get("cls_token", {1, 1, c.width});
    if (c.registers > 0)
        it.prefix = at::cat({it.prefix, get("reg_token", {1, c.registers, c.width})}, 1);
    else
        it.prefix = it.prefix.clone();
    require(c.positionedPrefix >= 0 && c.positionedPrefix <= it.prefix.size(1),
            "{} leading tokens have positions, but there are {}", c.positionedPrefix, it.prefix.size(1));
    if (c.positionedPrefix > 0)
        it.prefix.narrow(1, 0, c.positionedPrefix) += position.narrow(1, 0, c.positionedPrefix);
    it.positions = position.narrow(1, c.positionedPrefix, patches)
                       .reshape({1, c.gridH, c.gridW, c.width})
                       .permute({0, 3, 1, 2})
                       .contiguous();
    it.patch = it.linear(get("patch_embed.proj.weight", {c.width, 3, c.patch, c.patch}).reshape({c.width, 3 * c.patch * c.patch}),
                         weights.contains("patch_embed.proj.bias") ? get("patch_embed.proj.bias", {c.width}) : at::Tensor());
    if (c.normPre)
        it.normPre = {get("norm_pre.weight", {c.width}).clone(), get("norm_pre.bias", {c.width}).clone(), c.layerNormEps};

    if (c.finalNorm)
        it.finalNorm = {get(finalNormWeight, {c.width}).clone(), get(finalNormBias, {c.width}).clone(), c.layerNormEps};
    if (c.projection > 0)
        it.projection = get(classProjection, {c.width, c.projection}).clone();

    it.frozen.emplace(c.heads, c.quickGelu ? Linear::Then::Silu : Linear::Then::Gelu,
                      FrozenOptions{options.compute, it.packed ? it.tokens() : 0, options.ranges});
    // what is known of a network that was only ever asked for its first blocks does for these
    const auto known = [&](int64_t block)
    { return options.ranges.known && options.ranges.known->contains(fmt::format("blocks.{}.qkv", block)); };
    const int64_t depth = options.depth > 0 ? std::min(options.depth, c.depth) : c.depth;
    for (int64_t i = 0; i < depth && (options.compute != ComputeType::Int8 || known(i)); i++)
    {
        const std::string name = fmt::format("blocks.{}.", i);
        const auto norm = [&](const std::string& which) {
            return FrozenNorm{get(name + which + ".weight", {c.width}).clone(), get(name + which + ".bias", {c.width}).clone(),
                              c.layerNormEps};
        };
        LearntBlock block;
        // Layer scale multiplies what comes out of a linear layer: the same as scaling its rows, once. And x sigmoid(1.702 x) is
        // silu(1.702 x) / 1.702, two factors that go into the layers around it.
        const double inside = c.quickGelu ? 1.702 : 1.0;
        const auto scaled =
            [&](const std::string& layer, const std::string& scale, int64_t inputs, double before, at::Tensor& weight, at::Tensor& bias)
        {
            weight = get(name + layer + ".weight", {c.width, inputs});
            if (before != 1)
                weight = weight / before;
            bias = get(name + layer + ".bias", {c.width});
            if (c.layerScale)
            {
                const at::Tensor gamma = get(name + scale, {c.width});
                weight = weight * gamma.unsqueeze(1);
                bias = bias * gamma;
            }
        };
        block.norm1 = norm("norm1");
        block.qkvWeight = get(name + "attn.qkv.weight", {3 * c.width, c.width});
        if (weights.contains(name + "attn.qkv.bias"))
            block.qkvBias = get(name + "attn.qkv.bias", {3 * c.width});
        scaled("attn.proj", "ls1.gamma", c.width, 1.0, block.projectionWeight, block.projectionBias);
        block.norm2 = norm("norm2");
        block.hiddenWeight = get(name + "mlp.fc1.weight", {c.mlp, c.width});
        block.hiddenBias = get(name + "mlp.fc1.bias", {c.mlp});
        if (inside != 1)
        {
            block.hiddenWeight = block.hiddenWeight * inside;
            block.hiddenBias = block.hiddenBias * inside;
        }
        scaled("mlp.fc2", "ls2.gamma", c.mlp, inside, block.outputWeight, block.outputBias);
        it.frozen->add(block);
        options.copied();
    }
}

Vit::~Vit() = default;

const VitConfig& Vit::config() const
{
    return impl_->config;
}

const ExtractorOptions& Vit::options() const
{
    return impl_->options;
}

/// [1, rows * columns, C]
at::Tensor Vit::Impl::positionsFor(int64_t rows, int64_t columns) const
{
    constexpr size_t mostSizes = 32; // a stream of images that all differ in size must not fill the memory
    const std::lock_guard lock(mutex);
    at::Tensor& cached = positionCache[{rows, columns}];
    if (!cached.defined())
    {
        at::Tensor grid = positions;
        if (rows != config.gridH || columns != config.gridW)
            grid = config.positionAntialias ? at::_upsample_bicubic2d_aa(grid, {rows, columns}, false)
                                            : at::upsample_bicubic2d(grid, {rows, columns}, false);
        const at::Tensor made = grid.flatten(2).transpose(1, 2).contiguous();
        if (positionCache.size() > mostSizes)
        {
            positionCache.clear();
            return positionCache[{rows, columns}] = made;
        }
        cached = made;
    }
    return cached;
}

/// q, k: [N, heads, T, D]. [N, L], averaged over heads.
at::Tensor Vit::Impl::attention(const at::Tensor& q, const at::Tensor& k, AttentionAggregate aggregate) const
{
    const int64_t skip = prefix.size(1);
    const int64_t tokens = q.size(2);
    const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(3)));
    const auto rows = [&](const at::Tensor& queries, const at::Tensor& keys)
    {
        return at::softmax(at::matmul(queries.to(at::kFloat) * scale, keys.to(at::kFloat).transpose(-2, -1)), -1)
            .narrow(-1, skip, tokens - skip);
    };
    if (aggregate == AttentionAggregate::ClassToken)
        return rows(q.narrow(2, 0, 1), k).squeeze(2).mean(1);
    // one image at a time: the whole matrix of a batch is large
    std::vector<at::Tensor> images;
    for (int64_t n = 0; n < q.size(0); n++)
        images.push_back(rows(q[n].narrow(1, skip, tokens - skip), k[n]).mean(at::IntArrayRef{0, 1}));
    return at::stack(images);
}

Vit::Output Vit::run(const at::Tensor& given, const std::vector<int>& layers, bool attention, AttentionAggregate aggregate) const
{
    const Impl& it = *impl_;
    const VitConfig& c = it.config;
    const int64_t batch = given.size(0);
    const int64_t rows = given.size(2) / c.patch;
    const int64_t columns = given.size(3) / c.patch;
    const int64_t skip = it.prefix.size(1);
    const int64_t tokens = skip + rows * columns;
    const int64_t headWidth = c.width / c.heads;

    // The convolution's windows do not overlap, so it is one multiplication.
    const at::Tensor windows = given.to(it.options.device, it.type)
                                   .reshape({batch, 3, rows, c.patch, columns, c.patch})
                                   .permute({0, 2, 4, 1, 3, 5})
                                   .reshape({batch, rows * columns, 3 * c.patch * c.patch});
    const at::Tensor positions = it.positionsFor(rows, columns)[0];
    // The residual stream stays in float32: sums of many terms are where bfloat16 loses most.
    const at::Tensor x = at::empty({batch, tokens, c.width}, it.prefix.options());

    Output output;
    output.classToken = at::empty({batch, c.width}, x.options());
    std::vector<at::Tensor> queriesKeys; // queries and keys of the requested layers
    for (size_t i = 0; i < layers.size(); i++)
    {
        output.tokens.push_back(at::empty({batch, rows * columns, c.width}, x.options()));
        if (attention)
            queriesKeys.push_back(at::empty({batch, tokens, 2, c.heads, headWidth}, x.options().dtype(it.type)));
    }
    const auto layerOf = [&](int64_t block) -> std::optional<size_t>
    {
        const auto found = std::lower_bound(layers.begin(), layers.end(), block);
        return found != layers.end() && *found == block ? std::optional(static_cast<size_t>(found - layers.begin())) : std::nullopt;
    };

    // Calls use(image, first patch, leading tokens, rows of both) with what of these rows belongs to each image.
    const auto forEachImage = [&](const FrozenBlocks::Rows& part, const auto& use)
    {
        for (int64_t row = 0; row < part.x.size(0);)
        {
            const int64_t first = (part.first + row) % tokens, count = std::min(part.x.size(0) - row, tokens - first);
            const int64_t leading = std::clamp<int64_t>(skip - first, 0, count);
            const at::Tensor own = part.x.narrow(0, row, count);
            use((part.first + row) / tokens, std::max<int64_t>(first - skip, 0), own.narrow(0, 0, leading),
                own.narrow(0, leading, count - leading), first);
            row += count;
        }
    };
    FrozenBlocks::Around around;
    around.before = [&](const FrozenBlocks::Rows& part)
    {
        forEachImage(part, [&](int64_t image, int64_t patch, const at::Tensor& leading, const at::Tensor& patches, int64_t first) {
            if (leading.size(0) > 0)
                leading.copy_(it.prefix[0].narrow(0, first, leading.size(0)));
            if (patches.size(0) == 0)
                return;
            patches.copy_(it.patch(windows[image].narrow(0, patch, patches.size(0))));
            patches.add_(positions.narrow(0, patch, patches.size(0)));
        });
        if (it.normPre.weight.defined())
            part.x.copy_(at::layer_norm(part.x, {c.width}, it.normPre.weight, it.normPre.bias, it.normPre.eps));
    };
    around.after = [&](const FrozenBlocks::Rows& part, int64_t blocks)
    {
        if (const auto layer = layerOf(blocks))
            forEachImage(part, [&](int64_t image, int64_t patch, const at::Tensor& leading, const at::Tensor& patches, int64_t first) {
                output.tokens[*layer][image].narrow(0, patch, patches.size(0)).copy_(patches);
                if (first == 0 && blocks == layers.back())
                    output.classToken[image].copy_(leading[0]);
            });
    };
    if (attention)
        around.attends = [&](const FrozenBlocks::Rows& part, const at::Tensor& qkv, int64_t block)
        {
            if (const auto layer = layerOf(block))
                queriesKeys[*layer]
                    .view({batch * tokens, 2, c.heads, headWidth})
                    .narrow(0, part.first, qkv.size(0))
                    .copy_(qkv.narrow(1, 0, 2));
        };
    it.frozen->forward(x, layers.back(), around);

    for (const at::Tensor& layer : queriesKeys)
    {
        const at::Tensor parts = layer.permute({2, 0, 3, 1, 4}); // [2, N, heads, T, D]
        const at::Tensor seen = it.attention(parts[0], parts[1], aggregate);
        output.attention = output.attention.defined() ? output.attention + seen : seen;
    }
    if (attention)
        output.attention.div_(static_cast<double>(layers.size()));
    return output;
}

at::Tensor Vit::toEmbedding(const Output& last, Embedding kind) const
{
    const Impl& it = *impl_;
    const auto normed = [&](const at::Tensor& tokens) {
        const FrozenNorm& norm = it.finalNorm;
        return norm.weight.defined() ? at::layer_norm(tokens, {it.config.width}, norm.weight, norm.bias, norm.eps) : tokens;
    };
    if (kind == Embedding::Patches)
        return normed(last.tokens[0]).mean(1);
    const at::Tensor token = normed(last.classToken);
    return it.projection.defined() ? at::matmul(token, it.projection) : token;
}

void Vit::describeBlocks(OnnxWriter& onnx, const OnnxValue& image, int last, const std::function<void(const OnnxValue&, int)>& use) const
{
    const Impl& it = *impl_;
    const VitConfig& c = it.config;
    require(it.options.compute == ComputeType::Float32 && !it.packed, "a backbone is described in float32 and as it was read");
    const int64_t rows = image.shape[2] / c.patch, columns = image.shape[3] / c.patch;
    const auto scaled = [&](const FrozenNorm& norm) { return OnnxNorm{norm.weight, norm.bias, norm.eps}; };

    onnx.part("backbone/patches");
    const at::Tensor kernel = it.patch.weight().reshape({c.width, 3, c.patch, c.patch});
    OnnxValue x = onnx.reshape(onnx.convolution(image, kernel, it.patch.bias(), c.patch, {}), {1, c.width, rows * columns});
    x = onnx.addConstant(onnx.transpose(x, {0, 2, 1}), it.positionsFor(rows, columns));
    x = onnx.concatenate({onnx.constantToJoin(it.prefix), x}, 1);
    if (it.normPre.weight.defined())
        x = onnx.addConstant(onnx.multiplyConstant(onnx.normed(x, c.layerNormEps), it.normPre.weight), it.normPre.bias);
    for (int i = 0; i < last; i++)
    {
        onnx.part(fmt::format("backbone/block{}", i + 1));
        const LearntBlock block = it.frozen->learnt(i);
        x = transformerBlock(onnx, x,
                             {scaled(block.norm1),
                              scaled(block.norm2),
                              {block.qkvWeight, block.qkvBias},
                              {block.projectionWeight, block.projectionBias},
                              {block.hiddenWeight, block.hiddenBias},
                              {block.outputWeight, block.outputBias},
                              c.heads,
                              c.quickGelu,
                              it.options.ranges.known.get(),
                              fmt::format("blocks.{}", i)});
        use(x, i + 1);
    }
}

std::vector<OnnxValue> Vit::describe(OnnxWriter& onnx, const OnnxValue& image, const std::vector<int>& layers) const
{
    const int64_t skip = impl_->prefix.size(1),
                  tokens = skip + image.shape[2] / impl_->config.patch * (image.shape[3] / impl_->config.patch);
    std::vector<OnnxValue> kept;
    describeBlocks(onnx, image, layers.back(), [&](const OnnxValue& x, int blocks) {
        if (blocks == layers[kept.size()])
            kept.push_back(onnx.slice(x, 1, skip, tokens));
    });
    return kept;
}

OnnxValue Vit::describeEmbedding(OnnxWriter& onnx, const OnnxValue& image, Embedding kind) const
{
    const Impl& it = *impl_;
    const VitConfig& c = it.config;
    properties().embeddingWidth(kind);
    const int64_t skip = it.prefix.size(1), tokens = skip + image.shape[2] / c.patch * (image.shape[3] / c.patch);
    OnnxValue x;
    describeBlocks(onnx, image, static_cast<int>(c.depth), [&](const OnnxValue& after, int) { x = after; });
    onnx.part("backbone/embedding");
    if (it.finalNorm.weight.defined())
        x = onnx.addConstant(onnx.multiplyConstant(onnx.normed(x, c.layerNormEps), it.finalNorm.weight), it.finalNorm.bias);
    const auto unit = [&](const OnnxValue& row) { return onnx.divide(row, onnx.reduce("ReduceL2", row, {1})); };
    const auto patches = [&] { return onnx.reshape(onnx.reduce("ReduceMean", onnx.slice(x, 1, skip, tokens), {1}), {1, c.width}); };
    if (kind == Embedding::Patches)
        return patches();
    OnnxValue token = onnx.reshape(onnx.slice(x, 1, 0, 1), {1, c.width});
    if (it.projection.defined())
        token = onnx.product(token, it.projection);
    return kind == Embedding::ClassToken ? token : onnx.concatenate({unit(token), unit(patches())}, 1);
}

} // namespace agpnet
