#include "apps/cli/output.h"

#include "common/error.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

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

void requireWritable(const std::filesystem::path& target)
{
    namespace fs = std::filesystem;
    const fs::path folder = target.has_parent_path() ? target.parent_path() : ".";
    std::error_code ignored;
    require(fs::is_directory(folder, ignored), "{}: the folder {} does not exist", target.string(), folder.string());
    const fs::file_status there = fs::status(target, ignored);
    require(!fs::is_directory(there), "{}: is a folder, expected the name of a file to write", target.string());
    require(!fs::exists(there) || fs::is_regular_file(there), "{}: is a device, a pipe or a socket, expected the name of a file to write",
            target.string());
    const fs::path probe = target.string() + ".part-probe";
    const bool written = std::ofstream(probe).put(' ').flush().good();
    fs::remove(probe, ignored);
    require(written, "{}: cannot be written in {}", target.string(), folder.string());
}

} // namespace agpnet::app
