// What options that are numbers may be.
#pragma once

#include "common/error.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>

namespace agpnet::app
{

/// "" or why the text is no finite number for which `holds`.
template <typename Holds>
std::string numberProblem(const std::string& text, const char* expected, Holds holds)
{
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    const bool whole = !text.empty() && *end == '\0';
    return whole && std::isfinite(number) && holds(number) ? "" : "'" + text + "', expected " + expected;
}

inline CLI::Validator positiveNumber()
{
    return {[](std::string& text) { return numberProblem(text, "a number above 0", [](double number) { return number > 0; }); },
            "POSITIVE"};
}

inline CLI::Validator nonNegativeNumber()
{
    return {[](std::string& text) { return numberProblem(text, "a number of at least 0", [](double number) { return number >= 0; }); },
            "NONNEGATIVE"};
}

/// 0 to 2^64 - 1: what does not fit is refused and not bent to what does.
inline CLI::Validator seedNumber()
{
    return {[](std::string& text) {
                uint64_t number = 0;
                const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
                return error == std::errc() && end == text.data() + text.size()
                           ? std::string()
                           : "'" + text + "', expected a whole number from 0 to 18446744073709551615";
            },
            "NONNEGATIVE"};
}

/// Comparisons let NaN pass: every option of the program that is a number is to be a finite one.
inline void requireFiniteNumbers(CLI::App& app)
{
    for (CLI::App* command : app.get_subcommands({}))
        for (CLI::Option* option : command->get_options())
            if (option->get_type_name().find("FLOAT") != std::string::npos)
                option->check(
                    CLI::Validator([](std::string& text) { return numberProblem(text, "a number", [](double) { return true; }); }, ""));
}

/// "252" or "252x504" (height x width)
inline std::pair<int, int> parseSize(const std::string& text)
{
    int height = 0, width = 0;
    const char* const end = text.data() + text.size();
    std::from_chars_result found = std::from_chars(text.data(), end, height);
    if (found.ec == std::errc() && found.ptr == end)
        width = height;
    else if (found.ec == std::errc() && *found.ptr == 'x')
        found = std::from_chars(found.ptr + 1, end, width);
    require(found.ec == std::errc() && found.ptr == end && height > 0 && width > 0,
            "--size is '{}', expected HEIGHTxWIDTH, for instance 252x252", text);
    return {height, width};
}

} // namespace agpnet::app
