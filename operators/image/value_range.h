// The value range of 16-bit images. A camera of 10 or 12 bits stores its values in 16, and no file says so: the maximum is found in
// the training's images, or given, and belongs to the model. 8-bit images and floats have one range each, and are not concerned.
#pragma once

#include <opencv2/core.hpp>
#include <string>

namespace agpnet
{

struct ValueRange
{
    int bits = 0;  ///< bits of the values, as Config::bits; 0: all 16
    int least = 0; ///< the minimum over the training images of their maximum values; 0: no training image had 16 bits

    int most() const { return (1 << (bits > 0 ? bits : 16)) - 1; } ///< the value that is 1 for the model
};

/// The maximum value of a CV_16U image; with 6 channels, geometry does not count.
int greatestValue(const cv::Mat& image);

/// The smallest of 8, 10, 12, 14 and 16 bits, which are those of cameras, that hold the value.
int bitsFor(int greatest);

/// A message if the values of an image of CV_16U cannot be of this range, or hardly are: above it, or so far below that they look like
/// those of fewer bits. "" where they fit, and of other images.
std::string misfit(const ValueRange& range, const cv::Mat& image, const std::string& what);

} // namespace agpnet
