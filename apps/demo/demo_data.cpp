#include "apps/demo/demo_data.h"

#include "apps/datasets/image_io.h"
#include "apps/demo/seeds.h"
#include "common/error.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <opencv2/imgproc.hpp>

namespace agpnet::tools
{

namespace
{

using cv::Mat1f;
using cv::Mat3f;
using cv::Point2f;
using cv::RNG;
using cv::Vec3f;

constexpr float pi = std::numbers::pi_v<float>;

float clamp01(float v)
{
    return std::clamp(v, 0.0f, 1.0f);
}
float smooth(float low, float high, float v)
{
    const float t = clamp01((v - low) / (high - low));
    return t * t * (3 - 2 * t);
}
Vec3f mix(const Vec3f& a, const Vec3f& b, float t)
{
    return a * (1 - t) + b * t;
}
Vec3f rgb(int r, int g, int b)
{
    return Vec3f(static_cast<float>(b), static_cast<float>(g), static_cast<float>(r)) / 255.0f;
}
float uniform(RNG& rng, double low, double high)
{
    return static_cast<float>(rng.uniform(low, high));
}
float normal(RNG& rng, double sigma)
{
    return static_cast<float>(rng.gaussian(sigma));
}

/// The sheet is drawn at twice the size and shrunk at the end. `unit` is one pixel of a picture of 256, so that a larger
/// picture shows the same thing in more detail.
struct Sheet
{
    int side;
    float unit;
    float u(double v) const { return static_cast<float>(v) * unit; }
    int i(double v) const { return std::max(1, cvRound(v * static_cast<double>(unit))); }
    float at(RNG& rng, double margin) const { return uniform(rng, margin, 256 - margin) * unit; }
    Point2f point(RNG& rng, double margin) const
    {
        const float x = at(rng, margin);
        return {x, at(rng, margin)};
    }
};

/// Smooth random field of about unit deviation; cells in units.
Mat1f field(RNG& rng, const Sheet& s, double cellX, double cellY, int octaves = 1)
{
    Mat1f sum(s.side, s.side, 0.0f);
    float weight = 1, power = 0;
    for (int octave = 0; octave < octaves; octave++, weight *= 0.55f, cellX /= 2, cellY /= 2)
    {
        const cv::Size grid(cvCeil(256 / cellX) + 3, cvCeil(256 / cellY) + 3);
        Mat1f random(grid), large;
        rng.fill(random, RNG::NORMAL, 0, 1);
        // the outermost cells repeat their edge: cut out what lies within
        cv::resize(random, large, {cvCeil(grid.width * cellX * s.unit), cvCeil(grid.height * cellY * s.unit)}, 0, 0,
                   cv::INTER_CUBIC);
        large = large(cv::Rect(cvFloor(cellX * s.unit), cvFloor(cellY * s.unit), s.side, s.side));
        sum += weight * large;
        power += weight * weight;
    }
    return sum / (std::sqrt(power) * 0.72f); // cubic interpolation averages: about 0.72 of the grid's deviation stays
}

/// Noise smeared along x: what brushing, or the fibres of wood, leave.
Mat1f streaks(RNG& rng, const Sheet& s, double length, double width)
{
    Mat1f noise(s.side, s.side);
    rng.fill(noise, RNG::NORMAL, 0, 1);
    cv::blur(noise, noise, {s.i(length) | 1, 1}, {-1, -1}, cv::BORDER_REFLECT);
    cv::blur(noise, noise, {s.i(length / 2) | 1, s.i(width) | 1}, {-1, -1}, cv::BORDER_REFLECT);
    cv::Scalar mean, deviation;
    cv::meanStdDev(noise, mean, deviation);
    return (noise - mean[0]) / std::max(deviation[0], 1e-6);
}

void blend(Mat3f& scene, const Mat1f& alpha, const std::function<Vec3f(int, int, const Vec3f&)>& colour)
{
    for (int y = 0; y < scene.rows; y++)
        for (int x = 0; x < scene.cols; x++)
            if (const float a = alpha(y, x); a > 0)
                scene(y, x) = mix(scene(y, x), colour(y, x, scene(y, x)), std::min(a, 1.0f));
}

void blend(Mat3f& scene, const Mat1f& alpha, const Vec3f& colour)
{
    blend(scene, alpha, [&](int, int, const Vec3f&) { return colour; });
}

/// Distance in sheet pixels to the outline of a rough blob, positive inside.
Mat1f blob(RNG& rng, const Sheet& s, Point2f centre, float radius, float roughness)
{
    std::array<float, 7> amplitude{}, phase{};
    for (size_t k = 0; k < amplitude.size(); k++)
    {
        amplitude[k] = normal(rng, static_cast<double>(roughness) / (1 + static_cast<double>(k)));
        phase[k] = uniform(rng, 0, 2 * std::numbers::pi);
    }
    const float stretch = uniform(rng, 0.7, 1.35), turn = uniform(rng, 0, std::numbers::pi);
    Mat1f distance(s.side, s.side);
    for (int y = 0; y < s.side; y++)
        for (int x = 0; x < s.side; x++)
        {
            const float dx = static_cast<float>(x) - centre.x, dy = static_cast<float>(y) - centre.y;
            const float a = (dx * std::cos(turn) + dy * std::sin(turn)) * stretch;
            const float b = (dy * std::cos(turn) - dx * std::sin(turn)) / stretch;
            const float angle = std::atan2(b, a);
            float r = 1;
            for (size_t k = 0; k < amplitude.size(); k++)
                r += amplitude[k] * std::sin(static_cast<float>(k + 1) * angle + phase[k]);
            distance(y, x) = radius * std::max(0.3f, r) - std::hypot(a, b);
        }
    return distance;
}

Mat1f softInside(const Mat1f& distance, float edge)
{
    Mat1f alpha(distance.size());
    for (int y = 0; y < distance.rows; y++)
        for (int x = 0; x < distance.cols; x++)
            alpha(y, x) = smooth(-edge, edge, distance(y, x));
    return alpha;
}

using Path = std::vector<Point2f>;

/// A line that wanders: `wander` turns it gradually, `jag` step by step.
Path walkPath(RNG& rng, Point2f start, float angle, float length, float step, float wander, float jag)
{
    Path path = {start};
    float bend = 0;
    for (float done = 0; done < length; done += step)
    {
        bend = 0.85f * bend + normal(rng, static_cast<double>(wander));
        angle += bend;
        const float here = angle + normal(rng, static_cast<double>(jag));
        path.push_back(path.back() + Point2f(std::cos(here), std::sin(here)) * step);
    }
    return path;
}

/// Coverage of a stroke that thins out towards its ends; widths in sheet pixels.
Mat1f stroke(const Sheet& s, const Path& path, float width, bool taper = true)
{
    cv::Mat1b covered(s.side, s.side, uchar{0});
    constexpr int shift = 4;
    for (size_t k = 0; k + 1 < path.size(); k++)
    {
        const float t = path.size() < 3 ? 0.5f : static_cast<float>(k) / static_cast<float>(path.size() - 2);
        const float here = taper ? width * (0.35f + 0.65f * std::sin(pi * std::clamp(t, 0.03f, 0.97f))) : width;
        cv::line(covered, cv::Point(path[k] * 16.0f), cv::Point(path[k + 1] * 16.0f), cv::Scalar(255), std::max(1, cvRound(here)),
                 cv::LINE_AA, shift);
    }
    Mat1f alpha;
    covered.convertTo(alpha, CV_32F, 1 / 255.0);
    return alpha;
}

Mat1f shifted(const Mat1f& alpha, float dx, float dy)
{
    Mat1f result;
    const cv::Matx23d move(1, 0, static_cast<double>(dx), 0, 1, static_cast<double>(dy));
    cv::warpAffine(alpha, result, move, alpha.size());
    return result;
}

// --- defects that several products share -------------------------------------------------------------------------------

/// A dried liquid: tinted, with the rim darker than the middle.
void addStain(Mat3f& scene, RNG& rng, const Sheet& s, const Vec3f& tint, double strength)
{
    const float radius = s.u(rng.uniform(12.0, 27.0)), edge = s.u(rng.uniform(1.2, 4.0));
    const Mat1f distance = blob(rng, s, s.point(rng, 40), radius, 0.12f);
    const Mat1f uneven = field(rng, s, 14, 14, 2);
    Mat1f alpha(distance.size());
    const auto depth = static_cast<float>(strength);
    for (int y = 0; y < s.side; y++)
        for (int x = 0; x < s.side; x++)
        {
            const float d = distance(y, x) + uneven(y, x) * s.u(2.2);
            const float rim = std::exp(-std::pow((d - s.u(1.6)) / s.u(1.8), 2.0f));
            alpha(y, x) = smooth(-edge, edge, d) * clamp01(depth * (0.72f + 0.10f * uneven(y, x) + 0.30f * rim));
        }
    blend(scene, alpha, [&](int, int, const Vec3f& below) { return below.mul(tint); });
}

/// A groove: a lit edge beside a shaded one.
void addScratch(Mat3f& scene, RNG& rng, const Sheet& s, float angle, const std::function<Vec3f(int, int, const Vec3f&)>& lit,
                const Vec3f& shade)
{
    const float width = s.u(rng.uniform(1.0, 1.9));
    const Path path = walkPath(rng, s.point(rng, 60), angle, s.u(rng.uniform(45.0, 120.0)), s.u(3), 0.012f, 0.02f);
    const Mat1f groove = stroke(s, path, width);
    blend(scene, shifted(groove, s.u(0.7), s.u(0.8)) * 0.7, shade);
    blend(scene, groove * static_cast<double>(uniform(rng, 0.75, 0.95)), lit);
}

/// A break with side branches, darkest in the middle.
void addCrack(Mat3f& scene, RNG& rng, const Sheet& s, float angle, float length, float wander, float jag, int branches,
              const Vec3f& dark, const Vec3f& edge)
{
    const Path trunk = walkPath(rng, s.point(rng, 55), angle, length, s.u(3.2), wander, jag);
    Mat1f alpha = stroke(s, trunk, s.u(rng.uniform(0.9, 1.7)));
    for (int b = 0; b < branches && trunk.size() > 6; b++)
    {
        const auto from = static_cast<size_t>(rng.uniform(2, static_cast<int>(trunk.size()) - 2));
        const float side = rng.uniform(0, 2) ? 1.0f : -1.0f;
        const Path branch = walkPath(rng, trunk[from], angle + side * uniform(rng, 0.4, 1.0), length * uniform(rng, 0.15, 0.4),
                                     s.u(3), 0.03f, jag);
        alpha = cv::max(alpha, stroke(s, branch, s.u(0.8)));
    }
    blend(scene, shifted(alpha, -s.u(0.9), -s.u(0.9)) * 0.55, edge);
    blend(scene, alpha * 0.92, dark);
}

auto plain(const Vec3f& colour)
{
    return [colour](int, int, const Vec3f&) { return colour; };
}

// --- woven fabric ------------------------------------------------------------------------------------------------------

Mat3f drawFabric(RNG& rng, const Sheet& s, RNG* defect, const std::string& kind)
{
    const float pitch = s.u(6.4 + rng.uniform(-0.15, 0.15));
    const float turn = uniform(rng, -0.03, 0.03), offsetX = uniform(rng, 0, 40), offsetY = uniform(rng, 0, 40);
    const Mat1f bendX = field(rng, s, 70, 70, 2), bendY = field(rng, s, 70, 70, 2);
    const Mat1f fibreX = field(rng, s, 1.0, 4.0), fibreY = field(rng, s, 4.0, 1.0), tone = field(rng, s, 40, 40, 2);
    std::array<float, 160> warpTone{}, weftTone{}, warpShift{}, weftShift{};
    for (size_t i = 0; i < warpTone.size(); i++)
    {
        warpTone[i] = 1 + normal(rng, 0.05);
        weftTone[i] = 1 + normal(rng, 0.05);
        warpShift[i] = normal(rng, 0.04);
        weftShift[i] = normal(rng, 0.04);
    }
    const Vec3f warp = rgb(92, 108, 128), weft = rgb(186, 181, 168), gap = rgb(30, 32, 38);
    int missing = -1;
    bool alongWarp = false;
    float from = 0, to = 0;
    if (defect && kind == "missing_thread")
    {
        alongWarp = defect->uniform(0, 2) == 1;
        missing = cvRound((s.at(*defect, 60) / pitch)) + 20;
        from = s.at(*defect, 30) * 0.5f;
        to = from + s.u(defect->uniform(60.0, 170.0));
    }
    Mat3f scene(s.side, s.side);
    for (int y = 0; y < s.side; y++)
        for (int x = 0; x < s.side; x++)
        {
            const auto fx = static_cast<float>(x), fy = static_cast<float>(y);
            const float u = (fx + turn * fy + bendX(y, x) * s.u(1.4)) / pitch + 20 + offsetX;
            const float v = (fy - turn * fx + bendY(y, x) * s.u(1.4)) / pitch + 20 + offsetY;
            const auto i = static_cast<size_t>(u), j = static_cast<size_t>(v);
            const float across = u - std::floor(u) - 0.5f + warpShift[i], over = v - std::floor(v) - 0.5f + weftShift[j];
            const size_t phase = (i + j) & 3; // 2/2 twill: two over, two under, one further each row
            const bool warpOnTop = phase < 2;
            const auto isMissing = [&](bool ofWarp)
            {
                const float along = ofWarp ? fy : fx;
                const auto index = static_cast<int>(ofWarp ? u - offsetX : v - offsetY);
                return missing >= 0 && ofWarp == alongWarp && index == missing && along > from && along < to;
            };
            const auto thread = [&](bool ofWarp, bool top)
            {
                const float c = ofWarp ? across : over;
                // where it lies on top it arches over two crossings
                const float run = ((ofWarp ? static_cast<float>(phase & 1) + (v - std::floor(v))
                                           : static_cast<float>(phase & 1) + (u - std::floor(u))) -
                                   1) /
                                  2;
                const float round = std::sqrt(std::max(0.0f, 1 - 3.4f * c * c));
                const float arch = top ? 1 - 0.9f * run * run : 0.42f;
                const float grain = 1 + 0.10f * (ofWarp ? fibreX(y, x) : fibreY(y, x));
                const float shade = (0.30f + 0.78f * round) * arch * grain * (ofWarp ? warpTone[i] : weftTone[j]);
                return (ofWarp ? warp : weft) * shade;
            };
            // without the one below, a thread sags and lies in shade
            const bool sags = isMissing(!warpOnTop);
            const Vec3f colour = isMissing(warpOnTop) ? (isMissing(!warpOnTop) ? gap : mix(gap, thread(!warpOnTop, false), 0.75f))
                                                      : thread(warpOnTop, true);
            scene(y, x) = colour * ((sags ? 0.70f : 1.0f) * (1 + 0.035f * tone(y, x)));
        }
    if (defect && kind == "hole")
    {
        const Point2f centre = s.point(*defect, 40);
        const float radius = s.u(defect->uniform(7.0, 14.0));
        const Mat1f distance = blob(*defect, s, centre, radius, 0.16f);
        const Mat1f below = field(*defect, s, 10, 10, 2);
        blend(scene, softInside(distance, s.u(3)) * 0.35, rgb(60, 62, 66)); // the weave sags towards the edge
        blend(scene, softInside(distance - s.u(1), s.u(1)),
              [&](int y, int x, const Vec3f&) { return gap * (0.75f + 0.12f * below(y, x)); });
        const int ends = defect->uniform(9, 18);
        for (int e = 0; e < ends; e++) // loose ends
        {
            const float angle = uniform(*defect, 0, 2 * std::numbers::pi);
            const Point2f start = centre + Point2f(std::cos(angle), std::sin(angle)) * (radius * 1.02f);
            const Path path = walkPath(*defect, start, angle + pi + normal(*defect, 0.6), radius * uniform(*defect, 0.3, 0.9),
                                       s.u(1.5), 0.1f, 0.1f);
            blend(scene, stroke(s, path, s.u(defect->uniform(0.7, 1.5)), false) * 0.8,
                  (e % 2 ? warp : weft) * uniform(*defect, 0.7, 1.0));
        }
    }
    else if (defect && kind == "stain")
        addStain(scene, *defect, s, rgb(158, 124, 86), defect->uniform(0.4, 0.75));
    return scene;
}

// --- brushed metal -----------------------------------------------------------------------------------------------------

Mat3f drawMetal(RNG& rng, const Sheet& s, RNG* defect, const std::string& kind)
{
    const Mat1f longOnes = streaks(rng, s, 120, 0.5), shortOnes = streaks(rng, s, 26, 0.5), broad = streaks(rng, s, 200, 5);
    const Mat1f tone = field(rng, s, 110, 60, 2);
    const float glint = s.at(rng, 30), spread = s.u(rng.uniform(90.0, 140.0));
    Mat1f light(s.side, s.side);
    for (int y = 0; y < s.side; y++)
        for (int x = 0; x < s.side; x++)
        {
            const float t = (static_cast<float>(x) - glint) / spread;
            light(y, x) = 0.50f + 0.13f * std::exp(-t * t) + 0.045f * longOnes(y, x) + 0.030f * shortOnes(y, x) +
                          0.014f * broad(y, x) + 0.012f * tone(y, x);
        }
    if (defect && kind == "dent")
    {
        const Point2f centre = s.point(*defect, 36);
        const float radius = s.u(defect->uniform(8.0, 17.0)), depth = uniform(*defect, 0.16, 0.26),
                    lightAngle = uniform(*defect, -2.2, -0.9);
        const float squeeze = uniform(*defect, 0.8, 1.25);
        Mat1f mapX(s.side, s.side), mapY(s.side, s.side), shade(s.side, s.side);
        for (int y = 0; y < s.side; y++)
            for (int x = 0; x < s.side; x++)
            {
                const float dx = (static_cast<float>(x) - centre.x) / radius * squeeze,
                            dy = (static_cast<float>(y) - centre.y) / radius / squeeze;
                const float bump = std::exp(-(dx * dx + dy * dy));
                shade(y, x) = 2.0f * depth * (dx * std::cos(lightAngle) + dy * std::sin(lightAngle)) * bump;
                mapX(y, x) = static_cast<float>(x) + dx * bump * s.u(3);
                mapY(y, x) = static_cast<float>(y) + dy * bump * s.u(5);
            }
        cv::remap(light, light, mapX, mapY, cv::INTER_LINEAR, cv::BORDER_REFLECT);
        light -= shade;
    }
    Mat3f scene(s.side, s.side);
    for (int y = 0; y < s.side; y++)
        for (int x = 0; x < s.side; x++)
            scene(y, x) = mix(rgb(38, 40, 44), rgb(252, 250, 246), clamp01(light(y, x)));
    if (defect && kind == "scratch")
    {
        const float angle = (defect->uniform(0, 2) ? 1.0f : -1.0f) * uniform(*defect, 0.25, 1.5);
        addScratch(scene, *defect, s, angle, plain(rgb(236, 236, 238)), rgb(58, 58, 62));
        if (defect->uniform(0, 3) == 0)
            addScratch(scene, *defect, s, angle + normal(*defect, 0.1), plain(rgb(225, 225, 228)), rgb(70, 70, 74));
    }
    else if (defect && kind == "rust")
    {
        const Mat1f distance = blob(*defect, s, s.point(*defect, 36), s.u(defect->uniform(8.0, 18.0)), 0.16f);
        const Mat1f grain = field(*defect, s, 3.2, 3.2, 3), hue = field(*defect, s, 6, 6, 2);
        Mat1f alpha(distance.size());
        for (int y = 0; y < s.side; y++)
            for (int x = 0; x < s.side; x++)
                alpha(y, x) = 0.88f * smooth(-0.1f, 0.9f, distance(y, x) / s.u(7) + 0.55f * grain(y, x));
        // the noise reaches everywhere; the stain must not
        alpha = alpha.mul(softInside(distance + s.u(4), s.u(4)));
        blend(scene, alpha,
              [&](int y, int x, const Vec3f& below)
              { return mix(rgb(118, 66, 34), rgb(168, 104, 56), clamp01(0.5f + 0.3f * hue(y, x))) * (0.75f + 0.4f * below[1]); });
    }
    return scene;
}

// --- wood --------------------------------------------------------------------------------------------------------------

Mat3f drawWood(RNG& rng, const Sheet& s, RNG* defect, const std::string& kind)
{
    const Mat1f bend = field(rng, s, 260, 90, 2), wave = field(rng, s, 120, 16, 2), fibre = streaks(rng, s, 34, 0.5),
                fine = streaks(rng, s, 12, 0.3);
    const Mat1f tone = field(rng, s, 120, 80, 2);
    const float spacing = uniform(rng, 11, 15), offset = uniform(rng, 0, 10), tilt = uniform(rng, -0.05, 0.05);
    Mat3f scene(s.side, s.side);
    for (int y = 0; y < s.side; y++)
        for (int x = 0; x < s.side; x++)
        {
            const float ring =
                (static_cast<float>(y) + tilt * static_cast<float>(x) + bend(y, x) * s.u(15) + wave(y, x) * s.u(1.3)) /
                    s.u(static_cast<double>(spacing)) +
                offset + 64;
            const float part = ring - std::floor(ring);
            // early wood darkens slowly, then late wood ends at once
            const float late = std::pow(part, 2.4f) * (1 - smooth(0.93f, 1.0f, part));
            const float t = 0.14f + 0.50f * late + 0.050f * fibre(y, x) + 0.035f * fine(y, x) + 0.045f * tone(y, x);
            scene(y, x) = mix(rgb(214, 172, 122), rgb(128, 82, 46), clamp01(t));
        }
    cv::Mat1b pores(s.side, s.side, uchar{0});
    const int number = rng.uniform(420, 560);
    for (int p = 0; p < number; p++)
    {
        const Point2f at = s.point(rng, 0);
        const Point2f end = at + Point2f(s.u(rng.uniform(2.0, 9.0)), s.u(rng.gaussian(0.25)));
        cv::line(pores, cv::Point(at * 16.0f), cv::Point(end * 16.0f), cv::Scalar(rng.uniform(90, 190)), s.i(0.45), cv::LINE_AA,
                 4);
    }
    Mat1f alpha;
    pores.convertTo(alpha, CV_32F, 0.75 / 255);
    blend(scene, alpha, rgb(96, 60, 34));
    if (!defect)
        return scene;
    if (kind == "crack")
        addCrack(scene, *defect, s, normal(*defect, 0.05), s.u(defect->uniform(50.0, 130.0)), 0.006f, 0.10f,
                 defect->uniform(0, 2), rgb(44, 28, 18), rgb(222, 186, 140));
    else if (kind == "hole")
    {
        const int holes = defect->uniform(1, 4);
        const Point2f first = s.point(*defect, 40);
        for (int h = 0; h < holes; h++)
        {
            const Point2f centre = h ? first + Point2f(s.u(defect->gaussian(16)), s.u(defect->gaussian(12))) : first;
            const Mat1f distance = blob(*defect, s, centre, s.u(defect->uniform(2.4, 5.0)), 0.06f);
            blend(scene, softInside(distance + s.u(1.6), s.u(1.2)) * 0.5, rgb(104, 66, 38));
            blend(scene, softInside(distance, s.u(0.8)),
                  [&](int y, int, const Vec3f&)
                  { return rgb(38, 24, 15) * (1 + 0.5f * smooth(0, s.u(4), static_cast<float>(y) - centre.y)); });
        }
    }
    else if (kind == "stain")
        addStain(scene, *defect, s, rgb(126, 116, 112), defect->uniform(0.35, 0.7));
    return scene;
}

// --- terrazzo tile -----------------------------------------------------------------------------------------------------

Mat3f drawTile(RNG& rng, const Sheet& s, RNG* defect, const std::string& kind)
{
    const Mat1f cloud = field(rng, s, 60, 60, 3), sand = field(rng, s, 1.3, 1.3);
    Mat3f scene(s.side, s.side);
    for (int y = 0; y < s.side; y++)
        for (int x = 0; x < s.side; x++)
            scene(y, x) = rgb(206, 201, 192) * (1 + 0.018f * cloud(y, x) + 0.022f * sand(y, x));
    const std::array<Vec3f, 5> stones = {rgb(120, 118, 116), rgb(164, 146, 124), rgb(232, 229, 222), rgb(86, 88, 92),
                                         rgb(178, 172, 164)};
    const int number = rng.uniform(620, 720);
    for (int n = 0; n < number; n++)
    {
        const Point2f centre = s.point(rng, -4);
        const float radius = s.u(1.0 + 4.6 * std::pow(rng.uniform(0.0, 1.0), 2.2));
        const int corners = rng.uniform(5, 9);
        std::vector<cv::Point> outline;
        for (int c = 0; c < corners; c++)
        {
            const float angle = 2 * pi * (static_cast<float>(c) + uniform(rng, -0.3, 0.3)) / static_cast<float>(corners);
            outline.emplace_back((centre + Point2f(std::cos(angle), std::sin(angle)) * radius * uniform(rng, 0.65, 1.15)) *
                                 16.0f);
        }
        const Vec3f colour =
            stones[static_cast<size_t>(rng.uniform(0, static_cast<int>(stones.size())))] * uniform(rng, 0.92, 1.08);
        cv::fillConvexPoly(
            scene, outline,
            cv::Scalar(static_cast<double>(colour[0]), static_cast<double>(colour[1]), static_cast<double>(colour[2])),
            cv::LINE_8, 4);
    }
    if (!defect)
        return scene;
    if (kind == "crack")
        addCrack(scene, *defect, s, uniform(*defect, 0, 2 * std::numbers::pi), s.u(defect->uniform(60.0, 140.0)), 0.03f, 0.42f,
                 defect->uniform(0, 4), rgb(52, 48, 45), rgb(236, 233, 227));
    else if (kind == "chip")
    {
        // broken out: rough matter below the polish, lit from the upper left
        const Mat1f distance = blob(*defect, s, s.point(*defect, 36), s.u(defect->uniform(8.0, 17.0)), 0.18f);
        const Mat1f relief = field(*defect, s, 7, 7, 4);
        Mat1f height =
            cv::Mat(cv::min(cv::max(distance, 0.0), static_cast<double>(s.u(7)))) * -1.0 + relief * static_cast<double>(s.u(1.5));
        Mat1f gradX, gradY;
        cv::Sobel(height, gradX, CV_32F, 1, 0, 3, 0.125);
        cv::Sobel(height, gradY, CV_32F, 0, 1, 3, 0.125);
        blend(scene, softInside(distance, s.u(0.7)),
              [&](int y, int x, const Vec3f&)
              { return rgb(176, 166, 152) * std::clamp(0.86f - 0.13f * (gradX(y, x) + gradY(y, x)), 0.45f, 1.1f); });
    }
    else if (kind == "foreign")
    {
        if (defect->uniform(0, 2)) // a hair
        {
            const Path path = walkPath(*defect, s.point(*defect, 50), uniform(*defect, 0, 2 * std::numbers::pi),
                                       s.u(defect->uniform(50.0, 110.0)), s.u(2), 0.05f, 0.0f);
            const Mat1f hair = stroke(s, path, s.u(defect->uniform(0.55, 0.9)), false);
            blend(scene, shifted(hair, s.u(1.2), s.u(1.4)) * 0.30, rgb(60, 58, 56));
            blend(scene, hair * 0.92, rgb(44, 34, 28));
        }
        else // a flake of packaging, casting a shadow
        {
            const Vec3f colour = defect->uniform(0, 2) ? rgb(62, 98, 140) : rgb(176, 62, 48);
            const Mat1f distance = blob(*defect, s, s.point(*defect, 36), s.u(defect->uniform(4.0, 8.5)), 0.22f);
            const Mat1f piece = softInside(distance, s.u(0.6)), crease = field(*defect, s, 5, 5, 2);
            blend(scene, shifted(softInside(distance, s.u(1.6)), s.u(1.8), s.u(2)) * 0.5, rgb(80, 77, 73));
            blend(scene, piece, [&](int y, int x, const Vec3f&) { return colour * (1 + 0.16f * crease(y, x)); });
        }
    }
    return scene;
}

// --- printed board -----------------------------------------------------------------------------------------------------

void paint(Mat3f& scene, const Mat1f& alpha, const Vec3f& colour)
{
    blend(scene, alpha, colour);
}

/// A turned rectangle with soft corners, as coverage.
Mat1f turned(const Sheet& s, Point2f centre, float width, float height, float angle, float corner)
{
    Mat1f alpha(s.side, s.side, 0.0f);
    const float reach = std::hypot(width, height);
    const cv::Rect box = cv::Rect(cvFloor(centre.x - reach), cvFloor(centre.y - reach), cvCeil(2 * reach), cvCeil(2 * reach)) &
                         cv::Rect(0, 0, s.side, s.side);
    for (int y = box.y; y < box.y + box.height; y++)
        for (int x = box.x; x < box.x + box.width; x++)
        {
            const float dx = static_cast<float>(x) - centre.x, dy = static_cast<float>(y) - centre.y;
            const float a = std::abs(dx * std::cos(angle) + dy * std::sin(angle)) - width / 2 + corner;
            const float b = std::abs(dy * std::cos(angle) - dx * std::sin(angle)) - height / 2 + corner;
            const float outside = std::hypot(std::max(a, 0.0f), std::max(b, 0.0f)) + std::min(std::max(a, b), 0.0f) - corner;
            alpha(y, x) = clamp01(0.5f - outside);
        }
    return alpha;
}

struct Part
{
    float x, y;
    bool upright, dark;
    const char* name;
};

constexpr std::array<Part, 9> boardParts = {{{44, 40, false, true, "R1"},
                                             {44, 66, false, true, "R2"},
                                             {44, 92, false, false, "C1"},
                                             {212, 46, true, false, "C2"},
                                             {212, 96, true, true, "R5"},
                                             {60, 206, true, true, "R6"},
                                             {96, 206, true, false, "C4"},
                                             {150, 214, false, true, "R7"},
                                             {206, 188, false, false, "C7"}}};

/// A printed board, drawn part after part.
class Board
{
public:
    Board(RNG& rng, const Sheet& s, RNG* defect, const std::string& kind)
        : rng_(rng), s_(s), defect_(defect), kind_(kind), cloud_(field(rng, s, 70, 70, 2)), weave_(field(rng, s, 2.2, 2.2)),
          metalNoise_(field(rng, s, 3, 3, 2)), green_(1 + normal(rng, 0.03)), scene_(s.side, s.side)
    {
        for (int y = 0; y < s.side; y++)
            for (int x = 0; x < s.side; x++)
                scene_(y, x) = rgb(22, 82, 54) * green_ * (1 + 0.03f * cloud_(y, x) + 0.025f * weave_(y, x));
    }

    Mat3f drawn()
    {
        drawTracks();
        drawVias();
        drawParts();
        drawChip();
        drawDefect();
        return scene_;
    }

private:
    Point2f p(double x, double y) const { return {s_.u(x), s_.u(y)}; }
    Point2f nearby(double x, double y) { return p(x, y) + Point2f(normal(rng_, 0.3), normal(rng_, 0.3)) * s_.unit; }
    Point2f pin(int k, int row) const { return chip_ + Point2f(s_.u(-35 + 10.0 * k), s_.u(row ? 29 : -29)); }

    std::function<Vec3f(int, int, const Vec3f&)> texture(const Vec3f& colour) const
    {
        return [this, colour](int y, int x, const Vec3f&) { return colour * (1 + 0.07f * metalNoise_(y, x)); };
    }

    void drawTracks()
    {
        const Vec3f track = rgb(40, 116, 74) * green_;
        const auto line = [&](const Path& path, double width) { paint(scene_, stroke(s_, path, s_.u(width), false), track); };
        // tracks run through the whole picture, in bundles with 45 degree bends
        for (int k = 0; k < 5; k++)
        {
            const double d = 9.0 * k;
            line({p(-5, 112 + d), p(70 - d / 2, 112 + d), p(104 - d / 2, 146 + d), p(104 - d / 2 + 60, 146 + d), p(190, 120 + d),
                  p(262, 120 + d)},
                 2.6);
            line({p(120 + d, -5), p(120 + d, 30), p(96 + d * 1.6, 54), p(96 + d * 1.6, 76)}, 2.2);
        }
        for (int k = 0; k < 4; k++)
            line({p(-5, 226 + 8.0 * k), p(120, 226 + 8.0 * k), p(150, 240 + 8.0 * k), p(262, 240 + 8.0 * k)}, 2.4);
        for (const Part& part : boardParts)
        {
            const double reach = 22;
            line(part.upright ? Path{p(part.x, part.y - reach), p(part.x, part.y + reach)}
                              : Path{p(part.x - reach, part.y), p(part.x + reach, part.y)},
                 2.2);
        }
    }

    void drawVias()
    {
        const std::array<Point2f, 16> vias = {p(18, 24),   p(18, 140), p(76, 24),  p(80, 176), p(122, 178), p(140, 186),
                                              p(184, 22),  p(184, 70), p(236, 22), p(238, 70), p(238, 118), p(236, 214),
                                              p(178, 176), p(24, 190), p(24, 214), p(176, 240)};
        for (const Point2f& via : vias)
        {
            blend(scene_, turned(s_, via, s_.u(8.4), s_.u(8.4), 0, s_.u(4.2)), texture(rgb(206, 176, 104)));
            paint(scene_, turned(s_, via, s_.u(3.8), s_.u(3.8), 0, s_.u(1.9)), rgb(16, 22, 18));
        }
    }

    void drawParts()
    {
        int chosen = -1;
        if (defect_ && (kind_ == "missing_part" || kind_ == "shifted_part"))
            chosen = defect_->uniform(0, static_cast<int>(boardParts.size()));
        for (size_t n = 0; n < boardParts.size(); n++)
            drawPart(boardParts[n], static_cast<int>(n) == chosen);
    }

    /// Pads and solder fillets, the label, and what sits on them.
    void drawPart(const Part& part, bool defective)
    {
        Point2f centre = nearby(part.x, part.y);
        float angle = (part.upright ? pi / 2 : 0) + normal(rng_, 0.02);
        const float tone = 1 + normal(rng_, 0.04), padAngle = part.upright ? pi / 2 : 0;
        for (const double side : {-1.0, 1.0})
        {
            const Point2f pad = p(part.x, part.y) + Point2f(std::cos(padAngle), std::sin(padAngle)) * s_.u(9.5 * side);
            blend(scene_, turned(s_, pad, s_.u(8), s_.u(11), padAngle, s_.u(1.5)), texture(solder_ * 0.88f));
        }
        cv::Mat1b label(s_.side, s_.side, uchar{0});
        const Point2f at = part.upright ? p(part.x + 8, part.y + 3) : p(part.x - 7, part.y - 8.5);
        cv::putText(label, part.name, cv::Point(at), cv::FONT_HERSHEY_SIMPLEX, 0.27 * static_cast<double>(s_.unit), cv::Scalar(255),
                    s_.i(0.5), cv::LINE_AA);
        Mat1f text;
        label.convertTo(text, CV_32F, 0.9 / 255);
        paint(scene_, text, rgb(222, 226, 220));
        if (defective && kind_ == "missing_part")
            return;
        if (defective)
        {
            angle += (defect_->uniform(0, 2) ? 1.0f : -1.0f) * uniform(*defect_, 0.22, 0.6);
            centre += Point2f(uniform(*defect_, -2.5, 2.5), uniform(*defect_, -2.5, 2.5)) * s_.unit;
        }
        paint(scene_, shifted(turned(s_, centre, s_.u(22), s_.u(11), angle, s_.u(1)), s_.u(1.2), s_.u(1.5)) * 0.45, rgb(6, 22, 14));
        blend(scene_, turned(s_, centre, s_.u(21), s_.u(10), angle, s_.u(1)), texture(rgb(204, 205, 204) * tone));
        paint(scene_, turned(s_, centre, s_.u(13.5), s_.u(10), angle, s_.u(0.5)),
              (part.dark ? rgb(34, 34, 37) : rgb(168, 140, 104)) * tone);
        if (part.dark)
            paint(scene_, turned(s_, centre, s_.u(5.5), s_.u(3), angle, s_.u(1)) * 0.5, rgb(190, 190, 186));
    }

    /// The chip, with pins above and below.
    void drawChip()
    {
        chip_ = nearby(128, 104);
        for (int row = 0; row < 2; row++)
            for (int k = 0; k < pins; k++)
            {
                blend(scene_, turned(s_, pin(k, row), s_.u(5.2), s_.u(13), 0, s_.u(1)), texture(solder_ * 0.85f));
                blend(scene_, turned(s_, pin(k, row), s_.u(3), s_.u(10), 0, s_.u(0.6)), texture(solder_ * 1.12f));
            }
        paint(scene_, shifted(turned(s_, chip_, s_.u(84), s_.u(48), 0, s_.u(2)), s_.u(1.5), s_.u(2)) * 0.5, rgb(6, 18, 12));
        blend(scene_, turned(s_, chip_, s_.u(84), s_.u(48), 0, s_.u(2)),
              [&](int y, int x, const Vec3f&) { return rgb(37, 38, 41) * (1 + 0.08f * weave_(y, x)); });
        paint(scene_, turned(s_, chip_ + p(-35, 17), s_.u(5), s_.u(5), 0, s_.u(2.5)) * 0.7, rgb(70, 72, 76));
        cv::Mat1b marking(s_.side, s_.side, uchar{0});
        cv::putText(marking, "AG 7490", cv::Point(chip_ + p(-24, 0)), cv::FONT_HERSHEY_SIMPLEX, 0.36 * static_cast<double>(s_.unit),
                    cv::Scalar(255), s_.i(0.6), cv::LINE_AA);
        cv::putText(marking, fmt::format("K{:02d}{:02d}", rng_.uniform(20, 26), rng_.uniform(1, 53)), cv::Point(chip_ + p(-14, 13)),
                    cv::FONT_HERSHEY_SIMPLEX, 0.30 * static_cast<double>(s_.unit), cv::Scalar(255), s_.i(0.5), cv::LINE_AA);
        Mat1f marked;
        marking.convertTo(marked, CV_32F, 0.6 / 255);
        paint(scene_, marked, rgb(170, 172, 170));
    }

    void drawDefect()
    {
        if (defect_ && kind_ == "solder_bridge")
        {
            const int k = defect_->uniform(0, pins - 1), row = defect_->uniform(0, 2);
            const Point2f centre = (pin(k, row) + pin(k + 1, row)) * 0.5f + p(0, defect_->uniform(2.5, 5.5) * (row ? 1 : -1));
            const Mat1f distance = blob(*defect_, s_, centre, s_.u(defect_->uniform(3.6, 5.2)), 0.10f);
            Mat1f height = softInside(distance, s_.u(3.5)), gradX, gradY;
            cv::Sobel(height, gradX, CV_32F, 1, 0, 3);
            cv::Sobel(height, gradY, CV_32F, 0, 1, 3);
            blend(scene_, softInside(distance, s_.u(0.6)),
                  [&](int y, int x, const Vec3f&)
                  { return solder_ * std::clamp(0.92f + 0.5f * (gradX(y, x) + gradY(y, x)), 0.45f, 1.3f); });
        }
        else if (defect_ && kind_ == "scratch")
            addScratch(
                scene_, *defect_, s_, uniform(*defect_, 0, 2 * std::numbers::pi),
                [&](int, int, const Vec3f& below)
                { return below[1] > below[2] + 0.06f ? rgb(198, 158, 108) : mix(below, rgb(225, 225, 222), 0.6f); },
                rgb(14, 44, 30));
    }

    static constexpr int pins = 8;
    RNG& rng_;
    const Sheet& s_;
    RNG* defect_;
    const std::string& kind_;
    const Mat1f cloud_, weave_, metalNoise_;
    const float green_;
    const Vec3f solder_ = rgb(188, 191, 194);
    Mat3f scene_;
    Point2f chip_;
};

Mat3f drawBoard(RNG& rng, const Sheet& s, RNG* defect, const std::string& kind)
{
    return Board(rng, s, defect, kind).drawn();
}

// --- from scene to picture ---------------------------------------------------------------------------------------------

using Draw = Mat3f (*)(RNG&, const Sheet&, RNG*, const std::string&);

struct Recipe
{
    DemoProduct product;
    Draw draw;
    double turn, shift; ///< how loosely pieces are placed: radians, units
};

const std::vector<Recipe>& recipes()
{
    static const std::vector<Recipe> all = {
        {{"fabric", {"hole", "missing_thread", "stain"}}, drawFabric, 0, 0},
        {{"metal", {"dent", "rust", "scratch"}}, drawMetal, 0.015, 0},
        {{"wood", {"crack", "hole", "stain"}}, drawWood, 0.02, 0},
        {{"tile", {"chip", "crack", "foreign"}}, drawTile, 0, 0},
        {{"board", {"missing_part", "scratch", "shifted_part", "solder_bridge"}}, drawBoard, 0.010, 1.8},
    };
    return all;
}

const Recipe& recipeOf(const std::string& name)
{
    std::string names;
    for (const Recipe& recipe : recipes())
    {
        if (recipe.product.name == name)
            return recipe;
        names += (names.empty() ? "" : ", ") + recipe.product.name;
    }
    fail("'{}' is no demo product; one of {} expected", name, names);
}

/// Placement, light, lens and sensor: the same random numbers for the piece with and without its defect.
cv::Mat photograph(const Mat3f& scene, const Sheet& s, RNG rng, const Recipe& recipe, int side)
{
    Mat3f placed = scene;
    if (recipe.turn > 0 || recipe.shift > 0)
    {
        const auto centre = Point2f(static_cast<float>(s.side) / 2, static_cast<float>(s.side) / 2);
        cv::Mat1d matrix = cv::getRotationMatrix2D(centre, rng.gaussian(recipe.turn) * 180 / std::numbers::pi, 1);
        matrix(0, 2) += rng.gaussian(recipe.shift) * static_cast<double>(s.unit);
        matrix(1, 2) += rng.gaussian(recipe.shift) * static_cast<double>(s.unit);
        cv::warpAffine(scene, placed, matrix, scene.size(), cv::INTER_LINEAR, cv::BORDER_REFLECT);
    }
    const Mat1f light = field(rng, s, 170, 170);
    const float gain = 1 + normal(rng, 0.025), lightX = s.u(128 + rng.gaussian(14)), lightY = s.u(128 + rng.gaussian(14));
    const Vec3f balance(1 + normal(rng, 0.008), 1, 1 + normal(rng, 0.008));
    for (int y = 0; y < s.side; y++)
        for (int x = 0; x < s.side; x++)
        {
            const float away = (std::pow(static_cast<float>(x) - lightX, 2.0f) + std::pow(static_cast<float>(y) - lightY, 2.0f)) /
                               std::pow(s.u(180), 2.0f);
            placed(y, x) = placed(y, x).mul(balance) * (gain * (1 - 0.10f * away + 0.016f * light(y, x)));
        }
    cv::GaussianBlur(placed, placed, {}, static_cast<double>(s.u(0.55)));
    Mat3f small;
    cv::resize(placed, small, {side, side}, 0, 0, cv::INTER_AREA);
    Mat3f noise(side, side);
    rng.fill(noise, RNG::NORMAL, 0, 1);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
            for (int c = 0; c < 3; c++) // shot noise grows with the root of the light
                small(y, x)[c] += noise(y, x)[c] * (0.004f + 0.010f * std::sqrt(clamp01(small(y, x)[c])));
    cv::Mat image;
    small.convertTo(image, CV_8U, 255);
    return image;
}

} // namespace

const std::vector<DemoProduct>& demoProducts()
{
    static const std::vector<DemoProduct> products = []
    {
        std::vector<DemoProduct> list;
        for (const Recipe& recipe : recipes())
            list.push_back(recipe.product);
        return list;
    }();
    return products;
}

DemoSample drawDemoSample(const std::string& product, const std::string& defect, int side, uint64_t seed)
{
    const Recipe& recipe = recipeOf(product);
    require(side >= 64 && side <= 2048, "demo images have sides of 64 to 2048 pixels, not {}", side);
    const bool good = defect == "good";
    require(good || std::count(recipe.product.defects.begin(), recipe.product.defects.end(), defect) == 1,
            "'{}' is no defect of the demo product {}", defect, product);
    const Sheet s{2 * side, static_cast<float>(2 * side) / 256};
    const RNG piece(seedOf(seed, "piece", 0)), camera(seedOf(seed, "camera", 0));
    RNG rng = piece;
    DemoSample sample;
    sample.clean = photograph(recipe.draw(rng, s, nullptr, ""), s, camera, recipe, side);
    sample.image = sample.clean;
    sample.mask = cv::Mat(side, side, CV_8U, cv::Scalar(0));
    // a defect may fall where it hardly shows: then another place is tried
    const double least = 24 * std::pow(side / 256.0, 2);
    for (uint64_t attempt = 0; !good && attempt < 16; attempt++)
    {
        rng = piece;
        RNG accident(seedOf(seed, defect, attempt));
        sample.image = photograph(recipe.draw(rng, s, &accident, defect), s, camera, recipe, side);
        cv::Mat difference;
        cv::absdiff(sample.image, sample.clean, difference);
        std::array<cv::Mat, 3> channels;
        cv::split(difference, channels.data());
        sample.mask = cv::max(channels[0], cv::max(channels[1], channels[2])) >= 10;
        if (cv::countNonZero(sample.mask) < least)
            continue;
        const int reach = std::max(1, cvRound(3 * side / 256.0));
        cv::morphologyEx(sample.mask, sample.mask, cv::MORPH_CLOSE,
                         cv::getStructuringElement(cv::MORPH_ELLIPSE, {2 * reach + 1, 2 * reach + 1}));
        break;
    }
    return sample;
}

size_t writeDemoData(const std::filesystem::path& folder, const DemoOptions& options)
{
    namespace fs = std::filesystem;
    require(options.train >= 1 && options.testGood >= 0 && options.testDefective >= 0,
            "demo data needs at least 1 training image and no negative number of test images, not {}, {} and {}",
            options.train, options.testGood, options.testDefective);
    std::vector<const Recipe*> wanted;
    for (const Recipe& recipe : recipes())
        if (options.products.empty())
            wanted.push_back(&recipe);
    for (const std::string& name : options.products)
        wanted.push_back(&recipeOf(name));
    size_t total = 0, done = 0;
    for (const Recipe* recipe : wanted)
    {
        total += static_cast<size_t>(options.train) + static_cast<size_t>(options.testGood) +
                 static_cast<size_t>(options.testDefective) * recipe->product.defects.size();
        std::error_code error;
        require(!fs::exists(folder / recipe->product.name, error) || fs::is_empty(folder / recipe->product.name, error),
                "{}: exists and is not empty; demo data goes to a new folder", (folder / recipe->product.name).string());
    }
    const auto write = [&](const Recipe& recipe, const std::string& split, const std::string& kind, int number)
    {
        const fs::path root = folder / recipe.product.name;
        std::error_code error;
        fs::create_directories(root / split / kind, error);
        require(!error, "{}: the folder cannot be made: {}", (root / split / kind).string(), error.message());
        for (int n = 0; n < number; n++)
        {
            const DemoSample sample =
                drawDemoSample(recipe.product.name, kind, options.side,
                               seedOf(options.seed, recipe.product.name + "/" + split + "/" + kind, static_cast<uint64_t>(n)));
            writeImage(root / split / kind / fmt::format("{:03d}.png", n), sample.image);
            if (kind != "good")
            {
                fs::create_directories(root / "ground_truth" / kind, error);
                require(!error, "{}: the folder cannot be made: {}", (root / "ground_truth" / kind).string(), error.message());
                writeImage(root / "ground_truth" / kind / fmt::format("{:03d}_mask.png", n), sample.mask);
            }
            done++;
            if (options.progress)
                options.progress(done, total);
        }
    };
    for (const Recipe* recipe : wanted)
    {
        write(*recipe, "train", "good", options.train);
        if (options.testGood > 0)
            write(*recipe, "test", "good", options.testGood);
        for (const std::string& defect : recipe->product.defects)
            if (options.testDefective > 0)
                write(*recipe, "test", defect, options.testDefective);
    }
    return done;
}

} // namespace agpnet::tools
