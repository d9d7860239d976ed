// Whitening: directions in which views of one thing differ count little, those in which different things differ count fully. In closed
// form (within-class covariance normalisation): S the covariance of embeddings around the mean of their group,
//     W = (S + s t I)^(-1/2),  t the mean eigenvalue of S,  white(f) = (f - mean) W
#pragma once

#include <ATen/core/Tensor.h>
#include <cstdint>
#include <vector>

namespace agpnet::dec
{

struct Whitening
{
    at::Tensor mean;   ///< [D], float32; undefined: embeddings stay as they are
    at::Tensor matrix; ///< [D, D], float32, symmetric; undefined: they are only centred

    /// rows: [..., D], float32.
    at::Tensor operator()(const at::Tensor& rows) const;

    /// Refuses, by name, what is not of these shapes or not finite.
    static Whitening checked(const at::Tensor& mean, const at::Tensor& matrix, int64_t width);
};

/// @param embeddings  [N, D], one row a view
/// @param groups      the group of each row: its object, or its class
/// @param shrink      s
/// Refuses embeddings of which no group has two rows that differ.
Whitening whiteningOf(const at::Tensor& embeddings, const std::vector<int64_t>& groups, double shrink);

/// The mean alone.
Whitening centringOf(const at::Tensor& embeddings);

} // namespace agpnet::dec
