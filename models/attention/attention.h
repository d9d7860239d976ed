#pragma once

#include <ATen/core/Tensor.h>

namespace agpnet
{

/// Meaning of the bytes for each head; see ByteMeaning.
struct BytesOfHeads
{
    at::Tensor scale;         ///< [heads], float32
    at::Tensor factor, shift; ///< [heads * width], float32
};

/// Keys and values of a batch of images, laid out for products by the rows that several threads compute, then read by all of them.
/// Inference only. On the CPU, in float32, bfloat16 and bytes, these are kernels of this library: at a few hundred tokens LibTorch's are
/// bound by the passes between two products, and divide their work by themselves. Elsewhere it is at::scaled_dot_product_attention, of a
/// whole batch.
class KeysValues
{
public:
    /// @param like  what qkv will be: [..., 3 * heads * width], its type and device
    KeysValues(const at::Tensor& like, int64_t batch, int64_t tokens, int64_t heads);

    /// Whether rows come and go in parts. Otherwise put() takes all rows of a batch, and does nothing.
    bool divides() const { return kind_ != Kind::Whole; }

    /// Where rows may be divided.
    int64_t multiple() const { return kind_ == Kind::Bf16 ? 16 : kind_ == Kind::Bytes ? 4 : 1; }

    /// @param qkv    rows of one image, [rows, 3 * heads * width], contiguous
    /// @param first  its first token, a multiple of multiple(); rows is one too, or they reach the last token
    void put(const at::Tensor& qkv, int64_t image, int64_t first);

    /// softmax(q k^T / sqrt(width)) v for the queries of such rows, [rows, heads * width]. All rows of the image have been put.
    /// For bytes, their meaning must be given.
    at::Tensor attend(const at::Tensor& qkv, int64_t image, const BytesOfHeads& meaning = {}) const;

private:
    enum class Kind
    {
        Float,
        Bf16,
        Bytes,
        Products, ///< two of LibTorch's products with our softmax between
        Whole
    };

    int64_t batch_, tokens_, heads_, width_;
    Kind kind_;
    at::Tensor keys_, values_; ///< [N, heads, ...]; Products: [N, heads, T, width]
};

/// The same for whole tensors. qkv: [N, T, 3, heads, D] as one linear layer gives it; returns [N, T, heads * D].
at::Tensor attend(const at::Tensor& qkv);

/// Attention that each token receives, [N, T], float32: mean over heads and queries of softmax(q k^T / sqrt(D)).
/// qk: [N, T, 2 or 3, heads, D]; values, where they are there, are not read.
at::Tensor attentionReceived(const at::Tensor& qk);

} // namespace agpnet
