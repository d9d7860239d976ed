// What every fuzz target has in common. A reader may answer with an Error and with nothing else, and may ask for no piece of
// memory that is out of proportion to what it was given.
#pragma once

#include "common/error.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fmt/format.h>
#include <stdexcept>
#include <sys/mman.h>
#include <unistd.h>

namespace agpnet::fuzz
{

/// While it lives, an allocation above 4 times the input, and 1 MiB, ends the program with a line that says so.
class AllocationLimit
{
public:
    explicit AllocationLimit(size_t inputBytes);
    ~AllocationLimit();
    AllocationLimit(const AllocationLimit&) = delete;
    AllocationLimit& operator=(const AllocationLimit&) = delete;
};

/// The input as a file without a place on a disk.
class InputFile
{
public:
    InputFile(const uint8_t* data, size_t size) : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC))
    {
        if (descriptor_ < 0 || ::write(descriptor_, data, size) != static_cast<ssize_t>(size))
            throw std::runtime_error("no memory for the input");
        path_ = fmt::format("/proc/self/fd/{}", descriptor_);
    }
    ~InputFile() { ::close(descriptor_); }
    InputFile(const InputFile&) = delete;
    InputFile& operator=(const InputFile&) = delete;

    const std::filesystem::path& path() const { return path_; }

private:
    int descriptor_;
    std::filesystem::path path_;
};

template <typename Read>
int answers(size_t inputBytes, Read&& read)
{
    const AllocationLimit limit(inputBytes);
    try
    {
        read();
    }
    catch (const Error&) // a sentence is an answer; whatever else is thrown ends the program
    {
    }
    return 0;
}

} // namespace agpnet::fuzz
