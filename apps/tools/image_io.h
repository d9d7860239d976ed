// Reading and writing pictures: always one kind of Mat, or an Error that names the file.
#pragma once

#include <filesystem>
#include <opencv2/core.hpp>
#include <optional>

namespace agpnet::tools
{

struct ReadOptions
{
    int minSide = 8;                  ///< a picture with a shorter side is refused
    int64_t maxPixels = 1LL << 28;    ///< width × height, checked in the header, before anything is decoded
    int64_t maxFileBytes = 1LL << 30; ///< a larger file is not read into memory
    bool floats = false;              ///< let floating-point values pass
};

/// 8-bit, 3 channels, BGR, whatever the file holds:
/// - grey: the same value in B, G and R
/// - 16 bits: divided by 257, so 0..65535 becomes 0..255; never stretched, because brightness must compare between pictures
/// - alpha: dropped, colours are taken as stored
/// - CMYK JPEG: converted
/// - EXIF rotation: applied
/// - float: refused, there is no agreed range
/// A damaged file is an Error, never half a picture: JPEG must reach its end marker, PNG's checksums must hold, BMP must
/// hold all its rows.
cv::Mat readImage(const std::filesystem::path& path, const ReadOptions& options = {});

/// 8-bit, one channel, 255 where any colour channel of the file is above 0, else 0; alpha does not count. The size must be
/// that of the picture it belongs to.
cv::Mat readMask(const std::filesystem::path& path, cv::Size expected);

/// Width and height as stored (EXIF rotation not applied), read from the first bytes; nothing where they do not tell.
std::optional<cv::Size> probeSize(const std::filesystem::path& path);

/// What readImage checks before it decodes: present, a known format, sane size, whole. Throws Error.
void checkImageFile(const std::filesystem::path& path, const ReadOptions& options = {});

/// The format follows the extension. Encoded in memory first, then put in place in one step. Errors name the file.
void writeImage(const std::filesystem::path& path, const cv::Mat& image);

/// A TIFF of 32-bit floats with so many channels, stored as they come (OpenCV turns three of them around: the last comes
/// first). Values may be anything.
cv::Mat readFloatTiff(const std::filesystem::path& path, int channels);

/// An anomaly map as CV_32FC1: a TIFF of 32-bit floats as it stands, or a grey PNG of 8 or 16 bits as 0 to 1. Values that are not
/// finite, colours and damaged files are Errors. `storedDepth`, if given, receives CV_32F, CV_16U or CV_8U.
cv::Mat readMap(const std::filesystem::path& path, int* storedDepth = nullptr);

/// One channel of 32-bit floats, as TIFF. Atomic like writeImage.
void writeMapTiff(const std::filesystem::path& path, const cv::Mat& map);

} // namespace agpnet::tools
