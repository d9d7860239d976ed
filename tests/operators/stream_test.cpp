#include "agpnet/agpnet.hpp"
#include "tests/support/error_text.h"
#include "tests/support/tiny_backbone.h"

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>

namespace agpnet
{
namespace
{

using test::errorOf;
using ::testing::HasSubstr;

cv::Mat frameOf(uint64_t number, cv::Size size = {48, 40})
{
    cv::Mat frame(size, CV_8UC3);
    cv::RNG(number + 1).fill(frame, cv::RNG::UNIFORM, 0, 256);
    return frame;
}

/// A model in place of which a test can wait.
class Gate final : public AnomalyDetector
{
public:
    explicit Gate(cv::Ptr<AnomalyDetector> real) : real_(std::move(real)) {}
    AnomalyResult detect(cv::InputArray image, cv::OutputArray map, cv::OutputArray mask) const override
    {
        return real_->detect(image, map, mask);
    }
    AnomalyResult detect(cv::InputArray image, cv::OutputArray map, cv::OutputArray mask, const DetectOptions& options) const override
    {
        return real_->detect(image, map, mask, options);
    }
    std::vector<AnomalyResult> detectBatch(cv::InputArrayOfArrays images, cv::OutputArrayOfArrays maps,
                                           cv::OutputArrayOfArrays masks) const override
    {
        return detectBatch(images, maps, masks, getOptions());
    }
    std::vector<AnomalyResult> detectBatch(cv::InputArrayOfArrays images, cv::OutputArrayOfArrays maps, cv::OutputArrayOfArrays masks,
                                           const DetectOptions& options) const override
    {
        entered++;
        while (!open)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return real_->detectBatch(images, maps, masks, options);
    }
    void setOptions(const DetectOptions& options) override { real_->setOptions(options); }
    DetectOptions getOptions() const override { return real_->getOptions(); }
    std::vector<std::string> getProducts() const override { return real_->getProducts(); }
    double getThreshold(const std::string& product) const override { return real_->getThreshold(product); }
    double getPixelThreshold(const std::string& product) const override { return real_->getPixelThreshold(product); }
    DriftState getDrift() const override { return real_->getDrift(); }
    void setDriftWindow(int images) override { real_->setDriftWindow(images); }
    cv::Size getInputSize() const override { return real_->getInputSize(); }
    std::string getPrecision() const override { return real_->getPrecision(); }
    std::string getDevice() const override { return real_->getDevice(); }
    std::string getHeader() const override { return real_->getHeader(); }

    mutable std::atomic<int> entered{0};
    std::atomic<bool> open{false};

private:
    cv::Ptr<AnomalyDetector> real_;
};

class StreamTest : public ::testing::Test
{
protected:
    static void SetUpTestSuite()
    {
        const test::TempFolder folder;
        const auto trainer = AnomalyTrainer::create(test::writeTinyBackbone(folder), test::tinyConfig(2));
        trainer->fit(4, [](size_t i) { return frameOf(i); });
        detector = trainer->getDetector();
    }
    static void TearDownTestSuite() { detector.reset(); }

    static AnomalyStreamOptions options(int capacity, int batch, double latency = 10)
    {
        AnomalyStreamOptions result;
        result.capacity = capacity;
        result.batch = batch;
        result.latency = latency;
        return result;
    }

    static void expectAsDetected(const AnomalyStreamResult& found, const cv::Mat& frame)
    {
        cv::Mat map;
        const AnomalyResult expected = detector->detect(frame, map);
        EXPECT_EQ(found.error, "");
        EXPECT_NEAR(found.result.score, expected.score, 1e-4 * expected.score) << "frame " << found.number;
        EXPECT_EQ(found.result.anomalous, expected.anomalous);
        ASSERT_EQ(found.map.size(), map.size());
        EXPECT_LT(cv::norm(found.map, map, cv::NORM_INF), 1e-4 * expected.score);
    }

    static cv::Ptr<AnomalyDetector> detector;
};
cv::Ptr<AnomalyDetector> StreamTest::detector;

TEST_F(StreamTest, GivesWhatTheDetectorFindsInOrder)
{
    const auto stream = AnomalyStream::create(detector, options(8, 4));
    constexpr uint64_t count = 40;
    std::thread producer([&] {
        for (uint64_t i = 0; i < count; i++)
            EXPECT_EQ(stream->push(frameOf(i), static_cast<int>(i % 3)), i);
        stream->close();
    });
    uint64_t next = 0;
    for (AnomalyStreamResult found; stream->pop(found); next++)
    {
        ASSERT_EQ(found.number, next);
        EXPECT_EQ(found.source, static_cast<int>(next % 3));
        EXPECT_GT(found.seconds, 0);
        EXPECT_GE(found.batch, 1);
        EXPECT_LE(found.batch, 4);
        expectAsDetected(found, frameOf(next));
    }
    producer.join();
    EXPECT_EQ(next, count);
    EXPECT_EQ(stream->underWay(), 0u);
}

TEST_F(StreamTest, TakesACopyOfTheFrame)
{
    const auto stream = AnomalyStream::create(detector);
    cv::Mat frame = frameOf(1);
    stream->push(frame);
    frame.setTo(0);
    AnomalyStreamResult found;
    ASSERT_TRUE(stream->pop(found));
    expectAsDetected(found, frameOf(1));
}

TEST_F(StreamTest, ABadFrameHarmsNoOther)
{
    const auto gate = cv::makePtr<Gate>(detector);
    const auto stream = AnomalyStream::create(gate, options(16, 16));
    std::vector<cv::Mat> frames;
    for (uint64_t i = 0; i < 12; i++)
        frames.push_back(i % 4 == 1   ? cv::Mat()
                         : i % 4 == 3 ? cv::Mat(20, 20, CV_64F, cv::Scalar(0))
                                      : frameOf(i, {30 + static_cast<int>(i), 40}));
    for (const cv::Mat& frame : frames)
        stream->push(frame);
    gate->open = true;
    stream->close();
    for (uint64_t i = 0; i < 12; i++)
    {
        AnomalyStreamResult found;
        ASSERT_TRUE(stream->pop(found));
        EXPECT_EQ(found.number, i);
        if (i % 2 == 0)
            expectAsDetected(found, frames[i]);
        else
        {
            EXPECT_THAT(found.error, HasSubstr(i % 4 == 1 ? "empty" : "CV_64F"));
            EXPECT_TRUE(found.map.empty());
        }
    }
    AnomalyStreamResult none;
    EXPECT_FALSE(stream->pop(none));
}

TEST_F(StreamTest, WaitsWhereTooManyAreUnderWay)
{
    const auto gate = cv::makePtr<Gate>(detector);
    const auto stream = AnomalyStream::create(gate, options(3, 2));
    for (uint64_t i = 0; i < 3; i++)
        stream->push(frameOf(i));
    EXPECT_FALSE(stream->tryPush(frameOf(3)));
    EXPECT_EQ(stream->underWay(), 3u);
    std::atomic<bool> pushed{false};
    std::thread producer([&] {
        stream->push(frameOf(3));
        pushed = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_FALSE(pushed);
    gate->open = true;
    AnomalyStreamResult found;
    ASSERT_TRUE(stream->pop(found)); // makes room
    producer.join();
    EXPECT_TRUE(pushed);
    for (uint64_t i = 1; i < 4; i++)
    {
        ASSERT_TRUE(stream->pop(found));
        EXPECT_EQ(found.number, i);
    }
    uint64_t number = 0;
    EXPECT_TRUE(stream->tryPush(frameOf(9), 5, &number));
    EXPECT_EQ(number, 4u);
    ASSERT_TRUE(stream->pop(found));
    EXPECT_EQ(found.source, 5);
}

TEST_F(StreamTest, FramesThatWaitGoTogetherWithinTheTimeAllowed)
{
    const auto batches = [&](double latency) {
        const auto gate = cv::makePtr<Gate>(detector);
        const auto stream = AnomalyStream::create(gate, options(64, 8, latency));
        for (uint64_t i = 0; i < 33; i++)
            stream->push(frameOf(i));
        gate->open = true;
        stream->close();
        std::vector<int> sizes;
        for (AnomalyStreamResult found; stream->pop(found);)
            sizes.push_back(found.batch);
        return sizes;
    };
    const std::vector<int> relaxed = batches(100), hasty = batches(1e-9);
    ASSERT_EQ(relaxed.size(), 33u);
    EXPECT_EQ(relaxed[0], 1) << "nothing is known before the first pass";
    EXPECT_EQ(std::vector<int>(relaxed.begin() + 1, relaxed.end()), std::vector<int>(32, 8));
    EXPECT_EQ(hasty, std::vector<int>(33, 1));
}

TEST_F(StreamTest, ManyProducersAndConsumersLoseNothing)
{
    const auto stream = AnomalyStream::create(detector, options(6, 4));
    constexpr int producers = 4, each = 25;
    std::vector<std::thread> threads;
    std::mutex mutex;
    std::map<uint64_t, int> pushed, popped; // number to source
    for (int p = 0; p < producers; p++)
        threads.emplace_back([&, p] {
            for (int i = 0; i < (p == 2 ? 5 : each); i++) // one of them stops early
            {
                const uint64_t number = stream->push(frameOf(static_cast<uint64_t>(i)), p);
                const std::lock_guard lock(mutex);
                pushed[number] = p;
            }
        });
    std::vector<std::thread> consumers;
    for (int c = 0; c < 2; c++)
        consumers.emplace_back([&] {
            for (AnomalyStreamResult found; stream->pop(found);)
            {
                const std::lock_guard lock(mutex);
                EXPECT_TRUE(popped.emplace(found.number, found.source).second) << "twice";
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    stream->close();
    for (std::thread& thread : consumers)
        thread.join();
    EXPECT_EQ(pushed.size(), static_cast<size_t>(3 * each + 5));
    EXPECT_EQ(popped, pushed);
}

TEST_F(StreamTest, EndsWhileFramesWait)
{
    const auto gate = cv::makePtr<Gate>(detector);
    auto stream = AnomalyStream::create(gate, options(4, 1));
    for (uint64_t i = 0; i < 4; i++)
        stream->push(frameOf(i));
    while (gate->entered == 0)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    gate->open = true;
    stream.reset();
    EXPECT_LE(gate->entered, 4);
}

TEST_F(StreamTest, GivesUpWaitingWhenTold)
{
    const auto stream = AnomalyStream::create(detector);
    AnomalyStreamResult found;
    EXPECT_FALSE(stream->pop(found, 0));
    EXPECT_FALSE(stream->pop(found, 0.02));
    stream->close();
    EXPECT_FALSE(stream->pop(found));
    EXPECT_THAT(errorOf<cv::Exception>([&] { stream->push(frameOf(0)); }), HasSubstr("closed"));
}

TEST_F(StreamTest, RefusesSenselessOptions)
{
    const auto message = [](const cv::Ptr<AnomalyDetector>& with, const AnomalyStreamOptions& given)
    { return errorOf<cv::Exception>([&] { AnomalyStream::create(with, given); }); };
    EXPECT_THAT(message({}, {}), HasSubstr("no detector"));
    EXPECT_THAT(message(detector, options(0, 1)), HasSubstr("capacity is 0, expected 1 to 65536"));
    EXPECT_THAT(message(detector, options(1, 0)), HasSubstr("batch is 0, expected 1 to 1024"));
    EXPECT_THAT(message(detector, options(1, 1, 0)), HasSubstr("latency is 0"));
    EXPECT_THAT(message(detector, options(1, 1, NAN)), HasSubstr("latency is nan"));
}

} // namespace
} // namespace agpnet
