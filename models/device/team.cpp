#include "models/device/team.h"

#include "common/error.h"

#include <ATen/Parallel.h>
#include <ATen/ThreadLocalState.h>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <sys/resource.h>
#include <thread>
#include <vector>

// Functions of LibTorch's own OpenMP and MKL, whatever this file is compiled with. Weak: a LibTorch may have neither.
extern "C"
{
    int omp_get_max_threads() __attribute__((weak));
    void omp_set_num_threads(int threads) __attribute__((weak));
    void GOMP_parallel(void (*function)(void*), void* data, unsigned threads, unsigned flags) __attribute__((weak));
    int MKL_Set_Num_Threads_Local(int threads) __attribute__((weak));
}

namespace agpnet
{
namespace
{

thread_local int teamSize = 0; // 0: no scope

struct LibTorchThreads
{
    int openMp, mkl;
};

LibTorchThreads setLibTorchThreads(int threads)
{
    at::get_num_threads(); // in a new thread LibTorch sets them itself at first use; that must not come later
    LibTorchThreads before = {1, 0};
    if (omp_get_max_threads && omp_set_num_threads)
    {
        before.openMp = omp_get_max_threads();
        omp_set_num_threads(threads);
    }
    if (MKL_Set_Num_Threads_Local)
        before.mkl = MKL_Set_Num_Threads_Local(threads);
    return before;
}

void setLibTorchThreads(const LibTorchThreads& threads)
{
    if (omp_set_num_threads)
        omp_set_num_threads(threads.openMp);
    if (MKL_Set_Num_Threads_Local)
        MKL_Set_Num_Threads_Local(threads.mkl);
}

void pause()
{
#ifdef __x86_64__
    __builtin_ia32_pause();
#endif
}

using Clock = std::chrono::steady_clock;

/// Whether other threads want the core that this one runs on. It was interrupted for them more often in the last time than a system's own
/// housekeeping does it.
bool coreIsWanted()
{
    constexpr long often = 12;
    constexpr auto window = std::chrono::milliseconds(100);
    thread_local long atBegin = 0;
    thread_local Clock::time_point begin;
    thread_local bool wanted = false;
    rusage usage = {};
    getrusage(RUSAGE_THREAD, &usage);
    const long interruptions = usage.ru_nivcsw - atBegin;
    if (const Clock::time_point now = Clock::now(); now - begin > window)
    {
        wanted = interruptions >= often;
        atBegin = usage.ru_nivcsw;
        begin = now;
    }
    return wanted || interruptions >= often;
}

/// Waits a little until ready() holds: to fall asleep and be woken takes longer than most waits are, which end when another thread has done
/// its part. Where others want the core, next to nothing.
template <typename Ready>
bool spinUntil(const Ready& ready)
{
    constexpr int looksAtOnce = 16; // between two looks at the clock
    const auto longest = coreIsWanted() ? std::chrono::microseconds(5) : std::chrono::microseconds(300);
    const auto end = Clock::now() + longest;
    do
    {
        for (int i = 0; i < looksAtOnce; i++)
        {
            if (ready())
                return true;
            pause();
        }
    } while (Clock::now() < end);
    return ready();
}

/// One call of forEach().
struct Loop
{
    Loop(int64_t count, void (*with)(const void* task, int64_t i), const void* what) : call(with), task(what), tasks(count) {}

    void (*call)(const void* task, int64_t i);
    const void* task;
    int64_t tasks;
    at::ThreadLocalState state; ///< LibTorch's modes in the calling thread
    std::atomic<int64_t> next{0};
    std::atomic<int> inside{0}; ///< helpers that may still touch the loop; entered and, for the last time, left under the pool's mutex
    int wanted = 0;             ///< helpers that it may still get, under the pool's mutex
    std::mutex mutex;
    std::exception_ptr error;

    bool open() const { return next.load(std::memory_order_relaxed) < tasks; }

    void work()
    {
        for (int64_t i = next.fetch_add(1, std::memory_order_relaxed); i < tasks; i = next.fetch_add(1, std::memory_order_relaxed))
            try
            {
                call(task, i);
            }
            catch (...)
            {
                const std::lock_guard lock(mutex);
                if (!error)
                    error = std::current_exception();
                next = tasks;
            }
    }
};

/// Threads for all callers together; as many as the largest team needs, begun when it first does. They end with the process.
class Pool
{
public:
    static Pool& get()
    {
        static auto* const pool = new Pool; // never destroyed: its threads may outlive what is
        return *pool;
    }

    void run(Loop& loop, int helpers)
    {
        const bool helped = helpers > 0 && publish(loop, helpers);
        loop.work();
        if (!helped)
            return;
        {
            const std::lock_guard lock(mutex_);
            std::erase(loops_, &loop); // nobody enters any more
        }
        const auto left = [&] { return loop.inside.load(std::memory_order_acquire) == 0; };
        if (!spinUntil(left))
        {
            std::unique_lock lock(mutex_);
            finished_.wait(lock, left);
        }
        const std::lock_guard lock(mutex_); // the last one to leave may still hold it
    }

private:
    bool publish(Loop& loop, int helpers)
    {
        {
            const std::lock_guard lock(mutex_);
            while (threads_ < helpers)
                try
                {
                    std::thread([this] { serve(); }).detach();
                    threads_++;
                }
                catch (const std::system_error&) // no more are to be had: the caller does it with those there are
                {
                    break;
                }
            if (threads_ == 0)
                return false;
            loop.wanted = helpers;
            loops_.push_back(&loop);
            published_.fetch_add(1, std::memory_order_release);
        }
        for (int i = 0; i < std::min(helpers, asleep_.load(std::memory_order_relaxed)); i++)
            wake_.notify_one();
        return true;
    }

    /// A loop that wants one more, entered. Under the mutex.
    Loop* enter()
    {
        for (Loop* loop : loops_)
            if (loop->wanted > 0 && loop->open())
            {
                loop->wanted--;
                loop->inside.fetch_add(1, std::memory_order_relaxed);
                return loop;
            }
        return nullptr;
    }

    void serve()
    {
        setLibTorchThreads(1);
        teamSize = 1;
        for (;;)
        {
            Loop* loop = nullptr;
            uint64_t seen = 0;
            {
                std::unique_lock lock(mutex_);
                loop = enter();
                seen = published_.load(std::memory_order_relaxed);
            }
            if (!loop && !spinUntil([&] { return published_.load(std::memory_order_acquire) != seen; }))
            {
                std::unique_lock lock(mutex_);
                asleep_.fetch_add(1, std::memory_order_relaxed);
                wake_.wait(lock, [&] { return (loop = enter()) != nullptr; });
                asleep_.fetch_sub(1, std::memory_order_relaxed);
            }
            if (!loop)
                continue;
            {
                const at::ThreadLocalStateGuard modes(loop->state);
                loop->work();
            }
            const std::lock_guard lock(mutex_);
            if (loop->inside.fetch_sub(1, std::memory_order_release) == 1)
                finished_.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_, finished_;
    std::vector<Loop*> loops_; ///< open, from the oldest
    std::atomic<uint64_t> published_{0};
    std::atomic<int> asleep_{0};
    int threads_ = 0;
};

} // namespace

Team::Scope::Scope(int threads) : previousSize_(teamSize)
{
    if (threads <= 0)
        threads = teamSize > 0 ? teamSize : std::max(1, at::get_num_threads());
    teamSize = threads;
    const LibTorchThreads before = setLibTorchThreads(1);
    openMp_ = before.openMp;
    mkl_ = before.mkl;
}

Team::Scope::~Scope()
{
    teamSize = previousSize_;
    setLibTorchThreads({openMp_, mkl_});
}

int Team::size()
{
    return teamSize > 0 ? teamSize : std::max(1, at::get_num_threads());
}

void Team::run(int64_t tasks, void (*call)(const void* task, int64_t i), const void* task)
{
    if (tasks <= 0)
        return;
    const Scope scope;
    if (teamSize == 1 || tasks == 1)
    {
        for (int64_t i = 0; i < tasks; i++)
            call(task, i);
        return;
    }
    Loop loop(tasks, call, task);
    Pool::get().run(loop, static_cast<int>(std::min<int64_t>(tasks, teamSize)) - 1);
    if (loop.error)
        std::rethrow_exception(loop.error);
}

void requireThreadCount(int threads)
{
    require(threads >= 0 && threads <= Team::most, "threads is {}, expected 0 (as many as LibTorch uses) to {}", threads, Team::most);
}

namespace
{

/// OpenMP's threads belong to the thread that began them, and sleep with it.
struct Sleepers
{
    std::mutex mutex;
    std::condition_variable changed;
    int wanted = 0;
    bool there = false;

    static Sleepers& get()
    {
        static auto* const sleepers = new Sleepers; // never destroyed: its thread may outlive what is
        return *sleepers;
    }

    void serve()
    {
        GOMP_parallel([](void*) {}, nullptr, std::thread::hardware_concurrency() + 1, 0);
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return wanted == 0; });
        there = false;
    }
};

} // namespace

BriefWaiting::BriefWaiting() : needed_(GOMP_parallel && Team::size() > 1)
{
    if (!needed_)
        return;
    Sleepers& sleepers = Sleepers::get();
    const std::lock_guard lock(sleepers.mutex);
    if (sleepers.wanted++ > 0 || sleepers.there)
        return;
    try
    {
        std::thread([&] { sleepers.serve(); }).detach();
        sleepers.there = true;
    }
    catch (const std::system_error&) // no more threads are to be had: then others wait as long as they do
    {
    }
}

BriefWaiting::~BriefWaiting()
{
    if (!needed_)
        return;
    Sleepers& sleepers = Sleepers::get();
    const std::lock_guard lock(sleepers.mutex);
    if (--sleepers.wanted == 0)
        sleepers.changed.notify_all();
}

OpenMpThreads::OpenMpThreads()
{
    const LibTorchThreads before = setLibTorchThreads(Team::size());
    openMp_ = before.openMp;
    mkl_ = before.mkl;
}

OpenMpThreads::~OpenMpThreads()
{
    setLibTorchThreads({openMp_, mkl_});
}

} // namespace agpnet
