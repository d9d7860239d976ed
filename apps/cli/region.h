#pragma once

#include <filesystem>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace agpnet::app
{

/// The region of interest that a user gave: the name of a mask picture of the size of `example`, not black inside; or polygons as
/// agpnet::polygonsFromText() takes them, in shares of the image's sides, or in pixels of `example` if a number is above 1.
/// Gives polygons in shares.
std::vector<std::vector<cv::Point2f>> readRegion(const std::string& maskOrPolygons, const std::filesystem::path& example);

} // namespace agpnet::app
