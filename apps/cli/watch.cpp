// agpnet watch: a camera, a folder or a video with the anomaly map over it, in a window or as a video.
#include "agpnet/agpnet.hpp"
#include "apps/cli/commands.h"
#include "apps/cli/frame_source.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/numbers.h"
#include "apps/cli/output.h"
#include "apps/cli/preview_window.h"
#include "apps/cli/shared_options.h"
#include "apps/cli/video_file.h"
#include "apps/cli/watch_objects.h"
#include "apps/datasets/point_cloud.h"
#include "apps/report/report.h"
#include "common/error.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgproc.hpp>
#include <optional>
#include <thread>

namespace agpnet::app
{
namespace
{

using nlohmann::json;
using Clock = std::chrono::steady_clock;

struct Options
{
    std::string model, source, out, product, objectModel, precision = "auto", device = "cpu";
    double sensitivity = 1, fps = 0, reject = 0.01;
    int frames = 0;
    Patience patience;
};

constexpr const char* windowName = "agpnet watch";

/// A frame and what was found in it.
struct Watched
{
    cv::Mat frame;
    AnomalyStreamResult found;
};

/// Reads in a thread of its own, so that the next frame comes in while this one is inspected. From a live source the newest
/// frames are taken and the others dropped; from files none is lost.
class Watcher
{
public:
    Watcher(const cv::Ptr<AnomalyDetector>& detector, FrameSource& source, int most) : source_(source), most_(most)
    {
        AnomalyStreamOptions options;
        options.capacity = source.live() ? 2 : 8;
        options.batch = source.live() ? 1 : 4;
        stream_ = AnomalyStream::create(detector, options);
        reader_ = std::thread([this] { read(); });
    }
    ~Watcher()
    {
        while (!stopped(1)) // at the time-out the source gives up
        {
        }
        reader_.join();
    }
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;

    /// The next frame, if there is one within so many seconds.
    bool next(Watched& watched, double seconds)
    {
        if (!stream_->pop(watched.found, seconds))
            return false;
        const std::lock_guard lock(mutex_);
        watched.frame = std::move(waiting_.front());
        waiting_.pop_front();
        return true;
    }
    /// Has it read no further. False if the source still waits for a frame after so many seconds.
    bool stopped(double seconds)
    {
        stop_ = true;
        source_.stop();
        for (const Clock::time_point start = Clock::now();
             !ended_ && std::chrono::duration<double>(Clock::now() - start).count() < seconds;)
        {
            AnomalyStreamResult ignored;
            stream_->pop(ignored, 0.01); // push() may be waiting for room
        }
        return ended_;
    }
    /// All frames were given.
    bool ended() const { return ended_ && stream_->underWay() == 0; }
    int dropped() const { return dropped_; }
    int unread() const { return unread_; }
    std::string error() const ///< that ended the reading; only once ended()
    {
        return error_;
    }
    /// Why there ought to have been more frames; only once ended().
    std::string problem() const { return complete_ ? "" : source_.problem(); }

private:
    void read()
    {
        int taken = 0;
        while (!stop_ && (most_ == 0 || taken < most_))
        {
            cv::Mat frame;
            try
            {
                if (!source_.next(frame))
                    break;
                {
                    const std::lock_guard lock(mutex_);
                    waiting_.push_back(frame);
                }
                if (!source_.live())
                    stream_->push(frame);
                else if (!stream_->tryPush(frame))
                {
                    const std::lock_guard lock(mutex_);
                    waiting_.pop_back();
                    dropped_++;
                    continue;
                }
                taken++;
            }
            catch (const Error& error) // a picture that cannot be read must not cost the others
            {
                unread_++;
                std::fprintf(stderr, "agpnet: %s\n", error.what());
            }
            catch (const std::exception& error)
            {
                error_ = error.what();
                break;
            }
        }
        stream_->close();
        complete_ = stop_ || (most_ > 0 && taken == most_);
        ended_ = true;
    }

    FrameSource& source_;
    const int most_;
    cv::Ptr<AnomalyStream> stream_;
    std::mutex mutex_;
    std::deque<cv::Mat> waiting_; ///< frames under way, in the order of their results
    std::atomic<bool> stop_ = false, ended_ = false, complete_ = false;
    std::atomic<int> dropped_ = 0, unread_ = 0;
    std::string error_;
    std::thread reader_;
};

/// Frames a second, over the last second or so.
class Pace
{
public:
    void tick()
    {
        const Clock::time_point now = Clock::now();
        times_.push_back(now);
        while (times_.size() > 2 && now - times_.front() > std::chrono::seconds(1))
            times_.pop_front();
    }
    double perSecond() const
    {
        if (times_.size() < 2)
            return 0;
        return static_cast<double>(times_.size() - 1) / std::chrono::duration<double>(times_.back() - times_.front()).count();
    }

private:
    std::deque<Clock::time_point> times_;
};

/// What one sees: the frame with heat and outlines, 640 to 1280 pixels wide, and above it a line of text.
class View
{
public:
    void raise(double factor) { factor_ *= factor; }
    bool anomalous(const AnomalyStreamResult& found) const
    {
        return found.error.empty() && found.result.score > found.result.threshold * factor_;
    }

    explicit View(int bits) : bits_(bits) {}

    cv::Mat draw(const Watched& watched, double fps)
    {
        const cv::Size given = watched.frame.size();
        const double scale =
            std::clamp(std::min(1280.0 / given.width, 960.0 / given.height), 0.01, std::max(1.0, 640.0 / given.width));
        const cv::Size size(std::max(2, cvRound(given.width * scale) & ~1), std::max(2, cvRound(given.height * scale) & ~1));
        cv::Mat picture;
        cv::resize(tools::pictureOf(watched.frame, bits_), picture, size, 0, 0, scale < 1 ? cv::INTER_AREA : cv::INTER_LINEAR);
        const AnomalyStreamResult& found = watched.found;
        const double threshold = found.result.pixelThreshold * factor_;
        if (found.error.empty() && threshold > 0)
            overlay(picture, found.map, picture, threshold);

        constexpr int bar = 44;
        if (canvas_.empty()) // the first frame decides; others are fitted into it, as a video has one size
            canvas_ = cv::Size(std::max(size.width, 640), size.height + bar);
        cv::Mat view(canvas_, CV_8UC3, cv::Scalar::all(28));
        const cv::Size room(canvas_.width, canvas_.height - bar);
        const double fit =
            std::min({1.0, static_cast<double>(room.width) / size.width, static_cast<double>(room.height) / size.height});
        if (fit < 1)
            cv::resize(picture, picture, {}, fit, fit, cv::INTER_AREA);
        picture.copyTo(view(cv::Rect({(room.width - picture.cols) / 2, bar + (room.height - picture.rows) / 2}, picture.size())));

        const bool bad = anomalous(found);
        const auto write = [&](const std::string& text, int x, const cv::Scalar& colour, int weight) {
            cv::putText(view, text, {x, 29}, cv::FONT_HERSHEY_SIMPLEX, 0.62, colour, weight, cv::LINE_AA);
        };
        if (!found.error.empty())
            write(found.error, 14, {107, 154, 242}, 1);
        else
        {
            write(bad ? "ANOMALOUS" : "GOOD", 14, bad ? cv::Scalar(107, 154, 242) : cv::Scalar(220, 191, 127), 2);
            std::string line =
                fmt::format("score {:.4g}   threshold {:.4g}", found.result.score, found.result.threshold * factor_);
            if (fps > 0)
                line += fmt::format("   {:.1f} fps", fps);
            write(line, 160, cv::Scalar::all(230), 1);
        }
        return view;
    }

private:
    int bits_; ///< of 16-bit frames
    double factor_ = 1;
    cv::Size canvas_;
};

/// The window, and what its keys say.
class Window
{
public:
    explicit Window(double fps) : pause_(fps > 0 ? std::chrono::duration<double>(1 / fps) : std::chrono::duration<double>(0))
    {
        screen().open(windowName);
    }
    ~Window() { screen().close(); }
    Window(const Window&) = delete;
    Window& operator=(const Window&) = delete;

    /// While no frame comes. False when the user is done.
    bool idle()
    {
        const int key = screen().key(1);
        return key != 'q' && key != 27 && !screen().closed(windowName);
    }

    /// Until it is time for the next frame. False when the user is done.
    bool show(const Watched& watched, View& view, double fps)
    {
        screen().show(windowName, view.draw(watched, fps));
        const Clock::time_point due = last_ + std::chrono::duration_cast<Clock::duration>(pause_);
        do
        {
            const int key = screen().key(paused_ ? 30 : 1);
            if (key == 'q' || key == 27 || interrupted || screen().closed(windowName))
                return false;
            if (key == ' ')
                paused_ = !paused_;
            if (key == '+' || key == '=' || key == '-')
            {
                view.raise(key == '-' ? 1 / 1.05 : 1.05);
                screen().show(windowName, view.draw(watched, fps));
            }
        } while (paused_ || Clock::now() < due);
        last_ = Clock::now();
        return true;
    }

private:
    std::chrono::duration<double> pause_;
    Clock::time_point last_;
    bool paused_ = false;
};

/// What came of the frames.
struct Counts
{
    int frames = 0, anomalous = 0, failed = 0;
};

/// Shows the frames in the window, or writes them to the video, until the source ends or the user is done.
Counts watchFrames(Watcher& watcher, View& view, std::optional<Window>& window, std::optional<VideoFile>& video)
{
    Counts counts;
    int doubtful = 0;
    Pace pace;
    for (Watched watched; !interrupted && !watcher.ended();)
    {
        if (!watcher.next(watched, 0.05))
        {
            if (window && !window->idle())
                break;
            continue;
        }
        pace.tick();
        counts.frames++;
        if (!watched.found.result.warning.empty() && doubtful++ == 0)
            std::fprintf(stderr, "agpnet: note: frame %d: %s\n", counts.frames, watched.found.result.warning.c_str());
        if (!watched.found.error.empty())
        {
            counts.failed++;
            std::fprintf(stderr, "agpnet: frame %d: %s\n", counts.frames, watched.found.error.c_str());
        }
        if (window)
        {
            if (!window->show(watched, view, pace.perSecond()))
                break;
        }
        else
            video->write(view.draw(watched, pace.perSecond()));
        counts.anomalous += view.anomalous(watched.found);
    }
    return counts;
}

int watch(const Options& options)
{
    if (std::filesystem::path(options.model).extension() == ".agpx")
        return watchObjects({options.model, options.source, options.out, options.objectModel, options.precision, options.device,
                             options.fps, options.reject, options.frames, options.patience});
    if (options.out.empty())
        screen(); // an Error says why not
    require(!options.out.empty() || displayIsThere(windowName),
            "there is no display to open a window on; --out FILE.avi writes a video instead");
    ::setenv("OPENCV_FFMPEG_LOGLEVEL", "-8", 0); // FFmpeg would say of its own what is said in a sentence; unless the user wants to hear it
    FrameSource source(options.source, options.patience);
    if (source.live()) // a frame that does not come is said in a sentence of our own
        cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_ERROR);
    const cv::Ptr<AnomalyDetector> detector = AnomalyDetector::create(options.model, options.precision, options.device);
    const json config = json::parse(detector->getHeader()).at("config");
    const std::string input = config.at("input").get<std::string>();
    require(input == "rgb", "{}: the model inspects '{}', but watch reads rgb images only", options.model, input);
    detector->setOptions(DetectOptions().setProduct(options.product).setSensitivity(options.sensitivity));

    std::signal(SIGXFSZ, SIG_IGN); // a limit on file sizes is then an error with a sentence, like a full disk
    const InterruptGuard guard;
    View view(config.value("bits", 0));
    std::optional<VideoFile> video;
    std::optional<Window> window;
    if (options.out.empty())
        window.emplace(source.live() ? 0 : (options.fps > 0 ? options.fps : (source.fps() > 0 ? source.fps() : 2)));
    else
        video.emplace(options.out, options.fps > 0 ? options.fps : (source.fps() > 0 ? source.fps() : 5));

    const Clock::time_point start = Clock::now();
    Watcher watcher(detector, source, options.frames);
    const auto [frames, anomalous, failed] = watchFrames(watcher, view, window, video);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const bool complete = watcher.ended();
    const std::string problem = complete ? watcher.problem() : "";
    if (complete)
        require(watcher.error().empty(), "{}: {}", options.source, watcher.error());
    require(frames > 0 || problem.empty(), "{}", problem);
    if (video)
    {
        require(frames > 0, "{}: there was no frame to write", options.source);
        video->finish();
    }
    std::printf("%d of %d frames anomalous, %.1f fps", anomalous, frames, frames / seconds);
    if (source.live())
        std::printf(", %d dropped", watcher.dropped());
    std::printf("\n");
    if (video)
        std::printf("video: %s\n", options.out.c_str());
    if (!problem.empty())
        std::fprintf(stderr, "agpnet: %s\n", problem.c_str());
    const int code = !problem.empty() || failed + watcher.unread() > 0 ? exitError : exitOk;
    window.reset();
    if (!watcher.stopped(0.3)) // who has asked for the end does not wait until a frame comes, or the time-out
    {
        flushOutput();
        std::_Exit(code);
    }
    return code;
}

} // namespace

void addWatch(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("watch", "Inspect and show a camera, a folder of images or a video");
    command
        ->add_option("model", options->model, "The .agp file; or a gallery, .agpx: then the best matches are shown as an object is turned")
        ->required();
    command
        ->add_option("source", options->source,
                     "Number of a camera, folder or glob of images, video file, or address (rtsp://...)")
        ->required();
    command->add_option("--out", options->out, "Write a video (.avi, Motion JPEG) instead of opening a window");
    command
        ->add_option("--fps", options->fps,
                     "Frames per second of the video, and of files in the window (default: those of the source; for images 5 and 2)")
        ->check(CLI::Range(0.01, 1000.0));
    command->add_option("--frames", options->frames, "Number of frames after which to stop (default: the end of the source)")
        ->check(positiveNumber());
    command
        ->add_option("--timeout", options->patience.timeout,
                     "Maximum seconds to wait for an address to answer, and for each frame (default 10)")
        ->check(CLI::Range(0.1, 1e6));
    command
        ->add_option("--reconnect", options->patience.reconnect,
                     "How often in a row to reopen a camera or address that ended or stalled (default 0)")
        ->check(nonNegativeNumber());
    addSensitivity(*command, options->sensitivity);
    command->add_option("--product", options->product, "Use the thresholds of one of the model's products");
    command->add_option("--model", options->objectModel, "Of a gallery: its model, where it is not beside it");
    command
        ->add_option("--reject", options->reject,
                     "Of a gallery: rate at which objects that are not in it may count as known (default 0.01)")
        ->check(CLI::Range(1e-4, 0.5));
    addCompute(*command, options->precision, options->device);
    command->footer(
        "Keys in the window: q ends, space pauses, + and - raise and lower the threshold; with a gallery, n begins the next object.");
    command->callback([options, &run] { run = [options] { return watch(*options); }; });
}

} // namespace agpnet::app
