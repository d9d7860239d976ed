#pragma once

#include <cstddef>
#include <cstdio>

namespace agpnet
{

/// How a C function ends: a code, and a sentence where there is room for one.
inline int answer(int status, const char* text, char* message, size_t size) noexcept
{
    if (message && size > 0)
        std::snprintf(message, size, "%s", text);
    return status;
}

} // namespace agpnet
