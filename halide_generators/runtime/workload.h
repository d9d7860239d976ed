// A call of a stage as it is measured: which one, on what shapes.
#pragma once

#include "halide_generators/runtime/stages.h"

#include <array>
#include <string>

namespace agpnet::stages
{

/// cpu, opencl or cuda; an Error for another.
Api apiOf(const std::string& name);
const char* nameOf(Api api);

/// A call, as far as the speed of a schedule depends on it.
struct Workload
{
    std::string stage;
    std::string kind;           ///< of the stage (stages.json): the residual's metric, the type of an image or of rows; else empty
    std::string layout = "any"; ///< how the buffers lie: tokens, planar or any
    std::array<int, 4> from{};  ///< N, C, H, W of x, f, the residual, the picture, the queries
    std::array<int, 2> to{};    ///< H, W of the attention (perturb), the map, the prepared picture; nearest: how many of how many rows;
                                ///< 0, 0 for the residual

    bool operator==(const Workload&) const = default;
};

/// "1x384x18x18", "1x1x18x18->252x252"
std::string shapeText(const Workload& workload);

/// How far apart two shapes of the same stage, kind and layout are: the sum of |log2| of the ratios of their sides.
double distance(const Workload& a, const Workload& b);

/// A shape that is further away than this says nothing about another.
inline constexpr double farthest = 4;

} // namespace agpnet::stages
