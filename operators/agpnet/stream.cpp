#include "agpnet/anomaly_stream.hpp"

#include "common/error.h"
#include "common/stopwatch.h"
#include "operators/core/forked.h"
#include "operators/core/opencv_exceptions.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace agpnet
{
namespace
{

void requireState(bool condition, const char* message)
{
    if (!condition)
        throw Error(message, ErrorKind::State);
}

/// How many frames one pass may have so that it stays within the time allowed.
class BatchSize
{
public:
    BatchSize(int most, double seconds) : most_(most), allowed_(seconds) {}

    int next() const
    {
        const double frames = perFrame_ > 0 ? allowed_ / perFrame_ : 1; // nothing is known before the first pass
        return static_cast<int>(std::clamp(frames, 1.0, static_cast<double>(most_)));
    }

    void took(int frames, double seconds)
    {
        constexpr double weight = 0.2; // one slow pass must not halve the throughput, a slower machine must be noticed
        const double fresh = seconds / frames;
        perFrame_ = perFrame_ > 0 ? perFrame_ + weight * (fresh - perFrame_) : fresh;
    }

private:
    int most_;
    double allowed_, perFrame_ = 0;
};

class StreamImpl final : public AnomalyStream
{
public:
    StreamImpl(const cv::Ptr<AnomalyDetector>& detector, const AnomalyStreamOptions& options)
        : detector_(detector), options_(options), size_(options.batch, options.latency), worker_([this] { work(); })
    {
    }

    ~StreamImpl() override
    {
        {
            const std::lock_guard lock(mutex_);
            closed_ = abandoned_ = true;
        }
        wakeAll();
        worker_.join();
    }

    uint64_t push(cv::InputArray frame, int source) override
    {
        return guarded([&] {
            uint64_t number = 0;
            take(frame, source, true, number);
            return number;
        });
    }

    bool tryPush(cv::InputArray frame, int source, uint64_t* number) override
    {
        return guarded([&] {
            uint64_t given = 0;
            if (!take(frame, source, false, given))
                return false;
            if (number)
                *number = given;
            return true;
        });
    }

    bool pop(AnomalyStreamResult& result, double timeout) override
    {
        guarded([&] { requireOwnProcess(); });
        std::unique_lock lock(mutex_);
        const auto ready = [&] { return !results_.empty() || abandoned_ || (closed_ && underWay_ == 0); };
        if (timeout < 0)
            resultCame_.wait(lock, ready);
        else if (!resultCame_.wait_for(lock, std::chrono::duration<double>(std::min(timeout, 1e6)), ready))
            return false;
        if (results_.empty())
            return false;
        result = std::move(results_.front());
        results_.pop_front();
        underWay_--;
        const bool last = closed_ && underWay_ == 0;
        lock.unlock();
        roomCame_.notify_one();
        if (last)
            resultCame_.notify_all(); // the other consumers have nothing to wait for
        return true;
    }

    void close() override
    {
        guarded([&] { requireOwnProcess(); });
        {
            const std::lock_guard lock(mutex_);
            closed_ = true;
        }
        wakeAll();
    }

    size_t underWay() const override
    {
        guarded([&] { requireOwnProcess(); });
        const std::lock_guard lock(mutex_);
        return underWay_;
    }

    /// In a forked child its thread is not there, and whatever that held or waited for stays as it was.
    bool inOwnProcess() const { return forksSoFar() == forks_; }

private:
    void requireOwnProcess() const
    {
        requireState(
            inOwnProcess(),
            "the stream was made before this process was forked, and its thread is not here; expected one that was made in this process");
    }

    struct Frame
    {
        AnomalyStreamResult result;
        cv::Mat image;
        Stopwatch since;
    };

    void wakeAll()
    {
        frameCame_.notify_all();
        roomCame_.notify_all();
        resultCame_.notify_all();
    }

    bool take(cv::InputArray frame, int source, bool wait, uint64_t& number)
    {
        requireOwnProcess();
        Frame taken;
        taken.image = frame.getMat().clone(); // before the lock: it is the longest part
        taken.result.source = source;
        {
            std::unique_lock lock(mutex_);
            const auto room = [&] { return closed_ || underWay_ < static_cast<size_t>(options_.capacity); };
            if (wait)
                roomCame_.wait(lock, room);
            requireState(!closed_, "the stream is closed and takes no more frames");
            if (!room())
                return false;
            number = taken.result.number = pushed_++;
            underWay_++;
            frames_.push_back(std::move(taken));
        }
        frameCame_.notify_one();
        return true;
    }

    void work()
    {
        for (;;)
        {
            std::vector<Frame> batch;
            {
                std::unique_lock lock(mutex_);
                frameCame_.wait(lock, [&] { return !frames_.empty() || closed_; });
                if (abandoned_ || frames_.empty())
                    return;
                const auto count = std::min(frames_.size(), static_cast<size_t>(size_.next()));
                std::move(frames_.begin(), frames_.begin() + static_cast<std::ptrdiff_t>(count), std::back_inserter(batch));
                frames_.erase(frames_.begin(), frames_.begin() + static_cast<std::ptrdiff_t>(count));
            }
            inspect(batch);
            {
                const std::lock_guard lock(mutex_);
                for (Frame& frame : batch)
                {
                    frame.result.seconds = frame.since.seconds();
                    frame.result.batch = static_cast<int>(batch.size());
                    results_.push_back(std::move(frame.result));
                }
            }
            resultCame_.notify_all();
        }
    }

    void inspect(std::vector<Frame>& batch)
    {
        const Stopwatch watch;
        try
        {
            inspectTogether(batch);
            size_.took(static_cast<int>(batch.size()), watch.seconds());
        }
        catch (const std::exception&) // one of them is bad, and which one the others must not suffer from
        {
            for (Frame& frame : batch)
                inspectAlone(frame);
        }
    }

    void inspectTogether(std::vector<Frame>& batch)
    {
        std::vector<cv::Mat> images, maps, masks;
        for (const Frame& frame : batch)
            images.push_back(frame.image);
        std::vector<AnomalyResult> results =
            detector_->detectBatch(images, options_.maps ? cv::OutputArrayOfArrays(maps) : cv::OutputArrayOfArrays(cv::noArray()),
                                   options_.masks ? cv::OutputArrayOfArrays(masks) : cv::OutputArrayOfArrays(cv::noArray()));
        for (size_t i = 0; i < batch.size(); i++)
        {
            batch[i].result.result = std::move(results[i]);
            if (options_.maps)
                batch[i].result.map = maps[i];
            if (options_.masks)
                batch[i].result.mask = masks[i];
        }
    }

    void inspectAlone(Frame& frame)
    {
        AnomalyStreamResult& found = frame.result;
        try
        {
            found.result = detector_->detect(frame.image, options_.maps ? cv::OutputArray(found.map) : cv::OutputArray(cv::noArray()),
                                             options_.masks ? cv::OutputArray(found.mask) : cv::OutputArray(cv::noArray()));
        }
        catch (const cv::Exception& error)
        {
            fail(found, error.err);
        }
        catch (const std::exception& error)
        {
            fail(found, error.what());
        }
    }

    static void fail(AnomalyStreamResult& found, const std::string& sentence)
    {
        found.result = AnomalyResult();
        found.map.release();
        found.mask.release();
        found.error = sentence;
    }

    const cv::Ptr<AnomalyDetector> detector_;
    const AnomalyStreamOptions options_;
    const uint64_t forks_ = forksSoFar();
    BatchSize size_; ///< the worker's

    mutable std::mutex mutex_; // protects all members below
    std::condition_variable frameCame_, roomCame_, resultCame_;
    std::deque<Frame> frames_;
    std::deque<AnomalyStreamResult> results_;
    size_t underWay_ = 0;
    uint64_t pushed_ = 0;
    bool closed_ = false;    ///< no more frames
    bool abandoned_ = false; ///< no more work either

    std::thread worker_; // last: it starts when everything else is there
};

} // namespace

cv::Ptr<AnomalyStream> AnomalyStream::create(const cv::Ptr<AnomalyDetector>& detector, const AnomalyStreamOptions& options)
{
    return guarded([&]() -> cv::Ptr<AnomalyStream> {
        requireThreads();
        require(!detector.empty(), "stream: there is no detector");
        require(options.capacity >= 1 && options.capacity <= 65536, "stream: the capacity is {}, expected 1 to 65536", options.capacity);
        require(options.batch >= 1 && options.batch <= 1024, "stream: the batch is {}, expected 1 to 1024", options.batch);
        require(std::isfinite(options.latency) && options.latency > 0, "stream: the latency is {}, expected more than 0 seconds",
                options.latency);
        return {new StreamImpl(detector, options), [](const StreamImpl* stream) {
                    if (stream->inOwnProcess()) // else it would wait for its thread for ever
                        delete stream;
                }};
    });
}

} // namespace agpnet
