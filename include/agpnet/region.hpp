/// @file
/// Regions of interest from text.
#pragma once

#include "agpnet/api.hpp"

#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace agpnet
{

/// Polygons from text, for command lines and attributes: points "x,y" separated by blanks, polygons by semicolons, for instance
/// "0.1,0.1 0.9,0.1 0.5,0.9".
/// @throws cv::Exception naming what is not a point, and a polygon of fewer than 3 points
AGPNET_EXPORT std::vector<std::vector<cv::Point2f>> polygonsFromText(const std::string& text);

} // namespace agpnet
