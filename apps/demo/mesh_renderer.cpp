#include "apps/demo/mesh_renderer.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace agpnet::tools
{

namespace
{

using cv::Point3f;

constexpr int samples = 2;      ///< a pixel, in each direction
constexpr float distance = 4;   ///< of the camera
constexpr double filled = 0.92; ///< of the image, by the sphere
constexpr float white = 255;

/// Seen from the camera: x to the right, y up, z towards it.
Mesh seenFrom(const Mesh& mesh, const Viewpoint& view)
{
    return turned(turned(turned(mesh, Axis::Z, -90 - view.azimuth), Axis::X, view.elevation - 90), Axis::Z, view.roll);
}

/// Grey value of a surface with this normal, which looks towards the camera. One light from above and left, and a weak one from the right.
float shadeOf(const Point3f& normal)
{
    const Point3f light(-0.45f, 0.62f, 0.643f), fill(0.78f, -0.1f, 0.618f);
    return 46 + 150 * std::max(0.0f, normal.dot(light)) + 34 * std::max(0.0f, normal.dot(fill));
}

struct Corner
{
    float x, y;     ///< on the raster
    float nearness; ///< 1 / distance from the camera: linear on the raster
    float shade;
};

class Raster
{
public:
    explicit Raster(int side) : side_(side), shade_(side, side, white), nearness_(side, side, 0.0f) {}

    void draw(const std::array<Corner, 3>& c)
    {
        const float area = cross(c[0], c[1], c[2].x, c[2].y);
        if (area == 0)
            return;
        const int left = std::max(0, static_cast<int>(std::floor(std::min({c[0].x, c[1].x, c[2].x}) - 0.5f)));
        const int right = std::min(side_ - 1, static_cast<int>(std::ceil(std::max({c[0].x, c[1].x, c[2].x}) - 0.5f)));
        const int top = std::max(0, static_cast<int>(std::floor(std::min({c[0].y, c[1].y, c[2].y}) - 0.5f)));
        const int bottom = std::min(side_ - 1, static_cast<int>(std::ceil(std::max({c[0].y, c[1].y, c[2].y}) - 0.5f)));
        for (int row = top; row <= bottom; row++)
            for (int column = left; column <= right; column++)
            {
                const float x = static_cast<float>(column) + 0.5f, y = static_cast<float>(row) + 0.5f;
                const float a = cross(c[1], c[2], x, y) / area, b = cross(c[2], c[0], x, y) / area, third = 1 - a - b;
                // a little more than the triangle: no gaps where corners lie on a neighbour's side
                if (std::min({a, b, third}) < -1e-4f)
                    continue;
                const float nearness = a * c[0].nearness + b * c[1].nearness + third * c[2].nearness;
                if (nearness <= nearness_(row, column))
                    continue;
                nearness_(row, column) = nearness;
                shade_(row, column) = std::clamp(a * c[0].shade + b * c[1].shade + third * c[2].shade, 0.0f, white);
            }
    }

    RenderedView reduced() const
    {
        const int side = side_ / samples;
        RenderedView view{cv::Mat(side, side, CV_8U), cv::Mat(side, side, CV_8U)};
        for (int row = 0; row < side; row++)
            for (int column = 0; column < side; column++)
            {
                float sum = 0;
                int covered = 0;
                for (int y = row * samples; y < (row + 1) * samples; y++)
                    for (int x = column * samples; x < (column + 1) * samples; x++)
                    {
                        sum += shade_(y, x);
                        covered += nearness_(y, x) > 0;
                    }
                view.shade.at<uchar>(row, column) = static_cast<uchar>(sum / (samples * samples) + 0.5f);
                view.mask.at<uchar>(row, column) = static_cast<uchar>(covered * 255 / (samples * samples));
            }
        return view;
    }

private:
    static float cross(const Corner& from, const Corner& to, float x, float y)
    {
        return (to.x - from.x) * (y - from.y) - (to.y - from.y) * (x - from.x);
    }

    int side_;
    cv::Mat1f shade_, nearness_;
};

} // namespace

RenderedView renderMesh(const Mesh& mesh, const Viewpoint& view, int side)
{
    const Mesh seen = seenFrom(mesh, view);
    const int rasterSide = side * samples;
    // a sphere of radius 1 seems larger than its great circle: its rim is where the line of sight touches it
    const double rim = 1 / std::sqrt(static_cast<double>(distance * distance - 1));
    const auto focal = static_cast<float>(filled / 2 * rasterSide / rim * view.zoom);
    const auto centreX = static_cast<float>((0.5 + view.shift.x) * rasterSide),
               centreY = static_cast<float>((0.5 + view.shift.y) * rasterSide);
    Raster raster(rasterSide);
    for (size_t i = 0; i + 2 < seen.points.size(); i += 3)
    {
        const Point3f *p = &seen.points[i], *n = &seen.normals[i];
        Point3f face = (p[1] - p[0]).cross(p[2] - p[0]);
        if (face.dot(Point3f(0, 0, distance) - p[0]) < 0)
            face = -face;
        std::array<Corner, 3> corners{};
        for (size_t k = 0; k < corners.size(); k++)
        {
            const float nearness = 1 / (distance - p[k].z);
            // both sides of a surface may be seen
            const Point3f normal = n[k].dot(face) < 0 ? -n[k] : n[k];
            corners[k] = {centreX + focal * p[k].x * nearness, centreY - focal * p[k].y * nearness, nearness, shadeOf(normal)};
        }
        raster.draw(corners);
    }
    return raster.reduced();
}

} // namespace agpnet::tools
