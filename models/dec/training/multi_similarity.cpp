#include "models/dec/training/multi_similarity.h"

#include "common/error.h"

#include <ATen/ATen.h>
#include <limits>

namespace agpnet::dec
{

at::Tensor multiSimilarityLoss(const at::Tensor& descriptors, const std::vector<int64_t>& classes, const TrainingConfig& config,
                               const std::vector<float>& weights)
{
    require(descriptors.dim() == 2 && static_cast<size_t>(descriptors.size(0)) == classes.size(),
            "the loss has {} classes for {} descriptors", classes.size(), descriptors.size(0));
    const at::Tensor unit = descriptors / descriptors.norm(2, 1, true).clamp_min(1e-12);
    const at::Tensor similarity = at::matmul(unit, unit.t());
    const at::Tensor classOf = at::tensor(classes);
    const at::Tensor same = classOf.unsqueeze(0) == classOf.unsqueeze(1);
    const at::Tensor positive = same & ~at::eye(same.size(0), at::kBool);
    const at::Tensor negative = ~same;
    constexpr double infinite = std::numeric_limits<double>::infinity();
    const at::Tensor plain = similarity.detach();
    const at::Tensor farthest = plain.masked_fill(~positive, infinite).amin({1}, true);
    const at::Tensor closest = plain.masked_fill(~negative, -infinite).amax({1}, true);
    const at::Tensor minedPositive = positive & (plain < closest + config.lossMargin);
    const at::Tensor minedNegative = negative & (plain > farthest - config.lossMargin);
    const auto term = [&](const at::Tensor& exponent, const at::Tensor& mined, double scale) {
        return at::log1p(at::exp(exponent.masked_fill(~mined, -infinite)).sum(1)) / scale;
    };
    const at::Tensor away = similarity - config.lossBase;
    const at::Tensor losses =
        term(-config.lossAlpha * away, minedPositive, config.lossAlpha) + term(config.lossBeta * away, minedNegative, config.lossBeta);
    if (weights.empty())
        return losses.mean();
    const at::Tensor weight = at::tensor(weights);
    return (losses * weight).sum() / weight.sum();
}

} // namespace agpnet::dec
