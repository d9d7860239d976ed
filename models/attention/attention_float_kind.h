// The kernels of attention_float.cpp in one width of registers; included once for each. What it is given:
//   AGPNET_KIND    its namespace          AGPNET_TARGET  the attribute of its functions, and so the instructions they use
//   AGPNET_LANES   floats of a register   AGPNET_PANEL, AGPNET_ROWS  registers of columns that are multiplied at once, by so many rows:
//                                         their sums, with a panel and a factor, fit into the registers there are
// Not templates over the width: GCC makes poor code of vectors whose type depends on a parameter.
#define AGPNET_INLINE AGPNET_TARGET inline __attribute__((always_inline))

namespace AGPNET_KIND
{

constexpr int lanes = AGPNET_LANES, panelWidth = AGPNET_PANEL, rowsAtOnce = AGPNET_ROWS;
#include "models/kernels/vectors_kind.h"

AGPNET_TARGET void put(const FloatHead& head, const float* keys, const float* values, int64_t stride, int64_t first, int64_t count)
{
    const int64_t tokens = inWhole(head.tokens, lanes), channels = inWhole(head.width, lanes); // registers of both
    const int64_t padded = tokens * lanes;
    for (int64_t i = 0; i < count; i++, keys += stride, values += stride)
    {
        int64_t step = 0;
        float* const to = head.keys + columnAt(first + i, tokens, head.width, lanes, panelWidth, step);
        for (int64_t channel = 0; channel < head.width; channel++)
            to[channel * step] = keys[channel];
        for (int64_t channel = 0; channel < head.width; channel += lanes * panelWidth)
        {
            float* const begin = head.values + columnAt(channel, channels, padded, lanes, panelWidth, step);
            std::copy_n(values + channel, std::min<int64_t>(step, head.width - channel), begin + (first + i) * step);
        }
    }
}

/// out, rowsAtOnce rows of Registers registers, = left, as many rows of `depth` floats, times right, [depth][Registers registers].
template <int Registers>
AGPNET_INLINE void multiply(const float* left, int64_t leftStride, const float* right, int64_t depth, float* out, int64_t outStride)
{
    Floats sums[rowsAtOnce][Registers];
#pragma GCC unroll 8 // all of the inner loops, so that the sums stay in registers
    for (int row = 0; row < rowsAtOnce; row++)
#pragma GCC unroll 8
        for (int c = 0; c < Registers; c++)
            sums[row][c] = Floats{};
    for (int64_t i = 0; i < depth; i++, right += Registers * lanes)
    {
        Floats columns[Registers];
#pragma GCC unroll 8
        for (int c = 0; c < Registers; c++)
            columns[c] = loadFloats(right + c * lanes);
#pragma GCC unroll 8
        for (int row = 0; row < rowsAtOnce; row++)
        {
            const Floats factor = all(left[row * leftStride + i]);
#pragma GCC unroll 8
            for (int c = 0; c < Registers; c++)
                sums[row][c] += factor * columns[c];
        }
    }
#pragma GCC unroll 8
    for (int row = 0; row < rowsAtOnce; row++)
#pragma GCC unroll 8
        for (int c = 0; c < Registers; c++)
            storeFloats(out + row * outStride + c * lanes, sums[row][c]);
}

/// The same for any number of registers, panel by panel.
AGPNET_INLINE void product(const float* left, int64_t leftStride, const float* right, int64_t depth, int64_t registers, float* out,
                           int64_t outStride)
{
    for (; registers >= panelWidth; registers -= panelWidth, right += depth * panelWidth * lanes, out += panelWidth * lanes)
        multiply<panelWidth>(left, leftStride, right, depth, out, outStride);
    if constexpr (panelWidth > 2)
    {
        if (registers == 3)
            multiply<3>(left, leftStride, right, depth, out, outStride);
        if (registers == 2)
            multiply<2>(left, leftStride, right, depth, out, outStride);
    }
    if (registers == 1)
        multiply<1>(left, leftStride, right, depth, out, outStride);
}

/// Replaces one row of logits by its weights, up to a factor: 2^(scale (logit - maximum)). Returns their sum.
AGPNET_INLINE float weigh(float* logits, int64_t tokens, int64_t padded, float scale)
{
    std::fill(logits + tokens, logits + padded, -INFINITY); // no token
    Floats most = loadFloats(logits);
    for (int64_t i = lanes; i < padded; i += lanes)
    {
        const Floats value = loadFloats(logits + i);
        most = value > most ? value : most;
    }
    const float largest = reduced(most, [](Floats a, Floats b) AGPNET_TARGET { return a > b ? a : b; });
    Floats sums = all(0);
    for (int64_t i = 0; i < padded; i += lanes)
    {
        const Floats weight = powerOfTwo((loadFloats(logits + i) - largest) * scale);
        storeFloats(logits + i, weight);
        sums += weight;
    }
    return reduced(sums, [](Floats a, Floats b) AGPNET_TARGET { return a + b; });
}

AGPNET_TARGET void attend(const FloatHead& head, const float* queries, int64_t stride, int64_t rows, const Scratch& scratch, float* out,
                          int64_t outStride)
{
    const int64_t width = head.width, tokens = inWhole(head.tokens, lanes), padded = tokens * lanes;
    const int64_t channels = inWhole(width, lanes), wide = channels * lanes;
    constexpr float log2e = 1.44269504F;
    const float scale = log2e / std::sqrt(static_cast<float>(width));
    for (int64_t first = 0; first < rows; first += rowsOfABlock)
    {
        const int64_t left = std::min(rowsOfABlock, rows - first);
        for (int64_t row = 0; row < rowsOfABlock; row++) // rows beyond the last are that row again, and not written
            std::copy_n(queries + (first + std::min(row, left - 1)) * stride, width, scratch.block + row * width);
        for (int64_t row = 0; row < left; row += rowsAtOnce)
            product(scratch.block + row * width, width, head.keys, width, tokens, scratch.logits + row * padded, padded);
        float totals[rowsOfABlock];
        for (int64_t row = 0; row < inWhole(left, rowsAtOnce) * rowsAtOnce; row++)
            totals[row] = weigh(scratch.logits + row * padded, head.tokens, padded, scale);
        for (int64_t row = 0; row < left; row += rowsAtOnce)
            product(scratch.logits + row * padded, padded, head.values, padded, channels, scratch.sums + row * wide, wide);
        for (int64_t row = 0; row < left; row++)
        {
            const float factor = 1.0F / totals[row];
            float* const to = out + (first + row) * outStride;
            const float* const from = scratch.sums + row * wide;
            for (int64_t channel = 0; channel < width; channel++)
                to[channel] = from[channel] * factor;
        }
    }
}

} // namespace AGPNET_KIND

#undef AGPNET_INLINE
#undef AGPNET_KIND
#undef AGPNET_TARGET
#undef AGPNET_LANES
#undef AGPNET_PANEL
#undef AGPNET_ROWS
