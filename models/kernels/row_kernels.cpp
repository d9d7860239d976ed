#include "models/kernels/row_kernels.h"

#include "common/cpu.h"
#include "models/kernels/store_bytes.h"
#include "models/device/team.h"

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

using SoftmaxRow = void(uint16_t*, float*, int64_t, float);
using AddSpan = void(float*, const void*, int64_t);
using NormRow = void(const float*, const float*, const float*, void*, int64_t, float);

using RoundSpan = void(const float*, uint8_t*, int64_t);

/// In the order of kindOf(): of float32, of bfloat16, of bytes.
struct Kernels
{
    SoftmaxRow* softmax;
    AddSpan* add[2];
    NormRow* norm[3];
    RoundSpan* round;
};

#define AGPNET_KIND plain
#define AGPNET_TARGET
#define AGPNET_LANES 4
#define AGPNET_STORE_BYTES storeBytes4
#include "models/kernels/row_kernels_kind.h"
#ifdef __x86_64__
#define AGPNET_KIND avx2
#define AGPNET_TARGET __attribute__((target("avx2,fma")))
#define AGPNET_LANES 8
#define AGPNET_STORE_BYTES storeBytes8
#include "models/kernels/row_kernels_kind.h"
#define AGPNET_KIND avx512
#define AGPNET_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")))
#define AGPNET_LANES 16
#define AGPNET_STORE_BYTES storeBytes16
#include "models/kernels/row_kernels_kind.h"
#endif

Kernels chooseKernels()
{
#ifdef __x86_64__
    if (cpuFeatures().avx512)
        return avx512::kernels;
    if (cpuFeatures().avx2)
        return avx2::kernels;
#endif
    return plain::kernels;
}

const Kernels& kernels()
{
    static const Kernels chosen = chooseKernels();
    return chosen;
}

constexpr int64_t mostLanes = 16; // of all kinds of registers

int64_t rowsOfATask(int64_t columns)
{
    return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, columns));
}

} // namespace

void softmaxRows(at::BFloat16* logits, int64_t rows, int64_t columns, float scale)
{
    SoftmaxRow* const row = kernels().softmax;
    constexpr float log2e = 1.44269504F;
    const int64_t each = rowsOfATask(columns);
    Team::forEach((rows + each - 1) / each, [&](int64_t task) {
        std::vector<float> scratch(static_cast<size_t>(columns + mostLanes));
        for (int64_t i = task * each; i < std::min(rows, (task + 1) * each); i++)
            row(reinterpret_cast<uint16_t*>(logits + i * columns), scratch.data(), columns, scale * log2e);
    });
}

namespace
{

bool isOwn(const at::Tensor& x, at::ScalarType type)
{
    return x.is_cpu() && (type == at::kBFloat16 || type == at::kFloat);
}

size_t kindOf(at::ScalarType type)
{
    return type == at::kBFloat16 ? 1 : type == at::kByte ? 2 : 0;
}

} // namespace

void addRows(const at::Tensor& x, const at::Tensor& y)
{
    if (isOwn(x, y.scalar_type()))
        kernels().add[kindOf(y.scalar_type())](x.mutable_data_ptr<float>(), y.const_data_ptr(), x.numel());
    else
        x.add_(y);
}

void normRows(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps, const at::Tensor& out)
{
    const int64_t columns = x.size(-1), rows = x.numel() / columns;
    const bool bytes = out.scalar_type() == at::kByte;
    if (!(bytes || isOwn(x, out.scalar_type())) || columns % mostLanes != 0)
    {
        const at::Tensor normed = at::layer_norm(x, {columns}, weight, bias, eps);
        out.copy_(bytes ? roundedRows(normed) : normed);
        return;
    }
    NormRow* const norm = kernels().norm[kindOf(out.scalar_type())];
    const auto* const from = x.const_data_ptr<float>();
    auto* const to = static_cast<char*>(out.mutable_data_ptr());
    const int64_t step = columns * static_cast<int64_t>(out.element_size());
    for (int64_t row = 0; row < rows; row++)
        norm(from + row * columns, weight.const_data_ptr<float>(), bias.const_data_ptr<float>(), to + row * step, columns,
             static_cast<float>(eps));
}

at::Tensor roundedRows(const at::Tensor& x)
{
    at::Tensor bytes = at::empty_like(x, at::kByte);
    kernels().round(x.const_data_ptr<float>(), bytes.mutable_data_ptr<uint8_t>(), x.numel());
    return bytes;
}

} // namespace agpnet
