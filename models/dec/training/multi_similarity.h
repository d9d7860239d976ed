// The multi-similarity loss (Wang et al., CVPR 2019) on descriptors, with its mining of pairs.
#pragma once

#include "models/dec/config.h"

#include <ATen/core/Tensor.h>
#include <cstdint>
#include <vector>

namespace agpnet::dec
{

/// For an anchor i with similarities s (cosine) to the others of the batch: of its negatives those count that are closer than its farthest
/// positive minus the margin, of its positives those farther than its closest negative plus the margin, and
///     loss_i = 1/alpha log(1 + sum_pos exp(-alpha (s - base))) + 1/beta log(1 + sum_neg exp(beta (s - base)))
/// The result is the weighted mean over anchors.
/// @param descriptors  [B, D]
/// @param classes      of each
/// @param weights      of each as an anchor; empty: 1
at::Tensor multiSimilarityLoss(const at::Tensor& descriptors, const std::vector<int64_t>& classes, const TrainingConfig& config,
                               const std::vector<float>& weights = {});

} // namespace agpnet::dec
