#include "models/attention/attention_bf16.h"

#ifdef __x86_64__

#include "common/cpu.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <immintrin.h>
#include <vector>

namespace agpnet
{
namespace
{

#define AGPNET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")))
#define AGPNET_AVX512_INLINE AGPNET_AVX512 inline __attribute__((always_inline))

constexpr int64_t width = 64; // channels of a head
constexpr int64_t lanes = 16; // lanes of a register: floats, or pairs of bfloat16, whose products one instruction adds to a float
constexpr int64_t pairs = width / 2;
constexpr int panel = 4;                         // registers of columns that are multiplied at once, by
constexpr int rowsAtOnce = 6;                    // rows: 24 sums, which with 4 operands and a factor fit into 32 registers
constexpr int64_t rowsOfABlock = 2 * rowsAtOnce; // their logits and weights stay in the first cache

AGPNET_AVX512_INLINE __m512i loaded(const uint16_t* from)
{
    return _mm512_loadu_si512(from);
}

AGPNET_AVX512_INLINE __m512i pairEverywhere(const uint16_t* from)
{
    int32_t pair;
    std::memcpy(&pair, from, sizeof pair);
    return _mm512_set1_epi32(pair);
}

AGPNET_AVX512_INLINE void storeBFloat16(uint16_t* to, __m512 value)
{
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(value)));
}

/// `count` keys of one head, from `first` (a whole register) on, as multiply() reads them: panels of 64 keys, [pairs][64], the last of them
/// narrower by whole registers. What is beyond the last key is that key again.
AGPNET_AVX512 void packKeys(const uint16_t* keys, int64_t stride, int64_t first, int64_t count, int64_t tokens, uint16_t* packed)
{
    const int64_t registers = (tokens + lanes - 1) / lanes;
    for (int64_t done = 0; done < count; done += lanes)
    {
        const int64_t i = (first + done) / lanes, begin = i / panel * panel,
                      columns = std::min<int64_t>(panel, registers - begin) * 2 * lanes;
        int32_t offsets[lanes];
        for (int64_t lane = 0; lane < lanes; lane++)
            offsets[lane] = static_cast<int32_t>(std::min(lane, count - 1 - done) * stride / 2);
        const __m512i offset = _mm512_loadu_si512(offsets);
        uint16_t* const to = packed + begin * pairs * 2 * lanes + (i - begin) * 2 * lanes;
        for (int64_t pair = 0; pair < pairs; pair++)
            _mm512_storeu_si512(to + pair * columns,
                                _mm512_i32gather_epi32(offset, keys + done * stride + 2 * pair, sizeof(int32_t)));
    }
}

/// `tokens` values of one head as multiply() reads them: [pairs of tokens][64]; tokens from there to `padded` are 0.
AGPNET_AVX512 void packValues(const uint16_t* values, int64_t stride, int64_t tokens, int64_t padded, uint16_t* packed)
{
    for (int64_t token = 0; token < padded; token += 2)
        for (int64_t channel = 0; channel < width; channel += lanes, packed += 2 * lanes)
        {
            const auto* const from = reinterpret_cast<const __m256i*>(values + token * stride + channel);
            const auto* const next = reinterpret_cast<const __m256i*>(values + (token + 1) * stride + channel);
            const __m256i first = token < tokens ? _mm256_loadu_si256(from) : _mm256_setzero_si256();
            const __m256i second = token + 1 < tokens ? _mm256_loadu_si256(next) : _mm256_setzero_si256();
            _mm512_storeu_si512(
                packed, _mm512_or_si512(_mm512_cvtepu16_epi32(first), _mm512_slli_epi32(_mm512_cvtepu16_epi32(second), 16)));
        }
}

/// out, 6 rows of 16 * Registers floats, = left, 6 rows of `depth` pairs, times right, [depth][16 * Registers] pairs.
template <int Registers>
AGPNET_AVX512_INLINE void multiply(const uint16_t* left, int64_t leftStride, const uint16_t* right, int64_t depth, float* out,
                                   int64_t outStride)
{
    __m512 sums[rowsAtOnce][Registers];
    for (auto& row : sums)
        for (__m512& sum : row)
            sum = _mm512_setzero_ps();
    for (int64_t pair = 0; pair < depth; pair++, right += Registers * 2 * lanes)
    {
        __m512i columns[Registers];
        for (int i = 0; i < Registers; i++)
            columns[i] = loaded(right + i * 2 * lanes);
        for (int row = 0; row < rowsAtOnce; row++)
        {
            const __m512i factor = pairEverywhere(left + row * leftStride + 2 * pair);
            for (int i = 0; i < Registers; i++)
                sums[row][i] =
                    _mm512_dpbf16_ps(sums[row][i], reinterpret_cast<__m512bh>(factor), reinterpret_cast<__m512bh>(columns[i]));
        }
    }
    for (int row = 0; row < rowsAtOnce; row++)
        for (int i = 0; i < Registers; i++)
            _mm512_storeu_ps(out + row * outStride + i * lanes, sums[row][i]);
}

AGPNET_AVX512_INLINE void logitsOf(const uint16_t* queries, const uint16_t* keys, float* logits, int64_t padded)
{
    int64_t registers = padded / lanes;
    for (; registers >= panel; registers -= panel, keys += panel * pairs * 2 * lanes, logits += panel * lanes)
        multiply<panel>(queries, width, keys, pairs, logits, padded);
    if (registers == 3)
        multiply<3>(queries, width, keys, pairs, logits, padded);
    else if (registers == 2)
        multiply<2>(queries, width, keys, pairs, logits, padded);
    else if (registers == 1)
        multiply<1>(queries, width, keys, pairs, logits, padded);
}

/// 2^x to 3e-6 relative for x <= 0; below -126 it is 2^-126, which no sum of weights notices. NaN stays NaN: max() gives its
/// second.
AGPNET_AVX512_INLINE __m512 powerOfTwo(__m512 x)
{
    x = _mm512_max_ps(_mm512_set1_ps(-126.0F), x);
    const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 f = _mm512_sub_ps(x, whole); // in [-0.5, 0.5]
    __m512 p = _mm512_set1_ps(1.3333558e-3F); // the Taylor series of 2^f
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.6181291e-3F));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.5504109e-2F));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.4022651e-1F));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.9314718e-1F));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0F));
    return _mm512_scalef_ps(p, whole);
}

/// weights = 2^(scale (logit - maximum)) of one row, 0 beyond the last token; returns their sum.
AGPNET_AVX512_INLINE float weightsOf(const float* logits, int64_t tokens, int64_t padded, float scale, uint16_t* weights)
{
    __m512 most = _mm512_loadu_ps(logits);
    for (int64_t i = lanes; i < padded; i += lanes)
        most = _mm512_max_ps(most, _mm512_loadu_ps(logits + i));
    const __m512 factor = _mm512_set1_ps(scale), largest = _mm512_set1_ps(_mm512_reduce_max_ps(most));
    __m512 sums = _mm512_setzero_ps();
    for (int64_t i = 0; i < padded; i += lanes)
    {
        const auto wanted = static_cast<__mmask16>(tokens - i >= lanes ? 0xFFFF : (1 << (tokens - i)) - 1);
        const __m512 exponent = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(logits + i), largest), factor);
        const __m512 weight = _mm512_maskz_mov_ps(wanted, powerOfTwo(exponent));
        sums = _mm512_add_ps(sums, weight);
        storeBFloat16(weights + i, weight);
    }
    return _mm512_reduce_add_ps(sums);
}

/// What a block of queries needs on the way.
struct Scratch
{
    explicit Scratch(int64_t padded) : weights(static_cast<size_t>(padded * rowsOfABlock)), logits(weights.size()) {}
    std::vector<uint16_t> weights;
    std::vector<float> logits;
};

AGPNET_AVX512 void attendBlock(const uint16_t* queries, int64_t stride, int64_t rows, const Bf16Head& head, int64_t padded, float scale,
                               Scratch& scratch, uint16_t* out, int64_t outStride)
{
    uint16_t block[rowsOfABlock * width];
    float sums[rowsOfABlock * width], totals[rowsOfABlock];
    for (int64_t row = 0; row < rowsOfABlock; row++) // rows beyond the last are that row again, and not written
        std::memcpy(block + row * width, queries + std::min(row, rows - 1) * stride, width * sizeof *block);

    float* const logits = scratch.logits.data();
    uint16_t* const weights = scratch.weights.data();
    for (int64_t row = 0; row < rowsOfABlock; row += rowsAtOnce)
        logitsOf(block + row * width, head.keys, logits + row * padded, padded);
    for (int64_t row = 0; row < rowsOfABlock; row++)
        totals[row] = weightsOf(logits + row * padded, head.tokens, padded, scale, weights + row * padded);
    for (int64_t row = 0; row < rowsOfABlock; row += rowsAtOnce)
        multiply<panel>(weights + row * padded, padded, head.values, padded / 2, sums + row * width, width);

    for (int64_t row = 0; row < rows; row++)
        for (int64_t channel = 0; channel < width; channel += lanes)
            storeBFloat16(out + row * outStride + channel,
                          _mm512_mul_ps(_mm512_loadu_ps(sums + row * width + channel), _mm512_set1_ps(1.0F / totals[row])));
}

int64_t paddedTokens(int64_t tokens)
{
    return (tokens + lanes - 1) / lanes * lanes;
}

} // namespace

bool canAttendBf16(int64_t headWidth)
{
    return cpuFeatures().avx512Bf16 && !cpuFeatures().amx && headWidth == width;
}

int64_t bf16HeadSize(int64_t tokens)
{
    return paddedTokens(tokens) * width;
}

void putBf16(const Bf16Head& head, const uint16_t* keys, const uint16_t* values, int64_t stride, int64_t first, int64_t count)
{
    packKeys(keys, stride, first, count, head.tokens, head.keys);
    packValues(values, stride, count, paddedTokens(count), head.values + first * width);
}

void attendBf16(const Bf16Head& head, const uint16_t* queries, int64_t stride, int64_t rows, uint16_t* out, int64_t outStride)
{
    const int64_t padded = paddedTokens(head.tokens);
    constexpr float log2e = 1.44269504F;
    const float scale = log2e / std::sqrt(static_cast<float>(width));
    Scratch scratch(padded);
    for (int64_t row = 0; row < rows; row += rowsOfABlock)
        attendBlock(queries + row * stride, stride, std::min(rowsOfABlock, rows - row), head, padded, scale, scratch, out + row * outStride,
                    outStride);
}

} // namespace agpnet

#else

namespace agpnet
{

bool canAttendBf16(int64_t /*headWidth*/)
{
    return false;
}

int64_t bf16HeadSize(int64_t /*tokens*/)
{
    return 0;
}

void putBf16(const Bf16Head& /*head*/, const uint16_t* /*keys*/, const uint16_t* /*values*/, int64_t /*stride*/, int64_t /*first*/,
             int64_t /*count*/)
{
}

void attendBf16(const Bf16Head& /*head*/, const uint16_t* /*queries*/, int64_t /*stride*/, int64_t /*rows*/, uint16_t* /*out*/,
                int64_t /*outStride*/)
{
}

} // namespace agpnet

#endif
