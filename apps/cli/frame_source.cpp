#include "apps/cli/frame_source.h"

#include "apps/datasets/dataset.h"
#include "apps/datasets/image_io.h"
#include "common/error.h"
#include "common/stopwatch.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgproc.hpp>
#include <thread>

namespace agpnet::app
{
namespace
{

namespace fs = std::filesystem;

bool isNumber(const std::string& text)
{
    return !text.empty() && text.size() < 6 &&
           std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
}

bool holdsPictures(const std::string& source)
{
    std::error_code ignored;
    return source == tools::standardInputName || fs::is_directory(source, ignored) ||
           (fs::is_regular_file(source, ignored) && tools::probeSize(source)) ||
           (!fs::exists(source, ignored) && source.find("://") == std::string::npos && source.find_first_of("*?[") != std::string::npos);
}

bool timedOut(double seconds, const Patience& patience)
{
    return seconds > 0.95 * patience.timeout;
}

} // namespace

FrameSource::FrameSource(const std::string& source, const Patience& patience) : source_(source), patience_(patience)
{
    if (holdsPictures(source))
    {
        pictures_ = tools::expandInputs(std::vector<std::string>{source});
        return;
    }
    std::error_code ignored;
    const bool file = fs::exists(source, ignored), address = !file && source.find("://") != std::string::npos;
    camera_ = !file && isNumber(source);
    require(file || camera_ || address, "{}: no such file, folder or camera", source);
    const bool opened = open();
    require(opened || !camera_, "camera {} cannot be opened", source);
    require(opened || !address || !timedOut(waited_, patience_), "{}: no answer within {:g} s; --timeout SECONDS waits longer", source,
            patience_.timeout);
    require(opened || !address, "{}: cannot be opened: nothing answers at this address, or what it sends is no video that OpenCV can read",
            source);
    require(opened, "{}: is no image and no video that OpenCV can read", source);
    const double fps = video_.get(cv::CAP_PROP_FPS), frames = video_.get(cv::CAP_PROP_FRAME_COUNT);
    fps_ = fps > 0 && fps <= 1000 ? fps : 0;
    expected_ = !camera_ && frames > 0 && frames < 1e12 ? static_cast<int64_t>(frames) : 0;
    live_ = !file && expected_ == 0;
}

bool FrameSource::open()
{
    const Stopwatch watch;
    // what is wrong is said in one sentence, not by every back end that was tried
    const auto level = cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    bool opened = false;
    if (camera_)
        opened = video_.open(std::stoi(source_));
    else
    {
        // only FFmpeg's back end knows time-outs; another that has none must not be asked where this one has waited in vain
        const int milliseconds = static_cast<int>(std::min(patience_.timeout * 1000, 2e9));
        if (source_.find("://") != std::string::npos)
            opened = video_.open(source_, cv::CAP_FFMPEG,
                                 {cv::CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds, cv::CAP_PROP_READ_TIMEOUT_MSEC, milliseconds});
        if (!opened && !timedOut(watch.seconds(), patience_))
            opened = video_.open(source_);
    }
    cv::utils::logging::setLogLevel(level);
    waited_ = watch.seconds();
    return opened;
}

bool FrameSource::next(cv::Mat& frame)
{
    if (!pictures_.empty())
        return nextPicture(frame);
    for (;;)
    {
        const Stopwatch watch;
        if (video_.read(frame) && !frame.empty())
        {
            if (frame.type() == CV_8UC1) // some cameras are grey
                cv::cvtColor(frame, frame, cv::COLOR_GRAY2BGR);
            got_++;
            tries_ = 0;
            return true;
        }
        waited_ = watch.seconds();
        problem_ = why();
        if (!live_ || !reconnect())
            return false;
    }
}

bool FrameSource::nextPicture(cv::Mat& frame)
{
    if (at_ == pictures_.size())
        return false;
    frame = tools::readImage(pictures_[at_++]);
    return true;
}

bool FrameSource::reconnect()
{
    for (; tries_ < patience_.reconnect && !stop_;)
    {
        tries_++;
        std::fprintf(stderr, "agpnet: note: %s; opened again (%d of %d)\n", problem_.c_str(), tries_, patience_.reconnect);
        video_.release();
        for (int i = 0; i < 20 && !stop_; i++)
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        if (!stop_ && open())
            return true;
    }
    return false;
}

std::string FrameSource::why() const
{
    if (live_ && timedOut(waited_, patience_))
        return fmt::format("{}: no frame came within {:g} s, after {} frames", source_, patience_.timeout, got_);
    if (live_)
        return fmt::format("{}{}: gives no more frames, after {}", camera_ ? "camera " : "", source_, got_);
    // a container that only estimates may be wrong by a few
    if (expected_ > 0 && got_ < expected_ - std::max<int64_t>(1, expected_ / 50))
        return fmt::format("{}: gave {} of the {} frames that it promises: it was cut off, or is damaged", source_, got_, expected_);
    return {};
}

} // namespace agpnet::app
