// AnomalyStream for a long time: its throughput beside that of plain batches in turns, memory, and whether anything is lost, confused or
// out of order while frames are bad and a producer stops.
#include "agpnet/agpnet.hpp"
#include "benchmarks/resident_memory.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace
{

using Clock = std::chrono::steady_clock;

constexpr size_t pictureCount = 16, batch = 8;
constexpr uint64_t badEvery = 499;             // of a producer's frames
constexpr double streamSeconds = 20, batchSeconds = 6; // of a round

double since(Clock::time_point start)
{
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Which picture a producer shows as its n-th.
size_t pictureOf(int source, uint64_t n)
{
    return (n * 7 + static_cast<uint64_t>(source) * 3) % pictureCount;
}

bool isBad(uint64_t n)
{
    return n % badEvery == badEvery - 1;
}

/// Frames as fast as the stream takes them, while `running`.
class Producer
{
public:
    Producer(agpnet::AnomalyStream& stream, const std::vector<cv::Mat>& pictures, int source, const std::atomic<bool>& running)
        : thread_([this, &stream, &pictures, source, &running] {
              while (!stopped_)
              {
                  if (!running)
                  {
                      std::this_thread::sleep_for(std::chrono::milliseconds(1));
                      continue;
                  }
                  stream.push(isBad(sent_) ? cv::Mat(3, 3, CV_8UC2) : pictures[pictureOf(source, sent_)], source);
                  sent_++;
              }
          })
    {
    }
    void stop()
    {
        stopped_ = true;
        if (thread_.joinable())
            thread_.join();
    }
    ~Producer() { stop(); }
    uint64_t sent() const { return sent_; }

private:
    std::atomic<bool> stopped_{false};
    std::atomic<uint64_t> sent_{0};
    std::thread thread_;
};

/// Takes every result and compares it with what is known of its frame.
class Consumer
{
public:
    Consumer(agpnet::AnomalyStream& stream, int producers, const std::vector<double>& scores)
        : received_(static_cast<size_t>(producers)), thread_([this, &stream, &scores] {
              for (agpnet::AnomalyStreamResult found; stream.pop(found);)
              {
                  const uint64_t n = received_[static_cast<size_t>(found.source)]++;
                  disorder += found.number != taken;
                  taken++;
                  const double expected = scores[pictureOf(found.source, n)];
                  confused +=
                      isBad(n) ? found.error.empty() : !found.error.empty() || std::abs(found.result.score - expected) > 0.02 * expected;
              }
          })
    {
    }
    uint64_t received(int source) const { return received_[static_cast<size_t>(source)]; }
    void join() { thread_.join(); }
    std::atomic<uint64_t> taken{0}, disorder{0}, confused{0};

private:
    std::vector<std::atomic<uint64_t>> received_;
    std::thread thread_;
};

int run(const std::string& model, double minutes, int producerCount, cv::Size size)
{
    const cv::Ptr<agpnet::AnomalyDetector> detector = agpnet::AnomalyDetector::create(model);
    std::vector<cv::Mat> pictures;
    std::vector<double> scores;
    for (size_t i = 0; i < pictureCount; i++)
    {
        pictures.emplace_back(size, CV_8UC3);
        cv::RNG(i + 1).fill(pictures.back(), cv::RNG::UNIFORM, 0, static_cast<int>(40 + 13 * i));
        scores.push_back(detector->detect(pictures.back()).score);
    }
    agpnet::AnomalyStreamOptions options;
    options.batch = batch;
    options.latency = 10;
    const cv::Ptr<agpnet::AnomalyStream> stream = agpnet::AnomalyStream::create(detector, options);
    Consumer consumer(*stream, producerCount, scores);
    std::atomic<bool> running{false};
    std::vector<std::unique_ptr<Producer>> producers;
    for (int i = 0; i < producerCount; i++)
        producers.push_back(std::make_unique<Producer>(*stream, pictures, i, running));

    std::printf("%6s %12s %12s %8s %8s\n", "min", "stream 1/s", "batch 1/s", "ratio", "MB");
    std::vector<double> ratios, memory;
    bool oneStopped = false;
    const auto start = Clock::now();
    while (since(start) < 60 * minutes)
    {
        const uint64_t before = consumer.taken;
        auto round = Clock::now();
        running = true;
        while (since(round) < streamSeconds)
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        const double streamed = static_cast<double>(consumer.taken - before) / since(round);
        running = false;
        while (stream->underWay() > 0)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        round = Clock::now();
        size_t count = 0;
        for (; since(round) < batchSeconds; count += batch)
        {
            std::vector<cv::Mat> maps;
            detector->detectBatch(std::vector<cv::Mat>(pictures.begin(), pictures.begin() + batch), maps);
        }
        const double batched = static_cast<double>(count) / since(round);
        ratios.push_back(streamed / batched);
        memory.push_back(residentMegabytes());
        std::printf("%6.1f %12.2f %12.2f %8.3f %8.1f\n", since(start) / 60, streamed, batched, ratios.back(), memory.back());
        std::fflush(stdout);
        if (since(start) > 20 * minutes && producerCount > 1 && !oneStopped)
        {
            producers.front()->stop(); // it is remembered for what it sent
            std::printf("one producer stops\n");
            oneStopped = true;
        }
    }
    uint64_t sent = 0, lost = 0;
    for (const auto& producer : producers)
    {
        producer->stop();
        sent += producer->sent();
    }
    stream->close();
    consumer.join();
    for (int i = 0; i < producerCount; i++)
        lost += producers[static_cast<size_t>(i)]->sent() - consumer.received(i);
    std::sort(ratios.begin(), ratios.end());
    std::printf("%llu frames, %llu lost, %llu out of order, %llu with another's result; stream over batches: median %.3f; memory %.1f MB "
                "after the first round, %.1f MB after the last\n",
                static_cast<unsigned long long>(sent), static_cast<unsigned long long>(lost),
                static_cast<unsigned long long>(consumer.disorder.load()), static_cast<unsigned long long>(consumer.confused.load()),
                ratios[ratios.size() / 2], memory.front(), memory.back());
    return lost + consumer.disorder + consumer.confused > 0;
}

} // namespace

int main(int argc, char** argv)
{
    CLI::App app("Stream for a long time, beside plain batches");
    std::string model;
    double minutes = 10;
    int producers = 4, width = 640, height = 480;
    app.add_option("model", model, "a trained .agp")->required();
    app.add_option("--minutes", minutes);
    app.add_option("--producers", producers)->check(CLI::Range(1, 64));
    app.add_option("--width", width);
    app.add_option("--height", height);
    CLI11_PARSE(app, argc, argv);
    try
    {
        return run(model, minutes, producers, {width, height});
    }
    catch (const std::exception& error)
    {
        return std::fprintf(stderr, "%s\n", error.what()), 1;
    }
}
