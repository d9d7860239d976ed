// Running a program as a user does.
#pragma once

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <sys/wait.h>

namespace agpnet::test
{

struct Outcome
{
    int code;
    std::string text; ///< stdout and stderr
};

inline Outcome run(const std::string& command)
{
    std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
    std::string text;
    char buffer[4096];
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
        text.append(buffer, n);
    const int status = ::pclose(pipe);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text};
}

inline std::string shellQuoted(const std::string& text)
{
    return "'" + text + "'";
}

/// The first object of many, a line each.
inline nlohmann::json firstLine(const std::string& text)
{
    return nlohmann::json::parse(text.substr(0, text.find('\n')));
}

} // namespace agpnet::test
