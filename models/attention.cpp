#include "models/attention.h"

#include "models/attention_avx512.h"
#include "models/row_kernels.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>

namespace agpnet
{
namespace
{

bool ownProducts(const at::Tensor& qkv)
{
    return qkv.is_cpu() && qkv.scalar_type() == at::kBFloat16;
}

float scaleOf(const at::Tensor& qkv)
{
    return static_cast<float>(1.0 / std::sqrt(static_cast<double>(qkv.size(4))));
}

/// Calls use(n, weights) with the attention weights [heads, T, T] of each image; the next image's take their place. One image's
/// weights stay in the cache, those of a batch do not.
template <typename Use>
void forEachImage(const at::Tensor& queries, const at::Tensor& keys, float scale, Use use)
{
    const int64_t batch = queries.size(0), heads = queries.size(1), tokens = queries.size(2);
    at::Tensor weights = at::empty({heads, tokens, tokens}, queries.options());
    for (int64_t n = 0; n < batch; n++)
    {
        at::bmm_out(weights, queries[n], keys[n].transpose(1, 2));
        softmaxRows(weights.mutable_data_ptr<at::BFloat16>(), heads * tokens, tokens, scale);
        use(n, weights);
    }
}

} // namespace

at::Tensor attend(const at::Tensor& qkv)
{
    const int64_t batch = qkv.size(0), tokens = qkv.size(1), heads = qkv.size(3), width = qkv.size(4);
    const at::Tensor parts = qkv.permute({2, 0, 3, 1, 4}); // [3, N, heads, T, D]
    if (!ownProducts(qkv))
        return at::scaled_dot_product_attention(parts[0], parts[1], parts[2]).transpose(1, 2).reshape({batch, tokens, heads * width});

    at::Tensor result = at::empty({batch, tokens, heads, width}, qkv.options());
    if (canAttendAvx512(width))
    {
        const at::Tensor whole = qkv.contiguous();
        attendAvx512(whole.const_data_ptr<at::BFloat16>(), batch, tokens, heads, result.mutable_data_ptr<at::BFloat16>());
        return result.view({batch, tokens, heads * width});
    }
    const at::Tensor packed = parts.contiguous(); // the products are quicker by more than the copy takes
    forEachImage(packed[0], packed[1], scaleOf(qkv), [&](int64_t n, const at::Tensor& weights) {
        result[n].copy_(at::bmm(weights, packed[2][n]).transpose(0, 1));
    });
    return result.view({batch, tokens, heads * width});
}

at::Tensor attentionReceived(const at::Tensor& qk)
{
    const at::Tensor parts = qk.narrow(2, 0, 2).permute({2, 0, 3, 1, 4}); // [2, N, heads, T, D]
    if (!ownProducts(qk))
        return at::softmax(at::matmul(parts[0] * scaleOf(qk), parts[1].transpose(-2, -1)), -1).mean(at::IntArrayRef{1, 2}, false, at::kFloat);

    const at::Tensor packed = parts.contiguous();
    at::Tensor received = at::empty({qk.size(0), qk.size(1)}, qk.options().dtype(at::kFloat));
    forEachImage(packed[0], packed[1], scaleOf(qk),
                 [&](int64_t n, const at::Tensor& weights) { received[n].copy_(weights.mean(at::IntArrayRef{0, 1}, false, at::kFloat)); });
    return received;
}

} // namespace agpnet
