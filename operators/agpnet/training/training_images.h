// The pictures of a training: which comes when, what of it is shown, and its features, computed once.
#pragma once

#include "agpnet/anomaly_trainer.hpp"
#include "models/agpnet/training.h"
#include "operators/agpnet/training/feature_store.h"
#include "operators/image/tiles.h"
#include "operators/training/training_order.h"
#include "operators/image/value_range.h"

namespace agpnet
{

/// Borrows what it is given; `range` may become known when a picture is read. Reads a picture only where its features are not known, or when asked to.
class TrainingImages
{
public:
    TrainingImages(const std::vector<ImageSet>& products, TrainingOrder& order, const Training& training, const ValueRange& range);

    size_t trained() const; ///< pictures that are trained on

    /// What the place-th of all places shows: the picture, or one of its tiles; each visit another of those that inspection will
    /// use, in an order of the picture's own.
    View view(size_t place);

    cv::Mat read(const View& view);

    /// Of the views as they are, without augmentation.
    Features features(const std::vector<View>& views);

    /// Where the time went, seconds.
    struct Times
    {
        double reading = 0, backbone = 0;
    };
    const Times& times() const { return times_; }

private:
    Features featuresOf(const View& view);

    const std::vector<ImageSet>& products_;
    TrainingOrder& order_;
    const Training& training_;
    const ValueRange& range_;
    Tiling tiling_;
    FeatureStore store_;
    Times times_;
    std::map<std::pair<size_t, size_t>, size_t> tiles_; ///< of each picture met so far
};

} // namespace agpnet
