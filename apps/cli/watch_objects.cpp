#include "apps/cli/watch_objects.h"

#include "agpnet/object_query.hpp"
#include "apps/cli/commands.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/objects.h"
#include "apps/cli/preview_window.h"
#include "apps/cli/video_file.h"
#include "apps/datasets/point_cloud.h"
#include "common/error.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgproc.hpp>
#include <optional>
#include <thread>

namespace agpnet::app
{
namespace
{

constexpr const char* windowName = "agpnet watch";
constexpr int panelWidth = 460, rows = 5;

/// Of a live source the newest frame, of files each. Reads in a thread of its own, so that a camera's frames do not queue up.
class Frames
{
public:
    explicit Frames(FrameSource& source) : source_(source), reader_([this] { read(); }) {}
    ~Frames()
    {
        source_.stop();
        {
            const std::lock_guard lock(mutex_);
            stop_ = true;
        }
        changed_.notify_all();
        reader_.join();
    }
    Frames(const Frames&) = delete;
    Frames& operator=(const Frames&) = delete;

    /// The next frame, if there is one within so many seconds.
    bool next(cv::Mat& frame, double seconds)
    {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return !newest_.empty() || ended_; });
        if (newest_.empty())
            return false;
        frame = std::move(newest_);
        newest_.release();
        changed_.notify_all();
        return true;
    }
    bool ended() const
    {
        const std::lock_guard lock(mutex_);
        return ended_ && newest_.empty();
    }
    std::string error() const ///< that ended the reading
    {
        const std::lock_guard lock(mutex_);
        return error_;
    }

private:
    void read()
    {
        for (bool more = true; more;)
        {
            cv::Mat frame;
            std::string error;
            try
            {
                more = source_.next(frame);
            }
            catch (const std::exception& problem) // an image that cannot be read must not cost the others
            {
                std::fprintf(stderr, "agpnet: %s\n", problem.what());
                continue;
            }
            std::unique_lock lock(mutex_);
            if (!source_.live())
                changed_.wait(lock, [this] { return newest_.empty() || stop_; });
            more = more && !stop_;
            if (more)
                newest_ = frame;
            else
            {
                ended_ = true;
                error_ = source_.problem();
            }
            changed_.notify_all();
        }
    }

    FrameSource& source_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    cv::Mat newest_; ///< empty: taken
    bool stop_ = false, ended_ = false;
    std::string error_;
    std::thread reader_;
};

/// OpenCV's font has ASCII alone: other letters become question marks.
std::string ascii(const std::string& text, size_t most)
{
    std::string plain;
    for (size_t i = 0; i < text.size(); i++)
    {
        const auto byte = static_cast<unsigned char>(text[i]);
        if ((byte & 0xC0) != 0x80) // not the rest of a letter
            plain += byte < 0x80 ? text[i] : '?';
    }
    return plain.size() <= most ? plain : plain.substr(0, most - 2) + "..";
}

/// The frame, and beside it the best matches with a bar each.
cv::Mat drawn(const cv::Mat& frame, const ObjectAnswer& answer, double rate, cv::Size& canvas)
{
    cv::Mat image = tools::pictureOf(frame, 0);
    const double scale = std::min(960.0 / image.cols, 720.0 / image.rows);
    cv::resize(image, image, {}, scale, scale, scale < 1 ? cv::INTER_AREA : cv::INTER_LINEAR);
    if (canvas.empty()) // the first frame decides, as a video has one size
        canvas = cv::Size((image.cols & ~1) + panelWidth, std::max(360, image.rows & ~1));
    cv::Mat view(canvas, CV_8UC3, cv::Scalar::all(28));
    const double fit =
        std::min({1.0, static_cast<double>(canvas.width - panelWidth) / image.cols, static_cast<double>(canvas.height) / image.rows});
    if (fit < 1)
        cv::resize(image, image, {}, fit, fit, cv::INTER_AREA);
    image.copyTo(view(cv::Rect({(canvas.width - panelWidth - image.cols) / 2, (canvas.height - image.rows) / 2}, image.size())));

    const int left = canvas.width - panelWidth + 18;
    const auto write = [&](const std::string& text, int y, double size, const cv::Scalar& colour, int weight = 1) {
        cv::putText(view, text, {left, y}, cv::FONT_HERSHEY_SIMPLEX, size, colour, weight, cv::LINE_AA);
    };
    const cv::Scalar good(160, 210, 120), unsure(107, 180, 242), plain = cv::Scalar::all(230), faint = cv::Scalar::all(150);
    if (answer.matches.empty())
        write("the gallery is empty", 40, 0.7, unsure);
    else
    {
        write(ascii(answer.matches[0].name, 24), 44, 0.85, answer.known ? good : unsure, 2);
        write(answer.threshold < 0 ? "not calibrated"
              : answer.known       ? fmt::format("in the gallery ({:.3g} % of unknown objects come as close)", 100 * rate)
                                   : "not surely in the gallery",
              72, 0.42, faint);
    }
    for (size_t i = 0; i < std::min<size_t>(rows, answer.matches.size()); i++)
    {
        const GalleryMatch& match = answer.matches[i];
        const int y = 112 + static_cast<int>(i) * 46;
        write(ascii(match.name, 30), y, 0.52, plain);
        const int whole = panelWidth - 130;
        cv::rectangle(view, cv::Rect(left, y + 8, whole, 8), cv::Scalar::all(60), -1);
        cv::rectangle(view, cv::Rect(left, y + 8, std::max(1, cvRound(whole * std::clamp(match.similarity, 0.0, 1.0))), 8),
                      i == 0 && answer.known ? good : faint, -1);
        cv::putText(view, fmt::format("{:.3f}", match.similarity), {left + whole + 10, y + 17}, cv::FONT_HERSHEY_SIMPLEX, 0.45, plain, 1,
                    cv::LINE_AA);
    }
    write(fmt::format("{} view{}", answer.views, answer.views == 1 ? "" : "s"), canvas.height - 16, 0.5, faint);
    return view;
}

/// Shows frames until the source ends or the user is done. Returns the last answer and the number of frames.
std::pair<ObjectAnswer, int> watchFrames(Frames& frames, ObjectQuery& query, const ObjectWatch& options, std::optional<VideoFile>& video,
                                         std::chrono::duration<double> pause)
{
    ObjectAnswer answer;
    int count = 0;
    cv::Size canvas;
    bool paused = false;
    auto last = std::chrono::steady_clock::now();
    const auto keepsOn = [&] { // what the keys say
        if (video)
            return !interrupted;
        const int key = screen().key(paused ? 30 : 1);
        if (key == 'n')
            query.clear();
        if (key == ' ')
            paused = !paused;
        return !interrupted && key != 'q' && key != 27 && !screen().closed(windowName);
    };
    while (keepsOn() && !frames.ended() && (options.frames == 0 || count < options.frames))
    {
        cv::Mat frame;
        if (paused || !frames.next(frame, 0.05))
            continue;
        answer = query.add(frame);
        count++;
        const cv::Mat view = drawn(frame, answer, options.reject, canvas);
        if (video)
        {
            video->write(view);
            continue;
        }
        screen().show(windowName, view);
        while (std::chrono::steady_clock::now() - last < pause && keepsOn())
        {
        }
        last = std::chrono::steady_clock::now();
    }
    return {answer, count};
}

} // namespace

int watchObjects(const ObjectWatch& options)
{
    require(!options.out.empty() || (screen(), displayIsThere(windowName)),
            "there is no display to open a window on; --out FILE.avi writes a video instead");
    ::setenv("OPENCV_FFMPEG_LOGLEVEL", "-8", 0);
    const auto [gallery, describer] = openGallery(options.gallery, options.model, options.precision, options.device);
    FrameSource source(options.source, options.patience);
    if (source.live())
        cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_ERROR);
    const cv::Ptr<ObjectQuery> query = ObjectQuery::create(describer, gallery, options.reject, rows);
    std::signal(SIGXFSZ, SIG_IGN);
    const InterruptGuard guard;
    std::optional<VideoFile> video;
    const double fps = options.fps > 0 ? options.fps : source.fps() > 0 ? source.fps() : options.out.empty() ? 2 : 5;
    if (options.out.empty())
        screen().open(windowName);
    else
        video.emplace(options.out, fps);
    ObjectAnswer answer;
    int count = 0;
    std::string problem;
    {
        Frames frames(source);
        std::tie(answer, count) =
            watchFrames(frames, *query, options, video, std::chrono::duration<double>(source.live() || video ? 0 : 1 / fps));
        problem = frames.error();
    }
    if (!video)
        screen().close();
    require(count > 0, "{}", problem.empty() ? options.source + ": there was no frame" : problem);
    if (video)
        video->finish();
    std::printf("%d frames; last: %s (%d views)\n", count,
                answer.matches.empty()
                    ? "the gallery is empty"
                    : fmt::format("{}{}", answer.matches[0].name, answer.known ? "" : ", not surely in the gallery").c_str(),
                answer.views);
    if (video)
        std::printf("video: %s\n", options.out.c_str());
    if (!problem.empty())
        std::fprintf(stderr, "agpnet: %s\n", problem.c_str());
    return problem.empty() ? exitOk : exitError;
}

} // namespace agpnet::app
