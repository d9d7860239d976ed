// What each stage is checked and measured with, one line a stage: a call of it on the memory of a workload, and what the plain
// reference makes of the same values.
#pragma once

#include "halide_generators/reference/reference.h"
#include "halide_generators/runtime/workload.h"

#include <string>
#include <vector>

namespace reference
{

/// The arrays of one call, in the order of the table of stages.
struct CallMemory
{
    std::vector<agpnet::stages::View> inputs, outputs;
    agpnet::stages::Picture image; ///< in place of inputs, where the stage takes one
};

/// What is in them.
struct CallValues
{
    std::vector<Array> inputs;
    std::vector<double> image; ///< 0 to 1, in the image's own order of channels
};

struct StageCheck
{
    std::string stage;

    void (*call)(const agpnet::stages::Device& device, const agpnet::stages::Workload& workload, const CallMemory& memory);

    /// What the first output should be.
    Array (*expected)(const agpnet::stages::Workload& workload, const CallValues& values);

    /// What the other outputs should be, from the first one as it was found, so that they are checked apart from its rounding.
    /// Null: there are none.
    std::vector<std::vector<double>> (*derived)(const Array& first);
};

/// In the order of the table of stages.
const std::vector<StageCheck>& stageChecks();

/// An Error for a stage that has none.
const StageCheck& checkOf(const std::string& stage);

/// Of a stage that addStages() added; while none is used.
void addStageCheck(const StageCheck& check);

} // namespace reference
