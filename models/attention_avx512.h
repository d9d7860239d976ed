// Attention of heads of 64 channels by the bfloat16 products of AVX-512. CPU, inference.
#pragma once

#include <c10/util/BFloat16.h>
#include <cstdint>

namespace agpnet
{

/// Whether attendAvx512() is for this processor and heads of this many channels. Not where there is AMX: LibTorch's own products
/// use it, and are several times as quick as AVX-512's.
bool canAttendAvx512(int64_t headWidth);

/// softmax(q k^T / 8) v. Logits and sums are float32, weights bfloat16; no more than 12 rows of weights are kept at a time.
///
/// @param qkv  [N, T, 3, heads, 64], contiguous
/// @param out  [N, T, heads, 64]; written to
void attendAvx512(const at::BFloat16* qkv, int64_t batch, int64_t tokens, int64_t heads, at::BFloat16* out);

} // namespace agpnet
