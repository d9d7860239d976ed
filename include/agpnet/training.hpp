/// @file
/// What every training has in common: progress, processes, sets of images.
#pragma once

#include "agpnet/api.hpp"

#include <functional>
#include <opencv2/core.hpp>
#include <string>

namespace agpnet
{

/// How far a training is.
struct TrainProgress
{
    int step = 0;  ///< steps done
    int steps = 0; ///< steps in all, as far as is known: early stopping may find that fewer are enough
    double loss = 0; ///< of the last step
};

/// One process among those that train a model together.
struct TrainingProcess
{
    int rank = 0; ///< 0 .. size-1
    int size = 1; ///< 1: no others
};

/// Pictures of good parts of one product.
struct ImageSet
{
    std::string name;                     ///< of the product; may be empty if there is but one
    size_t count = 0;                     ///< of pictures
    std::function<cv::Mat(size_t)> image; ///< reads picture i of 0 .. count-1, as often as it is asked for
};

} // namespace agpnet
