// Progress on stderr: one line that renews itself on a terminal, a plain line now and then elsewhere.
#pragma once

#include <chrono>
#include <string>

namespace agpnet::app
{

class Progress
{
public:
    /// `unit` in the plural, for instance "images". `quiet` says nothing at all.
    Progress(std::string what, std::string unit, int total, int done = 0, bool quiet = false);
    ~Progress(); ///< leaves the line, if one is open

    void setTotal(int total) { total_ = total; }
    void update(int done, const std::string& note = std::string());

private:
    std::string what_, unit_;
    int total_, begun_;
    bool terminal_, quiet_, open_ = false;
    std::chrono::steady_clock::time_point start_, shown_;
};

/// "47 s", "3 min 20 s", "1 h 05 min"
std::string durationText(double seconds);

} // namespace agpnet::app
