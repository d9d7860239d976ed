// Reading and writing pictures: always one kind of Mat, or an Error that names the file.
#pragma once

#include <algorithm>
#include <filesystem>
#include <opencv2/core.hpp>
#include <optional>
#include <string>

namespace agpnet::tools
{

/// As a path: what standard input holds.
inline constexpr const char* standardInputName = "-";

/// OpenCV's own variable for the pixels that it decodes at most; what we decode at most too, where it is set.
inline constexpr const char* pixelLimitVariable = "OPENCV_IO_MAX_IMAGE_PIXELS";
int64_t pixelLimit(); ///< 2^28, or what the variable says

struct ReadOptions
{
    int minSide = 8;                     ///< a picture with a shorter side is refused
    int64_t maxPixels = pixelLimit();    ///< width × height, checked in the header, before anything is decoded
    /// a larger file is not read into memory.
    int64_t maxFileBytes = std::max<int64_t>(1LL << 30, 8 * std::min<int64_t>(maxPixels, 1LL << 50));
    bool floats = false;                 ///< let floating-point values pass
};

/// 3 channels, BGR, whatever the file holds:
/// - 8 bits: as they are; never stretched, because brightness must compare between pictures
/// - 16 bits: CV_16U, as they are: what their greatest value is, the file does not say (it may hold the 12 bits of a camera)
/// - where the header says a greatest value (maxval of PNM, packed TIFF, precision of JPEG 2000): 8 bits from 0 to 255, or CV_32F from 0 to
///   1
/// - TIFF with white as zero: as one with black as zero
/// - grey: the same value in B, G and R
/// - alpha: dropped, colours are taken as stored
/// - CMYK JPEG: converted
/// - EXIF rotation: applied
/// - several pages or frames: the largest page, the first frame; pagesNote() tells
/// - float: refused, there is no agreed range
/// A damaged file is an Error, never half a picture: JPEG must reach its end marker, PNG's checksums must hold, BMP and PNM must
/// hold all their rows.
cv::Mat readImage(const std::filesystem::path& path, const ReadOptions& options = {});

/// 8-bit, one channel, 255 where any colour channel of the file is above 0 (in JPEG and lossy WebP: above a quarter of the greatest value,
/// or the halo would be marked too), else 0; alpha does not count. The size must be that of the picture it belongs to.
cv::Mat readMask(const std::filesystem::path& path, cv::Size expected);

/// Width and height as stored (EXIF rotation not applied) of what readImage() reads, from the header; nothing where it does not tell.
std::optional<cv::Size> probeSize(const std::filesystem::path& path);

/// Whether the first bytes are those of a picture, whatever the name says and whether or not it can be read.
bool looksLikeImage(const std::filesystem::path& path);

/// What a user should know of a file of which but a part is read, as "holds 3 pages; the largest, page 2, is read"; else "".
std::string pagesNote(const std::filesystem::path& path);

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
