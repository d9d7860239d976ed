#include "apps/cli/video_file.h"

#include "common/error.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

namespace agpnet::app
{

namespace fs = std::filesystem;

namespace
{

/// The head of an AVI says how long the file is: where its end could not be written, it is shorter.
bool isWhole(const fs::path& path)
{
    unsigned char head[8] = {};
    std::ifstream(path, std::ios::binary).read(reinterpret_cast<char*>(head), sizeof head);
    const uintmax_t claimed = head[4] | head[5] << 8 | head[6] << 16 | static_cast<uintmax_t>(head[7]) << 24;
    std::error_code error;
    const uintmax_t size = fs::file_size(path, error);
    return !error && std::memcmp(head, "RIFF", 4) == 0 && size >= claimed + sizeof head;
}

} // namespace

VideoFile::VideoFile(fs::path path, double fps) : path_(std::move(path)), fps_(fps)
{
    require(path_.extension() == ".avi", "--out is '{}', expected a name that ends in .avi", path_.string());
    // OpenCV tells the format by the name's end, and says nothing of why a file cannot be made: so it is made here
    std::string name = (path_.parent_path() / path_.stem()).string() + ".part-XXXXXX.avi";
    const int descriptor = ::mkostemps(name.data(), 4, O_CLOEXEC);
    require(descriptor >= 0, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
    ::fchmod(descriptor, 0644);
    ::close(descriptor);
    temporary_ = name;
}

VideoFile::~VideoFile()
{
    writer_.release();
    std::error_code ignored;
    if (!temporary_.empty())
        fs::remove(temporary_, ignored);
}

void VideoFile::write(const cv::Mat& frame)
{
    if (!writer_.isOpened())
        require(writer_.open(temporary_.string(), cv::VideoWriter::fourcc('M', 'J', 'P', 'G'), fps_, frame.size()),
                "{}: this OpenCV writes no Motion JPEG", path_.string());
    writer_.write(frame);
    frames_++;
}

void VideoFile::finish()
{
    writer_.release(); // says nothing if it failed
    const int written = static_cast<int>(cv::VideoCapture(temporary_.string()).get(cv::CAP_PROP_FRAME_COUNT));
    require(written == frames_ && isWhole(temporary_), "{}: not all of the {} frames could be written", path_.string(), frames_);
    std::error_code error;
    fs::rename(temporary_, path_, error);
    require(!error, "{}: cannot be put in place: {}", path_.string(), error.message());
    temporary_.clear();
}

} // namespace agpnet::app
