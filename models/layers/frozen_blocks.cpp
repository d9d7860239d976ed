#include "models/layers/frozen_blocks.h"

#include "common/error.h"
#include "models/attention/attention.h"
#include "models/kernels/row_kernels.h"
#include "models/device/team.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace agpnet
{
namespace
{

/// Some rows of one image (on a device of all images), from one attention to the next.
struct Part
{
    int64_t image, token, row; ///< the first row's image, token of it, and number among all
    at::Tensor x, normed, qkv; ///< [rows, C], [rows, C], [rows, 3 C]
};

/// As many parts as threads: each part reads all weights, which are more than a core's own cache holds.
///
/// @param type  of the layers' inputs
std::vector<Part> partsOf(const at::Tensor& x, int64_t firstRow, at::ScalarType type, const KeysValues& memory)
{
    const int64_t batch = x.size(0), tokens = x.size(1);
    const bool divides = memory.divides();
    const int64_t unit = memory.multiple();
    const int64_t ofImage = (Team::size() + batch - 1) / batch;
    const int64_t each = divides ? (tokens + ofImage * unit - 1) / (ofImage * unit) * unit : batch * tokens;
    const at::Tensor rows = x.view({batch * tokens, x.size(2)});
    std::vector<Part> parts;
    for (int64_t image = 0; image < (divides ? batch : 1); image++)
        for (int64_t token = 0; token < tokens; token += each)
        {
            const int64_t row = image * tokens + token, count = divides ? std::min(each, tokens - token) : each;
            parts.push_back(
                {image, token, firstRow + row, rows.narrow(0, row, count), at::empty({count, x.size(2)}, x.options().dtype(type)), {}});
        }
    return parts;
}

std::string nameOf(size_t block, const char* input)
{
    return fmt::format("blocks.{}.{}", block, input);
}

} // namespace

FrozenBlocks::FrozenBlocks(int64_t heads, Linear::Then activation, FrozenOptions options)
    : heads_(heads), activation_(activation), options_(std::move(options))
{
}

void FrozenBlocks::add(const LearntBlock& learnt)
{
    if (options_.compute == ComputeType::Int8)
    {
        blocks_.push_back(quantised(learnt));
        return;
    }
    const auto linear = [&](const at::Tensor& weight, const at::Tensor& bias)
    { return Linear(weight, bias, scalarType(options_.compute), options_.packedFor); };
    blocks_.push_back({learnt.norm1, learnt.norm2, linear(learnt.qkvWeight, learnt.qkvBias),
                       linear(learnt.projectionWeight, learnt.projectionBias), linear(learnt.hiddenWeight, learnt.hiddenBias),
                       linear(learnt.outputWeight, learnt.outputBias)});
}

FrozenBlocks::Block FrozenBlocks::quantised(const LearntBlock& learnt) const
{
    require(options_.ranges.known != nullptr, "the ranges of a network's inputs are not known, which products of 8 bits need");
    const auto range = [&](const char* input, int64_t channels)
    { return rangeOf(*options_.ranges.known, nameOf(blocks_.size(), input), channels); };
    const auto full = [](const at::Tensor& tensor) { return tensor.defined() ? tensor.detach().to(at::kFloat) : tensor; };
    const auto quantisedBy = [&](const char* input, const at::Tensor& weight, const at::Tensor& bias)
    { return quantisedInput(range(input, weight.size(1)), full(weight), full(bias)); };
    // a norm's result is what its layer wants
    const auto normed = [&](const FrozenNorm& norm, const QuantisedInput& to) {
        return FrozenNorm{norm.weight * to.factor, norm.bias * to.factor + to.shift, norm.eps};
    };
    const auto linear = [&](const QuantisedInput& to, std::optional<Quantisation> output)
    { return Linear(to.weight, to.bias, to.input, output, options_.packedFor); };

    QuantisedInput qkv = quantisedBy("qkv", learnt.qkvWeight, learnt.qkvBias);
    const QuantisedInput projection = quantisedBy("projection", learnt.projectionWeight, learnt.projectionBias);
    const QuantisedInput hidden = quantisedBy("hidden", learnt.hiddenWeight, learnt.hiddenBias);
    // the layer gives bytes as attention wants them, and attention gives them as the projection does
    const QuantisedAttention attention = quantisedAttention(range("attention", qkv.weight.size(0)), heads_);
    qkv.weight.mul_(attention.factor.unsqueeze(1));
    qkv.bias.mul_(attention.factor).add_(attention.shift);
    const BytesOfHeads bytes = {attention.scale, projection.factor / attention.valueFactor,
                                projection.factor * attention.valueCentre + projection.shift};
    // an activation stands before it, through which no factor goes
    const at::Tensor outputRange = range("output", learnt.outputWeight.size(1));
    const Quantisation output = quantisationOf(outputRange[0].min().item<double>(), outputRange[1].max().item<double>());
    return {normed(learnt.norm1, qkv),
            normed(learnt.norm2, hidden),
            linear(qkv, Quantisation{}),
            linear(projection, {}),
            linear(hidden, output),
            Linear(full(learnt.outputWeight), full(learnt.outputBias), output, {}, options_.packedFor),
            bytes};
}

LearntBlock FrozenBlocks::learnt(int64_t number) const
{
    require(options_.packedFor == 0 && options_.compute != ComputeType::Int8,
            "the weights of a transformer's blocks are laid out for its products, expected as they were read");
    const Block& block = blocks_.at(static_cast<size_t>(number));
    return {block.norm1,           block.norm2,           block.qkv.weight(),  block.qkv.bias(),      block.projection.weight(),
            block.projection.bias(), block.hidden.weight(), block.hidden.bias(), block.output.weight(), block.output.bias()};
}

void FrozenBlocks::forward(const at::Tensor& x, int64_t count, const Around& around) const
{
    if (x.is_cpu() && x.size(0) >= 2 * Team::size()) // images enough for every thread: none waits for another
        Team::forEach(x.size(0), [&](int64_t image) {
            const Team::Scope alone(1);
            forward(x.narrow(0, image, 1), image * x.size(1), count, around);
        });
    else
        forward(x, 0, count, around);
}

void FrozenBlocks::forward(const at::Tensor& x, int64_t firstRow, int64_t count, const Around& around) const
{
    require(count <= static_cast<int64_t>(blocks_.size()), "{} blocks of a transformer are asked for, it has {}", count, blocks_.size());
    require(!around.attends || options_.compute != ComputeType::Int8, "a transformer of 8 bits shows no queries and keys");
    const int64_t batch = x.size(0), tokens = x.size(1), width = x.size(2);
    const bool bytes = options_.compute == ComputeType::Int8;
    const at::Tensor like = at::empty({0, 3 * width}, x.options().dtype(bytes ? at::kByte : scalarType(options_.compute)));
    // two, in turns: the next block's are put while other threads still read this one's, so that threads wait for each other once a block
    std::array<KeysValues, 2> memory = {KeysValues(like, batch, tokens, heads_), KeysValues(like, batch, tokens, heads_)};
    std::vector<Part> parts = partsOf(x, firstRow, bytes ? at::kByte : scalarType(options_.compute), memory[0]);

    const auto seen = [&](int64_t block, const char* input, const at::Tensor& rows) -> const at::Tensor&
    { return options_.ranges.recorder ? options_.ranges.seen(nameOf(static_cast<size_t>(block), input), rows) : rows; };
    const auto normalised = [](const Part& part, const FrozenNorm& norm)
    {
        normRows(part.x, norm.weight, norm.bias, norm.eps, part.normed);
        return part.normed;
    };
    const auto project = [&](Part& part, int64_t i)
    {
        const Block& block = blocks_[static_cast<size_t>(i)];
        part.qkv = block.qkv(seen(i, "qkv", normalised(part, block.norm1)));
        seen(i, "attention", part.qkv);
        memory[static_cast<size_t>(i % 2)].put(part.qkv, part.image, part.token);
        if (around.attends)
            around.attends({part.row, part.x}, part.qkv.view({-1, 3, heads_, width / heads_}), i + 1);
    };
    const auto forEachPart = [&](const auto& use)
    {
        Team::forEach(static_cast<int64_t>(parts.size()), [&](int64_t i) { use(parts[static_cast<size_t>(i)]); });
    };
    forEachPart([&](Part& part) {
        around.before({part.row, part.x});
        if (count > 0)
            project(part, 0);
    });
    for (int64_t i = 0; i < count; i++)
        forEachPart([&](Part& part) {
            const Block& block = blocks_[static_cast<size_t>(i)];
            const at::Tensor attended = seen(i, "projection", memory[static_cast<size_t>(i % 2)].attend(part.qkv, part.image, block.bytes));
            addRows(part.x, block.projection(attended));
            const at::Tensor hidden = block.hidden(seen(i, "hidden", normalised(part, block.norm2)), activation_);
            addRows(part.x, block.output(seen(i, "output", hidden)));
            around.after({part.row, part.x}, i + 1);
            if (i + 1 < count)
                project(part, i + 1);
        });
}

} // namespace agpnet
