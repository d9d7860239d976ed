#include "models/attention.h"

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

at::Tensor attend(const at::Tensor& qkv, at::Tensor* received)
{
    const int64_t batch = qkv.size(0);
    const int64_t tokens = qkv.size(1);
    const int64_t heads = qkv.size(3);
    const int64_t width = qkv.size(4);
    const at::Tensor parts = qkv.permute({2, 0, 3, 1, 4});
    const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(width)));
    const auto joined = [&](const at::Tensor& result) { return result.transpose(1, 2).reshape({batch, tokens, heads * width}); };
    if (!qkv.is_cpu() || qkv.scalar_type() != at::kBFloat16)
    {
        if (!received)
            return joined(at::scaled_dot_product_attention(parts[0], parts[1], parts[2]));
        const at::Tensor weights = at::softmax(at::matmul(parts[0] * scale, parts[1].transpose(-2, -1)), -1);
        *received = weights.mean({1, 2}, false, at::kFloat);
        return joined(at::matmul(weights, parts[2]));
    }

    if (received)
        *received = at::empty({batch, tokens}, qkv.options().dtype(at::kFloat));
    const at::Tensor packed = parts.contiguous(); // the products are quicker by more than the copy takes
    at::Tensor result = at::empty({batch, tokens, heads, width}, qkv.options());
    at::Tensor logits = at::empty({heads, tokens, tokens}, qkv.options());
    for (int64_t n = 0; n < batch; n++) // one image's logits stay in the cache, those of a batch do not
    {
        at::bmm_out(logits, packed[0][n], packed[1][n].transpose(1, 2));
        softmaxRows(logits.mutable_data_ptr<at::BFloat16>(), heads * tokens, tokens, scale);
        if (received)
            (*received)[n].copy_(logits.mean({0, 1}, false, at::kFloat));
        result[n].copy_(at::bmm(logits, packed[2][n]).transpose(0, 1));
    }
    return result.view({batch, tokens, heads * width});
}

} // namespace agpnet
