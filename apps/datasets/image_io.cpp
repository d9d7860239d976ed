#include "apps/datasets/image_io.h"

#include "apps/datasets/folder_listing.h"
#include "apps/datasets/pnm.h"
#include "apps/datasets/tiff_pages.h"
#include "common/atomic_file.h"
#include "common/error.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string_view>
#include <vector>

namespace agpnet::tools
{

namespace fs = std::filesystem;

namespace
{

using Bytes = std::vector<uchar>;

enum class Format
{
    Unknown,
    Jpeg,
    Png,
    Bmp,
    Tiff,
    Webp,
    Pnm,
    Jpeg2000,
    Hdr,
    Exr,
    Gif,
    Heif
};

const char* nameOf(Format format)
{
    switch (format)
    {
    case Format::Jpeg:
        return "JPEG";
    case Format::Png:
        return "PNG";
    case Format::Bmp:
        return "BMP";
    case Format::Tiff:
        return "TIFF";
    case Format::Webp:
        return "WebP";
    case Format::Pnm:
        return "PNM";
    case Format::Jpeg2000:
        return "JPEG 2000";
    case Format::Hdr:
        return "Radiance HDR";
    case Format::Exr:
        return "OpenEXR";
    case Format::Gif:
        return "GIF";
    case Format::Heif:
        return "HEIF/AVIF";
    case Format::Unknown:
        break;
    }
    return "unknown";
}

Format sniff(const ByteReader& in)
{
    using namespace std::string_view_literals;
    if (in.has(0, "\xff\xd8\xff"sv))
        return Format::Jpeg;
    if (in.has(0, "\x89PNG\r\n\x1a\n"sv))
        return Format::Png;
    if (in.has(0, "BM"sv) && in.size() >= 26 && in.le32(14) >= 12 && in.le32(14) <= 256)
        return Format::Bmp;
    if (in.has(0, "II*\0"sv) || in.has(0, "MM\0*"sv) || in.has(0, "II+\0"sv) || in.has(0, "MM\0+"sv))
        return Format::Tiff;
    if (in.has(0, "RIFF"sv) && in.has(8, "WEBP"sv))
        return Format::Webp;
    if (in.byte(0) == 'P' && in.byte(1) >= '1' && in.byte(1) <= '7' && std::strchr(" \t\r\n#", static_cast<int>(in.byte(2))))
        return Format::Pnm;
    if (in.has(0, "\0\0\0\x0cjP  \r\n\x87\n"sv) || in.has(0, "\xff\x4f\xff\x51"sv))
        return Format::Jpeg2000;
    if (in.has(0, "#?RADIANCE"sv) || in.has(0, "#?RGBE"sv))
        return Format::Hdr;
    if (in.has(0, "\x76\x2f\x31\x01"sv))
        return Format::Exr;
    if (in.has(0, "GIF8"sv))
        return Format::Gif;
    if (in.has(4, "ftyp"sv))
        return Format::Heif;
    return Format::Unknown;
}

std::optional<Extent> jpegExtent(const ByteReader& in)
{
    for (size_t at = 2; at + 9 < in.size();)
    {
        if (in.byte(at) != 0xff)
            return {};
        const uint32_t marker = in.byte(at + 1);
        if (marker == 0xff)
        {
            at++;
            continue;
        }
        if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc)
            return Extent{in.be16(at + 7), in.be16(at + 5)};
        if (marker == 0xda || marker == 0xd9)
            return {};
        at += 2 + (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8) ? 0 : in.be16(at + 2));
    }
    return {};
}

std::optional<Extent> tiffExtent(const ByteReader& in)
{
    const auto tiff = readTiff(in);
    const TiffPage* page = tiff ? tiff->largest() : nullptr;
    return page ? std::optional(page->extent) : std::nullopt;
}

std::optional<Extent> webpExtent(const ByteReader& in)
{
    if (in.has(12, "VP8X"))
        return Extent{1 + (in.le32(24) & 0xffffff), 1 + (in.le32(27) & 0xffffff)};
    if (in.has(12, "VP8L"))
        return Extent{1 + (in.le32(21) & 0x3fff), 1 + (in.le32(21) >> 14 & 0x3fff)};
    if (in.has(12, "VP8 "))
        return Extent{in.le16(26) & 0x3fff, in.le16(28) & 0x3fff};
    return {};
}

std::optional<Extent> pnmExtent(const ByteReader& in)
{
    try
    {
        return readPnmHeader(in).extent;
    }
    catch (const Error&)
    {
        return {};
    }
}

/// Where a JPEG 2000 codestream says its size: behind its first marker, in a file of boxes somewhere near the beginning. 0: nowhere.
size_t sizeMarkerOf(const ByteReader& in)
{
    using namespace std::string_view_literals;
    constexpr size_t near = 64 << 10;
    for (size_t at = 0; at < std::min(in.size(), near); at++)
        if (in.byte(at) == 0xff && in.has(at, "\xff\x4f\xff\x51"sv))
            return at + 4;
    return 0;
}

std::optional<Extent> jpeg2000Extent(const ByteReader& in)
{
    const size_t at = sizeMarkerOf(in);
    if (at == 0)
        return {};
    return Extent{int64_t{in.be32(at + 4)} - in.be32(at + 12), int64_t{in.be32(at + 8)} - in.be32(at + 16)};
}

std::optional<Extent> extentOf(Format format, const ByteReader& in)
{
    switch (format)
    {
    case Format::Jpeg:
        return jpegExtent(in);
    case Format::Png:
        return in.size() >= 24 ? std::optional(Extent{in.be32(16), in.be32(20)}) : std::nullopt;
    case Format::Bmp:
        if (in.le32(14) == 12)
            return Extent{in.le16(18), in.le16(20)};
        return Extent{std::abs(int64_t{static_cast<int32_t>(in.le32(18))}), std::abs(int64_t{static_cast<int32_t>(in.le32(22))})};
    case Format::Tiff:
        return tiffExtent(in);
    case Format::Webp:
        return webpExtent(in);
    case Format::Pnm:
        return pnmExtent(in);
    case Format::Jpeg2000:
        return jpeg2000Extent(in);
    default:
        return {};
    }
}

/// The decoder fills what is missing with grey and says so on stderr only: walk the segments to the end marker instead.
void checkJpeg(const fs::path& path, const ByteReader& in)
{
    size_t at = 2;
    bool scan = false;
    while (at + 1 < in.size())
    {
        if (in.byte(at) != 0xff)
        {
            require(scan, "{}: damaged JPEG: no marker at byte {}", path.string(), at);
            at++;
            continue;
        }
        const uint32_t marker = in.byte(at + 1);
        if (marker == 0xd9)
        {
            require(scan, "{}: damaged JPEG: it ends before any image data", path.string());
            return;
        }
        if (marker == 0xff)
            at++;
        else if (marker == 0 || marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8))
            at += 2;
        else
        {
            scan = scan || marker == 0xda;
            at += 2 + std::max(2u, in.be16(at + 2));
        }
    }
    fail("{}: truncated JPEG: the file ends after {} bytes without an end marker", path.string(), in.size());
}

uint32_t crc32(const uchar* data, size_t bytes)
{
    static const auto table = []
    {
        std::array<uint32_t, 256> t{};
        for (uint32_t i = 0; i < 256; i++)
        {
            uint32_t c = i;
            for (int bit = 0; bit < 8; bit++)
                c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
            t[i] = c;
        }
        return t;
    }();
    uint32_t crc = ~0u;
    for (size_t i = 0; i < bytes; i++)
        crc = table[(crc ^ data[i]) & 0xff] ^ (crc >> 8);
    return ~crc;
}

void checkPng(const fs::path& path, const Bytes& bytes, const ByteReader& in)
{
    size_t at = 8;
    while (at + 12 <= in.size())
    {
        const size_t length = in.be32(at);
        if (length > in.size() - at - 12)
            break;
        require(crc32(bytes.data() + at + 4, length + 4) == in.be32(at + 8 + length),
                "{}: damaged PNG: the checksum of the chunk at byte {} does not hold", path.string(), at);
        if (in.has(at + 4, "IEND"))
            return;
        at += 12 + length;
    }
    fail("{}: truncated PNG: the file ends after {} bytes without its end chunk", path.string(), in.size());
}

void checkBmp(const fs::path& path, const ByteReader& in)
{
    const bool core = in.le32(14) == 12;
    const uint32_t compression = core ? 0 : in.le32(30);
    if (compression != 0 && compression != 3) // run lengths: only the decoder can tell
        return;
    const auto extent = *extentOf(Format::Bmp, in);
    const uint64_t bits = core ? in.le16(24) : in.le16(28);
    const uint64_t row = (static_cast<uint64_t>(extent.width) * bits + 31) / 32 * 4;
    const uint64_t wanted = in.le32(10) + row * static_cast<uint64_t>(extent.height);
    require(wanted <= in.size(), "{}: truncated BMP: {} bytes, {} expected", path.string(), in.size(), wanted);
}

/// What stands for the sample of a PNM, so that a file that is cut short is told, and not filled up.
PnmHeader checkPnm(const fs::path& path, const ByteReader& in)
{
    PnmHeader header;
    try
    {
        header = readPnmHeader(in);
    }
    catch (const Error& error)
    {
        fail("{}: damaged PNM: {}", path.string(), error.what());
    }
    require(header.pixels + header.bytes() <= in.size(), "{}: truncated PNM: {} bytes, {} expected", path.string(), in.size(),
            header.pixels + header.bytes());
    return header;
}

/// Where EXIF data begins in a WebP; 0: nowhere.
size_t exifOfWebp(const ByteReader& in)
{
    using namespace std::string_view_literals;
    for (size_t at = 12; at + 8 <= in.size(); at += 8 + size_t{in.le32(at + 4)} + (in.le32(at + 4) & 1))
        if (in.has(at, "EXIF"sv))
            return at + 8 + (in.has(at + 8, "Exif\0\0"sv) ? 6 : 0);
    return 0;
}

uint32_t orientationOfWebp(const ByteReader& in)
{
    const size_t exif = exifOfWebp(in);
    const auto tiff = exif ? readTiff(in, exif) : std::nullopt;
    return tiff && !tiff->pages.empty() ? tiff->pages.front().orientation : 1;
}

/// As EXIF numbers them; what is no such number turns nothing.
void turn(cv::Mat& image, uint32_t orientation)
{
    if (orientation >= 5 && orientation <= 8)
        cv::transpose(image, image);
    if (orientation == 2 || orientation == 6)
        cv::flip(image, image, 1);
    else if (orientation == 3 || orientation == 7)
        cv::flip(image, image, -1);
    else if (orientation == 4 || orientation == 8)
        cv::flip(image, image, 0);
}

/// All of it, once: what asks again is given the same.
const Bytes& standardInput(int64_t maxBytes)
{
    static const Bytes all = [maxBytes]
    {
        Bytes bytes;
        std::array<char, 65536> part{};
        while (std::cin.read(part.data(), part.size()) || std::cin.gcount() > 0)
        {
            bytes.insert(bytes.end(), part.begin(), part.begin() + std::cin.gcount());
            require(bytes.size() <= static_cast<uint64_t>(maxBytes), "-: standard input holds more than the limit of {} bytes", maxBytes);
        }
        return bytes;
    }();
    return all;
}

Bytes readBytes(const fs::path& path, int64_t maxBytes)
{
    if (path == standardInputName)
    {
        const Bytes& bytes = standardInput(maxBytes);
        require(!bytes.empty(), "-: standard input is empty, an image was expected");
        return bytes;
    }
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    require(status.type() != fs::file_type::not_found, "{}: no such file", path.string());
    require(!error, "{}: cannot be read: {}", path.string(), error.message());
    require(status.type() != fs::file_type::directory, "{}: is a folder, an image file was expected", path.string());
    require(status.type() == fs::file_type::regular, "{}: is not a regular file", path.string());
    const auto size = fs::file_size(path, error);
    require(!error, "{}: cannot be read: {}", path.string(), error.message());
    require(size > 0, "{}: is empty, an image was expected", path.string());
    require(size <= static_cast<uint64_t>(maxBytes), "{}: {} bytes are more than the limit of {}", path.string(), size, maxBytes);
    errno = 0;
    std::ifstream in(path, std::ios::binary);
    require(in.good(), "{}: cannot be opened: {}", path.string(), std::strerror(errno));
    Bytes bytes(size);
    in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    require(in.good(), "{}: cannot be read: {} of {} bytes came", path.string(), in.gcount(), size);
    return bytes;
}

/// What the header says, and the decoder has to be told or relieved of.
struct Header
{
    Format format = Format::Unknown;
    std::optional<Tiff> tiff;
    std::optional<PnmHeader> pnm;

    const TiffPage* page() const { return tiff ? tiff->largest() : nullptr; }
};

void checkExtent(const fs::path& path, Format format, const Extent& extent, const ReadOptions& options)
{
    require(extent.width > 0 && extent.height > 0, "{}: damaged {}: its size is {}x{}", path.string(), nameOf(format), extent.width,
            extent.height);
    // divided, not multiplied: the product of two claims may not fit
    require(extent.width <= options.maxPixels / extent.height,
            "{}: {}x{} pixels are more than the limit of {}; OPENCV_IO_MAX_IMAGE_PIXELS raises it", path.string(), extent.width,
            extent.height, options.maxPixels);
    require(std::min(extent.width, extent.height) >= options.minSide, "{}: {}x{} pixels are too small, at least {} on each side expected",
            path.string(), extent.width, extent.height, options.minSide);
}

/// What no decoder makes a picture of, told here as they tell it on the standard error stream.
void checkTiff(const fs::path& path, const TiffPage& page)
{
    constexpr std::array known = {0u, 1u, 2u, 3u, 5u, 6u, 8u}; // grey of two kinds, RGB, palette, CMYK, YCbCr, Lab
    require(std::find(known.begin(), known.end(), page.photometric) != known.end(),
            "{}: its photometric interpretation is {}, as of a camera's raw samples; grey, RGB, a palette, CMYK or YCbCr expected",
            path.string(), page.photometric);
    require(page.photometric == 3 || (page.bits <= 16 && page.bits != 2 && page.bits != 4),
            "{}: holds samples of {} bits; 1, 8, 10, 12, 14 or 16 expected", path.string(), page.bits);
}

Header check(const fs::path& path, const Bytes& bytes, const ReadOptions& options)
{
    const ByteReader in(bytes);
    Header header;
    const Format format = header.format = sniff(in);
    require(!in.has(0, "version https://git-lfs"), "{}: is a Git LFS pointer, not the image itself; run 'git lfs pull'",
            path.string());
    require(format != Format::Unknown, "{}: is not an image: its first bytes are those of no known format", path.string());
    require((format != Format::Gif && format != Format::Heif) || cv::haveImageReader(path.string()),
            "{}: {} is not supported; PNG, JPEG, BMP, TIFF, WebP or PNM expected", path.string(), nameOf(format));
    if (format == Format::Tiff)
        header.tiff = readTiff(in);
    const bool floats = format == Format::Exr || format == Format::Hdr || (header.page() && header.page()->floats);
    require(options.floats || !floats, "{}: holds floating-point values, which have no agreed range; 8 or 16 bits expected", path.string());
    if (!options.floats && header.page())
        checkTiff(path, *header.page());
    if (const auto extent = extentOf(format, in))
        checkExtent(path, format, *extent, options);
    if (format == Format::Jpeg)
        checkJpeg(path, in);
    else if (format == Format::Png)
        checkPng(path, bytes, in);
    else if (format == Format::Bmp)
        checkBmp(path, in);
    else if (format == Format::Pnm)
        header.pnm = checkPnm(path, in);
    else if (format == Format::Webp)
        require(uint64_t{in.le32(4)} + 8 <= in.size(), "{}: truncated WebP: {} bytes, {} expected", path.string(), in.size(),
                uint64_t{in.le32(4)} + 8);
    return header;
}

/// The greatest sample that OpenCV can give of the file, where the header says so and it is not that of the samples' type; else 0.
double mostOf(const Header& header, const ByteReader& in)
{
    if (header.pnm && !header.pnm->bits() && header.pnm->most != 255 && header.pnm->most != 65535)
        return static_cast<double>(header.pnm->most);
    if (const TiffPage* page = header.page(); page && page->bits > 8 && page->bits < 16)
        return ((1 << page->bits) - 1) << (16 - page->bits); // OpenCV moves packed samples up
    if (header.format == Format::Jpeg2000)
        if (const size_t at = sizeMarkerOf(in))
            if (const uint32_t bits = (in.byte(at + 38) & 0x7f) + 1; bits > 8 && bits < 16)
                return (1 << bits) - 1;
    return 0;
}

cv::Mat decodeAs(const fs::path& path, const Bytes& bytes, Format format, int mode)
{
    cv::Mat image;
    try
    {
        image = cv::imdecode(bytes, mode);
    }
    catch (const cv::Exception& error)
    {
        fail("{}: cannot be decoded as {}: {}", path.string(), nameOf(format), error.err);
    }
    require(!image.empty(), "{}: cannot be decoded as {}: the file is damaged, or of a kind this OpenCV cannot read",
            path.string(), nameOf(format));
    return image;
}

/// A TIFF begins with its largest page from here on.
void present(Bytes& bytes, const Header& header)
{
    if (const TiffPage* page = header.page(); page && (page != header.tiff->pages.data() || negative(*page)))
        presentTiffPage(bytes, *header.tiff, *page);
}

/// Samples to the whole range of 8 bits, or to 0 to 1: of the file's range nothing is left to guess.
void scale(const fs::path& path, cv::Mat& image, double most)
{
    double greatest = 0;
    cv::minMaxLoc(image.reshape(1), nullptr, &greatest);
    require(greatest <= most, "{}: holds a value of {}, and its header says that {} is the maximum", path.string(), greatest, most);
    if (image.depth() == CV_8U)
        image.convertTo(image, CV_8U, 255 / most);
    else
        image.convertTo(image, CV_32F, 1 / most);
}

cv::Mat decode(const fs::path& path, const ReadOptions& options)
{
    Bytes bytes = readBytes(path, options.maxFileBytes);
    const Header header = check(path, bytes, options);
    const double most = mostOf(header, ByteReader(bytes));
    const uint32_t orientation = header.format == Format::Webp ? orientationOfWebp(ByteReader(bytes)) : 1;
    if (header.pnm)
        bytes = plainPnm(bytes, *header.pnm);
    present(bytes, header);
    // not IMREAD_UNCHANGED: that one leaves EXIF rotation, CMYK and palettes to the caller. Not every OpenCV turns WebP
    const int turned = header.format == Format::Webp ? cv::IMREAD_IGNORE_ORIENTATION : 0;
    cv::Mat image = decodeAs(path, bytes, header.format, cv::IMREAD_COLOR | cv::IMREAD_ANYDEPTH | turned);
    require(std::min(image.rows, image.cols) >= options.minSide,
            "{}: {}x{} pixels are too small, at least {} on each side expected", path.string(), image.cols, image.rows,
            options.minSide);
    CV_Assert(image.channels() == 3);
    turn(image, orientation);
    if (header.page() && negative(*header.page()))
        cv::subtract(cv::Scalar::all(most > 0 ? most : 65535), image, image);
    if (most > 0)
        scale(path, image, most);
    return image;
}

/// As stored; TIFF, and PNG where that is allowed.
cv::Mat decodeValues(const fs::path& path, bool png)
{
    ReadOptions options;
    options.minSide = 1;
    options.floats = true;
    Bytes bytes = readBytes(path, options.maxFileBytes);
    const Header header = check(path, bytes, options);
    require(header.format == Format::Tiff || (png && header.format == Format::Png), "{}: is {}; TIFF{} expected", path.string(),
            nameOf(header.format), png ? " of 32-bit floats or grey PNG" : "");
    present(bytes, header);
    return decodeAs(path, bytes, header.format, cv::IMREAD_UNCHANGED);
}

void writeEncoded(const fs::path& path, const cv::Mat& image, const std::string& extension)
{
    require(!image.empty(), "{}: there is no image to write", path.string());
    Bytes bytes;
    bool encoded = false;
    try
    {
        encoded = cv::haveImageWriter("x" + extension) && cv::imencode(extension, image, bytes);
    }
    catch (const cv::Exception& error)
    {
        fail("{}: cannot be encoded: {}", path.string(), error.err);
    }
    require(encoded, "{}: images are not written as '{}'; png, jpg, bmp, tiff or webp expected", path.string(), extension);
    AtomicFile file(path);
    file.write(bytes.data(), bytes.size());
    file.commit();
}

/// JPEG, and WebP but its lossless kind.
bool losesDetail(const fs::path& path)
{
    std::array<char, 16> bytes{};
    std::ifstream(path, std::ios::binary).read(bytes.data(), bytes.size());
    const std::string_view start(bytes.data(), bytes.size());
    return start.starts_with("\xff\xd8\xff") || (start.starts_with("RIFF") && start.substr(8, 4) == "WEBP" && start.substr(12) != "VP8L");
}

} // namespace

int64_t pixelLimit()
{
    const char* given = std::getenv(pixelLimitVariable);
    if (!given || !*given)
        return 1LL << 28;
    char* end = nullptr;
    errno = 0;
    const long long limit = std::strtoll(given, &end, 10);
    require(errno == 0 && *end == 0 && limit > 0, "{} is '{}', expected a number of pixels", pixelLimitVariable, given);
    return limit;
}

cv::Mat readImage(const fs::path& path, const ReadOptions& options)
{
    cv::Mat image = decode(path, options);
    require(image.depth() == CV_8U || image.depth() == CV_16U || image.depth() == CV_32F,
            "{}: holds {} values, 8 or 16 bits without sign expected", path.string(), cv::depthToString(image.depth()));
    return image;
}

cv::Mat readMask(const fs::path& path, cv::Size expected)
{
    ReadOptions options;
    options.minSide = 1;
    const cv::Mat image = decode(path, options);
    require(image.size() == expected, "{}: the mask has {}x{} pixels, its image has {}x{}", path.string(), image.cols,
            image.rows, expected.width, expected.height);
    std::array<cv::Mat, 3> channels;
    cv::split(image, channels.data());
    const cv::Mat brightest = cv::max(channels[0], cv::Mat(cv::max(channels[1], channels[2])));
    double greatest = 0;
    if (losesDetail(path))
        cv::minMaxLoc(brightest, nullptr, &greatest);
    return brightest > greatest / 4;
}

cv::Mat readFloatTiff(const fs::path& path, int channels)
{
    cv::Mat values = decodeValues(path, false);
    require(values.type() == CV_MAKETYPE(CV_32F, channels), "{}: holds {}; {} of 32-bit floats expected", path.string(),
            cv::typeToString(values.type()), channels == 1 ? std::string("one channel") : fmt::format("{} channels", channels));
    return values;
}

cv::Mat readMap(const fs::path& path, int* storedDepth)
{
    cv::Mat map = decodeValues(path, true);
    const bool tiff = map.type() == CV_32FC1, png = map.type() == CV_8UC1 || map.type() == CV_16UC1;
    require(tiff || (png && lowerCase(path.extension().string()) == ".png"),
            "{}: holds {}; a map is a TIFF of one channel of 32-bit floats, or a grey PNG of 8 or 16 bits", path.string(),
            cv::typeToString(map.type()));
    require(cv::checkRange(map), "{}: the map holds a value that is not finite", path.string());
    if (storedDepth)
        *storedDepth = map.depth();
    if (png)
        map.convertTo(map, CV_32F, map.depth() == CV_8U ? 1.0 / 255 : 1.0 / 65535);
    return map;
}

std::optional<cv::Size> probeSize(const fs::path& path)
{
    const ByteReader in(path);
    const auto extent = extentOf(sniff(in), in);
    if (!extent || extent->width > INT_MAX || extent->height > INT_MAX)
        return {};
    return cv::Size(static_cast<int>(extent->width), static_cast<int>(extent->height));
}

bool looksLikeImage(const fs::path& path)
{
    return sniff(ByteReader(path)) != Format::Unknown;
}

std::string pagesNote(const fs::path& path)
{
    const ByteReader in(path);
    switch (sniff(in))
    {
    case Format::Tiff:
        if (const auto tiff = readTiff(in); tiff && tiff->largest() && (tiff->pictures() > 1 || tiff->largest() != tiff->pages.data()))
            return fmt::format("holds {} pages; the largest, page {}, is read", tiff->pages.size(),
                               tiff->largest() - tiff->pages.data() + 1);
        break;
    case Format::Png:
        for (size_t at = 8; at + 12 <= in.size() && !in.has(at + 4, "IDAT"); at += 12 + size_t{in.be32(at)})
            if (in.has(at + 4, "acTL") && in.be32(at + 8) > 1)
                return fmt::format("is an animation of {} frames; the first is read", in.be32(at + 8));
        break;
    case Format::Webp:
        if (in.has(12, "VP8X") && (in.byte(20) & 2))
            return "is an animation; the first frame is read";
        break;
    case Format::Pnm:
        if (pnmExtent(in))
            if (const size_t pictures = picturesInPnm(in); pictures > 1)
                return fmt::format("holds {} images; the first is read", pictures);
        break;
    default:
        break;
    }
    return "";
}

void checkImageFile(const fs::path& path, const ReadOptions& options)
{
    check(path, readBytes(path, options.maxFileBytes), options);
}

void writeImage(const fs::path& path, const cv::Mat& image)
{
    std::string extension = path.extension().string();
    require(!extension.empty(), "{}: the name has no extension, which sets the format; for instance .png expected", path.string());
    std::transform(extension.begin(), extension.end(), extension.begin(), [](unsigned char c) { return std::tolower(c); });
    writeEncoded(path, image, extension);
}

void writeMapTiff(const fs::path& path, const cv::Mat& map)
{
    require(map.type() == CV_32FC1, "{}: a map has one channel of 32-bit floats, not {}", path.string(),
            cv::typeToString(map.type()));
    writeEncoded(path, map, ".tiff");
}

} // namespace agpnet::tools
