#include "apps/datasets/point_cloud.h"

#include "apps/datasets/image_io.h"
#include "tests/support/error_text.h"
#include "tests/support/shared_data.h"
#include "tests/support/temp_folder.h"

#include <cmath>
#include <cstring>

namespace agpnet::tools
{
namespace
{

using test::errorOf;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

/// A TIFF as scanners write it: little-endian, one strip, x y z a pixel. By hand, so that the order of channels is known.
void writeCloud(const fs::path& path, const cv::Mat& cloud)
{
    std::string bytes("II*\0", 4);
    const auto put = [&](uint32_t value, int size)
    {
        for (int i = 0; i < size; i++)
            bytes += static_cast<char>(value >> (8 * i));
    };
    const auto data = static_cast<uint32_t>(cloud.total() * cloud.elemSize());
    put(8 + data, 4);
    bytes.append(reinterpret_cast<const char*>(cloud.data), data);
    const uint32_t extra = 8 + data + 2 + 10 * 12 + 4;
    const auto entry = [&](uint32_t tag, uint32_t type, uint32_t count, uint32_t value)
    {
        put(tag, 2);
        put(type, 2);
        put(count, 4);
        put(value, 4);
    };
    put(10, 2);
    entry(256, 3, 1, static_cast<uint32_t>(cloud.cols));
    entry(257, 3, 1, static_cast<uint32_t>(cloud.rows));
    entry(258, 3, 3, extra);
    entry(259, 3, 1, 1);
    entry(262, 3, 1, 2);
    entry(273, 4, 1, 8);
    entry(277, 3, 1, 3);
    entry(278, 3, 1, static_cast<uint32_t>(cloud.rows));
    entry(279, 4, 1, data);
    entry(339, 3, 3, extra + 6);
    put(0, 4);
    for (const uint32_t value : {32u, 32u, 32u, 3u, 3u, 3u})
        put(value, 2);
    test::writeBytes(path, bytes);
}

/// Points of z = f(x, y) as a camera sees them that looks along z, 0.25 mm a pixel at 0.65 m.
template <typename F>
cv::Mat scan(cv::Size size, F depth)
{
    cv::Mat cloud(size, CV_32FC3);
    for (int v = 0; v < size.height; v++)
        for (int u = 0; u < size.width; u++)
        {
            const double x = (u - size.width / 2) * 25e-5, y = (v - size.height / 2) * 25e-5;
            cloud.at<cv::Vec3f>(v, u) = cv::Vec3f(static_cast<float>(x), static_cast<float>(y), static_cast<float>(depth(x, y)));
        }
    return cloud;
}

cv::Mat tilted()
{
    return scan({80, 60}, [](double x, double y) { return 0.65 + 0.3 * x - 0.2 * y; });
}

void punch(cv::Mat& cloud)
{
    cloud(cv::Rect(10, 12, 7, 5)).setTo(cv::Scalar::all(0));
    cloud(cv::Rect(50, 0, 30, 40)).setTo(cv::Scalar::all(0)); // as a background that was cut away
    cloud.at<cv::Vec3f>(50, 20) = cv::Vec3f(0, 0, 0);
}

TEST(PointCloud, ReadsXyzInThisOrder)
{
    const TempFolder folder;
    cv::Mat cloud = tilted();
    cloud.at<cv::Vec3f>(3, 4) = cv::Vec3f(0, NAN, 1);
    cloud.at<cv::Vec3f>(3, 5) = cv::Vec3f(INFINITY, 0, 1);
    writeCloud(folder / "a.tiff", cloud);
    const cv::Mat read = readPointCloud(folder / "a.tiff");
    EXPECT_EQ(read.at<cv::Vec3f>(20, 30), cloud.at<cv::Vec3f>(20, 30));
    EXPECT_EQ(read.at<cv::Vec3f>(3, 4), cv::Vec3f(0, 0, 0));
    EXPECT_EQ(read.at<cv::Vec3f>(3, 5), cv::Vec3f(0, 0, 0));
    EXPECT_EQ(cv::countNonZero(validPoints(read)), 80 * 60 - 2);
}

TEST(PointCloud, DamagedFilesAreRefused)
{
    const TempFolder folder;
    const fs::path path = folder / "a.tiff";
    writeCloud(path, tilted());
    const std::string whole = test::readBytes(path);
    for (const size_t kept : {size_t{0}, size_t{6}, size_t{1000}, whole.size() - 60})
    {
        test::writeBytes(path, whole.substr(0, kept));
        EXPECT_THAT(errorOf([&] { readPointCloud(path); }), HasSubstr("a.tiff")) << kept;
    }
    writeCloud(path, cv::Mat(9, 9, CV_32FC3, cv::Scalar::all(0)));
    EXPECT_THAT(errorOf([&] { readPointCloud(path); }), HasSubstr("holds no point"));
    writeMapTiff(path, cv::Mat(9, 9, CV_32F, cv::Scalar(1)));
    EXPECT_THAT(errorOf([&] { readPointCloud(path); }), HasSubstr("CV_32FC1; 3 channels"));
}

TEST(SurfaceNormals, OfAPlaneAreConstantInHolesToo)
{
    cv::Mat cloud = tilted();
    punch(cloud);
    const cv::Vec3d expected = cv::normalize(cv::Vec3d(0.3, -0.2, -1));
    const cv::Mat normals = surfaceNormals(cloud);
    for (int y = 0; y < cloud.rows; y++)
        for (int x = 0; x < cloud.cols; x++)
            ASSERT_LT(cv::norm(cv::Vec3d(normals.at<cv::Vec3f>(y, x)) - expected), 1e-3) << x << " " << y;
}

TEST(SurfaceNormals, OfASpherePointOutwards)
{
    const double radius = 0.02, centre = 0.65;
    cv::Mat cloud = scan({200, 200},
                         [&](double x, double y)
                         {
                             const double inside = radius * radius - x * x - y * y;
                             return inside > 0 ? centre - std::sqrt(inside) : 0;
                         });
    for (int y = 0; y < cloud.rows; y++)
        for (int x = 0; x < cloud.cols; x++)
            if (cloud.at<cv::Vec3f>(y, x)[2] == 0)
                cloud.at<cv::Vec3f>(y, x) = cv::Vec3f(0, 0, 0);
    const cv::Mat normals = surfaceNormals(cloud);
    int compared = 0;
    for (int y = 0; y < cloud.rows; y++)
        for (int x = 0; x < cloud.cols; x++)
        {
            const cv::Vec3d point = cloud.at<cv::Vec3f>(y, x);
            const cv::Vec3d outwards = (point - cv::Vec3d(0, 0, centre)) / radius;
            if (point[2] == 0 || outwards[2] > -0.5) // the rim falls off too steeply for the pixels' grid
                continue;
            compared++;
            ASSERT_LT(cv::norm(cv::Vec3d(normals.at<cv::Vec3f>(y, x)) - outwards), 1e-2) << x << " " << y;
        }
    EXPECT_GT(compared, 10000);
}

TEST(SurfaceNormals, HolesAndLonePointsGiveNoNaN)
{
    cv::RNG rng(3);
    cv::Mat cloud = tilted();
    for (int y = 0; y < cloud.rows; y++)
        for (int x = 0; x < cloud.cols; x++)
            if (rng.uniform(0, 10) < 7)
                cloud.at<cv::Vec3f>(y, x) = cv::Vec3f(0, 0, 0);
    cv::Mat lone(30, 30, CV_32FC3, cv::Scalar::all(0));
    lone.at<cv::Vec3f>(15, 15) = cv::Vec3f(0.01f, 0.02f, 0.6f);
    for (const cv::Mat& each : {cloud, lone})
    {
        const cv::Mat normals = surfaceNormals(each), depth = depthImage(each);
        EXPECT_TRUE(cv::checkRange(normals, true, nullptr, -1.0001, 1.0001));
        EXPECT_TRUE(cv::checkRange(depth, true, nullptr, 0, 1.0001));
    }
    EXPECT_THAT(errorOf([&] { surfaceNormals(cloud, 0); }), HasSubstr("smoothing of normals is 0"));
    EXPECT_THAT(errorOf([&] { depthImage(cv::Mat(4, 4, CV_32FC3, cv::Scalar::all(0))); }), HasSubstr("no point"));
}

TEST(DepthImage, ScaleAndHoles)
{
    cv::Mat cloud = tilted();
    const cv::Mat whole = depthImage(cloud);
    cloud.at<cv::Vec3f>(30, 40)[2] = 9; // a wild point moves nothing but itself
    EXPECT_EQ(depthImage(cloud).at<float>(30, 40), 1);
    EXPECT_NEAR(depthImage(cloud).at<float>(10, 10), whole.at<float>(10, 10), 1e-2);
    cv::Mat punched = tilted();
    punched(cv::Rect(30, 30, 3, 3)).setTo(cv::Scalar::all(0));
    EXPECT_LT(cv::norm(depthImage(punched), whole, cv::NORM_INF), 0.03) << "a small hole is filled from around it";
    EXPECT_GT(whole.at<float>(0, 79), whole.at<float>(59, 0)) << "farther is brighter";
    EXPECT_EQ(depthImage(scan({20, 20}, [](double, double) { return 0.5; })).at<float>(3, 3), 0.5f);
}

TEST(ReadItem, SixChannels)
{
    const TempFolder folder;
    cv::Mat cloud = tilted();
    writeCloud(folder / "xyz/0.tiff", cloud);
    writeImage(folder / "rgb/0.png", cv::Mat(60, 80, CV_8UC3, cv::Scalar(51, 102, 255)));
    Item item;
    item.path = folder / "rgb/0.png";
    EXPECT_EQ(readItem(item, Input::Rgb).type(), CV_8UC3);
    EXPECT_THAT(errorOf([&] { readItem(item, Input::RgbDepth); }), AllOf(HasSubstr("0.png"), HasSubstr("no point cloud")));
    item.xyz = folder / "xyz/0.tiff";
    using Vec6 = cv::Vec<float, 6>;
    const cv::Mat depth = readItem(item, Input::RgbDepth), normals = readItem(item, Input::RgbNormals);
    ASSERT_EQ(depth.type(), CV_32FC(6));
    ASSERT_EQ(normals.type(), CV_32FC(6));
    const Vec6 d = depth.at<Vec6>(20, 30), n = normals.at<Vec6>(20, 30);
    EXPECT_FLOAT_EQ(d[0], 0.2f);
    EXPECT_FLOAT_EQ(d[1], 0.4f);
    EXPECT_FLOAT_EQ(d[2], 1);
    EXPECT_EQ(d[3], d[5]);
    EXPECT_FLOAT_EQ(d[4], depthImage(cloud).at<float>(20, 30));
    const cv::Vec3d expected = cv::normalize(cv::Vec3d(0.3, -0.2, -1));
    for (int i = 0; i < 3; i++)
        EXPECT_NEAR(n[3 + i], expected[i] / 2 + 0.5, 1e-3);
    writeImage(folder / "rgb/0.png", cv::Mat(60, 70, CV_8U, cv::Scalar(9)));
    EXPECT_THAT(errorOf([&] { readItem(item, Input::RgbNormals); }), HasSubstr("80x60 points, but its image has 70x60"));
}

TEST(SharedData, CableGlandNormals)
{
    const fs::path root = test::sharedData("data/mvtec3d/cable_gland");
    if (!fs::exists(root))
        GTEST_SKIP() << "no " << root << "; set AGPNET_SHARED to the folder that holds data/mvtec3d";
    const char* look = std::getenv("AGPNET_LOOK"); // a folder for pictures to look at
    for (const Item& item : listTest(root).items)
    {
        const cv::Mat cloud = readPointCloud(*item.xyz), normals = surfaceNormals(cloud);
        EXPECT_TRUE(cv::checkRange(normals, true, nullptr, -1.0001, 1.0001)) << item.name;
        cv::Mat z;
        cv::extractChannel(cloud, z, 2);
        double far = 0;
        cv::minMaxLoc(z, nullptr, &far);
        EXPECT_NEAR(far, 0.688, 0.01) << "z is the distance from the camera, in metres";
        const cv::Scalar mean = cv::mean(normals, validPoints(cloud));
        EXPECT_LT(mean[2], -0.5) << "most of the part faces the camera";
        EXPECT_LT(std::abs(mean[0]), 0.2);
        if (look && item.path.stem() == "000")
        {
            std::vector<cv::Mat> parts;
            cv::split(readItem(item, Input::RgbNormals), parts);
            cv::Mat picture, depth, row;
            cv::merge(std::vector<cv::Mat>(parts.begin() + 3, parts.end()), picture);
            cv::Mat colours;
            cv::merge(std::vector<cv::Mat>(parts.begin(), parts.begin() + 3), colours);
            cv::merge(std::vector<cv::Mat>(3, depthImage(cloud)), depth);
            cv::hconcat(std::vector<cv::Mat>{colours, depth, picture}, row);
            row.convertTo(row, CV_8U, 255);
            writeImage(fs::path(look) / (item.defect + ".png"), row);
        }
    }
}

} // namespace
} // namespace agpnet::tools
