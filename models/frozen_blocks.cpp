#include "models/frozen_blocks.h"

#include "common/error.h"
#include "models/attention.h"
#include "models/row_kernels.h"
#include "models/team.h"

#include <ATen/ops/empty.h>
#include <algorithm>
#include <array>

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
std::vector<Part> partsOf(const at::Tensor& x, int64_t firstRow, at::ScalarType type, bool divides)
{
    const int64_t batch = x.size(0), tokens = x.size(1);
    constexpr int64_t unit = KeysValues::multiple;
    const int64_t ofImage = (Team::size() + batch - 1) / batch;
    const int64_t each = divides ? (tokens + ofImage * unit - 1) / (ofImage * unit) * unit : batch * tokens;
    const at::Tensor rows = x.view({batch * tokens, x.size(2)});
    std::vector<Part> parts;
    for (int64_t image = 0; image < (divides ? batch : 1); image++)
        for (int64_t token = 0; token < tokens; token += each)
        {
            const int64_t row = image * tokens + token, count = divides ? std::min(each, tokens - token) : each;
            parts.push_back({image, token, firstRow + row, rows.narrow(0, row, count), at::empty({count, x.size(2)}, x.options().dtype(type)), {}});
        }
    return parts;
}

} // namespace

FrozenBlocks::FrozenBlocks(int64_t heads, Linear::Then activation, at::ScalarType type, int64_t packedFor)
    : heads_(heads), packedFor_(packedFor), activation_(activation), type_(type)
{
}

void FrozenBlocks::add(const LearntBlock& learnt)
{
    const auto linear = [&](const at::Tensor& weight, const at::Tensor& bias) { return Linear(weight, bias, type_, packedFor_); };
    blocks_.push_back({learnt.norm1, learnt.norm2, linear(learnt.qkvWeight, learnt.qkvBias), linear(learnt.projectionWeight, learnt.projectionBias),
                       linear(learnt.hiddenWeight, learnt.hiddenBias), linear(learnt.outputWeight, learnt.outputBias)});
}

LearntBlock FrozenBlocks::learnt(int64_t number) const
{
    require(packedFor_ == 0, "the weights of a transformer's blocks are laid out for its products, expected as they were read");
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
    const int64_t batch = x.size(0), tokens = x.size(1), width = x.size(2);
    const at::Tensor like = at::empty({0, 3 * width}, x.options().dtype(type_));
    // two, in turns: the next block's are put while other threads still read this one's, so that threads wait for each other once a block
    std::array<KeysValues, 2> memory = {KeysValues(like, batch, tokens, heads_), KeysValues(like, batch, tokens, heads_)};
    std::vector<Part> parts = partsOf(x, firstRow, type_, memory[0].divides());

    const auto normalised = [](const Part& part, const FrozenNorm& norm)
    {
        normRows(part.x, norm.weight, norm.bias, norm.eps, part.normed);
        return part.normed;
    };
    const auto project = [&](Part& part, int64_t i)
    {
        const Block& block = blocks_[static_cast<size_t>(i)];
        part.qkv = block.qkv(normalised(part, block.norm1));
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
            addRows(part.x, block.projection(memory[static_cast<size_t>(i % 2)].attend(part.qkv, part.image)));
            addRows(part.x, block.output(block.hidden(normalised(part, block.norm2), activation_)));
            around.after({part.row, part.x}, i + 1);
            if (i + 1 < count)
                project(part, i + 1);
        });
}

} // namespace agpnet
