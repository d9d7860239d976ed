#include "models/attention/attention.h"

#include "common/error.h"
#include "models/attention/attention_bf16.h"
#include "models/attention/attention_bytes.h"
#include "models/attention/attention_float.h"
#include "models/kernels/row_kernels.h"
#include "models/device/team.h"

#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

namespace agpnet
{
namespace
{

float scaleOf(int64_t width)
{
    return static_cast<float>(1.0 / std::sqrt(static_cast<double>(width)));
}

uint16_t* bits(const at::Tensor& tensor)
{
    return reinterpret_cast<uint16_t*>(tensor.mutable_data_ptr<at::BFloat16>());
}

/// softmax(scale q k^T) in bfloat16, [heads, rows, T].
at::Tensor weightsOf(const at::Tensor& queries, const at::Tensor& keys)
{
    at::Tensor weights = at::bmm(queries, keys.transpose(1, 2));
    softmaxRows(weights.mutable_data_ptr<at::BFloat16>(), weights.size(0) * weights.size(1), weights.size(2), scaleOf(queries.size(2)));
    return weights;
}

} // namespace

KeysValues::KeysValues(const at::Tensor& like, int64_t batch, int64_t tokens, int64_t heads)
    : batch_(batch), tokens_(tokens), heads_(heads), width_(like.size(-1) / heads / 3),
      kind_(!like.is_cpu()                              ? Kind::Whole
            : like.scalar_type() == at::kFloat          ? Kind::Float
            : like.scalar_type() == at::kByte           ? Kind::Bytes
            : like.scalar_type() != at::kBFloat16       ? Kind::Whole
            : canAttendBf16(width_)                     ? Kind::Bf16
                                                        : Kind::Products)
{
    const auto room = [&](int64_t size) { return at::zeros({batch_, heads_, size}, like.options()); };
    if (kind_ == Kind::Float)
    {
        keys_ = room(floatKeysSize(tokens_, width_));
        values_ = room(floatValuesSize(tokens_, width_));
    }
    else if (kind_ == Kind::Bytes)
    {
        require(tokens_ <= mostTokensOfBytes, "attention in 8 bits has {} tokens, expected at most {}", tokens_, mostTokensOfBytes);
        keys_ = room(byteKeysSize(tokens_, width_));
        values_ = room(byteValuesSize(tokens_, width_));
    }
    else if (kind_ == Kind::Bf16)
    {
        keys_ = room(bf16HeadSize(tokens_));
        values_ = room(bf16HeadSize(tokens_));
    }
    else if (kind_ == Kind::Products)
    {
        keys_ = at::empty({batch_, heads_, tokens_, width_}, like.options());
        values_ = at::empty_like(keys_);
    }
}

void KeysValues::put(const at::Tensor& qkv, int64_t image, int64_t first)
{
    if (kind_ == Kind::Whole)
        return;
    const int64_t rows = qkv.size(0), stride = qkv.size(1), channels = heads_ * width_;
    if (kind_ == Kind::Products)
    {
        const at::Tensor parts = qkv.view({rows, 3, heads_, width_}).permute({1, 2, 0, 3}); // [3, heads, rows, D]
        keys_[image].narrow(1, first, rows).copy_(parts[1]);
        values_[image].narrow(1, first, rows).copy_(parts[2]);
        return;
    }
    for (int64_t head = 0; head < heads_; head++)
    {
        const int64_t at = (image * heads_ + head) * keys_.size(2), valuesAt = (image * heads_ + head) * values_.size(2);
        if (kind_ == Kind::Float)
        {
            const float* const keys = qkv.const_data_ptr<float>() + channels + head * width_;
            putFloat({tokens_, width_, keys_.mutable_data_ptr<float>() + at, values_.mutable_data_ptr<float>() + valuesAt}, keys,
                     keys + channels, stride, first, rows);
        }
        else if (kind_ == Kind::Bytes)
        {
            const uint8_t* const keys = qkv.const_data_ptr<uint8_t>() + channels + head * width_;
            putBytes({tokens_, width_, keys_.mutable_data_ptr<uint8_t>() + at, values_.mutable_data_ptr<uint8_t>() + valuesAt}, keys,
                     keys + channels, stride, first, rows);
        }
        else
        {
            const uint16_t* const keys = bits(qkv) + channels + head * width_;
            putBf16({tokens_, bits(keys_) + at, bits(values_) + valuesAt}, keys, keys + channels, stride, first, rows);
        }
    }
}

at::Tensor KeysValues::attend(const at::Tensor& qkv, int64_t image, const BytesOfHeads& meaning) const
{
    const int64_t rows = qkv.size(0), stride = qkv.size(1), channels = heads_ * width_;
    if (kind_ == Kind::Whole)
    {
        const at::Tensor parts = qkv.view({batch_, tokens_, 3, heads_, width_}).permute({2, 0, 3, 1, 4}); // [3, N, heads, T, D]
        return at::scaled_dot_product_attention(parts[0], parts[1], parts[2]).transpose(1, 2).reshape({rows, channels});
    }
    if (kind_ == Kind::Products)
    {
        const at::Tensor queries = qkv.view({rows, 3, heads_, width_}).select(1, 0).transpose(0, 1).contiguous();
        return at::bmm(weightsOf(queries, keys_[image]), values_[image]).transpose(0, 1).reshape({rows, channels});
    }
    at::Tensor out = at::empty({rows, channels}, qkv.options());
    for (int64_t head = 0; head < heads_; head++)
    {
        const int64_t at = (image * heads_ + head) * keys_.size(2), valuesAt = (image * heads_ + head) * values_.size(2);
        if (kind_ == Kind::Float)
            attendFloat({tokens_, width_, keys_.mutable_data_ptr<float>() + at, values_.mutable_data_ptr<float>() + valuesAt},
                        qkv.const_data_ptr<float>() + head * width_, stride, rows, out.mutable_data_ptr<float>() + head * width_, channels);
        else if (kind_ == Kind::Bytes)
            attendBytes({tokens_, width_, keys_.mutable_data_ptr<uint8_t>() + at, values_.mutable_data_ptr<uint8_t>() + valuesAt},
                        qkv.const_data_ptr<uint8_t>() + head * width_, stride, rows,
                        {meaning.scale.const_data_ptr<float>()[head], meaning.factor.const_data_ptr<float>() + head * width_,
                         meaning.shift.const_data_ptr<float>() + head * width_},
                        out.mutable_data_ptr<uint8_t>() + head * width_, channels);
        else
            attendBf16({tokens_, bits(keys_) + at, bits(values_) + valuesAt}, bits(qkv) + head * width_, stride, rows,
                       bits(out) + head * width_, channels);
    }
    return out;
}

at::Tensor attend(const at::Tensor& given)
{
    const int64_t batch = given.size(0), tokens = given.size(1), heads = given.size(3), channels = heads * given.size(4);
    const at::Tensor qkv = given.contiguous().view({batch, tokens, 3 * channels});
    KeysValues keysValues(qkv, batch, tokens, heads);
    if (!keysValues.divides())
        return keysValues.attend(qkv.view({batch * tokens, 3 * channels}), 0).view({batch, tokens, channels});
    at::Tensor result = at::empty({batch, tokens, channels}, qkv.options());
    constexpr int64_t rowsAtOnce = 80; // a multiple of every multiple()
    const int64_t parts = (tokens + rowsAtOnce - 1) / rowsAtOnce;
    const auto forEachPart = [&](const auto& use) {
        Team::forEach(batch * parts, [&](int64_t i) {
            const int64_t first = i % parts * rowsAtOnce;
            use(i / parts, first, std::min(rowsAtOnce, tokens - first));
        });
    };
    forEachPart([&](int64_t image, int64_t first, int64_t rows) { keysValues.put(qkv[image].narrow(0, first, rows), image, first); });
    forEachPart([&](int64_t image, int64_t first, int64_t rows) {
        result[image].narrow(0, first, rows).copy_(keysValues.attend(qkv[image].narrow(0, first, rows), image));
    });
    return result;
}

at::Tensor attentionReceived(const at::Tensor& qk)
{
    const at::Tensor parts = qk.narrow(2, 0, 2).permute({2, 0, 3, 1, 4}); // [2, N, heads, T, D]
    if (!qk.is_cpu() || qk.scalar_type() != at::kBFloat16)
        return at::softmax(at::matmul(parts[0] * scaleOf(qk.size(4)), parts[1].transpose(-2, -1)), -1)
            .mean(at::IntArrayRef{1, 2}, false, at::kFloat);

    const at::Tensor packed = parts.contiguous();
    at::Tensor received = at::empty({qk.size(0), qk.size(1)}, qk.options().dtype(at::kFloat));
    for (int64_t n = 0; n < qk.size(0); n++) // the weights of one image stay in the cache, those of a batch do not
        received[n].copy_(weightsOf(packed[0][n], packed[1][n]).mean(at::IntArrayRef{0, 1}, false, at::kFloat));
    return received;
}

} // namespace agpnet
