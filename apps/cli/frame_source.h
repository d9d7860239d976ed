// Where `agpnet watch` takes its frames from: a camera, a video, or pictures.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <opencv2/videoio.hpp>
#include <string>
#include <vector>

namespace agpnet::app
{

/// How long to wait for a stream, and how often to begin anew with it.
struct Patience
{
    double timeout = 10; ///< seconds, for the connection and for each frame
    int reconnect = 0;   ///< times in a row that a live source is opened again after it ended or stalled
};

class FrameSource
{
public:
    /// @param source  a camera's number, a folder or glob of pictures, a picture ("-" is standard input), a video file, or an address that
    ///                OpenCV can open
    /// @throws Error naming it, where there is nothing to be had from it
    explicit FrameSource(const std::string& source, const Patience& patience = {});

    /// BGR as tools::readImage() gives it, of a camera or video 8 bits; false when there are no more. A picture that cannot be read is an
    /// Error naming it; the next call gives the one behind it.
    bool next(cv::Mat& frame);

    /// From another thread: next() is not to wait any longer for a source to come back. It may still wait for a frame, up to the time-out.
    void stop() { stop_ = true; }

    /// After next() gave false: why there ought to have been more, in a sentence. Empty where all came.
    const std::string& problem() const { return problem_; }

    bool live() const { return live_; } ///< frames come when they come: those that nobody takes are lost
    double fps() const { return fps_; } ///< as the source says; 0 where it does not

private:
    bool open();             ///< the video
    bool nextPicture(cv::Mat& frame);
    bool reconnect();
    std::string why() const; ///< the video gives no frame

    std::vector<std::filesystem::path> pictures_;
    size_t at_ = 0;
    std::string source_;
    Patience patience_;
    cv::VideoCapture video_;
    bool live_ = false, camera_ = false;
    double fps_ = 0;
    int64_t expected_ = 0, got_ = 0; ///< frames; expected: 0 where the source does not say
    double waited_ = 0;              ///< seconds that the last opening or frame took
    int tries_ = 0;                  ///< number of tries to reopen the source since the last frame
    std::atomic<bool> stop_ = false;
    std::string problem_;
};

} // namespace agpnet::app
