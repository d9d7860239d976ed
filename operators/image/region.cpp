#include "operators/image/region.h"

#include "agpnet/region.hpp"
#include "operators/core/opencv_exceptions.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <numeric>
#include <opencv2/imgproc.hpp>
#include <sstream>

namespace agpnet
{

cv::Mat RegionOfInterest::at(cv::Size size) const
{
    cv::Mat inside = cv::Mat::zeros(size, CV_8U);
    if (!mask.empty())
    {
        // as with polygons, what is touched is inside: a line of one pixel must not vanish, or break into dots
        const bool shrinks = size.width < mask.cols || size.height < mask.rows;
        cv::Mat given;
        cv::Mat(mask != 0).convertTo(given, CV_32F);
        if (shrinks)
            cv::resize(given, given, {std::min(size.width, mask.cols), std::min(size.height, mask.rows)}, 0, 0, cv::INTER_AREA);
        cv::resize(given, inside, size, 0, 0, cv::INTER_NEAREST);
        inside = inside > 0;
    }
    else
    {
        constexpr int fraction = 6; // bits below a pixel
        std::vector<std::vector<cv::Point>> corners;
        for (const Polygon& polygon : polygons)
        {
            corners.emplace_back();
            for (const auto& [x, y] : polygon) // a pixel's centre lies half a pixel from its corner
                corners.back().emplace_back(static_cast<int>(std::lround((x * size.width - 0.5) * (1 << fraction))),
                                            static_cast<int>(std::lround((y * size.height - 0.5) * (1 << fraction))));
        }
        cv::fillPoly(inside, corners, 255, cv::LINE_8, fraction);
    }
    require(cv::countNonZero(inside) > 0, "the region of interest holds no pixel of a map of {}x{}, expected at least one", size.width,
            size.height);
    return inside;
}

std::vector<Polygon> sharesOf(const std::vector<std::vector<cv::Point2f>>& polygons, cv::Size image)
{
    const double width = image.empty() ? 1 : image.width, height = image.empty() ? 1 : image.height;
    std::vector<Polygon> shares;
    for (size_t i = 0; i < polygons.size(); i++)
    {
        require(polygons[i].size() >= 3, "region of interest: polygon {} has {} points, expected at least 3", i, polygons[i].size());
        shares.emplace_back();
        for (const cv::Point2f& point : polygons[i])
        {
            require(point.x >= 0 && point.x <= width && point.y >= 0 && point.y <= height,
                    "region of interest: polygon {} has the point ({}, {}), expected x from 0 to {} and y from 0 to {}", i, point.x,
                    point.y, width, height);
            shares.back().push_back({point.x / width, point.y / height});
        }
    }
    return shares;
}

std::vector<std::vector<cv::Point2f>> parsedPolygons(const std::string& text)
{
    std::vector<std::vector<cv::Point2f>> polygons;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ';');)
    {
        polygons.emplace_back();
        std::istringstream points(part);
        for (std::string word; points >> word;)
        {
            cv::Point2f point;
            char rest = 0;
            require(std::sscanf(word.c_str(), "%f,%f%c", &point.x, &point.y, &rest) == 2 && std::isfinite(point.x) &&
                        std::isfinite(point.y),
                    "region of interest: '{}' is no point, expected x,y", word);
            polygons.back().push_back(point);
        }
        require(polygons.back().size() >= 3, "region of interest: '{}' has {} points, expected at least 3, each as x,y", part,
                polygons.back().size());
    }
    return polygons;
}

std::vector<std::vector<cv::Point2f>> polygonsFromText(const std::string& text)
{
    return guarded([&] { return parsedPolygons(text); });
}

} // namespace agpnet
