// Threads of this library's own for the loops of an inspection. Those of OpenMP, which LibTorch uses, wait for each other by spinning, for
// some milliseconds at every loop: beside other programs they take the cores from the very thread they wait for. These wait a few
// microseconds, then sleep.
#pragma once

#include <cstdint>

namespace agpnet
{

class Team
{
public:
    /// While it lives, forEach() of this thread uses up to `threads` threads, and what LibTorch computes in this thread stays in it,
    /// because OpenMP's number of threads, which each thread has for itself, is 1. Within another one it takes that one's number if
    /// `threads` is 0.
    class Scope
    {
    public:
        /// @param threads  0: as many as LibTorch would use in this thread (OMP_NUM_THREADS, at::set_num_threads(), the CPUs it may run on)
        explicit Scope(int threads = 0);
        ~Scope();
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;

    private:
        int previousSize_, openMp_, mkl_;
    };

    /// Number of threads that forEach() uses in this thread.
    static int size();

    static constexpr int most = 256;

    /// Calls task(i) for every i from 0 to `tasks` - 1, each once, in any order, on this thread and on others that are free. Returns when
    /// all have returned; throws the first exception that one of them threw, after which no further ones begin. May be called from several
    /// threads at once, and from within a task. A task finds LibTorch as in a Scope.
    template <typename Task>
    static void forEach(int64_t tasks, const Task& task)
    {
        run(tasks, [](const void* what, int64_t i) { (*static_cast<const Task*>(what))(i); }, &task);
    }

private:
    static void run(int64_t tasks, void (*call)(const void* task, int64_t i), const void* task);
};

/// Refuses a number of threads that a Scope would not take.
void requireThreadCount(int threads);

/// While it lives, OpenMP's threads in this process fall asleep a few microseconds after they have nothing to do, instead of after some
/// milliseconds. For what LibTorch alone can divide: training, and convolutional networks. GNU's OpenMP, which LibTorch has, waits so
/// briefly when it manages more threads than there are CPUs: this keeps as many threads asleep. Nothing where LibTorch would use one
/// thread; others, and what the environment says of waiting, are left as they are.
class BriefWaiting
{
public:
    BriefWaiting();
    ~BriefWaiting();
    BriefWaiting(const BriefWaiting&) = delete;
    BriefWaiting& operator=(const BriefWaiting&) = delete;

private:
    bool needed_;
};

/// The contrary of a Scope, within one: what LibTorch computes uses as many of OpenMP's threads as the scope has. For networks whose layers
/// only LibTorch can divide.
class OpenMpThreads
{
public:
    OpenMpThreads();
    ~OpenMpThreads();
    OpenMpThreads(const OpenMpThreads&) = delete;
    OpenMpThreads& operator=(const OpenMpThreads&) = delete;

private:
    int openMp_, mkl_;
};

} // namespace agpnet
