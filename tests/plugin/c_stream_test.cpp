// The stream in C: order, several producers, frames that nobody can inspect, and its end.
#include "tests/plugin/c_api_fixture.h"

#include <atomic>
#include <map>
#include <thread>

namespace agpnet
{
namespace
{

using test::Answer;
using test::answerOf;
using test::CApi;
using test::expectSame;
using test::noiseImage;
using test::structureOf;
using ::testing::HasSubstr;

agpnet_frame emptyFrame()
{
    return {sizeof(agpnet_frame), 0, 0, 0, 0, nullptr};
}

TEST_F(CApi, StreamReturnsResultsInOrder)
{
    constexpr int producers = 3, frames = 6;
    agpnet_stream_options options = AGPNET_STREAM_OPTIONS_INIT;
    options.capacity = 4;
    options.batch = 1; // so that the results are those of detect(), bit for bit
    options.outputs = AGPNET_MAP | AGPNET_MASK;
    test::Stream stream;
    AGPNET_EXPECT_OK(agpnet_stream_create, *detector, &options, &stream);
    std::atomic<int> working = producers;
    std::array<std::atomic<int64_t>, producers * frames> frameOf; // by number
    std::vector<std::thread> threads;
    for (int producer = 0; producer < producers; producer++)
        threads.emplace_back([&, producer] {
            for (int i = 0; i < frames; i++)
            {
                cv::Mat image = noiseImage(static_cast<size_t>(100 * producer + i));
                const agpnet_image given = structureOf(image);
                uint64_t number = 0;
                AGPNET_EXPECT_OK(agpnet_stream_push, stream, &given, producer, &number);
                image.setTo(0); // the stream has a copy
                frameOf.at(number) = 100 * producer + i;
            }
            if (--working == 0)
                AGPNET_EXPECT_OK(agpnet_stream_close, stream);
        });
    std::vector<std::pair<uint64_t, int>> sources;
    std::vector<std::unique_ptr<test::Results>> all;
    for (;;)
    {
        agpnet_frame frame = emptyFrame();
        auto results = std::make_unique<test::Results>();
        AGPNET_EXPECT_OK(agpnet_stream_pop, stream, -1, &frame, &*results);
        if (!results->handle)
            break;
        EXPECT_EQ(frame.error, nullptr);
        EXPECT_EQ(frame.batch, 1);
        EXPECT_GT(frame.seconds, 0);
        EXPECT_EQ(frame.number, sources.size());
        sources.emplace_back(frame.number, frame.source);
        all.push_back(std::move(results));
    }
    for (std::thread& thread : threads)
        thread.join();
    ASSERT_EQ(all.size(), static_cast<size_t>(producers * frames));
    for (size_t i = 0; i < all.size(); i++)
    {
        EXPECT_EQ(sources[i].second, frameOf[i] / 100);
        cv::Mat map, mask;
        const AnomalyResult expected = reference->detect(noiseImage(static_cast<size_t>(frameOf[i])), map, mask);
        expectSame(*all[i], 0, expected, map, mask);
    }
}

TEST_F(CApi, StreamSaysWhichFrameItCannotInspect)
{
    test::Stream stream;
    AGPNET_EXPECT_OK(agpnet_stream_create, *detector, nullptr, &stream);
    const cv::Mat good = noiseImage(1), bad(4, 4, CV_8UC3, cv::Scalar::all(1));
    for (const cv::Mat& image : {good, bad, good})
    {
        const agpnet_image given = structureOf(image);
        AGPNET_EXPECT_OK(agpnet_stream_push, stream, &given, 0, nullptr);
    }
    for (int i = 0; i < 3; i++)
    {
        agpnet_frame frame = emptyFrame();
        test::Results results;
        AGPNET_EXPECT_OK(agpnet_stream_pop, stream, -1, &frame, &results);
        agpnet_image map{sizeof map, nullptr, 0, 0, 0, 0, 0};
        if (i == 1)
        {
            ASSERT_NE(frame.error, nullptr);
            EXPECT_THAT(frame.error, HasSubstr("4"));
            EXPECT_EQ(answerOf(agpnet_results_get_map, results, 0, &map).first, AGPNET_E_STATE);
        }
        else
        {
            EXPECT_EQ(frame.error, nullptr);
            AGPNET_EXPECT_OK(agpnet_results_get_map, results, 0, &map);
            EXPECT_EQ(test::matOf(map).size(), good.size());
        }
    }
}

TEST_F(CApi, StreamIsFullAndEnds)
{
    agpnet_stream_options options = AGPNET_STREAM_OPTIONS_INIT;
    options.capacity = 1;
    test::Stream stream;
    AGPNET_EXPECT_OK(agpnet_stream_create, *detector, &options, &stream);
    const cv::Mat image = noiseImage(1);
    const agpnet_image given = structureOf(image);
    uint64_t number = 99;
    int32_t taken = -1;
    AGPNET_EXPECT_OK(agpnet_stream_try_push, stream, &given, 0, &number, &taken);
    EXPECT_EQ(taken, 1);
    EXPECT_EQ(number, 0u);
    AGPNET_EXPECT_OK(agpnet_stream_try_push, stream, &given, 0, nullptr, &taken);
    EXPECT_EQ(taken, 0);
    size_t underWay = 0;
    AGPNET_EXPECT_OK(agpnet_stream_get_under_way, stream, &underWay);
    EXPECT_EQ(underWay, 1u);
    test::Results results;
    AGPNET_EXPECT_OK(agpnet_stream_pop, stream, -1, nullptr, &results);
    EXPECT_NE(results.handle, nullptr);
    AGPNET_EXPECT_OK(agpnet_stream_pop, stream, 0.01, nullptr, &results); // the time is over
    EXPECT_EQ(results.handle, nullptr);
    AGPNET_EXPECT_OK(agpnet_stream_close, stream);
    AGPNET_EXPECT_OK(agpnet_stream_pop, stream, -1, nullptr, &results);
    EXPECT_EQ(results.handle, nullptr);
    EXPECT_EQ(answerOf(agpnet_stream_push, stream, &given, 0, nullptr).first, AGPNET_E_STATE);
    EXPECT_EQ(answerOf(agpnet_stream_try_push, stream, &given, 0, nullptr, &taken).first, AGPNET_E_STATE);
}

TEST_F(CApi, StreamRefusesOptionsOutOfRange)
{
    for (const auto& [change, part] : std::vector<std::pair<std::function<void(agpnet_stream_options&)>, const char*>>{
             {[](auto& bad) { bad.capacity = 0; }, "capacity is 0"},
             {[](auto& bad) { bad.batch = 1025; }, "batch is 1025"},
             {[](auto& bad) { bad.latency = 0; }, "latency is 0"},
             {[](auto& bad) { bad.outputs = 8; }, "outputs is 8"},
         })
    {
        agpnet_stream_options options = AGPNET_STREAM_OPTIONS_INIT;
        change(options);
        test::Stream stream;
        const Answer answer = answerOf(agpnet_stream_create, *detector, &options, &stream);
        EXPECT_EQ(answer.first, AGPNET_E_ARGUMENT);
        EXPECT_THAT(answer.second, HasSubstr(part));
        EXPECT_EQ(stream.handle, nullptr);
    }
}

} // namespace
} // namespace agpnet
