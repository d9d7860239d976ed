// Where `agpnet watch` takes its frames from: a camera, a video, or pictures.
#pragma once

#include <filesystem>
#include <opencv2/videoio.hpp>
#include <string>
#include <vector>

namespace agpnet::app
{

class FrameSource
{
public:
    /// @param source  a camera's number, a folder or glob of pictures, a picture ("-" is standard input), a video file, or an address that OpenCV can
    /// open
    /// @throws Error naming it, where there is nothing to be had from it
    explicit FrameSource(const std::string& source);

    /// BGR as tools::readImage() gives it, of a camera or video 8 bits; false when there are no more. A picture that cannot be read is an Error naming it; the next call gives the one
    /// behind it.
    bool next(cv::Mat& frame);

    bool live() const { return live_; } ///< frames come when they come: those that nobody takes are lost
    double fps() const { return fps_; } ///< as the source says; 0 where it does not

private:
    std::vector<std::filesystem::path> pictures_;
    size_t at_ = 0;
    cv::VideoCapture video_;
    bool live_ = false;
    double fps_ = 0;
};

} // namespace agpnet::app
