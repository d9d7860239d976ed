// What the arithmetic of PTX computes, a whole warp at once.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>

namespace ptx
{

inline constexpr int lanes = 32;

/// One bit a lane.
using Mask = uint32_t;

/// A register of a warp. What has 64 bits lies in two halves, so that what has 32 lies side by side; a predicate is 0 or 1.
struct Register
{
    alignas(64) uint32_t low[lanes];
    uint32_t high[lanes];

    uint64_t whole(int lane) const { return uint64_t{high[lane]} << 32 | low[lane]; }
};

/// registers[to] = operation(registers[from[0]], ...) in the lanes of the mask.
using Compute = void (*)(Register* registers, int to, const int* from, Mask mask);

struct Operation
{
    Compute compute;
    int operands;
};

/// By opcode: those that Halide makes of the schedules.
const std::map<std::string_view, Operation>& operations();

} // namespace ptx
