// Whether a training still gains: how well the model tells normal pictures from the same ones with a defect drawn in.
#pragma once

#include "models/agpnet/training.h"
#include "operators/image/preprocess.h"
#include "operators/image/tiles.h"

#include <functional>
#include <vector>

namespace agpnet
{

constexpr int stepsBetweenChecks = 25;

class DefectCheck
{
public:
    /// @param image  picture i of 0 .. count-1, normal and if possible not trained on. Of a picture in
    ///               tiles one is taken, another of each
    DefectCheck(const Training& training, size_t count, const std::function<Frame(size_t)>& image, const Tiling& tiling);

    /// Mean of two areas under the curve: of image scores, defect or not, and of pixels of the pictures with defects. 0 to 1.
    double separation(const Training& training) const;

private:
    Features normal_, defective_;
    at::Tensor masks_; ///< [N, 1, H, W], bool
};

} // namespace agpnet
