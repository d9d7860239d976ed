// Pictures with depth: an organised point cloud, one point a pixel, beside the colours of the same view (MVTec 3D-AD).
#pragma once

#include "apps/datasets/dataset.h"

#include <opencv2/core.hpp>

namespace agpnet::tools
{

enum class Geometry
{
    Depth,
    Normals
};

/// What a model takes.
enum class Input
{
    Rgb,        ///< 8-bit BGR
    RgbDepth,   ///< CV_32FC6, 0 to 1: BGR, then the depth three times
    RgbNormals, ///< CV_32FC6, 0 to 1: BGR, then the normal's x, y, z
};

/// CV_32FC3 with x, y, z, from a TIFF of three 32-bit floats. A point that is not there is (0, 0, 0), and so is one that is not
/// finite. Error where no point is there.
cv::Mat readPointCloud(const std::filesystem::path& path);

/// 255 where there is a point.
cv::Mat validPoints(const cv::Mat& cloud);

/// CV_32FC1, 0 to 1, from the nearest to the farthest. Holes are filled from around them. The scale is the picture's own: 1 % of
/// its points lie below 0.05 and 1 % above 0.95, so that single wild points move nothing; what is farther out is cut at 0 and 1.
cv::Mat depthImage(const cv::Mat& cloud);

/// CV_32FC3, unit vectors in the cloud's coordinates, towards the camera at its origin: the cross product of the surface's
/// directions along columns and rows. Before, the points are smoothed by a Gaussian of `sigma` pixels that leaves holes out.
/// Holes get the normals around them; (0, 0, -1), a plane seen straight on, where there is no surface at all.
cv::Mat surfaceNormals(const cv::Mat& cloud, double sigma = 2);

/// CV_32FC6, 0 to 1, at the picture's size: BGR, then three channels of geometry (depth three times, or the normals n as (n + 1) / 2).
/// CV_16UC6 where readImage() gives 16 bits: BGR as it is, geometry from 0 to 65535. Error where the cloud has another size than the
/// picture.
cv::Mat readRgbAndGeometry(const std::filesystem::path& rgb, const std::filesystem::path& xyz, Geometry geometry);

/// By its name in a model's config: rgb, rgb+depth or rgb+normals.
Input inputOf(const std::string& name);

/// The picture alone, for people, of what readItem() gave: 8-bit BGR. `bits`: of 16-bit pictures, as in a model's config; 0: all 16.
cv::Mat pictureOf(const cv::Mat& read, int bits = 0);

/// A picture named on a command line; with its point cloud, where xyz/ lies beside its folder rgb/.
Item itemOf(const std::filesystem::path& path);

/// What `input` says, of one picture. Error where it needs a point cloud and the picture has none.
cv::Mat readItem(const Item& item, Input input);

} // namespace agpnet::tools
