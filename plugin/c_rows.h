// Rows of float32 in the caller's memory: descriptors, embeddings; and arrays of texts that name them.
#pragma once

#include "common/error.h"
#include "plugin/c_call.h"

#include <algorithm>
#include <limits>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace agpnet
{

inline int intOf(size_t value, const char* name)
{
    require(value <= static_cast<size_t>(std::numeric_limits<int>::max()), "{} is {}, expected at most {}", name, value,
            std::numeric_limits<int>::max());
    return static_cast<int>(value);
}

/// The caller's rows, not copied. No row is an empty array, which the C++ functions refuse.
inline cv::Mat rowsOf(const float* values, size_t count, size_t width, const char* name)
{
    const int rows = intOf(count, "count"), columns = intOf(width, "width");
    if (rows == 0)
        return cv::Mat();
    requirePointer(values, name);
    require(columns > 0, "width is 0, expected the floats of one of {}", name);
    return cv::Mat(rows, columns, CV_32FC1, const_cast<float*>(values)); // only read
}

/// The same where it is known how wide they must be.
inline cv::Mat rowsOf(const float* values, size_t count, size_t width, int expected, const char* name)
{
    require(width == static_cast<size_t>(expected), "width is {}, expected the {} floats of a descriptor", width, expected);
    return rowsOf(values, count, width, name);
}

/// Is there room for the rows? Asked before they are computed.
inline void requireRoom(const float* to, size_t length, size_t count, int width, const char* name)
{
    requirePointer(to, name);
    const auto columns = static_cast<size_t>(width);
    require(length / columns >= count, "length is {}, expected at least {} rows of {} floats", length, count, columns);
}

inline void giveRows(const cv::Mat& rows, float* to)
{
    for (int row = 0; row < rows.rows; row++)
        std::copy_n(rows.ptr<float>(row), rows.cols, to + static_cast<ptrdiff_t>(row) * rows.cols);
}

inline std::vector<std::string> textsOf(const char* const* texts, size_t count, const char* name)
{
    std::vector<std::string> all;
    for (size_t i = 0; i < count; i++)
    {
        requirePointer(texts, name);
        require(texts[i] != nullptr, "{}[{}] is null", name, i);
        all.emplace_back(texts[i]);
    }
    return all;
}

} // namespace agpnet
