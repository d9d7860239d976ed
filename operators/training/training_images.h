// The images of a training: which comes when, what of it is shown, and what a frozen network computes of it, once.
#pragma once

#include "agpnet/training.hpp"
#include "operators/image/tiles.h"
#include "operators/image/value_range.h"
#include "operators/training/image_cache.h"
#include "operators/training/training_order.h"

#include <functional>
#include <map>

namespace agpnet
{

/// How images are laid before the network.
struct TrainingInput
{
    cv::Size size; ///< the network's input
    Tiling tiling;
    uint64_t seed = 0;
    int64_t cacheBytes = 0;
};

/// Borrows what it is given; `range` may become known when an image is read. Reads an image only where what is computed of it is not known,
/// or when asked to.
class TrainingImages
{
public:
    /// What the frozen network gives for one image [1, C, H, W] at the input size: tensors [1, ...], the same number each time.
    using Compute = std::function<std::vector<at::Tensor>(const at::Tensor& image)>;

    TrainingImages(const std::vector<ImageSet>& products, TrainingOrder& order, const TrainingInput& input, const ValueRange& range,
                   Compute compute);

    size_t trained() const; ///< images that are trained on

    /// What the place-th of all places shows: the image, or one of its tiles; each visit another of those that inspection will
    /// use, in an order of the image's own.
    View view(size_t place);

    cv::Mat read(const View& view);

    /// Computed of the views as they are, without augmentation: stacked, [views, ...].
    std::vector<at::Tensor> computed(const std::vector<View>& views);

    /// Where the time went, seconds.
    struct Times
    {
        double reading = 0, backbone = 0;
    };
    const Times& times() const { return times_; }

private:
    std::vector<at::Tensor> computedOf(const View& view);

    const std::vector<ImageSet>& products_;
    TrainingOrder& order_;
    TrainingInput input_;
    const ValueRange& range_;
    Compute compute_;
    ImageCache cache_;
    Times times_;
    std::map<std::pair<size_t, size_t>, size_t> tiles_; ///< of each image met so far
};

} // namespace agpnet
