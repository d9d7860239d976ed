#include "apps/demo/demo_parts.h"

#include "apps/datasets/image_io.h"
#include "apps/demo/machine_parts.h"
#include "apps/demo/mesh_renderer.h"
#include "apps/demo/seeds.h"
#include "common/error.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace agpnet::tools
{

namespace fs = std::filesystem;

namespace
{

using cv::Mat1f;
using cv::Mat3f;
using cv::RNG;
using cv::Vec3f;

constexpr double ringElevation = 30;

void requireSide(int side)
{
    require(side >= 64 && side <= 2048, "demo images have sides of 64 to 2048 pixels, not {}", side);
}

uint64_t shapeSeed(const std::string& className, uint64_t seed)
{
    return seedOf(seed, className + "/shape", 0);
}

// --- photos ----------------------------------------------------------------------------------------------------------------

/// Smooth random values around 0, of about unit deviation, with so many cells across the image.
Mat1f noise(RNG& rng, int side, int cellsX, int cellsY)
{
    Mat1f grid(cellsY + 3, cellsX + 3), large;
    rng.fill(grid, RNG::NORMAL, 0, 1);
    cv::resize(grid, large, {side + 3 * side / std::max(1, cellsX) + 3, side + 3 * side / std::max(1, cellsY) + 3}, 0, 0, cv::INTER_CUBIC);
    return large(cv::Rect(0, 0, side, side)).clone();
}

Vec3f randomColour(RNG& rng, float low, float high)
{
    Vec3f colour;
    for (int c = 0; c < 3; c++)
        colour[c] = rng.uniform(low, high);
    const float grey = (colour[0] + colour[1] + colour[2]) / 3;
    return colour * 0.25f + Vec3f(grey, grey, grey) * 0.75f; // workshops are not colourful
}

/// A bench, a board, a mat or a cloth: fibres, grain, speckles or a weave in two colours.
Mat3f surface(RNG& rng, int side)
{
    const int kind = rng.uniform(0, 4);
    const Vec3f first = randomColour(rng, 50, 200), second = first * rng.uniform(0.5f, 0.85f);
    Mat1f pattern;
    if (kind == 0) // wood: long fibres, and rings that wander
    {
        const Mat1f fibres = noise(rng, side, 3, side / 3), wander = noise(rng, side, 2, 3);
        pattern = Mat1f(side, side);
        for (int y = 0; y < side; y++)
            for (int x = 0; x < side; x++)
                pattern(y, x) =
                    0.5f * fibres(y, x) + std::sin(0.11f * static_cast<float>(y) * 224 / static_cast<float>(side) + 2.2f * wander(y, x));
    }
    else if (kind == 1) // brushed sheet
        pattern = noise(rng, side, side / 2, 6) * 0.8 + noise(rng, side, 3, 3) * 0.5;
    else if (kind == 2) // stone or rubber: speckles of several sizes
        pattern = noise(rng, side, side / 2, side / 2) * 0.7 + noise(rng, side, 40, 40) * 0.6 + noise(rng, side, 6, 6) * 0.5;
    else // cloth
    {
        const Mat1f bend = noise(rng, side, 4, 4);
        pattern = Mat1f(side, side);
        const float pitch = rng.uniform(0.5f, 1.1f) * 224 / static_cast<float>(side);
        for (int y = 0; y < side; y++)
            for (int x = 0; x < side; x++)
                pattern(y, x) =
                    std::sin(pitch * static_cast<float>(x) + bend(y, x)) * std::sin(pitch * static_cast<float>(y) + bend(y, x)) +
                    0.5f * bend(y, x);
    }
    Mat3f image(side, side);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
        {
            const float t = std::clamp(0.5f + 0.35f * pattern(y, x), 0.0f, 1.0f);
            image(y, x) = first * t + second * (1 - t);
        }
    return image;
}

/// Steel, brass, black oxide, zinc; as factors of the grey value in B, G and R.
Vec3f material(RNG& rng)
{
    constexpr std::array<std::array<float, 3>, 4> tints = {
        {{1.0f, 0.98f, 0.95f}, {0.55f, 0.86f, 1.0f}, {0.42f, 0.40f, 0.40f}, {1.02f, 1.02f, 0.98f}}};
    const auto& tint = tints[static_cast<size_t>(rng.uniform(0, static_cast<int>(tints.size())))];
    return {tint[0], tint[1], tint[2]};
}

} // namespace

std::vector<cv::Mat> drawPartViews(const std::string& className, int views, int side, uint64_t seed)
{
    requireSide(side);
    require(views >= 1 && views <= 360, "a demo part has 1 to 360 views, not {}", views);
    const Mesh mesh = makePart(className, shapeSeed(className, seed));
    std::vector<cv::Mat> images(static_cast<size_t>(views));
    cv::parallel_for_({0, views},
                      [&](const cv::Range& range)
                      {
                          for (int i = range.start; i < range.end; i++)
                              images[static_cast<size_t>(i)] = renderMesh(mesh, {360.0 * i / views, ringElevation, 0, 1, {}}, side).shade;
                      });
    return images;
}

PartPhoto drawPartPhoto(const std::string& className, int number, int side, uint64_t seed)
{
    requireSide(side);
    RNG rng(seedOf(seed, className + "/photo", static_cast<uint64_t>(number)));
    Viewpoint view;
    view.azimuth = rng.uniform(0.0, 360.0);
    view.elevation = rng.uniform(22.0, 60.0);
    view.roll = rng.uniform(-12.0, 12.0);
    view.zoom = rng.uniform(0.62, 0.85);
    view.shift.x = rng.uniform(-0.07, 0.07);
    view.shift.y = rng.uniform(-0.07, 0.07);
    const RenderedView part = renderMesh(makePart(className, shapeSeed(className, seed)), view, side);
    RNG look(seedOf(seed, className + "/material", 0)); // all photos of an object show the same one
    const Vec3f tint = material(look);

    Mat3f scene = surface(rng, side);
    Mat1f shadow, cover;
    part.mask.convertTo(cover, CV_32F, 1.0 / 255);
    const double away = 0.03 * side;
    const cv::Matx23d move(1, 0, away, 0, 1, away * 0.8);
    cv::warpAffine(cover, shadow, move, cover.size());
    cv::GaussianBlur(shadow, shadow, {}, 0.022 * side);
    const float gain = rng.uniform(0.85f, 1.1f), slopeX = rng.uniform(-0.25f, 0.25f), slopeY = rng.uniform(-0.25f, 0.25f);
    const Mat1f stains = noise(rng, side, 9, 9);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
        {
            const float a = cover(y, x);
            Vec3f colour = scene(y, x) * (1 - 0.55f * shadow(y, x));
            if (a > 0)
            {
                // on the rim the grey value is mixed with white: that is taken out again
                const float grey = std::clamp((static_cast<float>(part.shade.at<uchar>(y, x)) - 255 * (1 - a)) / a, 0.0f, 255.0f);
                colour = colour * (1 - a) + tint * (grey * (1 + 0.05f * stains(y, x)) * a);
            }
            const float fx = static_cast<float>(x) / static_cast<float>(side) - 0.5f,
                        fy = static_cast<float>(y) / static_cast<float>(side) - 0.5f;
            scene(y, x) = colour * (gain * (1 + slopeX * fx + slopeY * fy));
        }
    cv::GaussianBlur(scene, scene, {}, 0.0028 * side);
    Mat3f grain(side, side);
    rng.fill(grain, RNG::NORMAL, 0, 3.0);
    PartPhoto photo;
    cv::Mat(scene + grain).convertTo(photo.image, CV_8U);
    photo.mask = part.mask;
    return photo;
}

size_t writeDemoParts(const fs::path& folder, const DemoPartsOptions& options)
{
    requireSide(options.side);
    require(options.objects >= 1, "each class of demo parts has at least 1 object, not {}", options.objects);
    require(options.photographed >= 0 && options.photos >= 0,
            "the numbers of photographed demo parts and of their photos are {} and {}, at "
            "least 0 expected",
            options.photographed, options.photos);
    std::error_code error;
    for (const char* name : {"known", "unknown", "photos", "photo_masks"})
        require(!fs::exists(folder / name, error) || fs::is_empty(folder / name, error),
                "{}: exists and is not empty; demo data goes to a new folder", (folder / name).string());
    const int photographed = std::min(options.photographed, options.objects);
    size_t total = 0, done = 0;
    for (const PartClass& each : partClasses())
        total += static_cast<size_t>(options.objects) * static_cast<size_t>(options.views) +
                 (each.known ? 0 : static_cast<size_t>(photographed) * static_cast<size_t>(options.photos));
    const auto write = [&](const fs::path& into, int number, const cv::Mat& image)
    {
        fs::create_directories(into, error);
        require(!error, "{}: the folder cannot be made: {}", into.string(), error.message());
        writeImage(into / fmt::format("{:02d}.png", number), image);
    };
    for (const PartClass& each : partClasses())
        for (int n = 0; n < options.objects; n++)
        {
            const uint64_t seed = seedOf(options.seed, each.name, static_cast<uint64_t>(n));
            const std::string object = fmt::format("{}_{:02d}", each.name, n);
            const std::vector<cv::Mat> views = drawPartViews(each.name, options.views, options.side, seed);
            for (int i = 0; i < options.views; i++)
                write(folder / (each.known ? "known" : "unknown") / each.name / object, i, views[static_cast<size_t>(i)]);
            done += views.size();
            for (int i = 0; !each.known && n < photographed && i < options.photos; i++, done++)
            {
                const PartPhoto photo = drawPartPhoto(each.name, i, options.side, seed);
                write(folder / "photos" / object, i, photo.image);
                write(folder / "photo_masks" / object, i, photo.mask);
            }
            if (options.progress)
                options.progress(done, total);
        }
    return done;
}

} // namespace agpnet::tools
