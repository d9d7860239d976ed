// The C++ door of OpenCV: whatever goes wrong inside leaves as cv::Exception.
#pragma once

#include "common/error.h"

#include <c10/util/Exception.h>
#include <new>
#include <opencv2/core.hpp>

namespace agpnet
{

template <typename Function>
auto guarded(Function function) -> decltype(function())
{
    try
    {
        return function();
    }
    catch (const cv::Exception&)
    {
        throw;
    }
    catch (const Error& error)
    {
        CV_Error(cv::Error::StsBadArg, error.what());
    }
    catch (const c10::Error& error)
    {
        CV_Error(cv::Error::StsInternal, error.what_without_backtrace());
    }
    catch (const std::bad_alloc&)
    {
        CV_Error(cv::Error::StsNoMem, "not enough memory");
    }
    catch (const std::exception& error)
    {
        CV_Error(cv::Error::StsInternal, error.what());
    }
}

} // namespace agpnet
