#pragma once

#include <filesystem>
#include <opencv2/videoio.hpp>

namespace agpnet::app
{

/// A video of Motion JPEG in an .avi, which every player and OpenCV can read. It is written beside its place and put there by
/// finish().
class VideoFile
{
public:
    VideoFile(std::filesystem::path path,
              double fps); ///< Error if the name does not end in .avi, or nothing can be written there
    ~VideoFile();
    VideoFile(const VideoFile&) = delete;
    VideoFile& operator=(const VideoFile&) = delete;

    void write(const cv::Mat& frame); ///< 8-bit BGR; the first one's size is the video's
    void finish();                    ///< Error where not all frames are in the file, as on a full disk

private:
    std::filesystem::path path_, temporary_;
    double fps_;
    cv::VideoWriter writer_;
    int frames_ = 0;
};

} // namespace agpnet::app
