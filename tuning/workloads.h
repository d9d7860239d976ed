// The workloads that a model has of each stage.
#pragma once

#include "halide_generators/runtime/workload.h"

#include <string>
#include <vector>

namespace agpnet::tuning
{

/// Of a model with features [N,C,h,w], `from`, and maps of HxW, `to`.
struct ModelWorkloads
{
    std::string stage;
    std::vector<stages::Workload> (*make)(const std::array<int, 4>& from, const std::array<int, 2>& to);
};

/// In the order of the table of stages.
const std::vector<ModelWorkloads>& modelWorkloads();

/// Of a stage that addStages() added.
void addModelWorkloads(const ModelWorkloads& workloads);

/// All workloads of such a model. A `from` with N = 1 and 1, 3, 4 or 6 channels is an image's instead, and the workload its
/// preparation for HxW. An Error where `to` is 0, 0.
std::vector<stages::Workload> workloadsOf(const std::array<int, 4>& from, const std::array<int, 2>& to);

/// Of the small transformer that is the default, on its input of 252x252.
std::vector<stages::Workload> usualWorkloads();

} // namespace agpnet::tuning
