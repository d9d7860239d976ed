// Loops over the rows of a tensor that LibTorch has only as several passes, or not in bfloat16. CPU, inference.
#pragma once

#include <ATen/core/Tensor.h>

namespace agpnet
{

/// Rows of bfloat16 logits become softmax(scale * logits), in place, in float32 between.
void softmaxRows(at::BFloat16* logits, int64_t rows, int64_t columns, float scale);

/// x += y. x: [rows, C], float32, contiguous; y: of x's shape, float32 or bfloat16, contiguous. Runs in the calling thread.
void addRows(const at::Tensor& x, const at::Tensor& y);

/// The layer norm of x over its last dimension. Runs in the calling thread.
///
/// @param x       [rows, C], float32, contiguous
/// @param weight  [C], float32, as bias
/// @param out     [rows, C], bfloat16, float32 or bytes (rounded, and no less than 0, no more than 255), contiguous: written to
void normRows(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps, const at::Tensor& out);

/// x as bytes, rounded, and no less than 0, no more than 255. x: float32, contiguous. Runs in the calling thread.
at::Tensor roundedRows(const at::Tensor& x);

} // namespace agpnet
