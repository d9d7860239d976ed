// What the features of normal images are like as a whole, and how far another image's are from that: the drift check. A defect changes few
// tokens and so hardly this; another part, light, lens or camera changes all of them.
#pragma once

#include <ATen/core/Tensor.h>

namespace agpnet
{

struct DriftStatistics
{
    at::Tensor mean, deviation; ///< mean and deviation of statistics() over normal images, [products, 2C], float32; undefined: unknown

    bool known() const { return mean.defined(); }

    /// clean: [N, C, h, w], as Reconstruction::clean → [N, 2C]: mean and deviation over the tokens of each channel.
    static at::Tensor statistics(const at::Tensor& clean);

    /// statistics: [2C] of one image → root of the mean square of their distance from those of the product, in deviations: 1 is usual.
    double distance(const at::Tensor& statistics, int64_t product) const;

    static constexpr int64_t leastImages = 8; ///< minimum number of images of a product
    struct Measured
    {
        at::Tensor mean, deviation; ///< [2C]
        at::Tensor distances;       ///< [N] float64: of each image, as if it had not been among those that were measured
    };
    /// statistics: [N, 2C] of at least leastImages normal images of one product.
    static Measured measured(const at::Tensor& statistics);

    /// Refuses what is no range for `channels` channels, or not finite.
    static DriftStatistics checked(at::Tensor mean, at::Tensor deviation, int64_t channels);
};

} // namespace agpnet
