// How good descriptors are: every object is a query against all others. The metric that training chooses by; `agpnet evaluate` has the
// others.
#pragma once

#include <ATen/core/Tensor.h>
#include <cstdint>
#include <vector>

namespace agpnet::dec
{

/// Mean average precision, 0 to 1, by cosine; equally similar objects in the order of their numbers. The precision at a hit counts as the
/// greatest at this hit or a later one, as the papers of the field have it. Objects whose class has no other are no queries; -1 without a
/// query.
double meanAveragePrecision(const at::Tensor& descriptors, const std::vector<int64_t>& classes);

} // namespace agpnet::dec
