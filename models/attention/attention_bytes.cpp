#include "models/attention/attention_bytes.h"

#include "common/cpu.h"
#include "models/attention/attention_panels.h"
#include "models/kernels/store_bytes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace agpnet
{
namespace
{

/// What a block of queries needs on the way; rows are padded to whole registers. Paddings are 0.
struct Scratch
{
    uint8_t* block;            ///< [rowsOfABlock, width, in fours]: queries less 128
    uint8_t *high, *low;       ///< [rowsOfABlock, tokens]: bytes of the weights
    float* logits;             ///< [rowsOfABlock, tokens]
    float *sums, *lowSums;     ///< [rowsOfABlock, width]
    float *factor, *shift;     ///< [width]
};

#ifdef __x86_64__
// Where there are no products of four bytes, those of two numbers of 16 bits: exact, unlike vpmaddubsw, whose sums stop at 32767.
#define AGPNET_DOT_OF_16_BITS(sums, bytes, signedBytes, vector, madd, shiftLeft, shiftRight, shiftRightSigned) \
    ((sums) + \
     reinterpret_cast<Numbers>(madd(shiftRight(shiftLeft(reinterpret_cast<vector>(bytes), 8), 8), \
                                    shiftRightSigned(shiftLeft(reinterpret_cast<vector>(signedBytes), 8), 8))) + \
     reinterpret_cast<Numbers>( \
         madd(shiftRight(reinterpret_cast<vector>(bytes), 8), shiftRightSigned(reinterpret_cast<vector>(signedBytes), 8))))
#define AGPNET_KIND plain // 16 registers
#define AGPNET_TARGET
#define AGPNET_LANES 4
#define AGPNET_STORE_BYTES storeBytes4
#define AGPNET_PANEL 2
#define AGPNET_ROWS 4
#define AGPNET_DOT(sums, bytes, signedBytes) \
    AGPNET_DOT_OF_16_BITS(sums, bytes, signedBytes, __m128i, _mm_madd_epi16, _mm_slli_epi16, _mm_srli_epi16, _mm_srai_epi16)
#include "models/attention/attention_bytes_kind.h"
#define AGPNET_KIND avx2 // 16
#define AGPNET_TARGET __attribute__((target("avx2,fma")))
#define AGPNET_LANES 8
#define AGPNET_STORE_BYTES storeBytes8
#define AGPNET_PANEL 2
#define AGPNET_ROWS 4
#define AGPNET_DOT(sums, bytes, signedBytes) \
    AGPNET_DOT_OF_16_BITS(sums, bytes, signedBytes, __m256i, _mm256_madd_epi16, _mm256_slli_epi16, _mm256_srli_epi16, _mm256_srai_epi16)
#include "models/attention/attention_bytes_kind.h"
#define AGPNET_KIND avxVnni // 16
#define AGPNET_TARGET __attribute__((target("avxvnni,avx2,fma")))
#define AGPNET_LANES 8
#define AGPNET_STORE_BYTES storeBytes8
#define AGPNET_PANEL 2
#define AGPNET_ROWS 6
#define AGPNET_DOT(sums, bytes, signedBytes) \
    reinterpret_cast<Numbers>(_mm256_dpbusd_avx_epi32(reinterpret_cast<__m256i>(sums), reinterpret_cast<__m256i>(bytes), \
                                                      reinterpret_cast<__m256i>(signedBytes)))
#include "models/attention/attention_bytes_kind.h"
#define AGPNET_KIND avx512Vnni // 32
#define AGPNET_TARGET __attribute__((target("avx512vnni,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")))
#define AGPNET_LANES 16
#define AGPNET_STORE_BYTES storeBytes16
#define AGPNET_PANEL 4
#define AGPNET_ROWS 6
#define AGPNET_DOT(sums, bytes, signedBytes) \
    reinterpret_cast<Numbers>( \
        _mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sums), reinterpret_cast<__m512i>(bytes), reinterpret_cast<__m512i>(signedBytes)))
#include "models/attention/attention_bytes_kind.h"
#else
#define AGPNET_KIND plain
#define AGPNET_TARGET
#define AGPNET_LANES 4
#define AGPNET_STORE_BYTES storeBytes4
#define AGPNET_PANEL 2
#define AGPNET_ROWS 4
#define AGPNET_DOT(sums, bytes, signedBytes) dotOfFours(sums, bytes, signedBytes)
template <typename Numbers>
Numbers dotOfFours(Numbers sums, Numbers bytes, Numbers signedBytes)
{
    for (int lane = 0; lane < 4; lane++)
        for (int shift = 0; shift < 32; shift += 8)
            sums[lane] += static_cast<uint8_t>(bytes[lane] >> shift) * static_cast<int8_t>(signedBytes[lane] >> shift);
    return sums;
}
#include "models/attention/attention_bytes_kind.h"
#endif

using Put = void(const ByteHead&, const uint8_t*, const uint8_t*, int64_t, int64_t, int64_t);
using Attend = void(const ByteHead&, const uint8_t*, int64_t, int64_t, const ByteMeaning&, const Scratch&, uint8_t*, int64_t);

struct Kernels
{
    int64_t lanes;
    Put* put;
    Attend* attend;
};

const Kernels& kernels()
{
    static const Kernels chosen = []() -> Kernels
    {
#ifdef __x86_64__
        if (cpuFeatures().avx512Vnni)
            return {avx512Vnni::lanes, avx512Vnni::put, avx512Vnni::attend};
        if (cpuFeatures().avxVnni)
            return {avxVnni::lanes, avxVnni::put, avxVnni::attend};
        if (cpuFeatures().avx2)
            return {avx2::lanes, avx2::put, avx2::attend};
#endif
        return {plain::lanes, plain::put, plain::attend};
    }();
    return chosen;
}

int64_t padded(int64_t count)
{
    return inWhole(count, kernels().lanes) * kernels().lanes;
}

} // namespace

int64_t byteKeysSize(int64_t tokens, int64_t width)
{
    return padded(tokens) * inWhole(width, 4) * 4;
}

int64_t byteValuesSize(int64_t tokens, int64_t width)
{
    return padded(tokens) * padded(width);
}

void putBytes(const ByteHead& head, const uint8_t* keys, const uint8_t* values, int64_t stride, int64_t first, int64_t count)
{
    kernels().put(head, keys, values, stride, first, count);
}

void attendBytes(const ByteHead& head, const uint8_t* queries, int64_t stride, int64_t rows, const ByteMeaning& meaning, uint8_t* out,
                 int64_t outStride)
{
    const int64_t tokens = padded(head.tokens), width = padded(head.width), fours = inWhole(head.width, 4) * 4;
    std::vector<float> floats(static_cast<size_t>(rowsOfABlock * (tokens + 2 * width) + 2 * width));
    std::vector<uint8_t> bytes(static_cast<size_t>(rowsOfABlock * (fours + 2 * tokens)));
    Scratch scratch;
    scratch.block = bytes.data();
    scratch.high = scratch.block + rowsOfABlock * fours;
    scratch.low = scratch.high + rowsOfABlock * tokens;
    scratch.logits = floats.data();
    scratch.sums = scratch.logits + rowsOfABlock * tokens;
    scratch.lowSums = scratch.sums + rowsOfABlock * width;
    scratch.factor = scratch.lowSums + rowsOfABlock * width;
    scratch.shift = scratch.factor + width;
    kernels().attend(head, queries, stride, rows, meaning, scratch, out, outStride);
}

} // namespace agpnet
