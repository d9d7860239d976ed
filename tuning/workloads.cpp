#include "tuning/workloads.h"

#include "common/error.h"

namespace agpnet::tuning
{

std::vector<stages::Workload> workloadsOf(const std::array<int, 4>& from, const std::array<int, 2>& to)
{
    const auto [n, c, h, w] = from;
    require(to[0] > 0 && to[1] > 0, "the shape {}x{}x{}x{} does not say to what: expected NxCxHxW->HxW", n, c, h, w);
    if (n == 1 && (c == 1 || c == 3 || c == 4 || c == 6))
        return {{"prepare", "uint8", "any", from, to}};
    return {{"prepare", "uint8", "any", {1, 3, 480, 640}, to},
            {"perturb", "", "tokens", from, {h, w}},
            {"perturb", "", "planar", {n, 3, to[0], to[1]}, {h, w}},
            {"residual", "scaled", "tokens", from, {}},
            {"residual", "cosine", "tokens", from, {}},
            {"residual", "l2", "tokens", from, {}},
            {"heatmap", "", "any", {n, 1, h, w}, to}};
}

std::vector<stages::Workload> usualWorkloads()
{
    return workloadsOf({1, 384, 18, 18}, {252, 252});
}

} // namespace agpnet::tuning
