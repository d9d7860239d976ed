// Random numbers that depend on nothing but what they are for, the same with every standard library.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace agpnet
{

/// Another state for each value. (SplitMix64's finaliser.)
inline uint64_t mixed(uint64_t state, uint64_t value)
{
    state += value + 0x9E3779B97F4A7C15ull;
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9ull;
    state = (state ^ state >> 27) * 0x94D049BB133111EBull;
    return state ^ state >> 31;
}

class CounterRandom
{
public:
    explicit CounterRandom(uint64_t state) : state_(state) {}
    double uniform(double low, double high) { return low + (high - low) * std::ldexp(static_cast<double>(next() >> 11), -53); }
    int below(int count) { return static_cast<int>(next() % static_cast<uint64_t>(count)); }

    /// 0 .. count-1 in a random order.
    std::vector<size_t> permutation(size_t count)
    {
        std::vector<size_t> order(count);
        std::iota(order.begin(), order.end(), size_t{0});
        for (size_t i = count; i > 1; i--)
            std::swap(order[i - 1], order[next() % i]);
        return order;
    }

private:
    uint64_t next() { return state_ = mixed(state_, 1); }
    uint64_t state_;
};

} // namespace agpnet
