// The drift check over the last images.
#pragma once

#include "agpnet/anomaly_detector.hpp"

#include <cstddef>
#include <deque>
#include <mutex>

namespace agpnet
{

/// Safe to use from several threads.
class DriftWindow
{
public:
    static constexpr int usual = 32;

    void add(double drift);
    void resize(int pictures); ///< drops the images seen so far
    DriftState state() const;

private:
    mutable std::mutex mutex_;
    std::deque<double> recent_;
    size_t most_ = usual;
};

} // namespace agpnet
