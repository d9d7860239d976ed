#include "apps/cli/region.h"

#include "agpnet/anomaly_detector.hpp"
#include "apps/datasets/image_io.h"
#include "apps/datasets/masks.h"
#include "common/error.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

namespace agpnet::app
{
namespace
{

namespace fs = std::filesystem;
using Polygons = std::vector<std::vector<cv::Point2f>>;

/// Along the middles of pixels a line of one pixel would have no inside: the outlines are those of the mask at twice its size, a quarter of
/// a pixel within its edge.
Polygons outlines(const cv::Mat& mask)
{
    cv::Mat twice;
    cv::resize(mask, twice, {}, 2, 2, cv::INTER_NEAREST);
    std::vector<std::vector<cv::Point>> contours;
    cv::findContours(twice, contours, cv::RETR_CCOMP, cv::CHAIN_APPROX_SIMPLE);
    Polygons polygons;
    for (const auto& contour : contours)
    {
        std::vector<cv::Point> corners;
        cv::approxPolyDP(contour, corners, 1, true);
        if (corners.size() < 3)
            corners = contour; // one that is thin as a whole stays as it is
        if (corners.size() < 3)
            continue;
        polygons.emplace_back();
        for (const cv::Point& corner : corners)
            polygons.back().emplace_back((static_cast<float>(corner.x) + 0.5f) / static_cast<float>(twice.cols),
                                         (static_cast<float>(corner.y) + 0.5f) / static_cast<float>(twice.rows));
    }
    return polygons;
}

} // namespace

Polygons readRegion(const std::string& maskOrPolygons, const fs::path& example)
{
    std::error_code ignored;
    if (fs::is_regular_file(maskOrPolygons, ignored))
    {
        const Polygons polygons = outlines(tools::readMaskFile(maskOrPolygons, tools::readImage(example).size()));
        require(!polygons.empty(), "{}: the mask is black, expected a region of interest that is not", maskOrPolygons);
        return polygons;
    }
    require(maskOrPolygons.find(',') != std::string::npos, "--roi is '{}', expected the name of a mask image that is there, or points x,y",
            maskOrPolygons);
    Polygons polygons = polygonsFromText(maskOrPolygons);
    const auto inPixels = [](const cv::Point2f& point) { return point.x > 1 || point.y > 1; };
    if (!std::any_of(polygons.begin(), polygons.end(),
                     [&](const auto& polygon) { return std::any_of(polygon.begin(), polygon.end(), inPixels); }))
        return polygons;
    const cv::Size size = tools::readImage(example).size();
    for (auto& polygon : polygons)
        for (cv::Point2f& point : polygon)
        {
            require(point.x >= 0 && point.y >= 0 && point.x <= static_cast<float>(size.width) && point.y <= static_cast<float>(size.height),
                    "--roi has the point {},{}, expected it inside the image of {}x{} pixels", point.x, point.y, size.width, size.height);
            point = {point.x / static_cast<float>(size.width), point.y / static_cast<float>(size.height)};
        }
    return polygons;
}

} // namespace agpnet::app
