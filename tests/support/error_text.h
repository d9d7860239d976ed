// The message of the exception that a test expects.
#pragma once

#include "common/error.h"

#include <string>

namespace agpnet::test
{

/// The message of the Exception that the function throws; "no error" if it throws none. An exception of another type goes on and fails the
/// test.
template <typename Exception = Error, typename Function>
std::string errorOf(Function&& function)
{
    try
    {
        function();
    }
    catch (const Exception& error)
    {
        if constexpr (requires { error.err; }) // cv::Exception, whose what() adds file and line
            return error.err;
        else if constexpr (requires { error.what_without_backtrace(); }) // c10::Error
            return error.what_without_backtrace();
        else
            return error.what();
    }
    return "no error";
}

} // namespace agpnet::test
