/// @file
/// Types that all trainings share: progress, processes, image sets.
#pragma once

#include "agpnet/api.hpp"

#include <functional>
#include <opencv2/core.hpp>
#include <string>

namespace agpnet
{

/// Progress of a training.
struct TrainProgress
{
    int step = 0;    ///< number of steps done
    int steps = 0;   ///< total number of steps; early stopping may reduce it
    double loss = 0; ///< loss of the last step
};

/// One process of a distributed training.
struct TrainingProcess
{
    int rank = 0; ///< number of this process, 0 .. size-1
    int size = 1; ///< number of processes
};

/// Images of good parts of one product.
struct ImageSet
{
    std::string name;                     ///< name of the product; may be empty if there is one product
    size_t count = 0;                     ///< number of images
    std::function<cv::Mat(size_t)> image; ///< reads image i of 0 .. count-1; may be called several times for one image
};

} // namespace agpnet
