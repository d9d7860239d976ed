#include "models/attention/attention_float.h"

#include "common/cpu.h"
#include "models/attention/attention_panels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace agpnet
{
namespace
{

/// What a block of queries needs on the way.
struct Scratch
{
    float* block;  ///< [rowsOfABlock, width]
    float* logits; ///< [rowsOfABlock, tokens, in whole registers]
    float* sums;   ///< [rowsOfABlock, width, in whole registers]
};

#define AGPNET_KIND plain // 16 registers
#define AGPNET_TARGET
#define AGPNET_LANES 4
#define AGPNET_PANEL 2
#define AGPNET_ROWS 4
#include "models/attention/attention_float_kind.h"
#ifdef __x86_64__
#define AGPNET_KIND avx2 // 16
#define AGPNET_TARGET __attribute__((target("avx2,fma")))
#define AGPNET_LANES 8
#define AGPNET_PANEL 2
#define AGPNET_ROWS 6
#include "models/attention/attention_float_kind.h"
#define AGPNET_KIND avx512 // 32
#define AGPNET_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")))
#define AGPNET_LANES 16
#define AGPNET_PANEL 4
#define AGPNET_ROWS 6
#include "models/attention/attention_float_kind.h"
#endif

using Put = void(const FloatHead&, const float*, const float*, int64_t, int64_t, int64_t);
using Attend = void(const FloatHead&, const float*, int64_t, int64_t, const Scratch&, float*, int64_t);

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
        if (cpuFeatures().avx512)
            return {avx512::lanes, avx512::put, avx512::attend};
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

int64_t floatKeysSize(int64_t tokens, int64_t width)
{
    return padded(tokens) * width;
}

int64_t floatValuesSize(int64_t tokens, int64_t width)
{
    return padded(tokens) * padded(width);
}

void putFloat(const FloatHead& head, const float* keys, const float* values, int64_t stride, int64_t first, int64_t count)
{
    kernels().put(head, keys, values, stride, first, count);
}

void attendFloat(const FloatHead& head, const float* queries, int64_t stride, int64_t rows, float* out, int64_t outStride)
{
    std::vector<float> memory(static_cast<size_t>(rowsOfABlock * (head.width + padded(head.tokens) + padded(head.width))));
    Scratch scratch;
    scratch.block = memory.data();
    scratch.logits = scratch.block + rowsOfABlock * head.width;
    scratch.sums = scratch.logits + rowsOfABlock * padded(head.tokens);
    kernels().attend(head, queries, stride, rows, scratch, out, outStride);
}

} // namespace agpnet
