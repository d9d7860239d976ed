/// @file
/// Conversion of text to regions of interest.
#pragma once

#include "agpnet/api.hpp"

#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace agpnet
{

/// Converts text to polygons, for command lines and attributes. Points are "x,y", separated by blanks. Semicolons separate polygons.
/// Example: "0.1,0.1 0.9,0.1 0.5,0.9".
/// @throws cv::Exception for text that is not a point, and for a polygon with fewer than 3 points
AGPNET_EXPORT std::vector<std::vector<cv::Point2f>> polygonsFromText(const std::string& text);

} // namespace agpnet
