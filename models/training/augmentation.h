// Changes of a normal image that leave it normal. Which of them do depends on the product: none is on by default.
#pragma once

#include "common/enum_names.h"

namespace agpnet
{

enum class Augmentation
{
    FlipHorizontal, ///< half of the images
    FlipVertical,   ///< likewise
    Rotate90,       ///< quarter turns, each as often; half turns where the image is not square
    Rotate,         ///< any angle about the centre
    Tilt,           ///< up to 5 degrees either way about the centre
    Shift,          ///< up to 5 % of each side
    Brightness,     ///< all channels times 0.85 to 1.15
    FewShot         ///< tilt, shift and brightness: the differences that a camera and a fixture make from part to part
};

template <>
struct EnumNames<Augmentation>
{
    static constexpr std::pair<Augmentation, const char*> table[] = {{Augmentation::FlipHorizontal, "flip_horizontal"},
                                                                     {Augmentation::FlipVertical, "flip_vertical"},
                                                                     {Augmentation::Rotate90, "rotate90"},
                                                                     {Augmentation::Rotate, "rotate"},
                                                                     {Augmentation::Tilt, "tilt"},
                                                                     {Augmentation::Shift, "shift"},
                                                                     {Augmentation::Brightness, "brightness"},
                                                                     {Augmentation::FewShot, "few-shot"}};
};

} // namespace agpnet
