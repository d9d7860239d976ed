#include "halide_generators/reference/stage_checks.h"

#include "common/error.h"

#include <algorithm>
#include <set>

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

std::vector<std::vector<double>> scoresOfMap(const Workload&, const CallValues&, const std::vector<Array>& found)
{
    Scores of = scores(found[0]);
    return {std::move(of.maximum), std::move(of.top1)};
}

void callNearest(const Device& device, const Workload&, const CallMemory& memory)
{
    agpnet::stages::nearest(device, memory.inputs[0], memory.rows, memory.inputs[1], memory.outputs[0], memory.outputs[1]);
}

Array expectSimilarities(const Workload& workload, const CallValues& values)
{
    return nearest(values.inputs[0], values.rows, values.inputs[1], workload.to[0]).similarities;
}

/// Rows whose similarities differ by less than float32 shows may change places; each may be there once.
std::vector<std::vector<double>> rowsFound(const Workload& workload, const CallValues& values, const std::vector<Array>& found)
{
    const int k = workload.to[0];
    const Array right = nearest(values.inputs[0], values.rows, values.inputs[1], k).rows;
    std::vector<double> expected;
    for (int query = 0; query < right.n; query++)
    {
        const std::vector<double> all = similaritiesOf(values.inputs[0], query, values.rows, values.inputs[1]);
        std::set<int> seen;
        for (int i = 0; i < k; i++)
        {
            const int row = static_cast<int>(found[1].at(query, i, 0, 0));
            const double stated = found[0].at(query, i, 0, 0);
            const bool possible = row >= 0 && row < values.rows.n && seen.insert(row).second &&
                                  std::fabs(all[static_cast<size_t>(row)] - stated) <= 1e-5 * std::max(1.0, std::fabs(stated));
            expected.push_back(possible ? row : right.at(query, i, 0, 0));
        }
    }
    return {expected};
}

std::vector<StageCheck>& table()
{
    static std::vector<StageCheck> checks = {
        {"prepare", callPrepare, expectPrepared, nullptr},
        {"perturb", callPerturb, expectPerturbed, nullptr},
        {"residual", callResidual, expectResidual, nullptr},
        {"heatmap", callHeatmap, expectMap, scoresOfMap},
        {"nearest", callNearest, expectSimilarities, rowsFound},
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
