// What is replayed is what would have been computed, whoever asks and whatever goes wrong. On the fake device always, on a GPU where there
// is one.
#include "models/device/captured_graph.h"
#include "tests/devices/each_device.h"
#include "tests/devices/fake_graph.h"

#include <ATen/ATen.h>
#include <atomic>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>
#include <stdexcept>
#include <thread>

namespace agpnet
{
namespace
{

class Replays : public test::OnEachDevice
{
protected:
    at::Tensor given(double value, int64_t n = 2) const { return at::full({n, 3}, value, at::TensorOptions(at::kFloat).device(device_)); }
    bool graphsThere() const { return test::graphsOf(device_.type()); }
    static float first(const at::Tensor& tensor) { return tensor.flatten()[0].cpu().item<float>(); }

    std::atomic<int> calls_{0};
    const CapturedGraph::Computation twicePlusOne_ = [this](const at::Tensor& x) -> std::vector<at::Tensor> {
        calls_++;
        const at::Tensor twice = x * 2;
        return {twice + 1, twice.sum(1), twice};
    };
};

constexpr int callsOfACapture = 3; // what is expected, the libraries' workspaces, the graph

TEST_P(Replays, TheThirdCallIsCaptured)
{
    const CapturedGraph replay(twicePlusOne_);
    for (int i = 0; i < 10; i++)
    {
        const std::vector<at::Tensor> found = replay(given(i));
        ASSERT_EQ(found.size(), 3u);
        EXPECT_EQ(first(found[0]), 2.0F * static_cast<float>(i) + 1);
        EXPECT_EQ(first(found[1]), 6.0F * static_cast<float>(i));
        EXPECT_EQ(found[1].sizes(), at::IntArrayRef({2}));
        EXPECT_EQ(found[0].device(), device_);
    }
    EXPECT_EQ(calls_, graphsThere() ? CapturedGraph::callsBefore + callsOfACapture : 10);
}

TEST_P(Replays, AnEarlierResultStays)
{
    const CapturedGraph replay(twicePlusOne_);
    std::vector<at::Tensor> results;
    for (int i = 0; i < 8; i++)
        results.push_back(replay(given(i))[0]);
    for (int i = 0; i < 8; i++)
        EXPECT_EQ(first(results[static_cast<size_t>(i)]), 2.0F * static_cast<float>(i) + 1);
}

TEST_P(Replays, WhatIsOneTensorTwiceStaysOne)
{
    const CapturedGraph replay([](const at::Tensor& x) -> std::vector<at::Tensor> {
        const at::Tensor y = x + 1;
        return {y, y, x * 1};
    });
    for (int i = 0; i < 6; i++)
    {
        const std::vector<at::Tensor> found = replay(given(i));
        EXPECT_TRUE(found[0].is_same(found[1]));
        EXPECT_FALSE(found[0].is_same(found[2]));
    }
}

TEST_P(Replays, EachShapeHasItsOwn)
{
    const CapturedGraph replay(twicePlusOne_);
    for (int i = 0; i < 6; i++)
        for (int64_t n = 1; n <= 4; n++)
        {
            const at::Tensor found = replay(given(i, n))[0];
            EXPECT_EQ(found.size(0), n);
            EXPECT_EQ(first(found), 2.0F * static_cast<float>(i) + 1);
        }
    const int before = calls_;
    for (int i = 0; i < 6; i++)
        for (const int64_t n : {5, 9}) // a fifth shape, and a batch that is too large
            EXPECT_EQ(first(replay(given(i, n))[0]), 2.0F * static_cast<float>(i) + 1);
    EXPECT_EQ(calls_ - before, 12);
}

TEST_P(Replays, WhatReadsANumberIsComputedAsItStands)
{
    const CapturedGraph replay([](const at::Tensor& x) -> std::vector<at::Tensor> { return {x + x.sum().item<float>()}; });
    for (int i = 0; i < 6; i++)
        EXPECT_EQ(first(replay(given(i))[0]), 7.0F * static_cast<float>(i));
}

TEST_P(Replays, WhatDependsOnMoreThanItsArgumentIsNotReplayed)
{
    const CapturedGraph replay([this](const at::Tensor& x) -> std::vector<at::Tensor> { return {x * ++calls_}; });
    for (int i = 0; i < 8; i++)
    {
        const int before = calls_; // of a capture the first call is the one that counts
        EXPECT_EQ(first(replay(given(1))[0]), static_cast<float>(before + 1));
    }
    EXPECT_EQ(calls_, graphsThere() ? 8 + callsOfACapture - 1 : 8);
}

TEST_P(Replays, WhatFailsInACaptureIsComputedAsItStands)
{
    if (!graphsThere())
        GTEST_SKIP() << "this LibTorch has no graphs";
    const CapturedGraph replay([this](const at::Tensor& x) -> std::vector<at::Tensor> {
        if (++calls_ == CapturedGraph::callsBefore + callsOfACapture)
            throw std::runtime_error("within the capture");
        return {x + 1};
    });
    for (int i = 0; i < 8; i++)
        EXPECT_EQ(first(replay(given(i))[0]), static_cast<float>(i + 1));
    EXPECT_FALSE(test::capturing());
    EXPECT_EQ(first(given(3) + 1), 4); // the device works on
}

TEST_P(Replays, AFailureIsTheCallers)
{
    const CapturedGraph replay([](const at::Tensor& x) -> std::vector<at::Tensor> {
        if (first(x) > 2)
            throw std::runtime_error("too large");
        return {x + 1};
    });
    for (int i = 0; i < 6; i++)
        if (i > 2)
            EXPECT_THROW(replay(given(i)), std::runtime_error);
        else
            EXPECT_EQ(first(replay(given(i))[0]), static_cast<float>(i + 1));
    EXPECT_EQ(first(replay(given(1))[0]), 2);
}

TEST_P(Replays, ThreadsGetTheirOwn)
{
    const CapturedGraph replay(twicePlusOne_);
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 50; i++)
            {
                const int value = 100 * t + i;
                wrong += first(replay(given(value, 1 + i % 2))[0]) != 2.0F * static_cast<float>(value) + 1;
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(wrong, 0);
}

TEST_P(Replays, GraphsAreCounted)
{
    if (!isFake() || !graphsThere())
        GTEST_SKIP() << "graphs are counted on the fake device, and with LibTorch 2.12 and later";
    const test::Graphs before = test::graphs();
    const CapturedGraph replay(twicePlusOne_);
    for (int i = 0; i < 10; i++)
        replay(given(i));
    EXPECT_EQ(test::graphs().captured - before.captured, 1);
    EXPECT_EQ(test::graphs().replayed - before.replayed, 10 - CapturedGraph::callsBefore); // the third to compare with
}

AGPNET_EACH_DEVICE(Replays);

TEST(CapturedGraph, ComputesOnTheCpuAsItStands)
{
    int calls = 0;
    const CapturedGraph replay([&](const at::Tensor& x) -> std::vector<at::Tensor> {
        calls++;
        return {x + 1};
    });
    for (int i = 0; i < 6; i++)
        EXPECT_EQ(replay(at::full({2, 3}, i))[0][0][0].item<int>(), i + 1);
    EXPECT_EQ(calls, 6);
}

} // namespace
} // namespace agpnet
