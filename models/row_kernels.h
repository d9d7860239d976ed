// Loops over the rows of a tensor that LibTorch has only as several passes, or not in bfloat16. CPU, inference.
#pragma once

#include <ATen/core/Tensor.h>

namespace agpnet
{

/// Rows of bfloat16 logits become softmax(scale * logits), in place, in float32 between.
void softmaxRows(at::BFloat16* logits, int64_t rows, int64_t columns, float scale);

/// The end of one residual branch and the start of the next: x += y, then the layer norm of x over its last dimension.
///
/// @param x       [..., C], float32, contiguous; written to
/// @param y       of x's shape, of `type`, contiguous; undefined: nothing is added
/// @param weight  [C], float32, as bias
/// @param type    of the result: bfloat16, which takes one pass over the rows, or float32, which takes LibTorch's several
at::Tensor addThenNorm(at::Tensor& x, const at::Tensor& y, const at::Tensor& weight, const at::Tensor& bias, double eps,
                       at::ScalarType type);

} // namespace agpnet
