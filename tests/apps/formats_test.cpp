// What the formats of pictures say of their samples: range, colour order, orientation, pages. Each file is written here by its
// specification.
#include "apps/datasets/dataset.h"
#include "apps/datasets/image_io.h"
#include "tests/support/temp_folder.h"
#include "tests/apps/tiff_writer.h"
#include "tests/support/error_text.h"

#include <cstdlib>
#include <map>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace agpnet::tools
{
namespace
{

using test::errorOf;
using test::TempFolder;
using test::tiffOf;
using test::writeBytes;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Bytes = std::vector<uchar>;

constexpr int rows = 9, columns = 11; // neither a multiple of 8, so that padding shows

/// 0 to `most`, both included, another value at every place.
cv::Mat ramp(int most, int channels = 1)
{
    cv::Mat samples(rows, columns, CV_MAKETYPE(CV_16U, channels));
    const int count = rows * columns * channels;
    for (int y = 0; y < rows; y++)
        for (int i = 0; i < columns * channels; i++)
            samples.ptr<ushort>(y)[i] =
                static_cast<ushort>(std::lround(static_cast<double>(most) * (y * columns * channels + i) / (count - 1)));
    return samples;
}

/// What readImage() is to give, from 0 to 1, BGR, of samples as a file has them: grey, grey and alpha, RGB, RGB and alpha.
cv::Mat expected(const cv::Mat& samples, double most)
{
    cv::Mat unit, bgr;
    samples.convertTo(unit, CV_32F, 1 / most);
    const int n = unit.channels();
    const int grey[] = {0, 0, 0, 1, 0, 2}, colour[] = {0, 2, 1, 1, 2, 0};
    bgr.create(unit.size(), CV_32FC3);
    cv::mixChannels(&unit, 1, &bgr, 1, n < 3 ? grey : colour, 3);
    return bgr;
}

/// As a model that takes all of 16 bits sees it.
cv::Mat unitOf(const cv::Mat& image)
{
    cv::Mat unit;
    image.convertTo(unit, CV_32F, image.depth() == CV_8U ? 1.0 / 255 : image.depth() == CV_16U ? 1.0 / 65535 : 1);
    return unit;
}

double difference(const cv::Mat& a, const cv::Mat& b)
{
    return a.size() == b.size() && a.type() == b.type() ? cv::norm(a, b, cv::NORM_INF) : 1e9;
}

/// P2, P3, P5, P6 or P7 of the samples.
std::string pnmOf(char kind, const cv::Mat& samples, int most, const std::string& end = "\n")
{
    const int n = samples.channels();
    std::string out;
    if (kind == '7')
        out = fmt::format("P7\n# by a test\nWIDTH {}\nHEIGHT {}\nDEPTH {}\nMAXVAL {}\nTUPLTYPE {}\nENDHDR\n", samples.cols, samples.rows, n,
                          most, std::map<int, const char*>{{1, "GRAYSCALE"}, {2, "GRAYSCALE_ALPHA"}, {3, "RGB"}, {4, "RGB_ALPHA"}}[n]);
    else
        out = fmt::format("P{}\n# by a test\n{} {}\n{}\n", kind, samples.cols, samples.rows, most);
    std::string text;
    for (int y = 0; y < samples.rows; y++)
        for (int i = 0; i < samples.cols * n; i++)
        {
            const ushort value = samples.ptr<ushort>(y)[i];
            if (kind <= '3')
                text += fmt::format("{}{}", text.empty() ? "" : " ", value);
            else if (most > 255)
                text += {static_cast<char>(value >> 8), static_cast<char>(value)};
            else
                text += static_cast<char>(value);
        }
    return out + text + (kind <= '3' ? end : "");
}

TEST(Formats, MaxvalOfPnmIsHeeded)
{
    const TempFolder folder;
    for (const int most : {1, 15, 100, 254, 255, 256, 1023, 4095, 16383, 65534, 65535})
        for (const auto& [kind, channels] :
             std::vector<std::pair<char, int>>{{'2', 1}, {'3', 3}, {'5', 1}, {'6', 3}, {'7', 1}, {'7', 2}, {'7', 3}, {'7', 4}})
        {
            const std::string what = fmt::format("P{} of {} channels, maxval {}", kind, channels, most);
            const auto path = folder / "a.pnm";
            const cv::Mat samples = ramp(most, channels);
            writeBytes(path, pnmOf(kind, samples, most));
            const cv::Mat image = readImage(path);
            EXPECT_EQ(image.depth(), most <= 255 ? CV_8U : most == 65535 ? CV_16U : CV_32F) << what;
            EXPECT_LE(difference(unitOf(image), expected(samples, most)), most <= 255 ? 0.5001 / 255 : 1e-6) << what;
            EXPECT_EQ(probeSize(path), cv::Size(columns, rows)) << what;
            checkImageFile(path);
        }
}

TEST(Formats, TextWithoutALastNewlineIsWhole)
{
    const TempFolder folder;
    for (const char* end : {"", "\n", " ", "\r\n", "\n# the end"})
        for (const char kind : {'2', '3'})
        {
            const cv::Mat samples = ramp(255, kind == '2' ? 1 : 3);
            writeBytes(folder / "a.pgm", pnmOf(kind, samples, 255, end));
            EXPECT_LE(difference(unitOf(readImage(folder / "a.pgm")), expected(samples, 255)), 1e-6) << kind << " '" << end << "'";
        }
    std::string bits = "P1\n11 9\n";
    for (int i = 0; i < 99; i++)
        bits += i % 2 ? "1 " : "0 ";
    bits.pop_back();
    writeBytes(folder / "a.pbm", bits);
    const cv::Mat image = readImage(folder / "a.pbm");
    EXPECT_EQ(image.at<cv::Vec3b>(0, 0), cv::Vec3b(255, 255, 255)); // 1 is ink
    EXPECT_EQ(image.at<cv::Vec3b>(0, 1), cv::Vec3b(0, 0, 0));
}

TEST(Formats, DamagedPnmIsAnError)
{
    const TempFolder folder;
    const std::string whole = pnmOf('5', ramp(4095), 4095);
    const auto path = folder / "a.pgm";
    const std::pair<std::string, const char*> cases[] = {
        {whole.substr(0, whole.size() - 1), "truncated PNM"},
        {"P5\n11 9\n", "its header says '' where its maxval is expected"},
        {"P5\n11 9\n0\n" + std::string(99, 'x'), "maxval is 0"},
        {"P5\n11 9\n65536\n" + std::string(200, 'x'), "maxval is 65536"},
        {"P5\n11 x\n255\n" + std::string(200, 'x'), "its header says 'x' where its height is expected"},
        {"P7\nWIDTH 11\nHEIGHT 9\nDEPTH 9\nMAXVAL 255\nENDHDR\n" + std::string(900, 'x'), "9 channels"},
        {"P7\nWIDTH 11\nHEIGHT 9\nDEPTH 1\n", "ENDHDR"},
        {"P5\n11 9\n100\n" + std::string(98, 'a') + '\xff', "holds a value of 255, and its header says that 100 is the maximum"}};
    for (const auto& [content, sentence] : cases)
    {
        writeBytes(path, content);
        EXPECT_THAT(errorOf([&] { readImage(path); }), AllOf(HasSubstr(path.string()), HasSubstr(sentence)));
    }
}

TEST(Formats, TiffOfAnyBitsHasItsWholeRange)
{
    const TempFolder folder;
    for (const int bits : {1, 8, 10, 12, 14, 16})
        for (const bool white : {false, true})
            for (const bool little : {true, false})
                for (const bool big : {false, true})
                {
                    const std::string what = fmt::format("{} bits, white is {}, {}, {}", bits, white ? "zero" : "one", little ? "II" : "MM",
                                                         big ? "BigTIFF" : "TIFF");
                    const int most = (1 << bits) - 1;
                    cv::Mat samples = ramp(most), stored = white ? cv::Mat(cv::Scalar(most) - samples) : samples;
                    const auto path = folder / "a.tif";
                    writeBytes(
                        path,
                        tiffOf({{.samples = stored, .bits = static_cast<uint32_t>(bits), .photometric = white ? 0u : 1u, .palette = {}}},
                               little, big));
                    cv::Mat image;
                    ASSERT_EQ(errorOf([&] { image = readImage(path); }), "no error") << what;
                    EXPECT_EQ(image.depth(), bits <= 8 ? CV_8U : bits == 16 ? CV_16U : CV_32F) << what;
                    EXPECT_LE(difference(unitOf(image), expected(samples, most)), bits <= 8 ? 0.5001 / 255 : 1e-6) << what;
                    EXPECT_EQ(probeSize(path), cv::Size(columns, rows)) << what;
                }
}

TEST(Formats, TiffThatNoDecoderReadsIsASentenceAlone)
{
    const TempFolder folder;
    const auto path = folder / "a.tif";
    for (const auto& [bits, photometric, sentence] :
         {std::tuple{32u, 1u, "holds samples of 32 bits; 1, 8, 10, 12, 14 or 16 expected"},
          {2u, 1u, "holds samples of 2 bits"},
          {4u, 0u, "holds samples of 4 bits"},
          {8u, 32803u,
           "its photometric interpretation is 32803, as of a camera's raw samples; grey, RGB, a palette, CMYK or YCbCr expected"},
          {16u, 34892u, "its photometric interpretation is 34892"}})
    {
        writeBytes(path, tiffOf({{.samples = ramp(1), .bits = bits, .photometric = photometric, .palette = {}}}));
        ::testing::internal::CaptureStderr();
        const std::string error = errorOf([&] { readImage(path); });
        EXPECT_EQ(::testing::internal::GetCapturedStderr(), "") << sentence;
        EXPECT_THAT(error, HasSubstr(sentence));
    }
    cv::imwrite(path, cv::Mat(20, 20, CV_32FC3, cv::Scalar(0.1, 0.2, 0.3))); // OpenCV makes logarithms of these
    EXPECT_THAT(errorOf([&] { readImage(path); }), HasSubstr("holds floating-point values, which have no agreed range"));
}

TEST(Formats, ColourOrderAndAlpha)
{
    const TempFolder folder;
    for (const int bits : {8, 16})
    {
        const int most = (1 << bits) - 1;
        for (const int channels : {3, 4})
        {
            const cv::Mat samples = ramp(most, channels);
            writeBytes(folder / "a.tif",
                       tiffOf({{.samples = samples, .bits = static_cast<uint32_t>(bits), .photometric = 2, .palette = {}}}));
            EXPECT_LE(difference(unitOf(readImage(folder / "a.tif")), expected(samples, most)), 1e-6)
                << bits << " bits, " << channels << " channels";
        }
    }
}

/// The picture as stored, so that turned as EXIF says it is `upright`.
cv::Mat storedFor(const cv::Mat& upright, int orientation)
{
    cv::Mat stored = upright.clone();
    const auto flip = [&](int code) { cv::flip(stored, stored, code); };
    switch (orientation)
    {
    case 2:
        flip(1);
        break;
    case 3:
        flip(-1);
        break;
    case 4:
        flip(0);
        break;
    case 5:
        cv::transpose(stored, stored);
        break;
    case 6: // to be turned a quarter clockwise
        cv::rotate(stored, stored, cv::ROTATE_90_COUNTERCLOCKWISE);
        break;
    case 7:
        cv::transpose(stored, stored);
        flip(-1);
        break;
    case 8:
        cv::rotate(stored, stored, cv::ROTATE_90_CLOCKWISE);
        break;
    default:
        break;
    }
    return stored;
}

Bytes exifOf(int orientation, bool little)
{
    const auto o = static_cast<uchar>(orientation);
    return little ? Bytes{'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, o, 0, 0, 0, 0, 0, 0, 0}
                  : Bytes{'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, o, 0, 0, 0, 0, 0, 0};
}

void number(Bytes& bytes, uint32_t value, int count, bool little)
{
    for (int i = 0; i < count; i++)
        bytes.push_back(static_cast<uchar>(value >> 8 * (little ? i : count - 1 - i)));
}

Bytes withExif(const Bytes& webp, const cv::Mat& image, const Bytes& exif)
{
    Bytes body(webp.begin() + 12, webp.end()), out = {'R', 'I', 'F', 'F'},
                                               head = {'W', 'E', 'B', 'P', 'V', 'P', '8', 'X', 10, 0, 0, 0, 8, 0, 0, 0};
    number(head, static_cast<uint32_t>(image.cols - 1), 3, true);
    number(head, static_cast<uint32_t>(image.rows - 1), 3, true);
    head.insert(head.end(), body.begin(), body.end());
    head.insert(head.end(), {'E', 'X', 'I', 'F'});
    number(head, static_cast<uint32_t>(exif.size()), 4, true);
    head.insert(head.end(), exif.begin(), exif.end());
    if (exif.size() % 2)
        head.push_back(0);
    number(out, static_cast<uint32_t>(head.size()), 4, true);
    out.insert(out.end(), head.begin(), head.end());
    return out;
}

Bytes encoded(const std::string& extension, const cv::Mat& image, const std::vector<int>& how = {})
{
    Bytes bytes;
    EXPECT_TRUE(cv::imencode(extension, image, bytes, how));
    return bytes;
}

TEST(Formats, OrientationIsAppliedInEach)
{
    const TempFolder folder;
    cv::Mat upright(24, 40, CV_8UC3, cv::Scalar(40, 40, 40)); // each corner another
    upright(cv::Rect(0, 0, 12, 8)).setTo(cv::Scalar(250, 250, 250));
    upright(cv::Rect(28, 0, 12, 8)).setTo(cv::Scalar(250, 40, 40));
    upright(cv::Rect(0, 16, 12, 8)).setTo(cv::Scalar(40, 250, 40));
    for (int orientation = 1; orientation <= 8; orientation++)
    {
        const cv::Mat stored = storedFor(upright, orientation);
        cv::Mat rgb, deep;
        cv::cvtColor(stored, rgb, cv::COLOR_BGR2RGB);
        rgb.convertTo(deep, CV_16U);
        std::map<std::string, Bytes> files;
        for (const bool little : {true, false})
        {
            const std::string order = little ? "II" : "MM";
            const Bytes exif = exifOf(orientation, little);
            files["webp, lossless, " + order] = withExif(encoded(".webp", stored, {cv::IMWRITE_WEBP_QUALITY, 101}), stored, exif);
            Bytes named = {'E', 'x', 'i', 'f', 0, 0};
            named.insert(named.end(), exif.begin(), exif.end());
            files["webp, with a name, " + order] = withExif(encoded(".webp", stored, {cv::IMWRITE_WEBP_QUALITY, 101}), stored, named);
            Bytes jpeg = encoded(".jpg", stored, {cv::IMWRITE_JPEG_QUALITY, 100}), segment = {0xff, 0xe1};
            number(segment, static_cast<uint32_t>(named.size() + 2), 2, false);
            segment.insert(segment.end(), named.begin(), named.end());
            jpeg.insert(jpeg.begin() + 2, segment.begin(), segment.end());
            files["jpeg, " + order] = jpeg;
            files["tiff of 8 bits, " + order] = tiffOf(
                {{.samples = deep, .bits = 8, .photometric = 2, .orientation = static_cast<uint32_t>(orientation), .palette = {}}}, little);
            files["tiff of 16 bits, " + order] = tiffOf(
                {{.samples = deep * 257, .bits = 16, .photometric = 2, .orientation = static_cast<uint32_t>(orientation), .palette = {}}},
                little);
        }
        for (const auto& [what, bytes] : files)
        {
            writeBytes(folder / "a.img", bytes);
            const cv::Mat image = readImage(folder / "a.img");
            ASSERT_EQ(image.size(), upright.size()) << what << ", orientation " << orientation;
            EXPECT_LT(cv::norm(unitOf(image), unitOf(upright), cv::NORM_L1) / (24 * 40 * 3), 0.02)
                << what << ", orientation " << orientation;
        }
    }
}

TEST(Formats, OfSeveralPagesTheLargestIsRead)
{
    const TempFolder folder;
    const auto page = [](int height, int width, ushort value, uint32_t kind = 0)
    { return test::TiffPage{.samples = cv::Mat(height, width, CV_16U, cv::Scalar(value)), .bits = 8, .kind = kind, .palette = {}}; };
    struct Case
    {
        const char* what;
        std::vector<test::TiffPage> pages;
        cv::Size size;
        int value;
        const char* note;
    };
    const Case cases[] = {
        {"one page", {page(20, 30, 50)}, {30, 20}, 50, ""},
        {"a preview first", {page(10, 15, 50), page(20, 30, 90)}, {30, 20}, 90, "holds 2 pages; the largest, page 2, is read"},
        {"a preview first that says so",
         {page(10, 15, 50, 1), page(20, 30, 90)},
         {30, 20},
         90,
         "holds 2 pages; the largest, page 2, is read"},
        {"a preview behind", {page(20, 30, 90), page(10, 15, 50, 1)}, {30, 20}, 90, ""},
        {"a stack", {page(20, 30, 50), page(20, 30, 90), page(20, 30, 120)}, {30, 20}, 50, "holds 3 pages; the largest, page 1, is read"},
        {"a mask that is larger", {page(20, 30, 50), page(40, 60, 255, 4)}, {30, 20}, 50, ""}};
    for (const Case& each : cases)
        for (const bool big : {false, true})
        {
            const auto path = folder / "a.tif";
            writeBytes(path, tiffOf(each.pages, true, big));
            const cv::Mat image = readImage(path);
            EXPECT_EQ(image.size(), each.size) << each.what;
            EXPECT_EQ(image.at<cv::Vec3b>(3, 3)[0], each.value) << each.what;
            EXPECT_EQ(probeSize(path), each.size) << each.what;
            EXPECT_EQ(pagesNote(path), each.note) << each.what;
        }
}

TEST(Formats, ADirectoryThatNamesItselfEnds)
{
    const TempFolder folder;
    Bytes tiff = tiffOf({{.samples = ramp(255), .bits = 8, .palette = {}}});
    std::copy(tiff.begin() + 4, tiff.begin() + 8, tiff.end() - 4); // the next page is the first
    writeBytes(folder / "a.tif", tiff);
    EXPECT_EQ(probeSize(folder / "a.tif"), cv::Size(columns, rows));
    EXPECT_EQ(pagesNote(folder / "a.tif"), "");
}

uint32_t crcOf(const uchar* data, size_t bytes)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < bytes; i++)
    {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? 0xedb88320u ^ (crc >> 1) : crc >> 1;
    }
    return ~crc;
}

TEST(Formats, AnimationsAreNamed)
{
    const TempFolder folder;
    Bytes png = encoded(".png", cv::Mat(20, 30, CV_8UC3, cv::Scalar(1, 2, 3)));
    EXPECT_EQ(pagesNote(folder / "absent.png"), "");
    writeBytes(folder / "a.png", png);
    EXPECT_EQ(pagesNote(folder / "a.png"), "");
    Bytes chunk;
    number(chunk, 8, 4, false);
    chunk.insert(chunk.end(), {'a', 'c', 'T', 'L'});
    number(chunk, 5, 4, false);
    number(chunk, 0, 4, false);
    number(chunk, crcOf(chunk.data() + 4, 12), 4, false);
    png.insert(png.begin() + 33, chunk.begin(), chunk.end()); // behind the header
    writeBytes(folder / "a.png", png);
    EXPECT_EQ(pagesNote(folder / "a.png"), "is an animation of 5 frames; the first is read");
    EXPECT_EQ(readImage(folder / "a.png").at<cv::Vec3b>(0, 0), cv::Vec3b(1, 2, 3));
    const std::string one = pnmOf('5', ramp(255), 255);
    writeBytes(folder / "a.pgm", one + one + one);
    EXPECT_EQ(pagesNote(folder / "a.pgm"), "holds 3 images; the first is read");
    EXPECT_LE(difference(unitOf(readImage(folder / "a.pgm")), expected(ramp(255), 255)), 1e-6);
}

/// OpenCV writes 16 bits; the header made to say 12, and the samples moved by half the range between, are what a 12-bit encoder writes.
TEST(Formats, PrecisionOfJpeg2000IsHeeded)
{
    if (!cv::haveImageWriter("a.jp2"))
        GTEST_SKIP() << "this OpenCV writes no JPEG 2000";
    const TempFolder folder;
    cv::Mat samples, moved;
    cv::resize(ramp(4095), samples, {64, 48}, 0, 0, cv::INTER_LINEAR); // its encoder wants more than a few pixels
    samples.convertTo(moved, CV_16U, 1, 32768 - 2048);
    Bytes bytes = encoded(".jp2", moved);
    const auto marker = std::search(bytes.begin(), bytes.end(), std::begin("\xff\x4f\xff\x51"), std::end("\xff\x4f\xff\x51") - 1,
                                    [](uchar a, char b) { return a == static_cast<uchar>(b); });
    ASSERT_NE(marker, bytes.end());
    ASSERT_EQ(marker[42], 15);
    marker[42] = 11;
    const std::string name = "ihdr";
    const auto box = std::search(bytes.begin(), bytes.end(), name.begin(), name.end());
    ASSERT_NE(box, bytes.end());
    box[14] = 11;
    writeBytes(folder / "a.jp2", bytes);
    EXPECT_LE(difference(unitOf(readImage(folder / "a.jp2")), expected(samples, 4095)), 1.01 / 4095);
    EXPECT_EQ(probeSize(folder / "a.jp2"), cv::Size(64, 48));
}

TEST(Formats, TheLimitOfPixelsIsOpenCVsVariable)
{
    const TempFolder folder;
    const auto path = folder / "a.pgm";
    writeBytes(path, pnmOf('5', ramp(255), 255));
    EXPECT_EQ(pixelLimit(), 1 << 28);
    ::setenv("OPENCV_IO_MAX_IMAGE_PIXELS", "98", 1);
    EXPECT_THAT(errorOf([&] { checkImageFile(path); }),
                HasSubstr("11x9 pixels are more than the limit of 98; OPENCV_IO_MAX_IMAGE_PIXELS raises it"));
    ::setenv("OPENCV_IO_MAX_IMAGE_PIXELS", "99", 1);
    EXPECT_EQ(errorOf([&] { checkImageFile(path); }), "no error");
    ::setenv("OPENCV_IO_MAX_IMAGE_PIXELS", "1073741824", 1);
    writeBytes(path, std::string("P5 20000 20000 255\n")); // more than 2^28
    EXPECT_THAT(errorOf([&] { checkImageFile(path); }), HasSubstr("truncated PNM"));
    ::setenv("OPENCV_IO_MAX_IMAGE_PIXELS", "many", 1);
    EXPECT_THAT(errorOf([&] { checkImageFile(path); }), HasSubstr("OPENCV_IO_MAX_IMAGE_PIXELS is 'many', expected a number of pixels"));
    ::unsetenv("OPENCV_IO_MAX_IMAGE_PIXELS");
    EXPECT_THAT(errorOf([&] { checkImageFile(path); }), HasSubstr("20000x20000 pixels are more than the limit of 268435456"));
}

void put(const std::filesystem::path& path, const Bytes& bytes)
{
    std::filesystem::create_directories(path.parent_path());
    writeBytes(path, bytes);
}

TEST(Formats, EveryNameOfAFormatIsRead)
{
    const TempFolder folder;
    const cv::Mat image(48, 64, CV_8UC3, cv::Scalar(9, 9, 9));
    const std::pair<const char*, const char*> names[] = {{"a.jfif", ".jpg"}, {"b.jpe", ".jpg"}, {"c.JPG", ".jpg"},  {"d.dib", ".bmp"},
                                                         {"e.jp2", ".jp2"},  {"f.png", ".png"}, {"g.tif", ".tiff"}, {"h.webp", ".webp"},
                                                         {"i.ppm", ".ppm"},  {"j.pam", ".ppm"}};
    for (const auto& [name, format] : names)
        put(folder.path() / "good" / name, encoded(format, image));
    const Dataset dataset = listTraining(folder.path());
    EXPECT_THAT(dataset.items, SizeIs(std::size(names)));
    EXPECT_THAT(dataset.warnings, IsEmpty());
    checkFiles(dataset);
}

TEST(Formats, WhatIsLeftOutIsCountedAndNamed)
{
    const TempFolder folder;
    const Bytes png = encoded(".png", cv::Mat(20, 30, CV_8UC3, cv::Scalar(9, 9, 9)));
    for (const char* name : {"good/a.png", "good/b.png", "good/monday/c.png", "good/monday/early/d.png", "good/tuesday/e.png"})
        put(folder.path() / name, png);
    for (const char* name : {"good/f.heic", "good/g.TGA", "good/notes.txt", "good/Thumbs.db", "good/.hidden.gif"})
        put(folder.path() / name, {1, 2, 3});
    put(folder.path() / "good/nameless", png);
    const Dataset dataset = listTraining(folder.path());
    EXPECT_THAT(dataset.items, SizeIs(2));
    EXPECT_THAT(dataset.warnings,
                Contains(AllOf(HasSubstr("3 images of formats that are not read are left out: f.heic, g.TGA, nameless;"))));
    EXPECT_THAT(dataset.warnings, Contains(AllOf(HasSubstr("3 images in folders below it are left out: monday/, tuesday/;"))));
    EXPECT_THAT(dataset.warnings, SizeIs(2));
    EXPECT_EQ(dataset.skipped.count, 8u) << "pictures of other kinds, two files that are none, and three below";
    EXPECT_THAT(dataset.skipped.first, Contains((folder.path() / "good/monday/early/d.png").string()));

    LeftOut beside;
    EXPECT_THAT(expandInputs(std::vector<std::string>{(folder.path() / "good").string()}, &beside), SizeIs(2));
    EXPECT_THAT(beside.notes, SizeIs(2));
    EXPECT_EQ(beside.files.count, 8u);
    LeftOut matched;
    EXPECT_THAT(expandInputs(std::vector<std::string>{(folder.path() / "good/*").string()}, &matched), SizeIs(2));
    EXPECT_EQ(matched.files.count, 5u) << "what a pattern matches and is no picture";
}

TEST(Formats, OfManyFilesLeftOutSomeAreNamed)
{
    const TempFolder folder;
    put(folder.path() / "a.png", encoded(".png", cv::Mat(20, 30, CV_8UC3, cv::Scalar(9, 9, 9))));
    for (int i = 0; i < 40; i++)
        put(folder.path() / fmt::format("{}.txt", i), {1});
    const Dataset dataset = listTraining(folder.path());
    EXPECT_EQ(dataset.skipped.count, 40u);
    EXPECT_EQ(dataset.skipped.first.size(), FileNames::most);
}

TEST(Formats, NoPictureOfALayoutIsLeftOutWithoutAWord)
{
    const TempFolder folder;
    const Bytes png = encoded(".png", cv::Mat(20, 30, CV_8UC3, cv::Scalar(9, 9, 9)));
    for (const char* name :
         {"loose.png", "good/a.png", "good/a_mask.png", "crack/b.png", "crack/b_mask.png", "bent/monday/c.png", "masks/z.png"})
        put(folder.path() / name, png);
    put(folder.path() / "dent/d.gif", {1, 2, 3});
    put(folder.path() / "code/run.py", {1, 2, 3});
    const auto left = [&](const std::string& name) { return HasSubstr((folder.path() / name).string()); };
    const Dataset train = listTraining(folder.path());
    EXPECT_THAT(train.skipped.first, UnorderedElementsAre(left("loose.png"), left("good/a_mask.png")));
    EXPECT_THAT(train.warnings,
                Contains(HasSubstr("1 images lie beside the folders of good and defective ones, and were left out: loose.png.")));
    const Dataset test = listTest(folder.path());
    EXPECT_THAT(test.items, SizeIs(2));
    EXPECT_THAT(test.skipped.first, UnorderedElementsAre(left("loose.png"), left("good/a_mask.png"), left("bent/monday/c.png"),
                                                         left("masks/z.png"), left("dent/d.gif")));
    EXPECT_THAT(test.warnings, Contains(HasSubstr("1 images in folders below it are left out: monday/;")));
    EXPECT_THAT(test.warnings, Contains(HasSubstr("1 images of formats that are not read are left out: d.gif;")));
}

TEST(Formats, WhereNothingIsReadTheErrorSaysWhatThereIs)
{
    const TempFolder folder;
    put(folder.path() / "good/a.gif", {1, 2, 3});
    put(folder.path() / "good/monday/b.png", encoded(".png", cv::Mat(20, 30, CV_8UC3, cv::Scalar(9, 9, 9))));
    for (const std::string& error : {errorOf([&] { listTraining(folder.path()); }), errorOf([&] { listTest(folder.path()); }),
                                     errorOf([&] { expandInputs(std::vector<std::string>{(folder.path() / "good").string()}); })})
        EXPECT_THAT(error, AllOf(HasSubstr("1 images of formats that are not read are left out: a.gif"),
                                 HasSubstr("1 images in folders below it are left out: monday/")));
}

TEST(Formats, ALinkThatLeadsRoundHoldsNothing)
{
    const TempFolder folder;
    put(folder.path() / "good/a.png", encoded(".png", cv::Mat(20, 30, CV_8UC3, cv::Scalar(9, 9, 9))));
    std::filesystem::create_directory_symlink("..", folder.path() / "good/round");
    const Dataset dataset = listTraining(folder.path());
    EXPECT_THAT(dataset.warnings, IsEmpty());
    EXPECT_EQ(dataset.skipped.count, 0u);
}

TEST(Formats, ASplitFileSkipsNothing)
{
    const TempFolder folder;
    const Bytes png = encoded(".png", cv::Mat(20, 30, CV_8UC3, cv::Scalar(9, 9, 9)));
    for (const char* name : {"good/a.png", "good/b.png", "good/c.png"})
        put(folder.path() / name, png);
    put(folder.path() / "split.txt", {'t', 'r', 'a', 'i', 'n', ' ', 'a', '\n'});
    ListOptions options;
    options.split = folder.path() / "split.txt";
    const Dataset dataset = listTraining(folder.path(), options);
    EXPECT_THAT(dataset.items, SizeIs(1));
    EXPECT_EQ(dataset.skipped.count, 0u);
}

TEST(Formats, FoldersOfALayoutAreNotLeftOut)
{
    const TempFolder folder;
    const Bytes png = encoded(".png", cv::Mat(20, 30, CV_8UC3, cv::Scalar(9, 9, 9)));
    for (const char* name : {"train/good/a.png", "test/good/b.png", "test/crack/c.png", "ground_truth/crack/c_mask.png"})
        put(folder.path() / name, png);
    EXPECT_THAT(listTraining(folder.path()).warnings, IsEmpty());
    EXPECT_THAT(listTest(folder.path()).warnings, IsEmpty());
    put(folder.path() / "test/crack/more/d.png", png);
    EXPECT_THAT(listTest(folder.path()).warnings, Contains(HasSubstr("1 images in folders below it are left out: more/;")));
}

} // namespace
} // namespace agpnet::tools
