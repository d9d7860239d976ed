#include "tests/faults/fault_layer.h"

#include <atomic>
#include <bitset>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

namespace
{

enum class What
{
    Nothing,
    Error,
    Short,
    KillBefore,
    KillAfter
};

char call[16] = "";
long nth = 0;
What what = What::Nothing;
int number = 0; // errno
std::atomic<long> seen = 0;
std::bitset<4096> written; // descriptors of files that are being written beside their targets

bool isOurs(int descriptor)
{
    return descriptor >= 0 && static_cast<size_t>(descriptor) < written.size() && written[static_cast<size_t>(descriptor)];
}

/// Whether this call is the one. Kills where it must be before.
bool comes(const char* name, bool writes)
{
    if (what == What::Nothing || (std::strcmp(call, name) != 0 && !(writes && std::strcmp(call, "any") == 0)))
        return false;
    if (++seen != nth)
        return false;
    if (what == What::KillBefore)
        ::raise(SIGKILL);
    return true;
}

/// For a call whose only fault is an errno.
template <typename Result, typename Real>
Result through(const char* name, bool writes, Result failed, Real real)
{
    const bool now = comes(name, writes);
    if (now && what == What::Error)
    {
        errno = number;
        return failed;
    }
    const Result result = real();
    if (now && what == What::KillAfter)
        ::raise(SIGKILL);
    return result;
}

template <typename Function>
Function* real(Function*, const char* name)
{
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

const bool fromEnvironment = []
{
    if (const char* text = std::getenv("AGPNET_FAULT"))
        agpnet::test::setFault(text);
    return true;
}();

} // namespace

namespace agpnet::test
{

void setFault(const char* text)
{
    char kind[16] = "";
    if (std::sscanf(text, "%15s %ld %15s", call, &nth, kind) != 3)
        std::abort();
    seen = 0;
    number = std::atoi(kind);
    what = std::strcmp(kind, "short") == 0         ? What::Short
           : std::strcmp(kind, "kill-before") == 0 ? What::KillBefore
           : std::strcmp(kind, "kill-after") == 0  ? What::KillAfter
                                                   : What::Error;
}

long clearFault()
{
    what = What::Nothing;
    return seen;
}

} // namespace agpnet::test

// for the libraries that are loaded, too
#pragma GCC visibility push(default)
extern "C"
{
    int mkostemp(char* path, int flags)
    {
        static auto* const next = real(&mkostemp, "mkostemp");
        const int descriptor = through("mkostemp", true, -1, [&] { return next(path, flags); });
        if (descriptor >= 0 && static_cast<size_t>(descriptor) < written.size())
            written[static_cast<size_t>(descriptor)] = true;
        return descriptor;
    }

    ssize_t write(int descriptor, const void* data, size_t bytes)
    {
        static auto* const next = real(&write, "write");
        if (!isOurs(descriptor))
            return next(descriptor, data, bytes);
        const bool now = comes("write", true);
        if (now && what == What::Error)
        {
            errno = number;
            return number == 0 ? 0 : -1;
        }
        const ssize_t result = next(descriptor, data, now && what == What::Short ? (bytes + 1) / 2 : bytes);
        if (now && what == What::KillAfter)
            ::raise(SIGKILL);
        return result;
    }

    int fsync(int descriptor)
    {
        static auto* const next = real(&fsync, "fsync");
        return isOurs(descriptor) ? through("fsync", true, -1, [&] { return next(descriptor); }) : next(descriptor);
    }

    int rename(const char* from, const char* to) noexcept
    {
        static auto* const next = real(&rename, "rename");
        return through("rename", true, -1, [&] { return next(from, to); });
    }

    int close(int descriptor)
    {
        static auto* const next = real(&close, "close");
        if (!isOurs(descriptor))
            return next(descriptor);
        written[static_cast<size_t>(descriptor)] = false;
        return through("close", true, -1, [&] { return next(descriptor); });
    }

    int open(const char* path, int flags, ...)
    {
        static auto* const next = real(&open, "open");
        std::va_list list;
        va_start(list, flags);
        const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
        va_end(list);
        return through("open", false, -1, [&] { return next(path, flags, mode); });
    }

    int fstat(int descriptor, struct stat* status) noexcept
    {
        static auto* const next = real(&fstat, "fstat");
        return through("fstat", false, -1, [&] { return next(descriptor, status); });
    }

    void* mmap(void* address, size_t bytes, int protection, int flags, int descriptor, off_t offset) noexcept
    {
        static auto* const next = real(&mmap, "mmap");
        return through("mmap", false, MAP_FAILED, [&] { return next(address, bytes, protection, flags, descriptor, offset); });
    }

    int clock_gettime(clockid_t clock, struct timespec* now) noexcept
    {
        static auto* const next = real(&clock_gettime, "clock_gettime");
        const int result = next(clock, now);
        if (clock == CLOCK_REALTIME && what != What::Nothing && std::strcmp(call, "clock") == 0 && ++seen >= nth)
            now->tv_sec += (seen % 2 ? -2 : 2) * time_t{365 * 24 * 3600};
        return result;
    }

    ssize_t read(int descriptor, void* data, size_t bytes)
    {
        static auto* const next = real(&read, "read");
        const bool now = comes("read", false);
        if (now && what == What::Error)
        {
            errno = number;
            return number == 0 ? 0 : -1;
        }
        return next(descriptor, data, bytes);
    }
}
#pragma GCC visibility pop
