// How every function of agpnet/c_api.h runs: exceptions become codes and messages.
#pragma once

#include "agpnet/plugin.h"
#include "common/error.h"
#include "plugin/c_answer.h"

#include <exception>
#include <new>
#include <opencv2/core.hpp>

namespace agpnet
{

inline int statusOf(ErrorKind kind) noexcept
{
    switch (kind)
    {
    case ErrorKind::File: return AGPNET_E_FILE;
    case ErrorKind::Device: return AGPNET_E_DEVICE;
    case ErrorKind::State: return AGPNET_E_STATE;
    default: return AGPNET_E_ARGUMENT;
    }
}

/// The way back of operators/core/opencv_exceptions.h.
inline int statusOf(const cv::Exception& error) noexcept
{
    switch (error.code)
    {
    case cv::Error::StsBadArg: return AGPNET_E_ARGUMENT;
    case cv::Error::StsParseError: return AGPNET_E_FILE;
    case cv::Error::GpuApiCallError: return AGPNET_E_DEVICE;
    case cv::Error::StsError: return AGPNET_E_STATE;
    case cv::Error::StsNoMem: return AGPNET_E_MEMORY;
    default: return AGPNET_E_FAILED;
    }
}

/// Runs it; what it throws becomes a code and a message.
template <typename Function>
int called(char* message, size_t size, Function function) noexcept
{
    if (!message && size > 0)
        return AGPNET_E_ARGUMENT;
    try
    {
        function();
        return answer(AGPNET_OK, "", message, size);
    }
    catch (const cv::Exception& error) // its what() has OpenCV's own file and line
    {
        return answer(statusOf(error), error.err.c_str(), message, size);
    }
    catch (const Error& error)
    {
        return answer(statusOf(error.kind()), error.what(), message, size);
    }
    catch (const std::bad_alloc&)
    {
        return answer(AGPNET_E_MEMORY, "not enough memory", message, size);
    }
    catch (const std::exception& error)
    {
        return answer(AGPNET_E_FAILED, error.what(), message, size);
    }
    catch (...)
    {
        return answer(AGPNET_E_FAILED, "an exception of an unknown type", message, size);
    }
}

inline void requirePointer(const void* pointer, const char* name)
{
    require(pointer != nullptr, "{} is null", name);
}

/// The text, or another one in place of null.
inline const char* textOr(const char* text, const char* other) noexcept
{
    return text ? text : other;
}

/// Creates what a handle points to: null in case of an error.
template <typename Handle, typename Function>
int created(Handle** handle, const char* name, char* message, size_t size, Function function) noexcept
{
    if (handle)
        *handle = nullptr;
    return called(message, size, [&] {
        requirePointer(handle, name);
        *handle = new Handle(function());
    });
}

} // namespace agpnet
