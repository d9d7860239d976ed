#include "models/device/team.h"
#include "support.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <atomic>
#include <c10/core/InferenceMode.h>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace agpnet::test
{
namespace
{

/// Tasks, threads.
class TeamShapes : public ::testing::TestWithParam<std::tuple<int64_t, int>>
{
};

TEST_P(TeamShapes, DoesEachTaskOnce)
{
    const auto [tasks, threads] = GetParam();
    const Team::Scope scope(threads);
    EXPECT_EQ(Team::size(), threads);
    for (int round = 0; round < 20; round++)
    {
        std::vector<std::atomic<int>> done(static_cast<size_t>(tasks));
        Team::forEach(tasks, [&](int64_t i) { done[static_cast<size_t>(i)]++; });
        for (const std::atomic<int>& count : done)
            ASSERT_EQ(count, 1);
    }
}

INSTANTIATE_TEST_SUITE_P(Threads, TeamShapes, ::testing::Combine(::testing::Values(0, 1, 2, 3, 64, 1000), ::testing::Values(1, 2, 3, 8)));

TEST(Team, UsesOtherThreadsButNoMoreThanItMay)
{
    const Team::Scope scope(3);
    std::mutex mutex;
    std::set<std::thread::id> seen;
    Team::forEach(64, [&](int64_t) {
        {
            const std::lock_guard lock(mutex);
            seen.insert(std::this_thread::get_id());
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    });
    EXPECT_TRUE(seen.contains(std::this_thread::get_id()));
    EXPECT_GE(seen.size(), 2U);
    EXPECT_LE(seen.size(), 3U);
}

TEST(Team, LibTorchStaysInItsThreadAndIsLeftAsItWas)
{
    const int before = at::get_num_threads();
    {
        const Team::Scope scope(2);
        EXPECT_EQ(at::get_num_threads(), 1);
        std::atomic<int> most = 0;
        Team::forEach(8, [&](int64_t) { most = std::max<int>(most, at::get_num_threads()); });
        EXPECT_EQ(most, 1);
        {
            const OpenMpThreads all;
            EXPECT_EQ(at::get_num_threads(), 2);
        }
        EXPECT_EQ(at::get_num_threads(), 1);
    }
    EXPECT_EQ(at::get_num_threads(), before);
    std::atomic<int> inside = 0;
    Team::forEach(4, [&](int64_t) { inside = at::get_num_threads(); });
    EXPECT_EQ(inside, 1);
    EXPECT_EQ(at::get_num_threads(), before);
}

TEST(Team, TasksHaveTheCallersModes)
{
    const Team::Scope scope(4);
    const c10::InferenceMode inference;
    std::atomic<int> without = 0;
    Team::forEach(64, [&](int64_t) { without += c10::InferenceMode::is_enabled() ? 0 : 1; });
    EXPECT_EQ(without, 0);
}

TEST(Team, ThrowsWhatATaskThrew)
{
    for (const int threads : {1, 4})
    {
        const Team::Scope scope(threads);
        std::atomic<int> begun = 0;
        EXPECT_THROW(Team::forEach(10'000,
                                   [&](int64_t i) {
                                       begun++;
                                       if (i == 5)
                                           throw std::out_of_range("five");
                                   }),
                     std::out_of_range);
        EXPECT_LT(begun, 10'000);
        std::atomic<int> after = 0;
        Team::forEach(10, [&](int64_t) { after++; }); // it goes on
        EXPECT_EQ(after, 10);
    }
}

TEST(Team, MayBeCalledByManyAndFromWithin)
{
    std::atomic<int> done = 0;
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 4; caller++)
        callers.emplace_back([&] {
            const Team::Scope scope(3);
            for (int round = 0; round < 20; round++)
                Team::forEach(5, [&](int64_t) { Team::forEach(5, [&](int64_t) { done++; }); });
        });
    for (std::thread& caller : callers)
        caller.join();
    EXPECT_EQ(done, 4 * 20 * 25);
}

TEST(Team, AnInnerScopeTakesTheOuterOnesNumber)
{
    const Team::Scope outer(5);
    {
        const Team::Scope inner;
        EXPECT_EQ(Team::size(), 5);
        const Team::Scope alone(1);
        EXPECT_EQ(Team::size(), 1);
    }
    EXPECT_EQ(Team::size(), 5);
}

TEST(BriefWaiting, ComesAndGoes)
{
    for (int round = 0; round < 3; round++)
    {
        const BriefWaiting outer;
        const BriefWaiting inner;
        EXPECT_TRUE(at::matmul(at::ones({200, 200}), at::ones({200, 200})).equal(at::full({200, 200}, 200.0)));
    }
}

} // namespace
} // namespace agpnet::test
