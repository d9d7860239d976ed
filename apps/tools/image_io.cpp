#include "apps/tools/image_io.h"

#include "apps/tools/folder_listing.h"
#include "common/atomic_file.h"
#include "common/error.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
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

/// Little- and big-endian reads that answer 0 behind the end: callers compare sizes anyway.
class Reader
{
public:
    explicit Reader(const Bytes& bytes) : bytes_(bytes) {}
    size_t size() const { return bytes_.size(); }
    uint32_t byte(size_t at) const { return at < bytes_.size() ? bytes_[at] : 0u; }
    uint32_t be16(size_t at) const { return byte(at) << 8 | byte(at + 1); }
    uint32_t be32(size_t at) const { return be16(at) << 16 | be16(at + 2); }
    uint32_t le16(size_t at) const { return byte(at) | byte(at + 1) << 8; }
    uint32_t le32(size_t at) const { return le16(at) | le16(at + 2) << 16; }
    bool has(size_t at, std::string_view text) const
    {
        return at + text.size() <= bytes_.size() && std::memcmp(bytes_.data() + at, text.data(), text.size()) == 0;
    }

private:
    const Bytes& bytes_;
};

Format sniff(const Reader& in)
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

/// 64-bit, because a header may claim anything.
struct Extent
{
    int64_t width = 0;
    int64_t height = 0;
};

std::optional<Extent> jpegExtent(const Reader& in)
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

std::optional<Extent> tiffExtent(const Reader& in)
{
    const bool little = in.byte(0) == 'I';
    const auto u16 = [&](size_t at) { return little ? in.le16(at) : in.be16(at); };
    const auto u32 = [&](size_t at) { return little ? in.le32(at) : in.be32(at); };
    if (u16(2) != 42) // BigTIFF: libtiff checks it
        return {};
    const size_t directory = u32(4);
    if (directory + 2 > in.size())
        return {};
    Extent extent;
    const uint32_t entries = u16(directory);
    for (uint32_t i = 0; i < entries && directory + 14 + 12 * i <= in.size(); i++)
    {
        const size_t entry = directory + 2 + size_t{12} * i;
        const uint32_t value = u16(entry + 2) == 3 ? u16(entry + 8) : u32(entry + 8);
        if (u16(entry) == 256)
            extent.width = value;
        else if (u16(entry) == 257)
            extent.height = value;
    }
    return extent.width && extent.height ? std::optional(extent) : std::nullopt;
}

std::optional<Extent> webpExtent(const Reader& in)
{
    if (in.has(12, "VP8X"))
        return Extent{1 + (in.le32(24) & 0xffffff), 1 + (in.le32(27) & 0xffffff)};
    if (in.has(12, "VP8L"))
        return Extent{1 + (in.le32(21) & 0x3fff), 1 + (in.le32(21) >> 14 & 0x3fff)};
    if (in.has(12, "VP8 "))
        return Extent{in.le16(26) & 0x3fff, in.le16(28) & 0x3fff};
    return {};
}

std::optional<Extent> pnmExtent(const Reader& in)
{
    if (in.byte(1) == '7') // PAM: width and height stand as words
        return {};
    std::array<int64_t, 2> numbers{};
    size_t at = 2;
    for (int64_t& number : numbers)
    {
        while (at < in.size() && !std::isdigit(static_cast<int>(in.byte(at))))
        {
            if (in.byte(at) == '#')
                while (at < in.size() && in.byte(at) != '\n')
                    at++;
            at++;
        }
        for (; at < in.size() && std::isdigit(static_cast<int>(in.byte(at))) && number < (1LL << 40); at++)
            number = number * 10 + (in.byte(at) - '0');
    }
    return numbers[0] && numbers[1] ? std::optional(Extent{numbers[0], numbers[1]}) : std::nullopt;
}

std::optional<Extent> extentOf(Format format, const Reader& in)
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
    default:
        return {};
    }
}

/// The decoder fills what is missing with grey and says so on stderr only: walk the segments to the end marker instead.
void checkJpeg(const fs::path& path, const Reader& in)
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
            require(scan, "{}: damaged JPEG: it ends before any picture data", path.string());
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

void checkPng(const fs::path& path, const Bytes& bytes, const Reader& in)
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

void checkBmp(const fs::path& path, const Reader& in)
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

/// True for what libtiff tells as IEEE floats, in the first directory.
bool isFloatTiff(const Reader& in)
{
    const bool little = in.byte(0) == 'I';
    const auto u16 = [&](size_t at) { return little ? in.le16(at) : in.be16(at); };
    const size_t directory = little ? in.le32(4) : in.be32(4);
    for (uint32_t i = 0; u16(2) == 42 && directory + 2 <= in.size() && i < u16(directory); i++)
    {
        const size_t entry = directory + 2 + size_t{12} * i;
        if (u16(entry) == 339)
        {
            const bool inlined = (little ? in.le32(entry + 4) : in.be32(entry + 4)) <= 2;
            return u16(inlined ? entry + 8 : (little ? in.le32(entry + 8) : in.be32(entry + 8))) == 3;
        }
    }
    return false;
}

Bytes readBytes(const fs::path& path, int64_t maxBytes)
{
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

Format check(const fs::path& path, const Bytes& bytes, const ReadOptions& options)
{
    const Reader in(bytes);
    const Format format = sniff(in);
    require(!in.has(0, "version https://git-lfs"), "{}: is a Git LFS pointer, not the image itself; run 'git lfs pull'",
            path.string());
    require(format != Format::Unknown, "{}: is not an image: its first bytes are those of no known format", path.string());
    require(format != Format::Gif && format != Format::Heif,
            "{}: {} is not supported; PNG, JPEG, BMP, TIFF, WebP or PNM expected", path.string(), nameOf(format));
    require(options.floats || (format != Format::Exr && format != Format::Hdr && !(format == Format::Tiff && isFloatTiff(in))),
            "{}: holds floating-point values, which have no agreed range; 8 or 16 bits expected", path.string());
    if (const auto extent = extentOf(format, in))
    {
        require(extent->width > 0 && extent->height > 0, "{}: damaged {}: its size is {}x{}", path.string(), nameOf(format),
                extent->width, extent->height);
        // divided, not multiplied: the product of two claims may not fit
        require(extent->width <= options.maxPixels / extent->height, "{}: {}x{} pixels are more than the limit of {}",
                path.string(), extent->width, extent->height, options.maxPixels);
        require(std::min(extent->width, extent->height) >= options.minSide,
                "{}: {}x{} pixels are too small, at least {} on each side expected", path.string(), extent->width, extent->height,
                options.minSide);
    }
    if (format == Format::Jpeg)
        checkJpeg(path, in);
    else if (format == Format::Png)
        checkPng(path, bytes, in);
    else if (format == Format::Bmp)
        checkBmp(path, in);
    else if (format == Format::Webp)
        require(uint64_t{in.le32(4)} + 8 <= in.size(), "{}: truncated WebP: {} bytes, {} expected", path.string(), in.size(),
                uint64_t{in.le32(4)} + 8);
    return format;
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

cv::Mat decode(const fs::path& path, const ReadOptions& options)
{
    const Bytes bytes = readBytes(path, options.maxFileBytes);
    const Format format = check(path, bytes, options);
    // not IMREAD_UNCHANGED: that one leaves EXIF rotation, CMYK and palettes to the caller
    cv::Mat image = decodeAs(path, bytes, format, cv::IMREAD_COLOR | cv::IMREAD_ANYDEPTH);
    require(std::min(image.rows, image.cols) >= options.minSide,
            "{}: {}x{} pixels are too small, at least {} on each side expected", path.string(), image.cols, image.rows,
            options.minSide);
    CV_Assert(image.channels() == 3);
    return image;
}

/// As stored; TIFF, and PNG where that is allowed.
cv::Mat decodeValues(const fs::path& path, bool png)
{
    ReadOptions options;
    options.minSide = 1;
    options.floats = true;
    const Bytes bytes = readBytes(path, options.maxFileBytes);
    const Format format = check(path, bytes, options);
    require(format == Format::Tiff || (png && format == Format::Png), "{}: is {}; TIFF{} expected", path.string(), nameOf(format),
            png ? " of 32-bit floats or grey PNG" : "");
    return decodeAs(path, bytes, format, cv::IMREAD_UNCHANGED);
}

void writeEncoded(const fs::path& path, const cv::Mat& image, const std::string& extension)
{
    require(!image.empty(), "{}: there is no picture to write", path.string());
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
    require(encoded, "{}: pictures are not written as '{}'; png, jpg, bmp, tiff or webp expected", path.string(), extension);
    AtomicFile file(path);
    file.write(bytes.data(), bytes.size());
    file.commit();
}

} // namespace

cv::Mat readImage(const fs::path& path, const ReadOptions& options)
{
    cv::Mat image = decode(path, options);
    if (image.depth() == CV_16U)
        image.convertTo(image, CV_8U, 1.0 / 257);
    require(image.depth() == CV_8U, "{}: holds {} values, 8 or 16 bits without sign expected", path.string(),
            cv::depthToString(image.depth()));
    return image;
}

cv::Mat readMask(const fs::path& path, cv::Size expected)
{
    ReadOptions options;
    options.minSide = 1;
    const cv::Mat image = decode(path, options);
    require(image.size() == expected, "{}: the mask has {}x{} pixels, its picture has {}x{}", path.string(), image.cols,
            image.rows, expected.width, expected.height);
    std::array<cv::Mat, 3> channels;
    cv::split(image, channels.data());
    return (channels[0] > 0) | (channels[1] > 0) | (channels[2] > 0);
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
    std::ifstream in(path, std::ios::binary);
    Bytes bytes(256 << 10); // behind an embedded thumbnail and profile the size still lies within
    in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    bytes.resize(static_cast<size_t>(std::max<std::streamsize>(0, in.gcount())));
    const Reader reader(bytes);
    const auto extent = extentOf(sniff(reader), reader);
    if (!extent || extent->width > INT_MAX || extent->height > INT_MAX)
        return {};
    return cv::Size(static_cast<int>(extent->width), static_cast<int>(extent->height));
}

void checkImageFile(const fs::path& path, const ReadOptions& options)
{
    check(path, readBytes(path, options.maxFileBytes), options);
}

void writeImage(const fs::path& path, const cv::Mat& image)
{
    std::string extension = path.extension().string();
    require(!extension.empty(), "{}: the name has no extension to tell the format; for instance .png expected", path.string());
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
