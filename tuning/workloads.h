// The workloads that a model's stages are.
#pragma once

#include "halide_generators/runtime/workload.h"

#include <string>
#include <vector>

namespace agpnet::tuning
{

/// Of features [N,C,h,w] and maps of HxW: noise on features and on pictures, the distance, the heat map, and the preparation of a picture
/// of 640x480. Of a shape of 1, 3, 4 or 6 channels and N = 1, which is a picture's: its preparation for HxW. An Error where `to` is 0, 0.
std::vector<stages::Workload> workloadsOf(const std::array<int, 4>& from, const std::array<int, 2>& to);

/// Of the small transformer that is the default, on its input of 252x252.
std::vector<stages::Workload> usualWorkloads();

} // namespace agpnet::tuning
