#pragma once

#include <chrono>

namespace agpnet
{

class Stopwatch
{
public:
    double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Adds the time until the end of the scope.
class TimeInto
{
public:
    explicit TimeInto(double& seconds) : seconds_(seconds) {}
    ~TimeInto() { seconds_ += watch_.seconds(); }
    TimeInto(const TimeInto&) = delete;
    TimeInto& operator=(const TimeInto&) = delete;

private:
    double& seconds_;
    Stopwatch watch_;
};

} // namespace agpnet
