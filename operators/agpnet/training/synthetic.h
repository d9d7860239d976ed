// Pictures of normal parts with a defect drawn in: what a training can be judged by where nobody has pictures of defects. They stand
// for no real defect, and no test picture has a part in them.
#pragma once

#include <cstdint>
#include "operators/image/preprocess.h"
#include "operators/image/tiles.h"

#include <ATen/core/Tensor.h>
#include <functional>
#include <opencv2/core.hpp>
#include <vector>

namespace agpnet
{

struct SyntheticDefect
{
    cv::Mat image;
    cv::Mat mask; ///< CV_8U, 255 where the picture was changed by more than half of the defect's strength
};

/// One of four kinds in turn, faint to strong, its place, size and shape drawn from (seed, n):
///
///   patch   a turned rectangle out of `donor`, 6 to 20 % of the shorter side
///   scar    a line, 10 to 40 % of the shorter side long and 1 to 3 % wide
///   spot    an ellipse of 3 to 10 %
///   shade   a soft-edged ellipse of 20 to 50 %, brighter or darker by a fifth at most
///
/// @param image  CV_32FC(n), 0 to 1, of at least 16 pixels a side; not written to
/// @param donor  another normal picture, or the same; of the image's type, any size of at least 16 pixels a side
SyntheticDefect withDefect(const cv::Mat& image, const cv::Mat& donor, uint64_t seed, uint64_t n);

/// Normal pictures as the model is shown them, and the same with a defect each.
struct ViewPairs
{
    std::vector<at::Tensor> normal,
        defective; ///< [1, C, height, width], 0 to 1. No defective ones where the input is smaller than 16 pixels a side
    std::vector<at::Tensor> masks;             ///< of the defective: [1, 1, height, width], bool
};

/// @param tiling  of a picture in tiles one tile is taken
ViewPairs viewPairs(size_t count, const std::function<Frame(size_t)>& image, const Tiling& tiling, cv::Size input, uint64_t seed);

} // namespace agpnet
