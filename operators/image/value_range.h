// What the values of 16-bit images stand for. A camera of 10 or 12 bits stores its values in 16, and no file says so: the greatest value is found in
// the training's images, or given, and belongs to the model. 8-bit images and floats have one range each, and are not concerned.
#pragma once

#include <opencv2/core.hpp>
#include <string>

namespace agpnet
{

struct ValueRange
{
    int bits = 0;  ///< of the values, as Config::bits; 0: all 16
    int least = 0; ///< the smallest greatest value that a training image had; 0: no training image was of 16 bits

    int most() const { return (1 << (bits > 0 ? bits : 16)) - 1; } ///< what is 1 to the model
};

/// The greatest value of an image of CV_16U; of 6 channels geometry does not count.
int greatestValue(const cv::Mat& image);

/// The smallest of 8, 10, 12, 14 and 16 bits, which are those of cameras, that hold the value.
int bitsFor(int greatest);

/// A sentence where the values of an image of CV_16U cannot be of this range, or hardly are: above it, or so far below that they look like those of fewer bits.
/// "" where they fit, and of other images.
std::string misfit(const ValueRange& range, const cv::Mat& image, const std::string& what);

} // namespace agpnet
