#include "apps/demo/mesh.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace agpnet::tools
{

namespace
{

using cv::Point2f;
using cv::Point3f;

/// In double, and then rounded: the last bits of a library's sine differ between machines, a float's hardly ever.
Point2f onCircle(double turns)
{
    const double angle = 2 * std::numbers::pi * turns;
    return {static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))};
}

float lengthOf(const Point3f& v)
{
    return std::sqrt(v.dot(v));
}

Point3f unit(const Point3f& v)
{
    const float length = lengthOf(v);
    return length > 0 ? v * (1 / length) : v;
}

void addTriangle(Mesh& mesh, const std::array<Point3f, 3>& points, const std::array<Point3f, 3>& normals)
{
    mesh.points.insert(mesh.points.end(), points.begin(), points.end());
    mesh.normals.insert(mesh.normals.end(), normals.begin(), normals.end());
}

/// Corners in order around it.
void addQuad(Mesh& mesh, const std::array<Point3f, 4>& points, const std::array<Point3f, 4>& normals)
{
    addTriangle(mesh, {points[0], points[1], points[2]}, {normals[0], normals[1], normals[2]});
    addTriangle(mesh, {points[0], points[2], points[3]}, {normals[0], normals[2], normals[3]});
}

/// The normals at both ends of each side. Sides that meet at a small angle are parts of a curve and share theirs.
struct SideNormals
{
    Point2f start, end;
};

std::vector<SideNormals> sideNormals(const Outline& outline)
{
    const size_t n = outline.size();
    std::vector<Point2f> plain(n);
    for (size_t i = 0; i < n; i++)
    {
        const Point2f side = outline[(i + 1) % n] - outline[i];
        const float length = std::sqrt(side.dot(side));
        plain[i] = length > 0 ? Point2f(side.y, -side.x) / length : Point2f(0, 0);
    }
    const auto joined = [](const Point2f& own, const Point2f& other)
    {
        if (own.dot(other) < 0.87f) // 30 degrees
            return own;
        const Point2f sum = own + other;
        return Point2f(sum / std::sqrt(sum.dot(sum)));
    };
    std::vector<SideNormals> normals(n);
    for (size_t i = 0; i < n; i++)
        normals[i] = {joined(plain[i], plain[(i + n - 1) % n]), joined(plain[i], plain[(i + 1) % n])};
    return normals;
}

/// A flat face at height z. Between two neighbouring heights of corners no side begins or ends: there the face is a row of trapezoids.
void addFace(Mesh& mesh, const std::vector<Outline>& outlines, float z, float normal)
{
    std::vector<float> levels;
    for (const Outline& outline : outlines)
        for (const Point2f& point : outline)
            levels.push_back(point.y);
    std::sort(levels.begin(), levels.end());
    levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
    struct Side
    {
        float middle, low, high; ///< x in the middle, at the lower and at the upper level
    };
    const Point3f up(0, 0, normal);
    for (size_t level = 0; level + 1 < levels.size(); level++)
    {
        const float low = levels[level], high = levels[level + 1];
        std::vector<Side> sides;
        for (const Outline& outline : outlines)
            for (size_t i = 0; i < outline.size(); i++)
            {
                Point2f a = outline[i], b = outline[(i + 1) % outline.size()];
                if (a.y > b.y)
                    std::swap(a, b);
                if (a.y > low || b.y < high || a.y == b.y)
                    continue;
                const auto at = [&](float y) { return a.x + (b.x - a.x) * ((y - a.y) / (b.y - a.y)); };
                sides.push_back({at((low + high) / 2), at(low), at(high)});
            }
        std::sort(sides.begin(), sides.end(), [](const Side& a, const Side& b) { return a.middle < b.middle; });
        for (size_t i = 0; i + 1 < sides.size(); i += 2)
            addQuad(mesh,
                    {Point3f(sides[i].low, low, z), Point3f(sides[i + 1].low, low, z), Point3f(sides[i + 1].high, high, z),
                     Point3f(sides[i].high, high, z)},
                    {up, up, up, up});
    }
}

/// Directions across a path, one pair for each point, without needless turning along it.
struct Frame
{
    Point3f along, a, b;
};

std::vector<Frame> framesOf(const std::vector<Point3f>& path, bool ring)
{
    const size_t n = path.size();
    std::vector<Frame> frames(n);
    for (size_t i = 0; i < n; i++)
    {
        const Point3f before = i > 0 ? path[i - 1] : ring ? path[n - 1] : path[0];
        const Point3f after = i + 1 < n ? path[i + 1] : ring ? path[0] : path[n - 1];
        frames[i].along = unit(after - before);
        Point3f across = i > 0 ? frames[i - 1].a : std::abs(frames[i].along.z) < 0.9f ? Point3f(0, 0, 1) : Point3f(1, 0, 0);
        across -= frames[i].along * across.dot(frames[i].along);
        frames[i].a = unit(across);
        frames[i].b = frames[i].along.cross(frames[i].a);
    }
    return frames;
}

} // namespace

void Mesh::add(const Mesh& other)
{
    points.insert(points.end(), other.points.begin(), other.points.end());
    normals.insert(normals.end(), other.normals.begin(), other.normals.end());
}

Outline circle(double radius, cv::Point2d centre, int corners)
{
    Outline outline;
    for (int i = 0; i < corners; i++)
        outline.push_back(onCircle(static_cast<double>(i) / corners) * static_cast<float>(radius) + Point2f(centre));
    return outline;
}

Outline rectangle(double width, double height, cv::Point2d centre)
{
    const Point2f c(centre), x(static_cast<float>(width / 2), 0), y(0, static_cast<float>(height / 2));
    return {c - x - y, c + x - y, c + x + y, c - x + y};
}

Outline roundedRectangle(double width, double height, double radius)
{
    Outline outline;
    constexpr int steps = 10;
    for (int corner = 0; corner < 4; corner++)
        for (int i = 0; i <= steps; i++)
        {
            const double x = (width / 2 - radius) * (corner == 0 || corner == 3 ? 1 : -1);
            const double y = (height / 2 - radius) * (corner < 2 ? 1 : -1);
            outline.push_back(onCircle((corner + static_cast<double>(i) / steps) / 4) * static_cast<float>(radius) +
                              Point2f(static_cast<float>(x), static_cast<float>(y)));
        }
    return outline;
}

Mesh lathe(const Outline& profile, int segments)
{
    Mesh mesh;
    const std::vector<SideNormals> normals = sideNormals(profile);
    const auto at = [](const Point2f& flat, const Point2f& direction)
    { return Point3f(flat.x * direction.x, flat.x * direction.y, flat.y); };
    for (size_t i = 0; i < profile.size(); i++)
    {
        const Point2f from = profile[i], to = profile[(i + 1) % profile.size()];
        if (from.x <= 0 && to.x <= 0)
            continue;
        for (int s = 0; s < segments; s++)
        {
            const Point2f here = onCircle(static_cast<double>(s) / segments), next = onCircle(static_cast<double>(s + 1) / segments);
            addQuad(mesh, {at(from, here), at(to, here), at(to, next), at(from, next)},
                    {at(normals[i].start, here), at(normals[i].end, here), at(normals[i].end, next), at(normals[i].start, next)});
        }
    }
    return mesh;
}

Mesh extrude(const std::vector<Outline>& outlines, double bottom, double top)
{
    Mesh mesh;
    const auto low = static_cast<float>(bottom), high = static_cast<float>(top);
    for (const Outline& outline : outlines)
    {
        const std::vector<SideNormals> normals = sideNormals(outline);
        for (size_t i = 0; i < outline.size(); i++)
        {
            const Point2f a = outline[i], b = outline[(i + 1) % outline.size()];
            const Point3f start(normals[i].start.x, normals[i].start.y, 0), end(normals[i].end.x, normals[i].end.y, 0);
            addQuad(mesh, {Point3f(a.x, a.y, low), Point3f(b.x, b.y, low), Point3f(b.x, b.y, high), Point3f(a.x, a.y, high)},
                    {start, end, end, start});
        }
    }
    addFace(mesh, outlines, low, -1);
    addFace(mesh, outlines, high, 1);
    return mesh;
}

Mesh tube(const std::vector<Point3f>& path, double radius, double inner, bool ring)
{
    Mesh mesh;
    constexpr int segments = 28;
    const std::vector<Frame> frames = framesOf(path, ring);
    const auto around = [&](const Frame& frame, int s)
    {
        const Point2f direction = onCircle(static_cast<double>(s) / segments);
        return frame.a * direction.x + frame.b * direction.y;
    };
    for (const double r : {radius, inner})
        for (size_t i = 0; r > 0 && i + (ring ? 0 : 1) < path.size(); i++)
        {
            const size_t j = (i + 1) % path.size();
            for (int s = 0; s < segments; s++)
            {
                const std::array<Point3f, 4> normals = {around(frames[i], s), around(frames[j], s), around(frames[j], s + 1),
                                                        around(frames[i], s + 1)};
                const auto f = static_cast<float>(r);
                addQuad(mesh, {path[i] + normals[0] * f, path[j] + normals[1] * f, path[j] + normals[2] * f, path[i] + normals[3] * f},
                        normals);
            }
        }
    for (const size_t end : {size_t{0}, path.size() - 1})
        for (int s = 0; !ring && s < segments; s++)
        {
            const Point3f along = frames[end].along, here = around(frames[end], s), next = around(frames[end], s + 1);
            const auto outside = static_cast<float>(radius), inside = static_cast<float>(inner);
            addQuad(mesh, {path[end] + here * inside, path[end] + here * outside, path[end] + next * outside, path[end] + next * inside},
                    {along, along, along, along});
        }
    return mesh;
}

Mesh moved(Mesh mesh, double x, double y, double z)
{
    for (Point3f& point : mesh.points)
        point += Point3f(static_cast<float>(x), static_cast<float>(y), static_cast<float>(z));
    return mesh;
}

Mesh turned(Mesh mesh, Axis axis, double degrees)
{
    const Point2f direction = onCircle(degrees / 360);
    const auto turn = [&](Point3f& v)
    {
        float& first = axis == Axis::X ? v.y : axis == Axis::Y ? v.z : v.x;
        float& second = axis == Axis::X ? v.z : axis == Axis::Y ? v.x : v.y;
        const float before = first;
        first = before * direction.x - second * direction.y;
        second = before * direction.y + second * direction.x;
    };
    std::for_each(mesh.points.begin(), mesh.points.end(), turn);
    std::for_each(mesh.normals.begin(), mesh.normals.end(), turn);
    return mesh;
}

Mesh normalised(Mesh mesh)
{
    if (mesh.points.empty())
        return mesh;
    Point3f low = mesh.points[0], high = mesh.points[0];
    for (const Point3f& point : mesh.points)
    {
        low = {std::min(low.x, point.x), std::min(low.y, point.y), std::min(low.z, point.z)};
        high = {std::max(high.x, point.x), std::max(high.y, point.y), std::max(high.z, point.z)};
    }
    const Point3f centre = (low + high) * 0.5f;
    float farthest = 0;
    for (Point3f& point : mesh.points)
    {
        point -= centre;
        farthest = std::max(farthest, lengthOf(point));
    }
    for (Point3f& point : mesh.points)
        point *= 1 / farthest;
    return mesh;
}

} // namespace agpnet::tools
