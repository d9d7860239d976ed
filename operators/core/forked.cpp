#include "operators/core/forked.h"

#include "common/error.h"

#include <ATen/Parallel.h>
#include <atomic>
#include <pthread.h>

namespace agpnet
{
namespace
{

std::atomic<uint64_t> forks = 0;

} // namespace

void requireThreads()
{
    return withErrorsOf(ErrorKind::State, [&] {
        [[maybe_unused]] static const int watched = ::pthread_atfork(nullptr, nullptr, [] { forks++; });
        require(forks == 0 || at::get_num_threads() == 1, // OpenCV's pool does without those that are missing, OpenMP's does not
                "this process was forked from one that had computed with AGPNet, whose threads it does not have; expected a process that "
                "was started by itself "
                "(in Python: multiprocessing's 'spawn') or forked before the first use, or OMP_NUM_THREADS=1");
    });
}

uint64_t forksSoFar()
{
    return forks;
}

} // namespace agpnet
