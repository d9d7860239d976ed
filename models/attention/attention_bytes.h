// softmax(q k^T / sqrt(D)) v on the CPU of queries, keys and values that are bytes: in VNNI's products of 8 bits where the CPU has them
// (AVX-512 or AVX), elsewhere the same integers from products of 16 bits. Keys and values are laid out first, by any number of threads,
// then read by any number.
#pragma once

#include <cstdint>

namespace agpnet
{

/// One head of one image.
struct ByteHead
{
    int64_t tokens = 0, width = 0; ///< width: channels of the head
    uint8_t* keys = nullptr;       ///< byteKeysSize() bytes, 0 before the first is put
    uint8_t* values = nullptr;     ///< byteValuesSize() bytes, likewise
};

constexpr int64_t mostTokensOfBytes = 65000; ///< sums of more products may overflow

int64_t byteKeysSize(int64_t tokens, int64_t width);
int64_t byteValuesSize(int64_t tokens, int64_t width);

/// Tokens `first` to `first + count`, whose rows begin at `keys` and `values` and are `stride` bytes apart. Different tokens may be put by
/// several threads if `first` is a multiple of 4.
void putBytes(const ByteHead& head, const uint8_t* keys, const uint8_t* values, int64_t stride, int64_t first, int64_t count);

/// Meaning of the bytes, and conversion of the result.
struct ByteMeaning
{
    /// Factor of the logits to the base 2: scale * sum of (query - 128) * key. Terms that are equal for all keys cancel.
    float scale = 0;
    const float* factor = nullptr; ///< [width] the result is factor * (weighted mean of values - 128) + shift, rounded, 0 to 255
    const float* shift = nullptr;  ///< [width]
};

/// `rows` queries, `stride` bytes apart, to as many rows of results, `outStride` apart. All tokens have been put. Weights have 16 bits.
void attendBytes(const ByteHead& head, const uint8_t* queries, int64_t stride, int64_t rows, const ByteMeaning& meaning, uint8_t* out,
                 int64_t outStride);

} // namespace agpnet
