// The kernels of attention_bytes.cpp in one width of registers; included once for each. What it is given:
//   AGPNET_KIND    its namespace           AGPNET_TARGET  the attribute of its functions, and so the instructions they use
//   AGPNET_LANES   numbers of a register   AGPNET_PANEL, AGPNET_ROWS  registers of columns that are multiplied at once, by so many rows
//   AGPNET_STORE_BYTES(to, words)  numbers of a register, up to 255, as bytes
//   AGPNET_DOT(sums, bytes, signedBytes)   of each number's four bytes the sum of products, added to it
#define AGPNET_INLINE AGPNET_TARGET inline __attribute__((always_inline))

namespace AGPNET_KIND
{

constexpr int lanes = AGPNET_LANES, panelWidth = AGPNET_PANEL, rowsAtOnce = AGPNET_ROWS;
#include "models/kernels/vectors_kind.h"

using Numbers = int32_t __attribute__((vector_size(4 * lanes)));

AGPNET_INLINE Numbers allNumbers(int32_t value)
{
#ifdef __clang__
    return value + Numbers{};
#else
    return __builtin_shuffle(Numbers{value}, Numbers{});
#endif
}

// Panels as attention_panels.h says; a step of their depth is of four bytes.

AGPNET_TARGET void put(const ByteHead& head, const uint8_t* keys, const uint8_t* values, int64_t stride, int64_t first, int64_t count)
{
    const int64_t tokens = inWhole(head.tokens, lanes), channels = inWhole(head.width, lanes); // registers of both
    const int64_t fours = tokens * lanes / 4, depth = inWhole(head.width, 4);
    for (int64_t i = 0; i < count; i++)
    {
        int64_t step = 0;
        uint8_t* const to = head.keys + 4 * columnAt(first + i, tokens, depth, lanes, panelWidth, step);
        const uint8_t* const key = keys + i * stride;
        for (int64_t four = 0; four < head.width / 4; four++)
            std::memcpy(to + four * step * 4, key + four * 4, 4);
        for (int64_t channel = head.width / 4 * 4; channel < head.width; channel++)
            to[channel / 4 * step * 4 + channel % 4] = key[channel];
    }
    for (int64_t i = 0; i < count; i += 4)
        for (int64_t channel = 0; channel < head.width; channel += lanes * panelWidth)
        {
            int64_t step = 0;
            uint8_t* const begin = head.values + 4 * columnAt(channel, channels, fours, lanes, panelWidth, step);
            const int64_t width = std::min<int64_t>(step, head.width - channel);
            uint8_t* const to = begin + (first + i) / 4 * step * 4;
            for (int64_t token = 0; token < std::min<int64_t>(4, count - i); token++)
            {
                const uint8_t* const value = values + (i + token) * stride + channel;
                for (int64_t c = 0; c < width; c++)
                    to[c * 4 + token] = value[c] ^ 0x80U; // as a signed one, less 128
            }
        }
}

/// out, rowsAtOnce rows of Registers registers of float, = left, as many rows of `depth` fours, times right, [depth][Registers registers].
template <bool LeftSigned, int Registers>
AGPNET_INLINE void multiply(const uint8_t* left, int64_t leftStride, const uint8_t* right, int64_t depth, float* out, int64_t outStride)
{
    Numbers sums[rowsAtOnce][Registers];
#pragma GCC unroll 8 // all of the inner loops, so that the sums stay in registers
    for (int row = 0; row < rowsAtOnce; row++)
#pragma GCC unroll 8
        for (int c = 0; c < Registers; c++)
            sums[row][c] = Numbers{};
    for (int64_t i = 0; i < depth; i++, right += Registers * lanes * 4)
    {
        Numbers columns[Registers];
#pragma GCC unroll 8
        for (int c = 0; c < Registers; c++)
            std::memcpy(&columns[c], right + c * lanes * 4, sizeof columns[c]);
#pragma GCC unroll 8
        for (int row = 0; row < rowsAtOnce; row++)
        {
            int32_t four;
            std::memcpy(&four, left + row * leftStride + i * 4, sizeof four);
            const Numbers factor = allNumbers(four);
#pragma GCC unroll 8
            for (int c = 0; c < Registers; c++)
                sums[row][c] = LeftSigned ? AGPNET_DOT(sums[row][c], columns[c], factor) : AGPNET_DOT(sums[row][c], factor, columns[c]);
        }
    }
#pragma GCC unroll 8
    for (int row = 0; row < rowsAtOnce; row++)
#pragma GCC unroll 8
        for (int c = 0; c < Registers; c++)
            storeFloats(out + row * outStride + c * lanes, __builtin_convertvector(sums[row][c], Floats));
}

/// The same for any number of registers, panel by panel.
template <bool LeftSigned>
AGPNET_INLINE void product(const uint8_t* left, int64_t leftStride, const uint8_t* right, int64_t depth, int64_t registers, float* out,
                           int64_t outStride)
{
    for (; registers >= panelWidth; registers -= panelWidth, right += depth * panelWidth * lanes * 4, out += panelWidth * lanes)
        multiply<LeftSigned, panelWidth>(left, leftStride, right, depth, out, outStride);
    if constexpr (panelWidth > 2)
    {
        if (registers == 3)
            multiply<LeftSigned, 3>(left, leftStride, right, depth, out, outStride);
        if (registers == 2)
            multiply<LeftSigned, 2>(left, leftStride, right, depth, out, outStride);
    }
    if (registers == 1)
        multiply<LeftSigned, 1>(left, leftStride, right, depth, out, outStride);
}

/// Computes the weights 2^(scale (logit - maximum)) of one row of logits, in units of 1 / 65535, high and low bytes apart. Returns their
/// sum.
AGPNET_INLINE float weigh(float* logits, int64_t tokens, int64_t padded, float scale, uint8_t* high, uint8_t* low)
{
    std::fill(logits + tokens, logits + padded, -INFINITY); // no token
    Floats most = loadFloats(logits);
    for (int64_t i = lanes; i < padded; i += lanes)
    {
        const Floats value = loadFloats(logits + i);
        most = value > most ? value : most;
    }
    const float largest = reduced(most, [](Floats a, Floats b) AGPNET_TARGET { return a > b ? a : b; });
    const Floats round = all(8388608.0F); // 2^23, as above
    Floats sums = {};
    for (int64_t i = 0; i < padded; i += lanes)
    {
        const Floats shifted = powerOfTwo((loadFloats(logits + i) - largest) * scale) * 65535.0F + round;
        sums += shifted - round;
        const Words bits = reinterpret_cast<Words>(shifted);
        AGPNET_STORE_BYTES(high + i, (bits >> 8) & 255U);
        AGPNET_STORE_BYTES(low + i, bits & 255U);
    }
    return reduced(sums, [](Floats a, Floats b) AGPNET_TARGET { return a + b; });
}

AGPNET_TARGET void attend(const ByteHead& head, const uint8_t* queries, int64_t stride, int64_t rows, const ByteMeaning& meaning,
                          const Scratch& scratch, uint8_t* out, int64_t outStride)
{
    const int64_t width = head.width, tokens = inWhole(head.tokens, lanes), padded = tokens * lanes;
    const int64_t channels = inWhole(width, lanes), wide = channels * lanes, depth = inWhole(width, 4);
    std::copy_n(meaning.factor, width, scratch.factor);
    std::copy_n(meaning.shift, width, scratch.shift);
    for (int64_t first = 0; first < rows; first += rowsOfABlock)
    {
        const int64_t left = std::min(rowsOfABlock, rows - first);
        for (int64_t row = 0; row < rowsOfABlock; row++) // rows beyond the last are that row again, and not written
        {
            const uint8_t* const from = queries + (first + std::min(row, left - 1)) * stride;
            uint8_t* const to = scratch.block + row * depth * 4;
            for (int64_t channel = 0; channel < width; channel++)
                to[channel] = from[channel] ^ 0x80U;
        }
        for (int64_t row = 0; row < left; row += rowsAtOnce)
            product<true>(scratch.block + row * depth * 4, depth * 4, head.keys, depth, tokens, scratch.logits + row * padded, padded);
        float totals[rowsOfABlock];
        for (int64_t row = 0; row < inWhole(left, rowsAtOnce) * rowsAtOnce; row++)
            totals[row] = weigh(scratch.logits + row * padded, head.tokens, padded, meaning.scale, scratch.high + row * padded,
                                scratch.low + row * padded);
        for (int64_t row = 0; row < left; row += rowsAtOnce)
        {
            product<false>(scratch.high + row * padded, padded, head.values, padded / 4, channels, scratch.sums + row * wide, wide);
            product<false>(scratch.low + row * padded, padded, head.values, padded / 4, channels, scratch.lowSums + row * wide, wide);
        }
        for (int64_t row = 0; row < left; row++)
        {
            const float each = 1.0F / totals[row];
            uint8_t* const to = out + (first + row) * outStride;
            for (int64_t channel = 0; channel < wide; channel += lanes)
            {
                const Floats high = loadFloats(scratch.sums + row * wide + channel),
                             low = loadFloats(scratch.lowSums + row * wide + channel);
                const Floats factor = loadFloats(scratch.factor + channel), shift = loadFloats(scratch.shift + channel);
                uint8_t bytes[lanes];
                storeByte(bytes, (high * 256.0F + low) * each * factor + shift);
                std::memcpy(to + channel, bytes, static_cast<size_t>(std::min<int64_t>(lanes, width - channel)));
            }
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
#undef AGPNET_DOT
#undef AGPNET_STORE_BYTES
