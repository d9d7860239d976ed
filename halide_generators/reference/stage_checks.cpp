#include "halide_generators/reference/stage_checks.h"

#include "common/error.h"

#include <algorithm>

namespace reference
{

using namespace agpnet::stages;

namespace
{

constexpr double sigma = 4; // of a heat map's blur, as operators have it by default

void callPrepare(const Device& device, const Workload&, const CallMemory& memory)
{
    agpnet::stages::prepare(device, memory.image, memory.outputs[0]);
}

Array expectPrepared(const Workload& workload, const CallValues& values)
{
    const auto& [n, channels, rows, columns] = workload.from;
    return prepare(values.image, rows, columns, channels, workload.to[0], workload.to[1]);
}

void callPerturb(const Device& device, const Workload&, const CallMemory& memory)
{
    agpnet::stages::perturb(device, memory.inputs[0], memory.inputs[1], {}, memory.outputs[0]);
}

Array expectPerturbed(const Workload&, const CallValues& values)
{
    return perturb(values.inputs[0], values.inputs[1], {});
}

void callResidual(const Device& device, const Workload& workload, const CallMemory& memory)
{
    agpnet::stages::residual(device, memory.inputs[0], memory.inputs[1], metricOf(workload.kind), memory.outputs[0]);
}

Array expectResidual(const Workload& workload, const CallValues& values)
{
    return residual(values.inputs[0], values.inputs[1], metricOf(workload.kind));
}

void callHeatmap(const Device& device, const Workload&, const CallMemory& memory)
{
    agpnet::stages::heatmap(device, memory.inputs[0], sigma, memory.outputs[0], memory.outputs[1], memory.outputs[2]);
}

Array expectMap(const Workload& workload, const CallValues& values)
{
    return blur(resize(values.inputs[0], workload.to[0], workload.to[1]), sigma);
}

std::vector<std::vector<double>> scoresOfMap(const Array& map)
{
    Scores found = scores(map);
    return {std::move(found.maximum), std::move(found.top1)};
}

std::vector<StageCheck>& table()
{
    static std::vector<StageCheck> checks = {
        {"prepare", callPrepare, expectPrepared, nullptr},
        {"perturb", callPerturb, expectPerturbed, nullptr},
        {"residual", callResidual, expectResidual, nullptr},
        {"heatmap", callHeatmap, expectMap, scoresOfMap},
    };
    return checks;
}

} // namespace

const std::vector<StageCheck>& stageChecks()
{
    return table();
}

const StageCheck& checkOf(const std::string& stage)
{
    const auto found =
        std::find_if(table().begin(), table().end(), [&](const StageCheck& check) { return check.stage == stage; });
    agpnet::require(found != table().end(), "the stage '{}' has no line in halide_generators/reference/stage_checks.cpp", stage);
    return *found;
}

void addStageCheck(const StageCheck& check)
{
    table().push_back(check);
}

} // namespace reference
