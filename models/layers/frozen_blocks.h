// The blocks of a pre-norm transformer that no longer learns, as they inspect: x += projection(attention(norm1 x)); x +=
// output(activation(hidden(norm2 x))). The backbone has them, and so has the decoder.
#pragma once

#include "models/attention/attention.h"
#include "models/layers/linear.h"
#include "models/layers/precision.h"
#include "models/layers/quantisation.h"

#include <ATen/core/Tensor.h>
#include <cstdint>
#include <functional>
#include <vector>

namespace agpnet
{

struct FrozenNorm
{
    at::Tensor weight, bias; ///< [C], float32
    double eps = 0;
};

/// One block as it was learnt. Weights are [out, in], of any floating-point type; a bias may be undefined.
struct LearntBlock
{
    FrozenNorm norm1, norm2;
    at::Tensor qkvWeight, qkvBias, projectionWeight, projectionBias, hiddenWeight, hiddenBias, outputWeight, outputBias;
};

struct FrozenOptions
{
    ComputeType compute = ComputeType::Float32; ///< precision of the linear layers
    int64_t packedFor = 0;                      ///< rows of input to lay the weights out for; 0: they stay as they are
    Ranges ranges = {};
};

class FrozenBlocks
{
public:
    /// @param heads       of the attention
    /// @param activation  of the MLP
    FrozenBlocks(int64_t heads, Linear::Then activation, FrozenOptions options);

    void add(const LearntBlock& block);

    /// Consecutive rows of the batch that one thread works on.
    struct Rows
    {
        int64_t first = 0; ///< the first one's number among the tokens of the whole batch
        at::Tensor x;      ///< [rows, C], float32: the residual stream, a view of the whole
    };

    /// Functions of the caller between the blocks, in the same threads. Called for different parts by several at once.
    struct Around
    {
        std::function<void(const Rows&)> before;                ///< fills x
        std::function<void(const Rows&, int64_t blocks)> after; ///< called when x is the output of this number of blocks
        /// In the block of this number, from 1. qkv: [rows, 3, heads, D]. Not in 8 bits
        std::function<void(const Rows&, const at::Tensor& qkv, int64_t block)> attends = nullptr;
    };

    /// The first `count` blocks, by the threads of the Team.
    ///
    /// @param x  [N, T, C], float32, contiguous: written to; filled by around.before
    void forward(const at::Tensor& x, int64_t count, const Around& around) const;

    /// A block as it was added, where weights stay as they are.
    LearntBlock learnt(int64_t block) const;

private:
    struct Block
    {
        FrozenNorm norm1, norm2;
        Linear qkv, projection, hidden, output;
        BytesOfHeads bytes = {}; ///< bytes of queries, keys and values; Int8
    };

    Block quantised(const LearntBlock& learnt) const; ///< the next one

    void forward(const at::Tensor& x, int64_t firstRow, int64_t count, const Around& around) const;

    int64_t heads_;
    Linear::Then activation_;
    FrozenOptions options_;
    std::vector<Block> blocks_;
};

} // namespace agpnet
