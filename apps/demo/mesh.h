// Surfaces of simple solids as triangles: turned on a lathe, extruded, or swept along a path. Solids are put together by adding their
// triangles: what lies inside another one is hidden anyway.
#pragma once

#include <opencv2/core.hpp>
#include <vector>

namespace agpnet::tools
{

/// Triangles, three corners each, every corner with its own normal. Normals may point to either side.
struct Mesh
{
    std::vector<cv::Point3f> points;
    std::vector<cv::Point3f> normals;

    void add(const Mesh& other);
};

/// A closed line in the plane; the last point is joined to the first.
using Outline = std::vector<cv::Point2f>;

Outline circle(double radius, cv::Point2d centre = {}, int corners = 72);
Outline rectangle(double width, double height, cv::Point2d centre = {});
Outline roundedRectangle(double width, double height, double radius);

/// `profile`: (radius, height), closed; a line on the axis gives no surface. Turned around the z axis.
Mesh lathe(const Outline& profile, int segments = 72);

/// From z = `bottom` to z = `top`. What an even number of outlines surrounds is a hole.
Mesh extrude(const std::vector<Outline>& outlines, double bottom, double top);

/// A round bar along a path, or a pipe where `inner` is a radius above 0. The ends are closed, or the bar is where `ring` joins them.
Mesh tube(const std::vector<cv::Point3f>& path, double radius, double inner = 0, bool ring = false);

Mesh moved(Mesh mesh, double x, double y, double z);

enum class Axis
{
    X,
    Y,
    Z
};

Mesh turned(Mesh mesh, Axis axis, double degrees);

/// Moved and scaled so that the box around it has its centre at 0 and the farthest corner a distance of 1.
Mesh normalised(Mesh mesh);

} // namespace agpnet::tools
