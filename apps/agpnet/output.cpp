#include "apps/agpnet/output.h"

#include "common/error.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace agpnet::app
{

void flushOutput()
{
    errno = 0;
    const bool flushed = std::fflush(stdout) == 0;
    if (flushed && !std::ferror(stdout))
        return;
    const int reason = errno; // 0 where an earlier write failed
    std::clearerr(stdout);    // told once
    fail("standard output: cannot be written: {}", reason ? std::strerror(reason) : "an earlier write failed");
}

} // namespace agpnet::app
