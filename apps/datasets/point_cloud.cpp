#include "apps/datasets/point_cloud.h"

#include "apps/datasets/image_io.h"
#include "common/percentile.h"
#include "common/error.h"

#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace agpnet::tools
{

namespace fs = std::filesystem;

namespace
{

/// Values around each hole flow into it: averages of what is known, over windows that grow until every hole is reached.
void fillHoles(cv::Mat& values, const cv::Mat& valid)
{
    cv::Mat known;
    valid.convertTo(known, CV_32F, 1.0 / 255);
    cv::Mat missing = ~valid;
    const cv::Mat weighted = values.mul(known);
    for (int side = 3; cv::countNonZero(missing) > 0; side = 2 * side + 1)
    {
        cv::Mat sum, weight;
        cv::boxFilter(weighted, sum, CV_32F, {side, side}, {-1, -1}, true, cv::BORDER_CONSTANT);
        cv::boxFilter(known, weight, CV_32F, {side, side}, {-1, -1}, true, cv::BORDER_CONSTANT);
        // half of one pixel's share: a running sum leaves rounding where there is nothing
        const cv::Mat reached = missing & (weight > 0.5 / (static_cast<double>(side) * side));
        cv::Mat mean;
        cv::divide(sum, weight, mean);
        mean.copyTo(values, reached);
        missing &= ~reached;
    }
}

} // namespace

cv::Mat validPoints(const cv::Mat& cloud)
{
    require(cloud.type() == CV_32FC3 && !cloud.empty(), "a point cloud has three channels of 32-bit floats, not {}",
            cv::typeToString(cloud.type()));
    cv::Mat valid(cloud.size(), CV_8U, cv::Scalar(0));
    std::array<cv::Mat, 3> axes;
    cv::split(cloud, axes.data());
    for (const cv::Mat& axis : axes)
        valid |= axis != 0;
    return valid;
}

cv::Mat readPointCloud(const fs::path& path)
{
    cv::Mat cloud = readFloatTiff(path, 3);
    cv::cvtColor(cloud, cloud, cv::COLOR_BGR2RGB); // the codec takes x, y, z for red, green, blue
    for (int y = 0; y < cloud.rows; y++)
        for (int x = 0; x < cloud.cols; x++)
        {
            cv::Vec3f& point = cloud.at<cv::Vec3f>(y, x);
            if (!std::isfinite(point[0]) || !std::isfinite(point[1]) || !std::isfinite(point[2]))
                point = cv::Vec3f(0, 0, 0);
        }
    require(cv::countNonZero(validPoints(cloud)) > 0, "{}: holds no point; all are (0, 0, 0) or not finite", path.string());
    return cloud;
}

cv::Mat depthImage(const cv::Mat& cloud)
{
    const cv::Mat valid = validPoints(cloud);
    cv::Mat depth;
    cv::extractChannel(cloud, depth, 2);
    std::vector<double> known;
    for (int y = 0; y < depth.rows; y++)
        for (int x = 0; x < depth.cols; x++)
            if (valid.at<uchar>(y, x))
                known.push_back(depth.at<float>(y, x));
    require(!known.empty(), "the point cloud holds no point");
    const double low = percentile(known, 0.01), high = percentile(known, 0.99);
    fillHoles(depth, valid);
    if (high > low)
        depth.convertTo(depth, CV_32F, 0.9 / (high - low), 0.05 - low * 0.9 / (high - low));
    else
        depth = 0.5;
    return cv::min(cv::max(depth, 0), 1);
}

cv::Mat surfaceNormals(const cv::Mat& cloud, double sigma)
{
    require(sigma > 0, "the smoothing of normals is {} pixels, a value above 0 was expected", sigma);
    const cv::Mat valid = validPoints(cloud);
    cv::Mat points, weight;
    cloud.convertTo(points, CV_64F); // neighbours differ in the fourth digit, and their differences are what counts
    valid.convertTo(weight, CV_64F, 1.0 / 255);
    // All three coordinates with the same weights: a mean of points of a plane lies in the plane, beside a hole too.
    cv::GaussianBlur(points, points, {}, sigma, sigma, cv::BORDER_REPLICATE);
    cv::GaussianBlur(weight, weight, {}, sigma, sigma, cv::BORDER_REPLICATE);
    std::array<cv::Mat, 3> axes;
    cv::split(points, axes.data());
    for (cv::Mat& axis : axes)
        cv::divide(axis, cv::max(weight, 1e-12), axis);
    std::array<cv::Mat, 3> along, down;
    for (size_t i = 0; i < 3; i++)
    {
        cv::Sobel(axes[i], along[i], CV_64F, 1, 0, 1, 1, 0, cv::BORDER_REPLICATE);
        cv::Sobel(axes[i], down[i], CV_64F, 0, 1, 1, 1, 0, cv::BORDER_REPLICATE);
    }
    cv::Mat normals(cloud.size(), CV_32FC3, cv::Scalar::all(0)), found(cloud.size(), CV_8U, cv::Scalar(0));
    for (int y = 0; y < cloud.rows; y++)
        for (int x = 0; x < cloud.cols; x++)
        {
            if (weight.at<double>(y, x) < 0.1) // a scanner's single missing points are bridged, a hole's middle is not
                continue;
            const auto at = [&](const std::array<cv::Mat, 3>& field)
            { return cv::Vec3d(field[0].at<double>(y, x), field[1].at<double>(y, x), field[2].at<double>(y, x)); };
            cv::Vec3d normal = at(along).cross(at(down));
            const double length = cv::norm(normal);
            if (length < 1e-300) // lone points have no surface
                continue;
            normal /= normal.dot(at(axes)) > 0 ? -length : length;
            normals.at<cv::Vec3f>(y, x) = normal;
            found.at<uchar>(y, x) = 255;
        }
    if (cv::countNonZero(found) == 0)
        return cv::Mat(cloud.size(), CV_32FC3, cv::Scalar(0, 0, -1));
    std::array<cv::Mat, 3> parts;
    cv::split(normals, parts.data());
    for (cv::Mat& part : parts)
        fillHoles(part, found);
    cv::merge(parts.data(), parts.size(), normals);
    for (int y = 0; y < cloud.rows; y++)
        for (int x = 0; x < cloud.cols; x++)
        {
            cv::Vec3f& normal = normals.at<cv::Vec3f>(y, x);
            const double length = cv::norm(normal);
            normal = length > 1e-6 ? cv::Vec3f(cv::Vec3d(normal) / length) : cv::Vec3f(0, 0, -1);
        }
    return normals;
}

cv::Mat readRgbAndGeometry(const fs::path& rgb, const fs::path& xyz, Geometry geometry)
{
    cv::Mat colours = readImage(rgb);
    const bool deep = colours.depth() == CV_16U; // what its greatest value is, is not known here: it stays
    if (!deep)
        colours.convertTo(colours, CV_32F, colours.depth() == CV_8U ? 1.0 / 255 : 1);
    const cv::Mat cloud = readPointCloud(xyz);
    require(cloud.size() == colours.size(), "{}: the point cloud has {}x{} points, but its image has {}x{}", xyz.string(), cloud.cols,
            cloud.rows, colours.cols, colours.rows);
    cv::Mat shape;
    if (geometry == Geometry::Depth)
        cv::cvtColor(depthImage(cloud), shape, cv::COLOR_GRAY2BGR);
    else
        surfaceNormals(cloud).convertTo(shape, CV_32F, 0.5, 0.5);
    if (deep)
        shape.convertTo(shape, CV_16U, 65535);
    cv::Mat both;
    cv::merge(std::array<cv::Mat, 2>{colours, shape}.data(), 2, both);
    return both;
}

Input inputOf(const std::string& name)
{
    if (name == "rgb")
        return Input::Rgb;
    if (name == "rgb+depth")
        return Input::RgbDepth;
    require(name == "rgb+normals", "input is '{}', expected rgb, rgb+depth or rgb+normals", name);
    return Input::RgbNormals;
}

cv::Mat pictureOf(const cv::Mat& read, int bits)
{
    cv::Mat picture = read;
    if (read.channels() == 6)
    {
        picture.create(read.size(), CV_MAKETYPE(read.depth(), 3));
        const int order[] = {0, 0, 1, 1, 2, 2};
        cv::mixChannels(&read, 1, &picture, 1, order, 3);
    }
    if (picture.depth() != CV_8U)
        picture.convertTo(picture, CV_8U, picture.depth() == CV_16U ? 255.0 / ((1 << (bits > 0 ? bits : 16)) - 1) : 255);
    return picture;
}

Item itemOf(const fs::path& path)
{
    Item item;
    item.path = path;
    if (path.parent_path().filename() == "rgb")
        for (const char* extension : {".tiff", ".tif"})
        {
            const fs::path cloud = path.parent_path().parent_path() / "xyz" / (path.stem().string() + extension);
            std::error_code error;
            if (!item.xyz && fs::is_regular_file(cloud, error))
                item.xyz = cloud;
        }
    return item;
}

cv::Mat readItem(const Item& item, Input input)
{
    if (input == Input::Rgb)
        return readImage(item.path);
    require(item.xyz.has_value(), "{}: has no point cloud, which the model needs; xyz/{}.tiff beside its folder was expected",
            item.path.string(), item.path.stem().string());
    return readRgbAndGeometry(item.path, *item.xyz, input == Input::RgbDepth ? Geometry::Depth : Geometry::Normals);
}

} // namespace agpnet::tools
