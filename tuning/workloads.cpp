#include "tuning/workloads.h"

#include "common/error.h"
#include "halide_generators/runtime/stage_table.h"

namespace agpnet::tuning
{

using stages::Workload;

namespace
{

/// Of a camera's image.
std::vector<Workload> prepareWorkloads(const std::array<int, 4>&, const std::array<int, 2>& to)
{
    return {{"prepare", "uint8", "any", {1, 3, 480, 640}, to}};
}

/// Noise on features and on images.
std::vector<Workload> perturbWorkloads(const std::array<int, 4>& from, const std::array<int, 2>& to)
{
    const auto& [n, c, h, w] = from;
    return {{"perturb", "", "tokens", from, {h, w}}, {"perturb", "", "planar", {n, 3, to[0], to[1]}, {h, w}}};
}

/// The metrics of a map and of a score come first.
std::vector<Workload> residualWorkloads(const std::array<int, 4>& from, const std::array<int, 2>&)
{
    std::vector<Workload> workloads;
    for (const stages::Metric metric : {stages::Metric::Scaled, stages::Metric::Cosine, stages::Metric::L2})
        workloads.push_back({"residual", stages::nameOf(metric), "tokens", from, {}});
    return workloads;
}

std::vector<Workload> heatmapWorkloads(const std::array<int, 4>& from, const std::array<int, 2>& to)
{
    return {{"heatmap", "", "any", {from[0], 1, from[2], from[3]}, to}};
}

/// One image and a batch, in a gallery that does not fit the nearest caches.
std::vector<Workload> nearestWorkloads(const std::array<int, 4>& from, const std::array<int, 2>&)
{
    std::vector<Workload> workloads;
    for (const stages::RowType type : {stages::RowType::Float32, stages::RowType::Int8})
        for (const int queries : {1, 32})
            workloads.push_back({"nearest", stages::nameOf(type), "any", {queries, from[1], 1, 1}, {10, 10000}});
    return workloads;
}

std::vector<ModelWorkloads>& table()
{
    static std::vector<ModelWorkloads> all = {
        {"prepare", prepareWorkloads}, {"perturb", perturbWorkloads}, {"residual", residualWorkloads},
        {"heatmap", heatmapWorkloads}, {"nearest", nearestWorkloads},
    };
    return all;
}

} // namespace

const std::vector<ModelWorkloads>& modelWorkloads()
{
    return table();
}

void addModelWorkloads(const ModelWorkloads& workloads)
{
    table().push_back(workloads);
}

std::vector<Workload> workloadsOf(const std::array<int, 4>& from, const std::array<int, 2>& to)
{
    const auto [n, c, h, w] = from;
    require(to[0] > 0 && to[1] > 0, "the shape {}x{}x{}x{} does not say to what: expected NxCxHxW->HxW", n, c, h, w);
    std::vector<Workload> workloads;
    if (n == 1 && (c == 1 || c == 3 || c == 4 || c == 6))
    {
        for (const stages::Stage& stage : stages::stageTable())
            if (stage.takesImage())
                workloads.push_back({stage.name, stage.kinds.front(), "any", from, to});
        return workloads;
    }
    for (const ModelWorkloads& of : modelWorkloads())
        for (Workload& workload : of.make(from, to))
            workloads.push_back(std::move(workload));
    return workloads;
}

std::vector<Workload> usualWorkloads()
{
    return workloadsOf({1, 384, 18, 18}, {252, 252});
}

} // namespace agpnet::tuning
