// A camera, live, with the anomaly map over its pictures: one thread reads, agpnet::AnomalyStream inspects, this one draws.
//   watch_camera tile.agp 0              # camera 0 in a window; q ends
//   watch_camera tile.agp line.mp4 out.avi   # a video in, a video out; needs no display
// The source is whatever cv::VideoCapture opens: a camera's number, a video, an address, pictures as "tiles/%03d.png".
#include <agpnet/overlay.hpp>
#include <agpnet/anomaly_stream.hpp>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <mutex>
#ifdef SAMPLES_HAVE_HIGHGUI
#include <opencv2/highgui.hpp>
#endif
#include <opencv2/imgproc.hpp>
#include <opencv2/videoio.hpp>
#include <thread>

/// Heat where the map is not far below the pixel threshold, or above it, the outlines of the regions, and a line of text.
static void draw(cv::Mat& frame, const agpnet::AnomalyStreamResult& found)
{
    const agpnet::AnomalyResult& result = found.result;
    const auto write = [&](const std::string& text, const cv::Scalar& colour) {
        cv::putText(frame, text, {10, 26}, cv::FONT_HERSHEY_SIMPLEX, 0.6, cv::Scalar::all(0), 4, cv::LINE_AA);
        cv::putText(frame, text, {10, 26}, cv::FONT_HERSHEY_SIMPLEX, 0.6, colour, 1, cv::LINE_AA);
    };
    if (!found.error.empty()) // one frame that could not be inspected does not end the stream
        return write(found.error, {0, 200, 255});
    agpnet::overlay(frame, found.map, frame, result.pixelThreshold);
    for (const agpnet::AnomalyRegion& region : result.regions)
        cv::polylines(frame, region.contour, true, {107, 154, 242}, 2, cv::LINE_AA);
    write(cv::format("%s  score %.4g of %.4g", result.anomalous ? "ANOMALOUS" : "GOOD", result.score, result.threshold),
          result.anomalous ? cv::Scalar(107, 154, 242) : cv::Scalar(220, 191, 127));
}

/// False when the user has seen enough.
static bool show(const cv::Mat& frame)
{
#ifdef SAMPLES_HAVE_HIGHGUI
    cv::imshow("AGPNet", frame);
    const int key = cv::waitKey(1);
    return key != 'q' && key != 27;
#else
    (void)frame;
    CV_Error(cv::Error::StsNotImplemented, "built without HighGUI: name a video to write");
#endif
}

int main(int argc, char** argv)
try
{
    if (argc != 3 && argc != 4)
        return std::fprintf(stderr, "usage: watch_camera MODEL SOURCE [OUT.avi]\n"), 2;
    const std::string source = argv[2], out = argc > 3 ? argv[3] : "";
    const bool live = source.find_first_not_of("0123456789") == std::string::npos;
    cv::VideoCapture capture;
    if (!(live ? capture.open(std::atoi(argv[2])) : capture.open(source)))
        return std::fprintf(stderr, "%s: cannot be opened\n", argv[2]), 1;

    agpnet::AnomalyStreamOptions options;
    options.capacity = live ? 2 : 8; // few frames under way: the picture on the screen is a young one
    const cv::Ptr<agpnet::AnomalyStream> stream = agpnet::AnomalyStream::create(agpnet::AnomalyDetector::create(argv[1]), options);

    const double given = capture.get(cv::CAP_PROP_FPS), fps = given > 0 && given < 1000 ? given : 10;

    // Results come in the order of the frames, which wait here for theirs.
    std::deque<cv::Mat> frames;
    std::mutex mutex;
    std::atomic<bool> stop{false};
    std::atomic<int> dropped{0};
    const auto read = [&] {
        cv::Mat frame;
        while (!stop && capture.read(frame))
        {
            std::unique_lock<std::mutex> lock(mutex);
            frames.push_back(frame.clone());
            lock.unlock();
            if (!live)
                stream->push(frame); // a file waits
            else if (!stream->tryPush(frame)) // a camera does not: what nobody has time for is left out
            {
                lock.lock();
                frames.pop_back();
                dropped++;
            }
        }
    };
    std::exception_ptr unread, undrawn;
    std::thread reader([&] {
        try
        {
            read();
        }
        catch (...)
        {
            unread = std::current_exception();
        }
        stream->close();
    });

    cv::VideoWriter video;
    int count = 0, anomalous = 0;
    // After a stop, too, all that is under way is taken out, so that the reader does not wait for room for ever.
    for (agpnet::AnomalyStreamResult found; stream->pop(found);)
    {
        std::unique_lock<std::mutex> lock(mutex);
        cv::Mat frame = std::move(frames.front());
        frames.pop_front();
        lock.unlock();
        if (stop)
            continue;
        count++;
        anomalous += found.result.anomalous;
        try
        {
            draw(frame, found);
            if (out.empty())
                stop = !show(frame);
            else
            {
                if (count == 1 && !video.open(out, cv::VideoWriter::fourcc('M', 'J', 'P', 'G'), fps, frame.size()))
                    CV_Error(cv::Error::StsError, out + " cannot be written");
                video.write(frame);
            }
        }
        catch (...)
        {
            undrawn = std::current_exception();
            stop = true;
        }
    }
    reader.join();
    for (const std::exception_ptr& failure : {unread, undrawn})
        if (failure)
            std::rethrow_exception(failure);
    std::printf("%d of %d frames anomalous, %d left out\n", anomalous, count, dropped.load());
}
catch (const std::exception& error)
{
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
