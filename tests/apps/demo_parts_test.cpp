#include "apps/demo/demo_parts.h"

#include "apps/datasets/image_io.h"
#include "apps/datasets/object_dataset.h"
#include "apps/demo/machine_parts.h"
#include "apps/demo/mesh_renderer.h"
#include "common/sha256.h"
#include "tests/support/error_text.h"
#include "tests/support/temp_folder.h"

#include <cmath>
#include <opencv2/core/utility.hpp>
#include <set>

namespace agpnet::tools
{
namespace
{

using test::errorOf;
using test::TempFolder;
using ::testing::HasSubstr;

std::string hashOf(const std::vector<cv::Mat>& images)
{
    Sha256 hash;
    for (const cv::Mat& image : images)
        hash.update(image.data, image.total() * image.elemSize());
    return hash.hex();
}

double meanDifference(const cv::Mat& a, const cv::Mat& b)
{
    return cv::norm(a, b, cv::NORM_L1) / static_cast<double>(a.total());
}

TEST(MeshRenderer, DrawsABallWhereItIs)
{
    // a ball of radius 0.5 seen from a distance of 4, where one of radius 1 fills 0.92 of the image
    Outline half;
    for (int i = 0; i <= 90; i++)
    {
        const double angle = CV_PI * (i / 90.0 - 0.5);
        half.emplace_back(static_cast<float>(0.5 * std::cos(angle)), static_cast<float>(0.5 * std::sin(angle)));
    }
    const Mesh ball = lathe(half, 180);
    const int side = 200;
    const double radius = 0.46 * side * std::sqrt(15.0) * 0.5 / std::sqrt(16 - 0.25);
    for (const Viewpoint& view : {Viewpoint{}, Viewpoint{70, 55, 20, 1, {}}, Viewpoint{10, 30, 0, 1.5, {0.1, -0.2}}})
    {
        const RenderedView drawn = renderMesh(ball, view, side);
        const cv::Point2d centre(side * (0.5 + view.shift.x), side * (0.5 + view.shift.y));
        for (int y = 0; y < side; y++)
            for (int x = 0; x < side; x++)
            {
                const double away = std::hypot(x + 0.5 - centre.x, y + 0.5 - centre.y) - radius * view.zoom;
                if (std::abs(away) > 1.5)
                {
                    ASSERT_EQ(drawn.mask.at<uchar>(y, x), away < 0 ? 255 : 0) << x << " " << y;
                    ASSERT_EQ(drawn.shade.at<uchar>(y, x) == 255, away > 0) << x << " " << y;
                }
            }
    }
    // lit from above and left
    const cv::Mat shade = renderMesh(ball, {}, side).shade;
    EXPECT_GT(shade.at<uchar>(80, 80), shade.at<uchar>(120, 80) + 20);
    EXPECT_GT(shade.at<uchar>(80, 80), shade.at<uchar>(80, 120) + 20);
}

TEST(MeshRenderer, NearSurfacesHideFarOnes)
{
    Mesh far = moved(extrude({rectangle(1, 1)}, -0.05, 0.05), 0, 0, -0.5); // seen from above it is below
    const Mesh near = moved(extrude({circle(0.2)}, -0.05, 0.05), 0, 0, 0.5);
    const Viewpoint above{0, 90, 0, 1, {}};
    const cv::Mat alone = renderMesh(near, above, 100).shade;
    Mesh both = near;
    both.add(far);
    far.add(near);
    const RenderedView first = renderMesh(both, above, 100), second = renderMesh(far, above, 100);
    EXPECT_EQ(cv::norm(first.shade, second.shade, cv::NORM_INF), 0); // in whatever order they are drawn
    EXPECT_EQ(first.shade.at<uchar>(50, 50), alone.at<uchar>(50, 50));
    EXPECT_EQ(first.mask.at<uchar>(50, 32), 255);
    EXPECT_EQ(renderMesh(near, above, 100).mask.at<uchar>(50, 32), 0);
}

TEST(Mesh, HolesAreHoles)
{
    const Mesh plate = extrude({rectangle(1.2, 1.2), circle(0.3, {0.1, 0}), rectangle(0.1, 0.1, {-0.45, 0.45})}, -0.02, 0.02);
    const cv::Mat mask = renderMesh(plate, {-90, 90, 0, 1, {}}, 200).mask; // from above: x to the right, y up
    // pixels of a unit in the plane z = 0.02, which is seen
    const double unit = 0.46 * 200 * std::sqrt(15.0) / (4 - 0.02);
    const auto at = [&](double x, double y) { return mask.at<uchar>(static_cast<int>(100 - y * unit), static_cast<int>(100 + x * unit)); };
    EXPECT_EQ(at(0.1, 0), 0);
    EXPECT_EQ(at(0.37, 0), 0);
    EXPECT_EQ(at(-0.45, 0.45), 0);
    EXPECT_EQ(at(0.5, 0.5), 255);
    EXPECT_EQ(at(-0.3, 0), 255);
    EXPECT_EQ(at(0.7, 0), 0);
    // no gaps: the area is that of the plate
    const double area = cv::sum(mask)[0] / 255 / (unit * unit);
    EXPECT_NEAR(area, 1.44 - 0.09 * CV_PI - 0.01, 0.03);
}

TEST(Mesh, TurnsAroundItsAxes)
{
    Mesh mesh;
    mesh.points = {{1, 2, 3}};
    mesh.normals = mesh.points;
    EXPECT_LT(cv::norm(turned(mesh, Axis::X, 90).points[0] - cv::Point3f(1, -3, 2)), 1e-6);
    EXPECT_LT(cv::norm(turned(mesh, Axis::Y, 90).points[0] - cv::Point3f(3, 2, -1)), 1e-6);
    EXPECT_LT(cv::norm(turned(mesh, Axis::Z, 90).points[0] - cv::Point3f(-2, 1, 3)), 1e-6);
}

TEST(DemoParts, EveryClassIsVisibleAndInsideTheImage)
{
    const int side = 96;
    for (const PartClass& each : partClasses())
        for (uint64_t seed = 1; seed <= 6; seed++)
        {
            SCOPED_TRACE(each.name + " " + std::to_string(seed));
            const std::vector<cv::Mat> views = drawPartViews(each.name, 3, side, seed);
            ASSERT_EQ(views.size(), 3u);
            for (const cv::Mat& view : views)
            {
                ASSERT_EQ(view.type(), CV_8UC1);
                ASSERT_EQ(view.size(), cv::Size(side, side));
                cv::Mat border(side, side, CV_8U, cv::Scalar(255));
                border(cv::Rect(2, 2, side - 4, side - 4)) = 0;
                EXPECT_EQ(cv::countNonZero((view < 255) & border), 0);
                EXPECT_GT(cv::countNonZero(view < 250), side * side / 40);
            }
        }
}

TEST(DemoParts, PointsHaveUnitNormalsAndFillASphere)
{
    for (const PartClass& each : partClasses())
        for (uint64_t seed = 1; seed <= 20; seed++)
        {
            SCOPED_TRACE(each.name + " " + std::to_string(seed));
            const Mesh mesh = makePart(each.name, seed);
            ASSERT_EQ(mesh.points.size(), mesh.normals.size());
            ASSERT_EQ(mesh.points.size() % 3, 0u);
            float farthest = 0;
            for (size_t i = 0; i < mesh.points.size(); i++)
            {
                ASSERT_TRUE(std::isfinite(mesh.points[i].dot(mesh.points[i])));
                farthest = std::max(farthest, mesh.points[i].dot(mesh.points[i]));
                const float length = mesh.normals[i].dot(mesh.normals[i]);
                ASSERT_TRUE(std::abs(length - 1) < 1e-3f || length == 0) << length; // 0: of a side without a length
            }
            EXPECT_NEAR(farthest, 1, 1e-4);
        }
}

TEST(DemoParts, ViewsGoAroundTheObject)
{
    // what was turned on a lathe and stands looks the same from all sides; a bracket does not
    const std::vector<cv::Mat> views = drawPartViews("l_bracket", 6, 96, 2);
    for (size_t i = 0; i < views.size(); i++)
        for (size_t j = 0; j < i; j++)
            EXPECT_GT(meanDifference(views[i], views[j]), 2) << i << " " << j;
    // every second of twelve views is one of six
    EXPECT_EQ(cv::norm(drawPartViews("l_bracket", 12, 96, 2)[4], views[2], cv::NORM_INF), 0);
}

TEST(DemoParts, SameSeedSamePixelsInAnyNumberOfThreads)
{
    const int before = cv::getNumThreads();
    const std::vector<std::string> names = {"hex_bolt", "spur_gear", "coil_spring"};
    std::vector<std::string> many;
    cv::setNumThreads(2);
    for (const std::string& name : names)
        many.push_back(hashOf(drawPartViews(name, 7, 80, 5)));
    cv::setNumThreads(1);
    for (size_t i = 0; i < names.size(); i++)
    {
        EXPECT_EQ(hashOf(drawPartViews(names[i], 7, 80, 5)), many[i]) << names[i];
        EXPECT_NE(hashOf(drawPartViews(names[i], 7, 80, 6)), many[i]) << names[i];
    }
    cv::setNumThreads(before);
    EXPECT_EQ(cv::norm(drawPartPhoto("cam", 1, 96, 3).image, drawPartPhoto("cam", 1, 96, 3).image, cv::NORM_INF), 0);
}

/// No view of a class looks like one of another class: else nothing could be searched for.
TEST(DemoParts, ClassesDiffer)
{
    std::map<std::string, std::vector<cv::Mat>> views;
    std::set<std::string> hashes;
    for (const PartClass& each : partClasses())
    {
        views[each.name] = drawPartViews(each.name, 4, 64, 11);
        EXPECT_TRUE(hashes.insert(hashOf(views[each.name])).second) << each.name;
    }
    for (const auto& [name, own] : views)
        for (const auto& [other, theirs] : views)
            if (name < other)
            {
                double least = 255;
                for (const cv::Mat& a : own)
                    for (const cv::Mat& b : theirs)
                        least = std::min(least, meanDifference(a, b));
                EXPECT_GT(least, 2) << name << " and " << other;
            }
}

TEST(DemoParts, AThirdOfTheClassesIsUnknown)
{
    const auto& classes = partClasses();
    const auto known = static_cast<size_t>(std::count_if(classes.begin(), classes.end(), [](const PartClass& c) { return c.known; }));
    EXPECT_GE(classes.size(), 24u);
    EXPECT_NEAR(static_cast<double>(known) / static_cast<double>(classes.size()), 2.0 / 3, 0.04);
    EXPECT_TRUE(std::is_sorted(classes.begin(), classes.end(), [](const PartClass& a, const PartClass& b) { return a.name < b.name; }));
}

TEST(DemoParts, PhotosShowThePartWhereTheMaskSays)
{
    for (int number = 0; number < 4; number++)
    {
        const PartPhoto photo = drawPartPhoto("pipe_tee", number, 128, 2);
        ASSERT_EQ(photo.image.type(), CV_8UC3);
        ASSERT_EQ(photo.mask.type(), CV_8UC1);
        const int area = cv::countNonZero(photo.mask == 255);
        EXPECT_GT(area, 128 * 128 / 40);
        EXPECT_LT(area, 128 * 128 / 2);
        cv::Mat grey, deviation, mean;
        cv::extractChannel(photo.image, grey, 1);
        cv::meanStdDev(grey, mean, deviation, photo.mask == 0);
        EXPECT_GT(deviation.at<double>(0), 3) << "the surface has a texture";
        EXPECT_LT(mean.at<double>(0), 240) << "and is not white";
        EXPECT_GT(cv::norm(photo.image, drawPartPhoto("pipe_tee", number + 1, 128, 2).image, cv::NORM_L1) / (128 * 128 * 3), 10);
    }
}

TEST(DemoParts, ErrorsNameTheValue)
{
    EXPECT_THAT(errorOf([] { drawPartViews("teapot", 12, 96, 1); }), HasSubstr("'teapot'"));
    EXPECT_THAT(errorOf([] { drawPartViews("washer", 0, 96, 1); }), HasSubstr("1 to 360 views, not 0"));
    EXPECT_THAT(errorOf([] { drawPartViews("washer", 1, 8, 1); }), HasSubstr("64 to 2048 pixels, not 8"));
    const TempFolder folder;
    DemoPartsOptions options;
    options.objects = 0;
    EXPECT_THAT(errorOf([&] { writeDemoParts(folder.path(), options); }), HasSubstr("at least 1 object, not 0"));
    options.objects = 1;
    options.photos = -1;
    EXPECT_THAT(errorOf([&] { writeDemoParts(folder.path(), options); }), HasSubstr("are 2 and -1"));
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(DemoParts, WrittenObjectsReadBack)
{
    const TempFolder folder;
    DemoPartsOptions options;
    options.objects = 2;
    options.views = 2;
    options.side = 64;
    options.photographed = 1;
    options.photos = 2;
    size_t last = 0;
    options.progress = [&](size_t done, size_t total)
    {
        EXPECT_GT(done, last);
        EXPECT_LE(done, total);
        last = done;
    };
    const size_t written = writeDemoParts(folder / "demo", options);
    EXPECT_EQ(written, last);
    const ObjectDataset known = listObjects(folder / "demo/known"), unknown = listObjects(folder / "demo/unknown"),
                        photos = listObjects(folder / "demo/photos"), masks = listObjects(folder / "demo/photo_masks");
    EXPECT_EQ(known.classes().size() + unknown.classes().size(), partClasses().size());
    EXPECT_EQ(known.objects.size() + unknown.objects.size(), 2 * partClasses().size());
    EXPECT_EQ(photos.objects.size(), unknown.classes().size());
    EXPECT_EQ(known.views() + unknown.views() + photos.views(), written);
    ASSERT_EQ(masks.views(), photos.views());
    for (size_t i = 0; i < photos.objects.size(); i++)
    {
        EXPECT_EQ(masks.objects[i].name, photos.objects[i].name);
        EXPECT_GT(cv::countNonZero(readMask(masks.objects[i].views[0], {64, 64})), 64);
        // the unknown object of the same name is the one in the photo
        EXPECT_TRUE(std::ranges::any_of(unknown.objects, [&](const Object& o) { return o.name == photos.objects[i].name; }));
    }
    for (const ObjectDataset* each : {&known, &unknown, &photos})
    {
        EXPECT_TRUE(each->warnings.empty());
        checkFiles(imagesOf(*each));
    }
    EXPECT_THAT(errorOf([&] { writeDemoParts(folder / "demo", options); }), HasSubstr("not empty"));

    options.objects = 3; // more of them, the first ones unchanged
    options.views = 2;
    options.progress = nullptr;
    writeDemoParts(folder / "more", options);
    for (const char* file : {"known/hex_nut/hex_nut_01/01.png", "unknown/cam/cam_00/00.png", "photos/cam_00/01.png"})
        EXPECT_EQ(test::readBytes(folder / (std::string("more/") + file)), test::readBytes(folder / (std::string("demo/") + file))) << file;
}

} // namespace
} // namespace agpnet::tools
