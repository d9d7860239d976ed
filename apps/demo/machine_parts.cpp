#include "apps/demo/machine_parts.h"

#include "common/error.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace agpnet::tools
{

namespace
{

using cv::Point2d;
using cv::Point2f;
using cv::Point3f;
using cv::RNG;

constexpr double pi = std::numbers::pi;

Point2f flat(double x, double y)
{
    return {static_cast<float>(x), static_cast<float>(y)};
}
Point3f solid(double x, double y, double z)
{
    return {static_cast<float>(x), static_cast<float>(y), static_cast<float>(z)};
}

/// On a circle, `angle` in degrees.
Point2d polar(double radius, double angle)
{
    return {radius * std::cos(angle * pi / 180), radius * std::sin(angle * pi / 180)};
}

double in(RNG& rng, double low, double high)
{
    return rng.uniform(low, high);
}
int whole(RNG& rng, int low, int high) ///< both included
{
    return rng.uniform(low, high + 1);
}

// --- solids that several classes share -----------------------------------------------------------------------------------

Mesh rod(double radius, double bottom, double top, double chamfer = 0)
{
    return lathe({flat(0, bottom), flat(radius - chamfer, bottom), flat(radius, bottom + chamfer), flat(radius, top - chamfer),
                  flat(radius - chamfer, top), flat(0, top)});
}

Mesh pipe(double outer, double inner, double bottom, double top, double chamfer = 0)
{
    return lathe({flat(inner, bottom), flat(outer - chamfer, bottom), flat(outer, bottom + chamfer), flat(outer, top - chamfer),
                  flat(outer - chamfer, top), flat(inner, top)});
}

/// Rings instead of a helix: from outside they look the same.
Mesh threadedRod(double radius, double bottom, double top, double pitch)
{
    Outline profile = {flat(0, bottom), flat(radius * 0.8, bottom)};
    const int turns = std::max(1, static_cast<int>((top - bottom) / pitch));
    const double step = (top - bottom) / turns;
    for (int i = 0; i < turns; i++)
    {
        profile.push_back(flat(radius, bottom + (i + 0.5) * step));
        profile.push_back(flat(radius * 0.86, bottom + (i + 1) * step));
    }
    profile.push_back(flat(0, top));
    return lathe(profile, 48);
}

Outline hexagon(double acrossCorners)
{
    return circle(acrossCorners / 2, {}, 6);
}

Mesh ball(double radius, Point3f centre)
{
    Outline profile;
    for (int i = 0; i <= 24; i++)
    {
        const Point2d point = polar(radius, -90 + 180.0 * i / 24);
        profile.push_back(flat(std::max(0.0, point.x), point.y));
    }
    return moved(lathe(profile, 36), static_cast<double>(centre.x), static_cast<double>(centre.y), static_cast<double>(centre.z));
}

/// An arc in the plane of x and y, from one angle to another, in degrees.
std::vector<Point3f> arc(double radius, double from, double to, int steps, Point2d centre = {})
{
    std::vector<Point3f> path;
    for (int i = 0; i <= steps; i++)
    {
        const Point2d point = polar(radius, from + (to - from) * i / steps) + centre;
        path.push_back(solid(point.x, point.y, 0));
    }
    return path;
}

std::vector<Point3f> wholeCircle(double radius)
{
    std::vector<Point3f> path = arc(radius, 0, 360, 72);
    path.pop_back();
    return path;
}

/// `holes` circles around the centre.
void addHoles(std::vector<Outline>& outlines, int holes, double radius, double onRadius)
{
    for (int i = 0; i < holes; i++)
        outlines.push_back(circle(radius, polar(onRadius, 360.0 * i / holes), 28));
}

/// Between two radii and two angles.
Outline sector(double inner, double outer, double from, double to, int steps = 40)
{
    Outline outline;
    for (int i = 0; i <= steps; i++)
        outline.emplace_back(polar(outer, from + (to - from) * i / steps));
    for (int i = steps; i >= 0; i--)
        outline.emplace_back(polar(inner, from + (to - from) * i / steps));
    return outline;
}

/// A shape that swells and shrinks `lobes` times around a circle.
Outline lobed(double radius, double depth, int lobes)
{
    Outline outline;
    constexpr int corners = 144;
    for (int i = 0; i < corners; i++)
    {
        const double angle = 360.0 * i / corners;
        outline.emplace_back(polar(radius + depth * std::cos(lobes * angle * pi / 180), angle));
    }
    return outline;
}

/// `flank` and `tip`: fractions of a tooth's pitch.
Outline toothed(double root, double tipRadius, int teeth, double flank, double tip)
{
    Outline outline;
    const double pitch = 360.0 / teeth, rest = 1 - 2 * flank - tip;
    for (int i = 0; i < teeth; i++)
    {
        const double start = pitch * i;
        outline.emplace_back(polar(root, start));
        outline.emplace_back(polar(root, start + pitch * rest));
        outline.emplace_back(polar(tipRadius, start + pitch * (rest + flank)));
        outline.emplace_back(polar(tipRadius, start + pitch * (rest + flank + tip)));
    }
    return outline;
}

/// A bore with a slot for a key.
Outline keyedBore(double radius)
{
    Outline outline;
    const double half = radius * 0.28;
    const double from = std::asin(half / radius) * 180 / pi;
    for (int i = 0; i <= 48; i++)
        outline.emplace_back(polar(radius, from + (360 - 2 * from) * i / 48));
    outline.push_back(flat(radius * 1.3, -half));
    outline.push_back(flat(radius * 1.3, half));
    return outline;
}

/// A plate in the plane of y and z, with its hole or holes on a line; for brackets.
Mesh uprightPlate(double width, double height, double thickness, const std::vector<Outline>& holes)
{
    std::vector<Outline> outlines = {rectangle(width, height, {0, height / 2})};
    outlines.insert(outlines.end(), holes.begin(), holes.end());
    return turned(turned(extrude(outlines, 0, thickness), Axis::X, 90), Axis::Z, 90);
}

// --- classes ---------------------------------------------------------------------------------------------------------------

Mesh ballBearing(RNG& rng)
{
    const double bore = in(rng, 0.3, 0.6), width = in(rng, 0.2, 0.42), wall = (1 - bore) * in(rng, 0.22, 0.3);
    const int balls = whole(rng, 7, 12);
    const double middle = (1 + bore) / 2, radius = std::min({(1 - bore) / 2 - wall * 0.55, middle * pi / balls * 0.92, width * 0.48});
    Mesh mesh = pipe(1, 1 - wall, -width / 2, width / 2, 0.03);
    mesh.add(pipe(bore + wall, bore, -width / 2, width / 2, 0.02));
    for (int i = 0; i < balls; i++)
    {
        const Point2d at = polar(middle, 360.0 * i / balls);
        mesh.add(ball(radius, solid(at.x, at.y, 0)));
    }
    return mesh;
}

Mesh cam(RNG& rng)
{
    const double lift = in(rng, 0.35, 0.9), thickness = in(rng, 0.25, 0.6), bore = in(rng, 0.18, 0.35), nose = in(rng, 0.22, 0.4);
    Outline outline;
    // two circles and their common tangents
    const double far = 0.6 + lift, tangent = std::acos((0.6 - nose) / far) * 180 / pi;
    for (int i = 0; i <= 48; i++)
        outline.emplace_back(polar(0.6, tangent + (360 - 2 * tangent) * i / 48));
    for (int i = 0; i <= 24; i++)
        outline.emplace_back(polar(nose, -tangent + 2 * tangent * i / 24) + Point2d(far, 0));
    Mesh mesh = extrude({outline, keyedBore(bore)}, 0, thickness);
    mesh.add(pipe(bore * 1.6, bore, thickness, thickness * in(rng, 1.4, 1.9), 0.02));
    return mesh;
}

Mesh clevis(RNG& rng)
{
    const double length = in(rng, 1.2, 2.0), gap = in(rng, 0.35, 0.6), cheek = in(rng, 0.2, 0.34), hole = in(rng, 0.2, 0.32);
    Outline side = {flat(0, -0.5), flat(length, -0.5)};
    for (int i = 0; i <= 24; i++)
        side.emplace_back(polar(0.5, -90 + 180.0 * i / 24) + Point2d(length, 0));
    side.push_back(flat(0, 0.5));
    Mesh mesh;
    for (const double z : {gap / 2, -gap / 2 - cheek})
        mesh.add(extrude({side, circle(hole, {length, 0}, 40)}, z, z + cheek));
    const double block = in(rng, 0.35, 0.6), height = gap / 2 + cheek;
    mesh.add(extrude({rectangle(block, 1, {-block / 2 + 0.05, 0})}, -height, height));
    mesh.add(moved(turned(threadedRod(0.32, 0, in(rng, 0.7, 1.4), 0.1), Axis::Y, -90), -block + 0.05, 0, 0));
    return mesh;
}

Mesh coilSpring(RNG& rng)
{
    const double turns = whole(rng, 4, 11), wire = in(rng, 0.06, 0.15), pitch = wire * in(rng, 2.6, 4.5), taper = in(rng, -0.25, 0.25);
    std::vector<Point3f> path;
    const int steps = static_cast<int>(turns) * 36;
    for (int i = 0; i <= steps; i++)
    {
        const double t = static_cast<double>(i) / steps, angle = t * turns * 360;
        const double calm = std::clamp(t * turns, 0.0, 1.0) + std::clamp((t - 1) * turns, -1.0, 0.0); // flat first and last turn
        const Point2d at = polar(0.7 * (1 + taper * (t - 0.5)), angle);
        path.push_back(solid(at.x, at.y, pitch * (turns - 2) * std::clamp((t * turns - 1) / (turns - 2), 0.0, 1.0) + 2.1 * wire * calm));
    }
    return tube(path, wire);
}

Mesh crankHandle(RNG& rng)
{
    const double length = in(rng, 1.4, 2.4), thickness = in(rng, 0.2, 0.32), grip = in(rng, 0.8, 1.3), gripRadius = in(rng, 0.2, 0.3);
    Outline arm;
    for (int i = 0; i <= 24; i++)
        arm.emplace_back(polar(0.45, 90 + 180.0 * i / 24));
    for (int i = 0; i <= 24; i++)
        arm.emplace_back(polar(0.28, -90 + 180.0 * i / 24) + Point2d(length, 0));
    Mesh mesh = extrude({arm, circle(0.2)}, 0, thickness);
    mesh.add(pipe(0.45, 0.2, -0.35, thickness, 0.03));
    mesh.add(moved(lathe({flat(0, 0), flat(gripRadius * 0.6, 0), flat(gripRadius, 0.3 * grip), flat(gripRadius * 1.05, 0.6 * grip),
                          flat(gripRadius * 0.9, 0.9 * grip), flat(gripRadius * 0.5, grip), flat(0, grip)}),
                   length, 0, thickness));
    return mesh;
}

Mesh eyeBolt(RNG& rng)
{
    const double bar = in(rng, 0.13, 0.24), eye = in(rng, 0.42, 0.62), shank = in(rng, 0.9, 1.9), collar = in(rng, 0.3, 0.48);
    Mesh mesh = moved(turned(tube(wholeCircle(eye), bar, 0, true), Axis::X, 90), 0, 0, eye + bar * 0.6);
    mesh.add(rod(collar, -0.18, 0, 0.04));
    mesh.add(threadedRod(0.2, -0.18 - shank, -0.1, 0.085));
    return mesh;
}

Mesh flangedBushing(RNG& rng)
{
    const double bore = in(rng, 0.4, 0.65), height = in(rng, 0.7, 1.9), flange = in(rng, 1.15, 1.7), thickness = in(rng, 0.12, 0.3);
    return lathe({flat(bore, 0), flat(flange - 0.03, 0), flat(flange, 0.03), flat(flange, thickness), flat(0.85, thickness),
                  flat(0.85, height - 0.05), flat(0.8, height), flat(bore, height)});
}

Mesh hexBolt(RNG& rng)
{
    const double length = in(rng, 1.4, 3.2), head = in(rng, 1.5, 2.0), height = in(rng, 0.45, 0.7), threaded = in(rng, 0.4, 1);
    Mesh mesh = extrude({hexagon(head)}, 0, height);
    mesh.add(rod(head * 0.42, height, height + 0.05, 0.02));
    const double middle = -length * (1 - threaded);
    mesh.add(rod(0.46, middle, 0));
    mesh.add(threadedRod(0.46, -length, middle, 0.13));
    return mesh;
}

Mesh hexNut(RNG& rng)
{
    const double height = in(rng, 0.5, 1.1), bore = in(rng, 0.45, 0.62), collar = in(rng, 0.0, 0.3);
    Mesh mesh = extrude({hexagon(2), circle(bore)}, 0, height);
    mesh.add(pipe(0.82, bore, height, height + 0.05 + (collar > 0.15 ? collar : 0), 0.02));
    return mesh;
}

Mesh hinge(RNG& rng)
{
    const double width = in(rng, 1.4, 2.6), leaf = in(rng, 0.7, 1.2), thickness = in(rng, 0.07, 0.12), opening = in(rng, 30, 160);
    const int knuckles = 3 + 2 * whole(rng, 0, 1), holes = whole(rng, 2, 3);
    const double pin = thickness * 1.9;
    const auto plate = [&]
    {
        std::vector<Outline> outlines = {rectangle(leaf, width, {leaf / 2 + pin * 0.6, 0})};
        for (int i = 0; i < holes; i++)
            outlines.push_back(circle(0.1, {leaf * (i % 2 ? 0.5 : 0.72) + pin, width * ((i + 0.5) / holes - 0.5)}, 24));
        return extrude(outlines, -thickness / 2, thickness / 2);
    };
    Mesh mesh = plate();
    mesh.add(turned(plate(), Axis::Y, -opening));
    for (int i = 0; i < knuckles; i++)
    {
        const double from = width * (static_cast<double>(i) / knuckles - 0.5);
        mesh.add(turned(rod(pin, -from - width / knuckles + 0.02, -from - 0.02, 0.02), Axis::X, 90));
    }
    mesh.add(turned(rod(pin * 0.5, -width / 2 - 0.08, width / 2 + 0.08, 0.02), Axis::X, 90));
    return mesh;
}

Mesh keyedShaft(RNG& rng)
{
    const double length = in(rng, 2.2, 4), slot = length * in(rng, 0.25, 0.45), depth = in(rng, 0.12, 0.2), collar = in(rng, 0.55, 0.75);
    Outline notched;
    const double half = 0.14, from = std::asin(half / 0.5) * 180 / pi;
    for (int i = 0; i <= 64; i++)
        notched.emplace_back(polar(0.5, from + (360 - 2 * from) * i / 64));
    notched.push_back(flat(0.5 - depth, -half));
    notched.push_back(flat(0.5 - depth, half));
    const double start = length * 0.1;
    Mesh mesh = rod(0.5, 0, start, 0.04);
    mesh.add(extrude({notched}, start, start + slot));
    mesh.add(rod(0.5, start + slot, length, 0.04));
    mesh.add(rod(collar, length * 0.66, length * 0.74, 0.03));
    return mesh;
}

Mesh lBracket(RNG& rng)
{
    const double width = in(rng, 0.8, 1.8), foot = in(rng, 1, 1.8), height = in(rng, 1, 2), thickness = in(rng, 0.12, 0.24);
    const int holes = whole(rng, 1, 3);
    const bool gusset = rng.uniform(0, 2) == 1;
    std::vector<Outline> base = {rectangle(foot, width, {foot / 2, 0})}, upright;
    for (int i = 0; i < holes; i++)
    {
        const double across = width * ((i + 0.5) / holes - 0.5);
        base.push_back(circle(0.12, {foot * 0.64, across}, 28));
        upright.push_back(circle(0.12, {across, height * 0.66}, 28));
    }
    Mesh mesh = extrude(base, 0, thickness);
    mesh.add(uprightPlate(width, height, thickness, upright));
    if (gusset)
        mesh.add(turned(extrude({{flat(0, 0), flat(foot * 0.55, 0), flat(0, height * 0.55)}}, -thickness / 2, thickness / 2), Axis::X, 90));
    return mesh;
}

Mesh perforatedPlate(RNG& rng)
{
    const double length = in(rng, 1.2, 3), thickness = in(rng, 0.08, 0.2), hole = in(rng, 0.12, 0.2);
    const int along = whole(rng, 2, 5), across = whole(rng, 1, 3);
    std::vector<Outline> outlines = {roundedRectangle(length, 1.4, in(rng, 0.05, 0.4))};
    for (int i = 0; i < along; i++)
        for (int j = 0; j < across; j++)
            outlines.push_back(circle(std::min(hole, length / along * 0.35),
                                      {length * 0.86 * ((i + 0.5) / along - 0.5), 1.15 * ((j + 0.5) / across - 0.5)}, 28));
    return extrude(outlines, 0, thickness);
}

Mesh pillowBlock(RNG& rng)
{
    const double height = in(rng, 0.7, 1.1), foot = in(rng, 1.2, 1.8), depth = in(rng, 0.5, 0.9), bore = in(rng, 0.3, 0.45);
    Outline front = {flat(-foot, 0), flat(foot, 0), flat(foot, 0.28), flat(0.66, 0.28)};
    for (int i = 0; i <= 36; i++)
        front.emplace_back(polar(0.66, 180.0 * i / 36) + Point2d(0, height));
    front.push_back(flat(-0.66, 0.28));
    front.push_back(flat(-foot, 0.28));
    Mesh mesh = turned(extrude({front, circle(bore, {0, height})}, -depth / 2, depth / 2), Axis::X, 90);
    mesh.add(moved(turned(pipe(bore * 1.35, bore, -depth * 0.65, depth * 0.65, 0.02), Axis::X, 90), 0, 0, height));
    for (const double side : {-1.0, 1.0})
        mesh.add(moved(extrude({hexagon(0.36)}, 0, 0.16), side * (foot + 0.66) / 2, 0, 0.28));
    return mesh;
}

Mesh pipeClamp(RNG& rng)
{
    const double width = in(rng, 0.4, 0.9), band = in(rng, 0.08, 0.16), ear = in(rng, 0.35, 0.6), gap = in(rng, 8, 16);
    Mesh mesh = extrude({sector(1 - band, 1, gap, 360 - gap, 90)}, -width / 2, width / 2);
    const double y = std::sin(gap * pi / 180) * (1 - band / 2);
    for (const double side : {-1.0, 1.0})
    {
        const double from = side > 0 ? y : -y - band;
        const std::vector<Outline> outlines = {rectangle(ear + 0.1, width, {1 - band + ear / 2, 0}),
                                               circle(0.11, {1 - band + ear * 0.6, 0}, 28)};
        mesh.add(turned(extrude(outlines, -from - band, -from), Axis::X, 90));
    }
    Mesh screw = rod(0.09, -y - 0.45, y + 0.3);
    screw.add(extrude({hexagon(0.34)}, y + band + 0.02, y + band + 0.2));
    screw.add(extrude({hexagon(0.34)}, -y - band - 0.2, -y - band - 0.02));
    mesh.add(moved(turned(std::move(screw), Axis::X, -90), 1 - band + ear * 0.6, 0, 0));
    return mesh;
}

Mesh pipeElbow(RNG& rng)
{
    const double bend = in(rng, 0.8, 1.5), angle = whole(rng, 0, 2) == 0 ? 45 : 90, collar = in(rng, 1.12, 1.35),
                 wall = in(rng, 0.07, 0.14);
    const double radius = 0.5, length = in(rng, 0.2, 0.5);
    Mesh mesh = tube(arc(bend, 0, angle, 24), radius, radius - wall);
    const auto end = [&] { return pipe(radius * collar, radius - wall, 0, length, 0.02); };
    // a collar stands on z: laid along the path at each end
    mesh.add(moved(turned(end(), Axis::X, 90), bend, 0, 0));
    const Point2d at = polar(bend, angle);
    mesh.add(moved(turned(turned(end(), Axis::X, -90), Axis::Z, angle), at.x, at.y, 0));
    return turned(mesh, Axis::X, 90);
}

Mesh pipeFlange(RNG& rng)
{
    const double bore = in(rng, 0.3, 0.5), thickness = in(rng, 0.14, 0.28), neck = in(rng, 0.2, 0.8), hole = in(rng, 0.07, 0.11);
    std::vector<Outline> outlines = {circle(1), circle(bore)};
    addHoles(outlines, 4 + 2 * whole(rng, 0, 2), hole, 0.5 * (1 + bore * 1.3) + 0.02);
    Mesh mesh = extrude(outlines, 0, thickness);
    mesh.add(
        lathe({flat(bore, thickness), flat(bore * 1.35, thickness), flat(bore * 1.2, thickness + neck), flat(bore, thickness + neck)}));
    return mesh;
}

Mesh pipeTee(RNG& rng)
{
    const double radius = in(rng, 0.38, 0.55), wall = in(rng, 0.07, 0.12), branch = in(rng, 0.7, 1.3), collar = in(rng, 1.12, 1.4);
    const double ring = in(rng, 0.18, 0.4);
    const auto arm = [&](double from, double to)
    {
        Mesh mesh = pipe(radius, radius - wall, from, to);
        mesh.add(pipe(radius * collar, radius - wall, to - ring, to, 0.02));
        return mesh;
    };
    Mesh mesh = turned(arm(0, 1.2), Axis::Y, 90);
    mesh.add(turned(arm(0, 1.2), Axis::Y, -90));
    mesh.add(arm(radius * 0.8, radius + branch));
    return mesh;
}

Mesh retainingRing(RNG& rng)
{
    const double inner = in(rng, 0.72, 0.84), gap = in(rng, 14, 32), ear = in(rng, 0.14, 0.2), thickness = in(rng, 0.06, 0.12);
    Mesh mesh = extrude({sector(inner, 1, gap, 360 - gap, 90)}, 0, thickness);
    for (const double side : {-1.0, 1.0})
    {
        const Point2d at = polar((inner + 1) / 2 - ear * 0.35, side * gap);
        mesh.add(extrude({circle(ear, at, 40), circle(ear * 0.45, at, 28)}, 0, thickness));
    }
    return mesh;
}

Mesh rodEnd(RNG& rng)
{
    const double ring = in(rng, 0.22, 0.34), width = in(rng, 0.4, 0.6), shank = in(rng, 0.9, 1.8), bore = in(rng, 0.2, 0.3);
    const double inner = 0.8 - ring;
    Mesh mesh = turned(pipe(0.8, inner * 0.9, -width / 2, width / 2, 0.04), Axis::X, 90);
    Outline cup; // a ball with a bore
    const double half = inner * 0.9;
    for (int i = 0; i <= 20; i++)
    {
        const double z = half * (2.0 * i / 20 - 1);
        cup.push_back(flat(std::sqrt(std::max(0.0, inner * inner * 1.1 - z * z)), z));
    }
    cup.push_back(flat(bore, half));
    cup.push_back(flat(bore, -half));
    mesh.add(turned(lathe(cup), Axis::X, 90));
    mesh.add(rod(0.36, -1.05, -0.68, 0.04));
    mesh.add(threadedRod(0.27, -1.05 - shank, -1.0, 0.1));
    return mesh;
}

Mesh socketScrew(RNG& rng)
{
    const double length = in(rng, 1.3, 3), head = in(rng, 0.68, 0.85), height = in(rng, 0.7, 1.05), socket = in(rng, 0.55, 0.75);
    Mesh mesh = rod(head, 0, height * 0.45, 0.02);
    mesh.add(extrude({circle(head), hexagon(2 * head * socket)}, height * 0.45, height));
    mesh.add(threadedRod(0.45, -length, 0, 0.125));
    return mesh;
}

Mesh spacer(RNG& rng)
{
    const double bore = in(rng, 0.35, 0.8), height = in(rng, 1.2, 3);
    if (rng.uniform(0, 3) == 0)
        return extrude({hexagon(2), circle(std::min(bore, 0.6))}, 0, height);
    return pipe(1, bore, 0, height, 0.04);
}

Mesh spokedWheel(RNG& rng)
{
    const int spokes = whole(rng, 3, 6);
    const double rim = in(rng, 0.08, 0.14), hub = in(rng, 0.2, 0.32), dish = in(rng, 0, 0.3);
    const bool grip = rng.uniform(0, 2) == 1;
    Mesh mesh = tube(wholeCircle(1), rim, 0, true);
    mesh.add(moved(pipe(hub, hub * 0.5, -0.2, 0.2, 0.03), 0, 0, -dish));
    for (int i = 0; i < spokes; i++)
    {
        const Point2d inside = polar(hub * 0.8, 360.0 * i / spokes), outside = polar(1, 360.0 * i / spokes);
        mesh.add(tube({solid(inside.x, inside.y, -dish), solid(outside.x, outside.y, 0)}, rim * 0.75));
    }
    if (grip)
        mesh.add(moved(lathe({flat(0, 0), flat(0.09, 0), flat(0.13, 0.2), flat(0.12, 0.45), flat(0.06, 0.55), flat(0, 0.55)}), 1, 0, 0));
    return mesh;
}

Mesh spurGear(RNG& rng)
{
    const int teeth = whole(rng, 12, 34);
    const double width = in(rng, 0.2, 0.6), bore = in(rng, 0.15, 0.3), hub = in(rng, 0.05, 0.35), root = 1 - 4.2 / (teeth + 2);
    std::vector<Outline> outlines = {toothed(root, 1, teeth, 0.15, 0.22), keyedBore(bore)};
    if (teeth > 22)
        addHoles(outlines, whole(rng, 4, 6), (root - bore) * 0.22, (root + bore * 1.3) / 2);
    Mesh mesh = extrude(outlines, 0, width);
    mesh.add(pipe(bore * 1.45, bore * 1.02, width, width + hub, 0.02));
    return mesh;
}

Mesh starKnob(RNG& rng)
{
    const int lobes = whole(rng, 3, 8);
    const double height = in(rng, 0.45, 0.8), depth = in(rng, 0.08, 0.16), stud = in(rng, 0, 1.2);
    Mesh mesh = extrude({lobed(0.86, depth, lobes)}, 0, height);
    mesh.add(extrude({lobed(0.76, depth, lobes)}, height, height + 0.08));
    mesh.add(rod(0.42, -0.35, 0, 0.03));
    if (stud > 0.3)
        mesh.add(threadedRod(0.17, -0.35 - stud, -0.3, 0.08));
    return mesh;
}

Mesh steppedShaft(RNG& rng)
{
    const int steps = whole(rng, 3, 6);
    Outline profile;
    double z = 0;
    for (int i = 0; i < steps; i++)
    {
        const double peak = 1 - std::abs(2.0 * i / (steps - 1) - 1); // thick in the middle
        const double swell = in(rng, 0.6, 1), more = in(rng, 0, 0.1), length = in(rng, 0.3, 1.1);
        const double radius = 0.25 + 0.4 * peak * swell + more;
        if (i == 0)
            profile.push_back(flat(0, 0));
        profile.push_back(flat(radius - 0.03, z));
        profile.push_back(flat(radius, z + 0.03));
        z += length;
        profile.push_back(flat(radius, z - 0.03));
        profile.push_back(flat(radius - 0.03, z));
    }
    profile.push_back(flat(0, z));
    return lathe(profile);
}

Mesh tSlotProfile(RNG& rng)
{
    const double length = in(rng, 1.5, 4), slot = in(rng, 0.14, 0.24), lip = in(rng, 0.1, 0.18), depth = in(rng, 0.38, 0.5);
    Outline outline;
    for (int side = 0; side < 4; side++)
    {
        // from one corner to the next, through the slot in the middle of the side; side 0 is the right one
        const std::vector<Point2d> points = {{1, -1},
                                             {1, -slot},
                                             {1 - lip, -slot},
                                             {1 - lip, -slot * 2.1},
                                             {1 - depth, -slot},
                                             {1 - depth, slot},
                                             {1 - lip, slot * 2.1},
                                             {1 - lip, slot},
                                             {1, slot}};
        for (const Point2d& p : points)
            outline.push_back(side == 0 ? flat(p.x, p.y) : side == 1 ? flat(-p.y, p.x) : side == 2 ? flat(-p.x, -p.y) : flat(p.y, -p.x));
    }
    return extrude({outline, circle(in(rng, 0.14, 0.22), {}, 36)}, 0, length);
}

Mesh uBolt(RNG& rng)
{
    const double bar = in(rng, 0.09, 0.16), leg = in(rng, 0.6, 1.8), radius = in(rng, 0.5, 0.8), threaded = leg * in(rng, 0.4, 0.8);
    const bool plate = rng.uniform(0, 2) == 1;
    std::vector<Point3f> path = {solid(radius, -leg + threaded, 0)};
    for (const Point3f& point : arc(radius, 0, 180, 36))
        path.push_back(point);
    path.push_back(solid(-radius, -leg + threaded, 0));
    Mesh mesh = turned(tube(path, bar), Axis::X, 90);
    for (const double side : {-1.0, 1.0})
        mesh.add(moved(threadedRod(bar * 1.02, -leg, -leg + threaded, 0.07), side * radius, 0, 0));
    if (plate)
    {
        mesh.add(
            extrude({roundedRectangle(2 * radius + 6 * bar, 4.5 * bar, 2 * bar)}, -leg + threaded * 0.55, -leg + threaded * 0.55 + 0.1));
        for (const double side : {-1.0, 1.0})
            mesh.add(moved(extrude({hexagon(bar * 3.6)}, 0, bar * 1.5), side * radius, 0, -leg + threaded * 0.55 - bar * 1.5));
    }
    return mesh;
}

Mesh uBracket(RNG& rng)
{
    const double width = in(rng, 0.8, 1.6), span = in(rng, 1.0, 2.0), height = in(rng, 0.8, 1.6), thickness = in(rng, 0.1, 0.2);
    const double hole = in(rng, 0.1, 0.3);
    const std::vector<Outline> holes = {circle(hole, {0, height * 0.65}, 36)};
    Mesh mesh = extrude({rectangle(span, width), circle(0.13, {span * 0.2, 0}, 28), circle(0.13, {-span * 0.2, 0}, 28)}, 0, thickness);
    mesh.add(moved(uprightPlate(width, height, thickness, holes), span / 2 - thickness, 0, 0));
    mesh.add(moved(uprightPlate(width, height, thickness, holes), -span / 2, 0, 0));
    return mesh;
}

Mesh vPulley(RNG& rng)
{
    const int grooves = whole(rng, 1, 3);
    const double groove = in(rng, 0.22, 0.34), depth = in(rng, 0.16, 0.3), bore = in(rng, 0.15, 0.28), web = in(rng, 0.3, 0.9);
    const double width = grooves * groove + 0.12;
    Outline profile = {flat(bore, 0), flat(bore * 1.8, 0), flat(bore * 1.8, width * (1 - web) / 2), flat(0.66, width * (1 - web) / 2),
                       flat(0.7, 0),  flat(1, 0)};
    for (int i = 0; i < grooves; i++)
    {
        const double from = 0.06 + i * groove;
        profile.push_back(flat(1, from + groove * 0.08));
        profile.push_back(flat(1 - depth, from + groove * 0.36));
        profile.push_back(flat(1 - depth, from + groove * 0.64));
        profile.push_back(flat(1, from + groove * 0.92));
    }
    for (const Point2f& p : {flat(1, width), flat(0.7, width), flat(0.66, width * (1 + web) / 2), flat(bore * 1.8, width * (1 + web) / 2),
                             flat(bore * 1.8, width * 1.15), flat(bore, width * 1.15)})
        profile.push_back(p);
    return lathe(profile);
}

Mesh washer(RNG& rng)
{
    const double bore = in(rng, 0.35, 0.65), thickness = in(rng, 0.06, 0.2);
    const int kind = whole(rng, 0, 2);
    if (kind == 2) // a lock washer with teeth
        return extrude({toothed(0.82, 1, whole(rng, 8, 14), 0.12, 0.3), circle(bore)}, 0, thickness);
    return pipe(1, bore, 0, thickness, kind == 1 ? thickness * 0.4 : 0.01);
}

Mesh wingNut(RNG& rng)
{
    const double height = in(rng, 0.6, 1), bore = in(rng, 0.22, 0.34), span = in(rng, 0.9, 1.5), rise = in(rng, 0.5, 1);
    Mesh mesh = lathe({flat(bore, 0), flat(0.55, 0), flat(0.42, height), flat(bore, height)});
    Outline wing;
    for (int i = 0; i <= 28; i++)
        wing.emplace_back(polar(0.34, -75 + 230.0 * i / 28) + Point2d(span, rise));
    wing.push_back(flat(0.3, height * 0.7));
    wing.push_back(flat(0.3, height * 0.1));
    const Mesh plate = turned(extrude({wing}, -0.09, 0.09), Axis::X, 90);
    mesh.add(plate);
    mesh.add(turned(plate, Axis::Z, 180));
    return mesh;
}

struct Recipe
{
    PartClass partClass;
    Mesh (*make)(RNG&);
};

const std::vector<Recipe>& recipes()
{
    static const std::vector<Recipe> all = {
        {{"ball_bearing", false}, ballBearing},
        {{"cam", false}, cam},
        {{"clevis", true}, clevis},
        {{"coil_spring", true}, coilSpring},
        {{"crank_handle", false}, crankHandle},
        {{"eye_bolt", false}, eyeBolt},
        {{"flanged_bushing", true}, flangedBushing},
        {{"hex_bolt", true}, hexBolt},
        {{"hex_nut", true}, hexNut},
        {{"hinge", false}, hinge},
        {{"keyed_shaft", true}, keyedShaft},
        {{"l_bracket", true}, lBracket},
        {{"perforated_plate", true}, perforatedPlate},
        {{"pillow_block", true}, pillowBlock},
        {{"pipe_clamp", false}, pipeClamp},
        {{"pipe_elbow", true}, pipeElbow},
        {{"pipe_flange", true}, pipeFlange},
        {{"pipe_tee", false}, pipeTee},
        {{"retaining_ring", true}, retainingRing},
        {{"rod_end", true}, rodEnd},
        {{"socket_screw", true}, socketScrew},
        {{"spacer", true}, spacer},
        {{"spoked_wheel", true}, spokedWheel},
        {{"spur_gear", true}, spurGear},
        {{"star_knob", false}, starKnob},
        {{"stepped_shaft", true}, steppedShaft},
        {{"t_slot_profile", true}, tSlotProfile},
        {{"u_bolt", false}, uBolt},
        {{"u_bracket", true}, uBracket},
        {{"v_pulley", true}, vPulley},
        {{"washer", true}, washer},
        {{"wing_nut", false}, wingNut},
    };
    return all;
}

} // namespace

const std::vector<PartClass>& partClasses()
{
    static const std::vector<PartClass> classes = []
    {
        std::vector<PartClass> list;
        for (const Recipe& recipe : recipes())
            list.push_back(recipe.partClass);
        return list;
    }();
    return classes;
}

Mesh makePart(const std::string& className, uint64_t seed)
{
    const auto& all = recipes();
    const auto recipe = std::ranges::find_if(all, [&](const Recipe& each) { return each.partClass.name == className; });
    require(recipe != all.end(), "'{}' is no class of demo parts", className);
    RNG rng(seed);
    Mesh mesh = recipe->make(rng);
    // three of ten lie on a side
    if (in(rng, 0, 1) < 0.3)
        mesh = turned(turned(std::move(mesh), Axis::X, 90), Axis::Z, in(rng, 0, 360));
    return normalised(turned(std::move(mesh), Axis::Z, in(rng, 0, 360)));
}

} // namespace agpnet::tools
