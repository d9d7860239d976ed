// softmax(q k^T / sqrt(D)) v in float32 on the CPU, in the width of its registers: AVX-512, AVX2 with FMA, or what every x86-64 has
// (elsewhere: what the compiler makes of vectors of four). Keys and values are laid out first, by any number of threads, then read by any
// number.
#pragma once

#include <cstdint>

namespace agpnet
{

/// One head of one image.
struct FloatHead
{
    int64_t tokens = 0, width = 0; ///< width: channels of the head
    float* keys = nullptr;         ///< floatKeysSize() floats, 0 before the first is put
    float* values = nullptr;       ///< floatValuesSize() floats, likewise
};

int64_t floatKeysSize(int64_t tokens, int64_t width);
int64_t floatValuesSize(int64_t tokens, int64_t width);

/// Tokens `first` to `first + count`, whose rows begin at `keys` and `values` and are `stride` floats apart. Different tokens may be put by
/// several threads.
void putFloat(const FloatHead& head, const float* keys, const float* values, int64_t stride, int64_t first, int64_t count);

/// `rows` queries, `stride` floats apart, to as many rows of results, `outStride` apart. All tokens have been put.
void attendFloat(const FloatHead& head, const float* queries, int64_t stride, int64_t rows, float* out, int64_t outStride);

} // namespace agpnet
