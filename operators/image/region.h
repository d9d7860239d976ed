// The region of interest: where in an image to look.
#pragma once

#include "common/polygon.h"

#include <opencv2/core.hpp>
#include <string>

namespace agpnet
{

struct RegionOfInterest
{
    std::vector<Polygon> polygons; ///< in fractions of the image's sides; even-odd, so that a polygon within another is a hole
    cv::Mat mask;                  ///< CV_8UC1, non-zero inside, stretched to the image; where given, the polygons do not count

    bool empty() const { return polygons.empty() && mask.empty(); }

    /// CV_8UC1, 255 inside; pixels that a polygon's border touches are inside. Refuses a mask that holds no pixel at this size.
    cv::Mat at(cv::Size size) const;
};

/// Refuses fewer than 3 points and points outside the image. With an empty size the points are shares already.
std::vector<Polygon> sharesOf(const std::vector<std::vector<cv::Point2f>>& polygons, cv::Size image);

/// As polygonsFromText(), with agpnet::Error.
std::vector<std::vector<cv::Point2f>> parsedPolygons(const std::string& text);

} // namespace agpnet
