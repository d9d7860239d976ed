#include "models/row_kernels.h"

#include "common/cpu.h"
#include "models/parallel.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include <ATen/ops/empty_like.h>
#include <ATen/ops/layer_norm.h>

namespace agpnet
{
namespace
{

#define AGPNET_INLINE inline __attribute__((always_inline))

// Sixteen at a time, in the compiler's own vectors: one register of AVX-512, two of AVX, four of SSE.
constexpr int64_t lanes = 16;
using Floats = float __attribute__((vector_size(4 * lanes)));
using Words = uint32_t __attribute__((vector_size(4 * lanes)));
using Halves = uint16_t __attribute__((vector_size(2 * lanes)));

AGPNET_INLINE Floats all(float value)
{
    return Floats{} + value;
}

AGPNET_INLINE Floats loadFloats(const float* from)
{
    Floats value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

AGPNET_INLINE void storeFloats(float* to, Floats value)
{
    std::memcpy(to, &value, sizeof value);
}

AGPNET_INLINE Floats loadBFloat16(const uint16_t* from)
{
    Halves bits;
    std::memcpy(&bits, from, sizeof bits);
    return reinterpret_cast<Floats>(__builtin_convertvector(bits, Words) << 16);
}

AGPNET_INLINE void storeBFloat16(uint16_t* to, Floats value) // to the nearest, ties to even; a NaN stays one
{
    const Words bits = reinterpret_cast<Words>(value);
    const Words rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
    const Halves result = __builtin_convertvector(value == value ? rounded : (bits >> 16) | 0x40U, Halves);
    std::memcpy(to, &result, sizeof result);
}

AGPNET_INLINE float sumOf(Floats value)
{
    float sum = 0;
    for (int64_t i = 0; i < lanes; i++)
        sum += value[i];
    return sum;
}

AGPNET_INLINE float greatestOf(Floats value)
{
    float most = value[0];
    for (int64_t i = 1; i < lanes; i++)
        most = value[i] > most ? value[i] : most;
    return most;
}

/// 2^x to 3e-6 relative for x <= 0; below -126 it is 2^-126, which no sum of weights notices.
AGPNET_INLINE Floats powerOfTwo(Floats x)
{
    x = x < -126.0F ? all(-126.0F) : x;
    const Floats round = all(12582912.0F); // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
    const Floats shifted = x + round;
    const Floats f = x - (shifted - round); // in [-0.5, 0.5]
    Floats p = all(1.3333558e-3F);          // the Taylor series of 2^f
    p = p * f + 9.6181291e-3F;
    p = p * f + 5.5504109e-2F;
    p = p * f + 2.4022651e-1F;
    p = p * f + 6.9314718e-1F;
    p = p * f + 1.0F;
    return p * reinterpret_cast<Floats>((reinterpret_cast<Words>(shifted) + 127U) << 23); // the integer, made an exponent
}

/// Rows are worked on in a scratch of whole vectors, filled up with what changes nothing.
AGPNET_INLINE int64_t padded(int64_t columns)
{
    return (columns + lanes - 1) / lanes * lanes;
}

AGPNET_INLINE void softmaxRow(uint16_t* row, float* scratch, int64_t columns, float scale)
{
    const int64_t whole = columns / lanes * lanes, end = padded(columns);
    uint16_t tail[lanes];
    constexpr uint16_t leastBFloat16 = 0xFF7F; // of finite ones
    std::fill(tail, tail + lanes, leastBFloat16);
    std::copy(row + whole, row + columns, tail);

    Floats most = all(-INFINITY);
    for (int64_t i = 0; i < end; i += lanes)
    {
        const Floats value = loadBFloat16(i < whole ? row + i : tail);
        storeFloats(scratch + i, value);
        most = value > most ? value : most;
    }
    const float largest = greatestOf(most);
    Floats sums = all(0);
    for (int64_t i = 0; i < end; i += lanes)
    {
        const Floats weight = powerOfTwo((loadFloats(scratch + i) - largest) * scale);
        storeFloats(scratch + i, weight);
        sums += weight;
    }
    const float factor = 1.0F / sumOf(sums);
    for (int64_t i = 0; i < end; i += lanes)
        storeBFloat16(i < whole ? row + i : tail, loadFloats(scratch + i) * factor);
    std::copy(tail, tail + (columns - whole), row + whole);
}

/// One row of addThenNorm(); `columns` a multiple of the lanes. y may be null.
AGPNET_INLINE void addThenNormRow(float* x, const uint16_t* y, const float* weight, const float* bias, uint16_t* out, int64_t columns,
                                  float eps)
{
    Floats sums = all(0);
    for (int64_t i = 0; i < columns; i += lanes)
    {
        Floats value = loadFloats(x + i);
        if (y)
        {
            value += loadBFloat16(y + i);
            storeFloats(x + i, value);
        }
        sums += value;
    }
    const float mean = sumOf(sums) / static_cast<float>(columns);
    Floats squares = all(0);
    for (int64_t i = 0; i < columns; i += lanes)
    {
        const Floats distance = loadFloats(x + i) - mean;
        squares += distance * distance;
    }
    const float factor = 1.0F / std::sqrt(sumOf(squares) / static_cast<float>(columns) + eps);
    for (int64_t i = 0; i < columns; i += lanes)
        storeBFloat16(out + i, (loadFloats(x + i) - mean) * factor * loadFloats(weight + i) + loadFloats(bias + i));
}

using SoftmaxRow = void(uint16_t*, float*, int64_t, float);
using AddThenNormRow = void(float*, const uint16_t*, const float*, const float*, uint16_t*, int64_t, float);

struct Kernels
{
    SoftmaxRow* softmax;
    AddThenNormRow* addThenNorm;
};

// The same loops for each width of register. By hand rather than target_clones, whose resolvers run before sanitizers are ready.
#define AGPNET_KERNELS(name, attributes)                                                                                                  \
    attributes void name##Softmax(uint16_t* row, float* scratch, int64_t columns, float scale)                                            \
    {                                                                                                                                     \
        softmaxRow(row, scratch, columns, scale);                                                                                         \
    }                                                                                                                                     \
    attributes void name##AddThenNorm(float* x, const uint16_t* y, const float* weight, const float* bias, uint16_t* out,                 \
                                      int64_t columns, float eps)                                                                         \
    {                                                                                                                                     \
        addThenNormRow(x, y, weight, bias, out, columns, eps);                                                                            \
    }

AGPNET_KERNELS(plain, )
#ifdef __x86_64__
AGPNET_KERNELS(avx2, __attribute__((target("avx2,fma"))))
AGPNET_KERNELS(avx512, __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512"))))
#endif

Kernels chooseKernels()
{
#ifdef __x86_64__
    if (cpuFeatures().avx512)
        return {avx512Softmax, avx512AddThenNorm};
    if (cpuFeatures().avx2)
        return {avx2Softmax, avx2AddThenNorm};
#endif
    return {plainSoftmax, plainAddThenNorm};
}

const Kernels& kernels()
{
    static const Kernels chosen = chooseKernels();
    return chosen;
}

int64_t rowsOfATask(int64_t columns)
{
    return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, columns));
}

} // namespace

void softmaxRows(at::BFloat16* logits, int64_t rows, int64_t columns, float scale)
{
    SoftmaxRow* const row = kernels().softmax;
    constexpr float log2e = 1.44269504F;
    at::parallel_for(0, rows, rowsOfATask(columns),
                     [&](int64_t begin, int64_t end)
                     {
                         std::vector<float> scratch(static_cast<size_t>(padded(columns)));
                         for (int64_t i = begin; i < end; i++)
                             row(reinterpret_cast<uint16_t*>(logits + i * columns), scratch.data(), columns, scale * log2e);
                     });
}

at::Tensor addThenNorm(at::Tensor& x, const at::Tensor& y, const at::Tensor& weight, const at::Tensor& bias, double eps,
                       at::ScalarType type)
{
    const int64_t columns = x.size(-1);
    if (type != at::kBFloat16 || !x.is_cpu() || columns % lanes != 0)
    {
        if (y.defined())
            x.add_(y);
        return at::layer_norm(x, {columns}, weight, bias, eps).to(type);
    }
    at::Tensor out = at::empty_like(x, x.options().dtype(type));
    AddThenNormRow* const row = kernels().addThenNorm;
    float* const to = x.mutable_data_ptr<float>();
    const auto* const add = y.defined() ? reinterpret_cast<const uint16_t*>(y.const_data_ptr<at::BFloat16>()) : nullptr;
    const float* const scale = weight.const_data_ptr<float>();
    const float* const shift = bias.const_data_ptr<float>();
    auto* const result = reinterpret_cast<uint16_t*>(out.mutable_data_ptr<at::BFloat16>());
    at::parallel_for(0, x.numel() / columns, rowsOfATask(columns),
                     [&](int64_t begin, int64_t end)
                     {
                         for (int64_t i = begin * columns; i < end * columns; i += columns)
                             row(to + i, add ? add + i : nullptr, scale, shift, result + i, columns, static_cast<float>(eps));
                     });
    return out;
}

} // namespace agpnet
