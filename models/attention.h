#pragma once

#include <ATen/core/Tensor.h>

namespace agpnet
{

/// softmax(q k^T / sqrt(D)) v, inference only. qkv: [N, T, 3, heads, D] as one linear layer gives it; returns [N, T, heads * D].
///
/// On the CPU in bfloat16 this is not at::scaled_dot_product_attention: at a few hundred tokens LibTorch's kernel is bound by its
/// softmax and by matrix multiplications that do not use bfloat16 instructions (2.5 ms against 0.8 ms for 325 tokens, 6 heads of
/// 64, one core of a Zen 5, by two of LibTorch's products with our softmax between; attention_avx512.h takes 0.57 of the latter).
/// Everywhere else it is.
at::Tensor attend(const at::Tensor& qkv);

/// How much each token is looked at, [N, T], float32: mean over heads and queries of softmax(q k^T / sqrt(D)).
/// qk: [N, T, 2 or 3, heads, D]; values, where they are there, are not read.
at::Tensor attentionReceived(const at::Tensor& qk);

} // namespace agpnet
