// Augmentations of training images. The image is reflected at its border.
#pragma once

#include "models/training/augmentation.h"

#include <cstdint>
#include <opencv2/core.hpp>
#include <vector>

namespace agpnet
{

/// Who asks; each has random numbers of its own.
enum class AugmentFor
{
    Training,
    Thresholds
};

/// The image with every named change, drawn from (seed, use, step, place) alone. Type and, but for quarter turns of a square, layout
/// stay; the input is not written to.
cv::Mat augmented(const cv::Mat& image, const std::vector<Augmentation>& names, AugmentFor use, uint64_t seed, uint64_t step,
                  uint64_t place);

} // namespace agpnet
