// Says what CPU it sees. With "signals" as its argument also whether the program's own signals are still its own.
#include "common/cpu.h"

#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <pthread.h>
#include <thread>

#ifdef __x86_64__
#include <cpuid.h>
#endif

namespace
{

sigjmp_buf back; // NOLINT

void jump(int /*signal*/)
{
    siglongjmp(back, 1);
}

unsigned cpuid7()
{
    unsigned a = 0, b = 0, c = 0, d = 0;
#ifdef __x86_64__
    __get_cpuid_count(7, 0, &a, &b, &c, &d);
#endif
    return b;
}

/// A handler of our own, all signals blocked, and a fault that is really one.
bool signalsWork()
{
    struct sigaction own = {}, found = {};
    own.sa_handler = jump;
    sigemptyset(&own.sa_mask);
    sigaction(SIGSEGV, &own, nullptr);
    sigaction(SIGSEGV, nullptr, &found);
    bool works = found.sa_handler == jump;
    const unsigned before = cpuid7();
    std::thread([&] {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, nullptr);
        works = works && cpuid7() == before;
    }).join();
    volatile int* volatile nowhere = nullptr;
    if (sigsetjmp(back, 1) == 0)
    {
        *nowhere = 1; // NOLINT
        works = false;
    }
    return works && cpuid7() == before;
}

} // namespace

int main(int argc, char** argv)
{
    const agpnet::CpuFeatures& has = agpnet::cpuFeatures();
    std::printf("%d%d%d%d%d%d %s\n", has.avx2, has.avxVnni, has.avx512, has.avx512Vnni, has.avx512Bf16, has.amx,
                agpnet::levelOf(has).c_str());
    if (argc > 1 && std::strcmp(argv[1], "signals") == 0)
        return signalsWork() ? 0 : 1;
    return 0;
}
