#include "models/thresholds/drift_statistics.h"

#include "common/error.h"

#include <ATen/ATen.h>
#include <cmath>

namespace agpnet
{
namespace
{

/// A statistic that never changed must not be divided by nothing.
at::Tensor deviationOf(const at::Tensor& variance)
{
    const at::Tensor deviation = variance.clamp_min(0).sqrt();
    return deviation.clamp_min(1e-3 * deviation.mean({-1}, true) + 1e-12);
}

} // namespace

at::Tensor DriftStatistics::statistics(const at::Tensor& clean)
{
    const at::Tensor tokens = clean.flatten(2).to(at::kFloat);
    const at::Tensor mean = tokens.mean({2}, true);
    const at::Tensor deviation = (tokens - mean).square().mean({2}).sqrt();
    return at::cat({mean.squeeze(2), deviation}, 1);
}

double DriftStatistics::distance(const at::Tensor& statistics, int64_t product) const
{
    require(known() && product >= 0 && product < mean.size(0),
            "the distance from product {} was asked for, but the range of features is known of {}", product, known() ? mean.size(0) : 0);
    return std::sqrt(((statistics.to(mean.device()) - mean[product]) / deviation[product]).square().mean().item<double>());
}

DriftStatistics::Measured DriftStatistics::measured(const at::Tensor& statistics)
{
    const int64_t n = statistics.size(0);
    require(n >= leastImages, "features of {} images, expected at least {} to measure how they differ", n, leastImages);
    const at::Tensor values = statistics.to(at::kCPU, at::kDouble);
    const at::Tensor mean = values.mean({0});
    const at::Tensor fromMean = (values - mean).square();
    const at::Tensor variance = fromMean.sum({0}) / static_cast<double>(n - 1);
    // mean and variance of all others, without taking them n times
    const auto count = static_cast<double>(n);
    const at::Tensor others = (variance * (count - 1) - fromMean * (count / (count - 1))) / (count - 2);
    const at::Tensor fromOthers = (values - mean) * (count / (count - 1));
    const at::Tensor distances = (fromOthers / deviationOf(others)).square().mean({1}).sqrt();
    return {mean.to(at::kFloat), deviationOf(variance).to(at::kFloat), distances};
}

DriftStatistics DriftStatistics::checked(at::Tensor mean, at::Tensor deviation, int64_t channels)
{
    for (const at::Tensor& tensor : {mean, deviation})
        require(tensor.scalar_type() == at::kFloat && tensor.dim() == 2 && tensor.size(0) > 0 && tensor.size(1) == 2 * channels,
                "the range of features has shape [{}], expected [products, {}] of float32", fmt::join(tensor.sizes(), ", "), 2 * channels);
    require(mean.size(0) == deviation.size(0), "the range of features has means of {} products and deviations of {}", mean.size(0),
            deviation.size(0));
    require(at::isfinite(mean).all().item<bool>() && at::isfinite(deviation).all().item<bool>() && deviation.min().item<double>() > 0,
            "the range of features holds values that are not finite, or a deviation that is not above 0");
    return {std::move(mean), std::move(deviation)};
}

} // namespace agpnet
