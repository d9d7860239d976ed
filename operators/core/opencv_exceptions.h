// Whatever goes wrong inside leaves as cv::Exception, with a code that tells argument, file, device and state apart.
#pragma once

#include "common/error.h"

#include <c10/util/Exception.h>
#include <new>
#include <opencv2/core.hpp>
#include <string>

namespace agpnet
{

/// One message in place of an allocator's own: with the bytes that it could not have, where it says them.
[[noreturn]] inline void outOfMemory(const std::string& text)
{
    const size_t end = text.find(" bytes"), start = end == std::string::npos ? end : text.find_last_not_of("0123456789", end - 1);
    const std::string bytes = start == std::string::npos || start + 1 == end ? "" : text.substr(start + 1, end - start - 1);
    CV_Error(cv::Error::StsNoMem, bytes.empty() ? "not enough memory" : "not enough memory: " + bytes + " bytes were wanted at once");
}

inline int codeOf(ErrorKind kind)
{
    switch (kind)
    {
    case ErrorKind::File: return cv::Error::StsParseError;
    case ErrorKind::Device: return cv::Error::GpuApiCallError;
    case ErrorKind::State: return cv::Error::StsError;
    default: return cv::Error::StsBadArg;
    }
}

template <typename Function>
auto guarded(Function function) -> decltype(function())
{
    try
    {
        return function();
    }
    catch (const cv::Exception& error)
    {
        if (error.code == cv::Error::StsNoMem)
            outOfMemory(error.err);
        throw;
    }
    catch (const Error& error)
    {
        CV_Error(codeOf(error.kind()), error.what());
    }
    catch (const c10::Error& error)
    {
        const std::string text = error.what_without_backtrace();
        if (text.find("not enough memory") != std::string::npos || text.find("can't allocate memory") != std::string::npos)
            outOfMemory(text);
        CV_Error(cv::Error::StsInternal, text);
    }
    catch (const std::bad_alloc&)
    {
        outOfMemory("");
    }
    catch (const std::exception& error)
    {
        CV_Error(cv::Error::StsInternal, error.what());
    }
}

} // namespace agpnet
