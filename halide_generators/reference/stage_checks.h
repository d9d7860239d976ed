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
    agpnet::stages::Rows rows;     ///< in place of the input whose type the kind names
};

/// What is in them.
struct CallValues
{
    std::vector<Array> inputs;
    std::vector<double> image; ///< 0 to 1, in the image's own order of channels
    Array rows;
};

struct StageCheck
{
    std::string stage;

    void (*call)(const agpnet::stages::Device& device, const agpnet::stages::Workload& workload, const CallMemory& memory);

    /// What the first output should be.
    Array (*expected)(const agpnet::stages::Workload& workload, const CallValues& values);

    /// What the other outputs should be, from all as they were found, so that they are checked apart from the first one's rounding.
    /// Null: there are none.
    std::vector<std::vector<double>> (*derived)(const agpnet::stages::Workload& workload, const CallValues& values,
                                                const std::vector<Array>& found);
};

/// In the order of the table of stages.
const std::vector<StageCheck>& stageChecks();

/// An Error for a stage that has none.
const StageCheck& checkOf(const std::string& stage);

/// Of a stage that addStages() added; while none is used.
void addStageCheck(const StageCheck& check);

} // namespace reference
