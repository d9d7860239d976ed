// The one error of the inner rooms. Each adapter converts it to its host's kind: cv::Exception in OpenCV, c10::Error in torch,
// a status code in C, an exit code on the command line.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h> // fmt::join
#include <stdexcept>
#include <string>
#include <utility>

namespace agpnet
{

/// What was wrong, so that a host can tell the cases apart: cv::Error::StsBadArg, StsParseError, GpuApiCallError, StsError in OpenCV.
enum class ErrorKind
{
    Argument, ///< a value that the caller gave
    File,     ///< what a file holds, or that it cannot be read or written
    Device,   ///< what the device lacks
    State     ///< the call itself: too early, too late, in the wrong process
};

/// A message that names the thing, its value, and what was expected.
class Error : public std::runtime_error
{
public:
    explicit Error(const std::string& message, ErrorKind kind = ErrorKind::Argument) : std::runtime_error(message), kind_(kind) {}
    ErrorKind kind() const { return kind_; }

private:
    ErrorKind kind_;
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

/// Runs the function; its errors about arguments are of this kind: what is a value to a reader is a file to its caller.
template <typename Function>
auto withErrorsOf(ErrorKind kind, Function function) -> decltype(function())
{
    try
    {
        return function();
    }
    catch (const Error& error)
    {
        throw Error(error.what(), error.kind() == ErrorKind::Argument ? kind : error.kind());
    }
}

} // namespace agpnet
