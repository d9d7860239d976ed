#include "apps/agpnet/frame_source.h"

#include "apps/tools/dataset.h"
#include "apps/tools/image_io.h"
#include "common/error.h"

#include <algorithm>
#include <cctype>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgproc.hpp>

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
    return source == tools::standardInputName || fs::is_directory(source, ignored) || (fs::is_regular_file(source, ignored) && tools::probeSize(source)) ||
           (!fs::exists(source, ignored) && source.find("://") == std::string::npos &&
            source.find_first_of("*?[") != std::string::npos);
}

} // namespace

FrameSource::FrameSource(const std::string& source)
{
    if (holdsPictures(source))
    {
        pictures_ = tools::expandInputs(std::vector<std::string>{source});
        return;
    }
    std::error_code ignored;
    const bool file = fs::exists(source, ignored);
    live_ = !file;
    // what is wrong is said in one sentence, not by every back end that was tried
    const auto level = cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    const bool camera = !file && isNumber(source);
    const bool opened =
        camera ? video_.open(std::stoi(source)) : ((file || source.find("://") != std::string::npos) && video_.open(source));
    cv::utils::logging::setLogLevel(level);
    require(opened || !camera, "camera {} cannot be opened", source);
    require(opened || file, "{}: no such file, folder or camera", source);
    require(opened, "{}: is no picture and no video that OpenCV can read", source);
    const double fps = video_.get(cv::CAP_PROP_FPS);
    fps_ = fps > 0 && fps <= 1000 ? fps : 0;
}

bool FrameSource::next(cv::Mat& frame)
{
    if (pictures_.empty())
    {
        if (!video_.read(frame) || frame.empty())
            return false;
        if (frame.type() == CV_8UC1) // some cameras are grey
            cv::cvtColor(frame, frame, cv::COLOR_GRAY2BGR);
        return true;
    }
    if (at_ == pictures_.size())
        return false;
    frame = tools::readImage(pictures_[at_++]);
    return true;
}

} // namespace agpnet::app
