// Per-channel standardization of backbone features, for the target `standardised`: tokens to F_clean.
#pragma once

#include "models/onnx/onnx_writer.h"

#include <ATen/core/Tensor.h>
#include <vector>

namespace agpnet
{

/// (tokens - mean) / deviation per channel, both taken over normal images of one product. With several products an image takes those of the
/// product whose mean is nearest to the mean of its own tokens, in units of that product's deviations: nobody has to say which it is.
/// Statistics over all products together would measure the differences between products, which are larger than those within a product.
struct Standardizer
{
    at::Tensor mean, deviation; ///< [products, C], float32; undefined: tokens stay as they are

    /// @param tokens    [N, L, C]
    /// @param products  product of each image, 0 to the maximum without gaps; empty: all images are of one product
    static Standardizer measured(const at::Tensor& tokens, const std::vector<int64_t>& products);

    int64_t products() const; ///< at least 1
    Standardizer on(at::Device device) const;

    /// applied() as nodes of an ONNX graph; of one image, [1, L, C].
    OnnxValue describe(OnnxWriter& onnx, const OnnxValue& tokens) const;

    /// Finds the nearest product of each image. tokens: [N, L, C]; returns [N], int64.
    at::Tensor product(const at::Tensor& tokens) const;

    /// tokens [N, L, C] of these products → the same, float32.
    at::Tensor applied(const at::Tensor& tokens, const at::Tensor& product) const;

    /// Refuses what is no scale for `channels` channels, or not finite. One mean and deviation without a dimension for products are those
    /// of one product.
    static Standardizer checked(at::Tensor mean, at::Tensor deviation, int64_t channels);
};

} // namespace agpnet
