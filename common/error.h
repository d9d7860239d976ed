// The one error of the inner rooms. Each door turns it into its host's kind: cv::Exception in OpenCV, c10::Error in torch,
// a status code over C, an exit code on the command line.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h> // fmt::join
#include <stdexcept>
#include <string>
#include <utility>

namespace agpnet
{

/// A sentence that names the thing, its value, and what was expected.
class Error : public std::runtime_error
{
public:
    using std::runtime_error::runtime_error;
};

template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args)
{
    throw Error(fmt::format(format, std::forward<Args>(args)...));
}

/// The arguments are formatted only when the condition does not hold.
template <typename... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args)
{
    if (!condition)
        throw Error(fmt::format(format, std::forward<Args>(args)...));
}

} // namespace agpnet
