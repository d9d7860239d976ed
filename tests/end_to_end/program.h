// Running a program as a user does.
#pragma once

#include <cstdio>
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

} // namespace agpnet::test
