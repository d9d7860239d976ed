// Changes of a normal picture that leave it normal. Which of them do depends on the product: none is on by itself.
//
//   flip_horizontal, flip_vertical   one half of the pictures
//   rotate90     quarter turns, each as often; half turns where the picture is not square
//   rotate       any angle about the centre
//   tilt         up to 5 degrees either way about the centre
//   shift        up to 5 % of each side
//   brightness   all channels times 0.85 to 1.15
//   few-shot     tilt, shift and brightness: what a camera and a fixture do from part to part
//
// What comes in over the border is the picture reflected.
#pragma once

#include <cstdint>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace agpnet
{

/// Who asks; each has random numbers of its own.
enum class AugmentFor
{
    Training,
    Thresholds
};

/// The picture with every named change, drawn from (seed, use, step, place) alone. Type and, but for quarter turns of a square, layout
/// stay; the input is not written to. Names as in Config.
cv::Mat augmented(const cv::Mat& image, const std::vector<std::string>& names, AugmentFor use, uint64_t seed, uint64_t step, uint64_t place);

} // namespace agpnet
