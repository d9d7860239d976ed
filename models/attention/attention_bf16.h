// softmax(q k^T / sqrt(64)) v in bfloat16 by AVX-512's bfloat16 products, for heads of 64 channels. At a few hundred tokens LibTorch's
// products are bound by the passes between them; here the logits of twelve queries stay in the first cache. As attention_float.h: laid out
// first, then read.
#pragma once

#include <cstdint>

namespace agpnet
{

/// Whether this CPU has the instructions, and the head the channels. Not with AMX, whose tiles LibTorch's products use.
bool canAttendBf16(int64_t headWidth);

/// One head of one image.
struct Bf16Head
{
    int64_t tokens = 0;
    uint16_t* keys = nullptr; ///< bf16HeadSize() bfloat16, as values
    uint16_t* values = nullptr;
};

int64_t bf16HeadSize(int64_t tokens);

/// Tokens `first`, a multiple of 16, to `first + count`, where count is such a multiple too or reaches the last token. Rows are `stride`
/// apart. Different tokens may be put by several threads.
void putBf16(const Bf16Head& head, const uint16_t* keys, const uint16_t* values, int64_t stride, int64_t first, int64_t count);

/// `rows` queries, `stride` apart, to as many rows of results, `outStride` apart. All tokens have been put.
void attendBf16(const Bf16Head& head, const uint16_t* queries, int64_t stride, int64_t rows, uint16_t* out, int64_t outStride);

} // namespace agpnet
