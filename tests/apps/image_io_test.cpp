#include "apps/datasets/image_io.h"

#include "tests/support/error_text.h"
#include "tests/support/temp_folder.h"

#include <csignal>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <sys/resource.h>

namespace agpnet::tools
{
namespace
{

using test::errorOf;
using test::TempFolder;
using test::writeBytes;
using ::testing::AllOf;
using ::testing::HasSubstr;

cv::Mat picture(int rows = 48, int cols = 64)
{
    cv::Mat image(rows, cols, CV_8UC3);
    cv::RNG rng(7);
    rng.fill(image, cv::RNG::UNIFORM, 0, 256);
    cv::GaussianBlur(image, image, {}, 2);
    return image;
}

std::vector<uchar> encoded(const std::string& extension, const cv::Mat& image)
{
    std::vector<uchar> bytes;
    EXPECT_TRUE(cv::imencode(extension, image, bytes));
    return bytes;
}

double difference(const cv::Mat& a, const cv::Mat& b)
{
    return cv::norm(a, b, cv::NORM_INF);
}

TEST(ReadImage, LosslessFormatsComeBackEqual)
{
    const TempFolder folder;
    for (const char* extension : {".png", ".bmp", ".tiff", ".ppm"})
    {
        const auto path = folder / (std::string("a") + extension);
        writeBytes(path, encoded(extension, picture()));
        EXPECT_EQ(difference(readImage(path), picture()), 0) << extension;
        EXPECT_EQ(probeSize(path), cv::Size(64, 48)) << extension;
        checkImageFile(path);
    }
    for (const char* extension : {".jpg", ".webp"})
    {
        const auto path = folder / (std::string("a") + extension);
        writeBytes(path, encoded(extension, picture()));
        EXPECT_EQ(readImage(path).type(), CV_8UC3);
        EXPECT_EQ(probeSize(path), cv::Size(64, 48)) << extension;
    }
}

/// Their range is not in the file: who reads them for a model knows it.
TEST(ReadImage, SixteenBitsStayAsTheyAre)
{
    const TempFolder folder;
    cv::Mat grey(16, 16, CV_16U, cv::Scalar(0));
    grey.at<ushort>(0, 1) = 65535;
    grey.at<ushort>(0, 2) = 257 * 100;
    grey.at<ushort>(0, 3) = 4095;
    for (const char* extension : {".png", ".tiff", ".pgm"})
    {
        const auto path = folder / (std::string("grey") + extension);
        writeBytes(path, encoded(extension, grey));
        const cv::Mat image = readImage(path);
        ASSERT_EQ(image.type(), CV_16UC3);
        for (int x = 0; x < 4; x++)
            EXPECT_EQ(image.at<cv::Vec3w>(0, x), cv::Vec3w::all(grey.at<ushort>(0, x))) << extension;
    }
    cv::Mat colour;
    picture().convertTo(colour, CV_16U, 257);
    writeBytes(folder / "colour.png", encoded(".png", colour));
    EXPECT_EQ(difference(readImage(folder / "colour.png"), colour), 0);
}

TEST(ReadImage, GreyAndAlphaBecomeThreeChannels)
{
    const TempFolder folder;
    cv::Mat grey, rgba;
    cv::cvtColor(picture(), grey, cv::COLOR_BGR2GRAY);
    writeBytes(folder / "grey.png", encoded(".png", grey));
    cv::Mat back = readImage(folder / "grey.png");
    cv::Mat channel;
    for (int c = 0; c < 3; c++)
    {
        cv::extractChannel(back, channel, c);
        EXPECT_EQ(difference(channel, grey), 0);
    }
    cv::cvtColor(picture(), rgba, cv::COLOR_BGR2BGRA);
    rgba.forEach<cv::Vec4b>([](cv::Vec4b& p, const int* at) { p[3] = at[1] % 2 ? 0 : 128; });
    writeBytes(folder / "rgba.png", encoded(".png", rgba));
    EXPECT_EQ(difference(readImage(folder / "rgba.png"), picture()), 0);
}

TEST(ReadImage, CmykJpegHasTheRightColours)
{
    const cv::Mat image = readImage(std::string(AGPNET_FIXTURES) + "/cmyk.jpg");
    ASSERT_EQ(image.size(), cv::Size(16, 16));
    EXPECT_LT(cv::norm(image.at<cv::Vec3b>(8, 2) - cv::Vec3b(255, 255, 0)), 12) << image.at<cv::Vec3b>(8, 2);
    EXPECT_LT(cv::norm(image.at<cv::Vec3b>(8, 13) - cv::Vec3b(0, 255, 255)), 12) << image.at<cv::Vec3b>(8, 13);
}

/// An APP1 segment that holds nothing but an orientation, behind the start marker.
std::vector<uchar> withOrientation(std::vector<uchar> jpeg, uchar orientation)
{
    const std::vector<uchar> segment = {0xff, 0xe1, 0, 34,   'E', 'x', 'i', 'f', 0, 0, 'M', 'M',         0, 42, 0, 0, 0, 8,
                                        0,    1,    1, 0x12, 0,   3,   0,   0,   0, 1, 0,   orientation, 0, 0,  0, 0, 0, 0};
    jpeg.insert(jpeg.begin() + 2, segment.begin(), segment.end());
    return jpeg;
}

TEST(ReadImage, ExifRotationIsApplied)
{
    const TempFolder folder;
    cv::Mat image(32, 64, CV_8UC3, cv::Scalar(0, 0, 0));
    image(cv::Rect(0, 0, 16, 16)).setTo(cv::Scalar(255, 255, 255)); // the mark, top left as stored
    writeBytes(folder / "turned.jpg", withOrientation(encoded(".jpg", image), 6));
    const cv::Mat turned = readImage(folder / "turned.jpg"); // 6: stored turned a quarter to the left
    ASSERT_EQ(turned.size(), cv::Size(32, 64));
    EXPECT_GT(turned.at<cv::Vec3b>(4, 28)[0], 200);
    EXPECT_LT(turned.at<cv::Vec3b>(4, 4)[0], 50);
}

TEST(ReadImage, EveryTruncationIsAnErrorThatNamesTheFile)
{
    const TempFolder folder;
    for (const char* extension : {".jpg", ".png", ".bmp", ".tiff", ".webp", ".ppm", ".jp2"})
    {
        const auto whole = encoded(extension, picture(120, 160));
        for (const double share : {0.02, 0.2, 0.5, 0.9, 0.999})
        {
            const auto path = folder / (std::string("cut") + extension);
            writeBytes(path, std::vector<uchar>(whole.begin(), whole.begin() + static_cast<long>(whole.size() * share)));
            EXPECT_THAT(errorOf([&] { readImage(path); }), HasSubstr(path.string())) << extension << " " << share;
        }
    }
    const auto jpeg = encoded(".jpg", picture(120, 160));
    writeBytes(folder / "cut.jpg", std::vector<uchar>(jpeg.begin(), jpeg.end() - 2));
    EXPECT_THAT(errorOf([&] { readImage(folder / "cut.jpg"); }), HasSubstr("truncated JPEG"));
    EXPECT_THAT(errorOf([&] { checkImageFile(folder / "cut.jpg"); }), HasSubstr("truncated JPEG"));
    const auto png = encoded(".png", picture(120, 160));
    writeBytes(folder / "cut.png", std::vector<uchar>(png.begin(), png.end() - 12));
    EXPECT_THAT(errorOf([&] { readImage(folder / "cut.png"); }), HasSubstr("truncated PNG"));
}

TEST(ReadImage, DamagedPngIsAnError)
{
    const TempFolder folder;
    auto png = encoded(".png", picture(120, 160));
    png[png.size() / 2] ^= 0x10;
    writeBytes(folder / "bad.png", png);
    EXPECT_THAT(errorOf([&] { readImage(folder / "bad.png"); }), HasSubstr("checksum"));
}

/// Whatever the bytes: a picture or an Error, nothing else.
TEST(ReadImage, RandomDamageNeverEscapes)
{
    const TempFolder folder;
    cv::RNG rng(99);
    for (const char* extension : {".jpg", ".png", ".bmp", ".tiff", ".webp", ".ppm"})
    {
        const auto whole = encoded(extension, picture(24, 32));
        const auto path = folder / (std::string("damaged") + extension);
        for (int n = 0; n < 150; n++)
        {
            auto bytes = whole;
            for (int k = rng.uniform(1, 6); k > 0; k--) // mostly in the header, where the sizes are
                bytes[static_cast<size_t>(rng.uniform(0, k % 2 ? 64 : static_cast<int>(bytes.size())))] =
                    static_cast<uchar>(rng.uniform(0, 256));
            writeBytes(path, bytes);
            probeSize(path);
            try
            {
                EXPECT_EQ(readImage(path).channels(), 3);
            }
            catch (const Error& error)
            {
                EXPECT_THAT(error.what(), HasSubstr(path.string()));
            }
        }
    }
}

TEST(ReadImage, BytesBehindTheEndDoNoHarm)
{
    const TempFolder folder;
    auto jpeg = encoded(".jpg", picture());
    jpeg.insert(jpeg.end(), 100, 0);
    writeBytes(folder / "padded.jpg", jpeg);
    EXPECT_EQ(readImage(folder / "padded.jpg").size(), cv::Size(64, 48));
}

TEST(ReadImage, WhatIsNoImageSaysSo)
{
    const TempFolder folder;
    EXPECT_THAT(errorOf([&] { readImage(folder / "absent.png"); }), AllOf(HasSubstr("absent.png"), HasSubstr("no such file")));
    EXPECT_THAT(errorOf([&] { readImage(folder.path()); }), HasSubstr("is a folder"));
    EXPECT_THAT(errorOf([&] { readImage("/dev/null"); }), HasSubstr("not a regular file"));
    writeBytes(folder / "empty.png", std::string());
    EXPECT_THAT(errorOf([&] { readImage(folder / "empty.png"); }), HasSubstr("is empty"));
    writeBytes(folder / "text.png", std::string("hello, this is text"));
    EXPECT_THAT(errorOf([&] { readImage(folder / "text.png"); }), HasSubstr("is not an image"));
    writeBytes(folder / "pointer.png", std::string("version https://git-lfs.github.com/spec/v1\n"));
    EXPECT_THAT(errorOf([&] { readImage(folder / "pointer.png"); }), HasSubstr("Git LFS"));
    writeBytes(folder / "a.gif", std::string("GIF89a\1\0\1\0"));
    EXPECT_THAT(errorOf([&] { readImage(folder / "a.gif"); }), HasSubstr("GIF is not supported"));
}

TEST(ReadImage, FloatsAreRefused)
{
    const TempFolder folder;
    writeMapTiff(folder / "map.tiff", cv::Mat(20, 20, CV_32F, cv::Scalar(0.5)));
    EXPECT_THAT(errorOf([&] { readImage(folder / "map.tiff"); }), HasSubstr("floating-point"));
}

TEST(ReadImage, SizeIsBoundedBeforeDecoding)
{
    const TempFolder folder;
    writeBytes(folder / "tiny.png", encoded(".png", picture(1, 1)));
    EXPECT_THAT(errorOf([&] { readImage(folder / "tiny.png"); }), HasSubstr("1x1 pixels are too small, at least 8"));
    ReadOptions any;
    any.minSide = 1;
    EXPECT_EQ(readImage(folder / "tiny.png", any).size(), cv::Size(1, 1));
    any.maxPixels = 64 * 48 - 1;
    writeBytes(folder / "large.png", encoded(".png", picture()));
    EXPECT_THAT(errorOf([&] { readImage(folder / "large.png", any); }), HasSubstr("more than the limit"));
    EXPECT_THAT(errorOf([&] { checkImageFile(folder / "large.png", any); }), HasSubstr("more than the limit"));

    auto jpeg = encoded(".jpg", picture()); // claims 65535x65535
    for (size_t i = 2; i + 9 < jpeg.size(); i++)
        if (jpeg[i] == 0xff && jpeg[i + 1] == 0xc0)
        {
            std::fill_n(jpeg.begin() + static_cast<long>(i) + 5, 4, uchar{0xff});
            break;
        }
    writeBytes(folder / "claims.jpg", jpeg);
    EXPECT_THAT(errorOf([&] { readImage(folder / "claims.jpg"); }), HasSubstr("65535x65535"));

    for (const char* header : {"P5 2000000000 2000000000 255\n", "P6\n# a comment\n2000000000 2000000000\n255\n"})
    {
        writeBytes(folder / "claims.pgm", std::string(header));
        EXPECT_THAT(errorOf([&] { readImage(folder / "claims.pgm"); }), HasSubstr("more than the limit"));
    }
}

TEST(ReadMask, AnyColourAboveZeroIsPositive)
{
    const TempFolder folder;
    cv::Mat mask(10, 12, CV_8UC4, cv::Scalar(0, 0, 0, 255));
    mask.at<cv::Vec4b>(3, 4) = {0, 1, 0, 255};
    writeBytes(folder / "mask.png", encoded(".png", mask));
    const cv::Mat read = readMask(folder / "mask.png", {12, 10});
    EXPECT_EQ(read.type(), CV_8UC1);
    EXPECT_EQ(cv::countNonZero(read), 1);
    EXPECT_EQ(read.at<uchar>(3, 4), 255);

    cv::Mat deep(10, 12, CV_16U, cv::Scalar(0));
    deep.at<ushort>(1, 1) = 1; // would vanish if scaled to 8 bits
    writeBytes(folder / "deep.png", encoded(".png", deep));
    EXPECT_EQ(cv::countNonZero(readMask(folder / "deep.png", {12, 10})), 1);
    EXPECT_THAT(errorOf([&] { readMask(folder / "deep.png", {10, 12}); }), AllOf(HasSubstr("12x10"), HasSubstr("10x12")));
}

TEST(WriteImage, WritesAndNamesWhatFails)
{
    const TempFolder folder;
    writeImage(folder / "a.PNG", picture());
    EXPECT_EQ(difference(readImage(folder / "a.PNG"), picture()), 0);
    EXPECT_THAT(errorOf([&] { writeImage(folder.path() / "none" / "a.png", picture()); }), HasSubstr("none/a.png"));
    EXPECT_THAT(errorOf([&] { writeImage(folder / "a.xyz", picture()); }), HasSubstr("'.xyz'"));
    EXPECT_THAT(errorOf([&] { writeImage(folder / "a", picture()); }), HasSubstr("no extension"));
    EXPECT_THAT(errorOf([&] { writeImage(folder / "b.png", {}); }), HasSubstr("no image to write"));
    std::filesystem::create_directory(folder / "dir.png");
    EXPECT_THAT(errorOf([&] { writeImage(folder / "dir.png", picture()); }), HasSubstr("dir.png"));
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
        EXPECT_EQ(entry.path().string().find(".part"), std::string::npos) << entry.path();
}

TEST(WriteImage, FullDeviceLeavesTheOldFile)
{
    const TempFolder folder;
    writeImage(folder / "a.bmp", picture());
    rlimit old{};
    getrlimit(RLIMIT_FSIZE, &old);
    const rlimit small{1000, old.rlim_max}; // stands in for a full device
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    const std::string error = errorOf([&] { writeImage(folder / "a.bmp", picture(400, 400)); });
    setrlimit(RLIMIT_FSIZE, &old);
    std::signal(SIGXFSZ, handler);
    EXPECT_THAT(error, HasSubstr("a.bmp"));
    EXPECT_EQ(difference(readImage(folder / "a.bmp"), picture()), 0);
}

TEST(WriteMapTiff, FloatsComeBackExactly)
{
    const TempFolder folder;
    cv::Mat map(33, 47, CV_32F);
    cv::RNG rng(3);
    rng.fill(map, cv::RNG::NORMAL, 0, 5);
    writeMapTiff(folder / "map.tiff", map);
    const cv::Mat back = cv::imread((folder / "map.tiff").string(), cv::IMREAD_UNCHANGED);
    ASSERT_EQ(back.type(), CV_32FC1);
    EXPECT_EQ(difference(back, map), 0);
    EXPECT_THAT(errorOf([&] { writeMapTiff(folder / "map.tiff", picture()); }), HasSubstr("8UC3"));
}

} // namespace
} // namespace agpnet::tools
