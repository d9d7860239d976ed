#include "models/attention.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/bmm.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>

namespace agpnet
{

namespace
{

#define AGPNET_INLINE inline __attribute__((always_inline))

/// 2^x to 3e-6 relative for x <= 0; below -126 it is 2^-126, which no sum of weights notices. Plain arithmetic, so that the
/// compiler turns a loop over it into vector instructions.
AGPNET_INLINE float powerOfTwo(float x)
{
    x = x < -126.0F ? -126.0F : x;
    constexpr float round = 12582912.0F; // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
    const float shifted = x + round;
    const float whole = shifted - round;
    const float f = x - whole; // in [-0.5, 0.5]
    float p = 1.3333558e-3F;   // the Taylor series of 2^f
    p = p * f + 9.6181291e-3F;
    p = p * f + 5.5504109e-2F;
    p = p * f + 2.4022651e-1F;
    p = p * f + 6.9314718e-1F;
    p = p * f + 1.0F;
    return p * std::bit_cast<float>((std::bit_cast<int32_t>(shifted) + 127) << 23); // the integer, made an exponent
}

AGPNET_INLINE float toFloat(uint16_t bits)
{
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

AGPNET_INLINE uint16_t toBFloat16(float value) // to the nearest, ties to even; weights are never NaN unless the logits were
{
    const auto bits = std::bit_cast<uint32_t>(value);
    return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

AGPNET_INLINE void softmaxRow(uint16_t* row, float* scratch, int64_t columns, float scale)
{
    float largest = -INFINITY;
#pragma omp simd reduction(max : largest)
    for (int64_t i = 0; i < columns; i++)
    {
        const float value = toFloat(row[i]);
        largest = value > largest ? value : largest;
    }
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < columns; i++)
    {
        const float weight = powerOfTwo((toFloat(row[i]) - largest) * scale);
        scratch[i] = weight;
        sum += weight;
    }
    const float factor = 1.0F / sum;
#pragma omp simd
    for (int64_t i = 0; i < columns; i++)
        row[i] = toBFloat16(scratch[i] * factor);
}

using RowFunction = void(uint16_t*, float*, int64_t, float);

void plainRow(uint16_t* row, float* scratch, int64_t columns, float scale)
{
    softmaxRow(row, scratch, columns, scale);
}

#ifdef __x86_64__
// The same loop for wider registers. By hand rather than target_clones, whose resolvers run before sanitizers are ready.
__attribute__((target("avx2,fma"))) void avx2Row(uint16_t* row, float* scratch, int64_t columns, float scale)
{
    softmaxRow(row, scratch, columns, scale);
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512"))) void
avx512Row(uint16_t* row, float* scratch, int64_t columns, float scale)
{
    softmaxRow(row, scratch, columns, scale);
}
#endif

RowFunction* chooseRow()
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return avx512Row;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return avx2Row;
#endif
    return plainRow;
}

} // namespace

void softmaxRows(at::BFloat16* logits, int64_t rows, int64_t columns, float scale)
{
    static RowFunction* const row = chooseRow();
    constexpr float log2e = 1.44269504F;
    const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, columns));
    at::parallel_for(0, rows, grain,
                     [&](int64_t begin, int64_t end)
                     {
                         std::vector<float> scratch(static_cast<size_t>(columns));
                         for (int64_t i = begin; i < end; i++)
                             row(reinterpret_cast<uint16_t*>(logits + i * columns), scratch.data(), columns, scale * log2e);
                     });
}

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
    at::Tensor result = at::empty({batch, tokens, heads, width}, qkv.options());
    at::Tensor logits = at::empty({heads, tokens, tokens}, qkv.options());
    for (int64_t n = 0; n < batch; n++) // one image's logits stay in the cache, those of a batch do not
    {
        at::bmm_out(logits, parts[0][n], parts[1][n].transpose(1, 2));
        softmaxRows(logits.mutable_data_ptr<at::BFloat16>(), heads * tokens, tokens, scale);
        if (received)
            (*received)[n].copy_(logits.mean({0, 1}, false, at::kFloat));
        result[n].copy_(at::bmm(logits, parts[2][n]).transpose(0, 1));
    }
    return result.view({batch, tokens, heads * width});
}

} // namespace agpnet
