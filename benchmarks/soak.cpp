// AnomalyDetector and AnomalyStream for hours, with pictures of random size, kind and content, bad ones among them, and models that come
// and go: does memory grow, or the number of open files or threads? The end prints the slope of the resident memory and its standard error.
#include "agpnet/agpnet.hpp"
#include "benchmarks/resident_memory.h"

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace
{

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start)
{
    return std::chrono::duration<double>(Clock::now() - start).count();
}

long entriesOf(const char* folder)
{
    return std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator());
}

/// A picture of any size, depth and number of channels that a detector takes, or (one in ten) one that none takes.
struct Picture
{
    cv::Mat image;
    bool bad = false;
};

class Pictures
{
public:
    explicit Pictures(unsigned seed) : random_(seed) {}

    Picture next()
    {
        const int height = side_(random_), width = side_(random_);
        const int depth = std::array{CV_8U, CV_16U, CV_32F}[random_() % 3], channels = std::array{1, 3, 4}[random_() % 3];
        Picture picture{cv::Mat(height, width, CV_MAKETYPE(depth, channels)), random_() % 10 == 0};
        cv::RNG(random_()).fill(picture.image, cv::RNG::UNIFORM, 0, depth == CV_8U ? 256 : depth == CV_16U ? 65536 : 1);
        if (picture.bad)
            switch (random_() % 4)
            {
            case 0: picture.image.release(); break;
            case 1: picture.image = cv::Mat(height, width, CV_8UC2, cv::Scalar::all(7)); break;
            case 2: picture.image = cv::Mat(3, 3, CV_8UC3, cv::Scalar::all(7)); break;
            default: picture.image = cv::Mat(height, width, CV_32FC3, cv::Scalar::all(std::nan(""))); break;
            }
        return picture;
    }

private:
    std::minstd_rand random_;
    std::uniform_int_distribution<int> side_{8, 1200};
};

struct Counts
{
    std::atomic<uint64_t> inspected{0}, refused{0}, wrong{0}, loads{0};
};

void detectUntil(const std::string& model, const std::atomic<bool>& end, double pause, Counts& counts)
{
    Pictures pictures(1);
    cv::Ptr<agpnet::AnomalyDetector> detector;
    for (uint64_t n = 0; !end; n++)
    {
        if (n % 50 == 0)
        {
            detector = agpnet::AnomalyDetector::create(model, n % 100 == 0 ? "auto" : "fp32");
            counts.loads++;
        }
        const Picture picture = pictures.next();
        bool refused = false;
        try
        {
            cv::Mat map, mask;
            detector->detect(picture.image, map, mask);
            counts.wrong += map.size() != picture.image.size();
        }
        catch (const cv::Exception&)
        {
            refused = true;
        }
        (refused ? counts.refused : counts.inspected)++;
        counts.wrong += refused != picture.bad;
        std::this_thread::sleep_for(std::chrono::duration<double>(pause));
    }
}

void streamUntil(const std::string& model, const std::atomic<bool>& end, double pause, Counts& counts)
{
    Pictures pictures(2);
    while (!end)
    {
        agpnet::AnomalyStreamOptions options;
        options.masks = true;
        const cv::Ptr<agpnet::AnomalyStream> stream = agpnet::AnomalyStream::create(agpnet::AnomalyDetector::create(model), options);
        counts.loads++;
        std::thread producer(
            [&]
            {
                for (int n = 0; n < 200 && !end; n++)
                {
                    const Picture picture = pictures.next();
                    stream->push(picture.image, picture.bad);
                    std::this_thread::sleep_for(std::chrono::duration<double>(pause));
                }
                stream->close();
            });
        for (agpnet::AnomalyStreamResult found; stream->pop(found);)
        {
            (found.error.empty() ? counts.inspected : counts.refused)++;
            counts.wrong += found.error.empty() == (found.source == 1);
        }
        producer.join();
    }
}

struct Line
{
    double slope = 0, error = 0;
};

/// Least squares.
Line lineThrough(const std::vector<double>& x, const std::vector<double>& y)
{
    const auto n = static_cast<double>(x.size());
    double mx = 0, my = 0, xx = 0, xy = 0, rest = 0;
    for (size_t i = 0; i < x.size(); i++)
        mx += x[i] / n, my += y[i] / n;
    for (size_t i = 0; i < x.size(); i++)
        xx += (x[i] - mx) * (x[i] - mx), xy += (x[i] - mx) * (y[i] - my);
    const double slope = xy / xx;
    for (size_t i = 0; i < x.size(); i++)
        rest += std::pow(y[i] - my - slope * (x[i] - mx), 2);
    return {slope, std::sqrt(rest / std::max(1.0, n - 2) / xx)};
}

int run(const std::string& model, double minutes, double warmUp, double pause)
{
    Counts counts;
    std::atomic<bool> end{false};
    std::thread detecting(detectUntil, model, std::cref(end), pause, std::ref(counts)),
        streaming(streamUntil, model, std::cref(end), pause, std::ref(counts));
    std::vector<double> hours, memory;
    std::printf("%8s %10s %10s %8s %8s %8s\n", "min", "inspected", "refused", "MB", "files", "threads");
    const auto start = Clock::now();
    for (int tick = 1; since(start) < 60 * minutes; tick++)
    {
        while (since(start) < 15.0 * tick)
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        if (since(start) >= 60 * warmUp)
        {
            hours.push_back(since(start) / 3600);
            memory.push_back(residentMegabytes());
        }
        if (tick % 20 == 0)
            std::printf("%8.1f %10llu %10llu %8.1f %8ld %8ld\n", since(start) / 60,
                        static_cast<unsigned long long>(counts.inspected.load()), static_cast<unsigned long long>(counts.refused.load()),
                        residentMegabytes(), entriesOf("/proc/self/fd"), entriesOf("/proc/self/task"));
        std::fflush(stdout);
    }
    end = true;
    detecting.join();
    streaming.join();
    const Line line = lineThrough(hours, memory);
    std::printf("%llu inspected, %llu refused, %llu loads, %llu wrong; after %.0f min: %.1f MB; slope %+.2f +- %.2f MB/h; at the end %ld "
                "files, %ld threads\n",
                static_cast<unsigned long long>(counts.inspected.load()), static_cast<unsigned long long>(counts.refused.load()),
                static_cast<unsigned long long>(counts.loads.load()), static_cast<unsigned long long>(counts.wrong.load()), warmUp,
                memory.front(), line.slope, line.error, entriesOf("/proc/self/fd"), entriesOf("/proc/self/task"));
    return counts.wrong > 0;
}

} // namespace

int main(int argc, char** argv)
{
    CLI::App app("Detector and Stream for hours: does memory grow?");
    std::string model;
    double minutes = 120, warmUp = 10, pause = 0;
    app.add_option("model", model, "a trained .agp")->required();
    app.add_option("--minutes", minutes);
    app.add_option("--warm-up", warmUp, "minutes that the slope leaves out");
    app.add_option("--pause", pause, "seconds after each picture");
    CLI11_PARSE(app, argc, argv);
    try
    {
        return run(model, minutes, warmUp, pause);
    }
    catch (const std::exception& error)
    {
        return std::fprintf(stderr, "%s\n", error.what()), 1;
    }
}
