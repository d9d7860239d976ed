// The table of stages: what each is compiled for, what it takes and what it gives. halide_generators/stages.json is where it
// stands.
#pragma once

#include "halide_generators/runtime/compiled_stages.h"
#include "halide_generators/runtime/workload.h"

#include <array>
#include <deque>
#include <string>
#include <vector>

namespace agpnet::stages
{

struct Stage
{
    std::string name;
    std::vector<std::string>
        kinds; ///< metrics of the residual, types of an image's pixels or of rows; none: the stage is compiled for one thing alone
    std::string kindParameter;        ///< the parameter of the generator that takes a kind
    std::vector<std::string> layouts; ///< those with schedules of their own, beside any
    std::vector<std::string> inputs;  ///< shapes, as shapeOf() reads them; "image": a Picture
    std::vector<std::string> outputs;
    std::string hash; ///< of its generator's sources

    bool takesImage() const;
    bool kindIsType() const;                          ///< the kind names the type of an input's values
    bool resizes() const;                             ///< a shape depends on Workload::to
    std::vector<std::string> measuredLayouts() const; ///< layouts that a workload may name
    std::vector<std::string> generatorArguments(const std::string& layout, const std::string& kind) const;
};

/// In the order of the file. References stay valid.
const std::deque<Stage>& stageTable();

/// Null for a name that is no stage's.
const Stage* findStage(const std::string& name);

/// An Error for another name.
const Stage& stageOf(const std::string& name);

std::vector<std::string> stageNames();
std::vector<std::string> kindNames(); ///< of all stages

/// N, C, H, W of an array of a stage, from its shape in the table: "N1hw" of {2,384,18,18}->{252,252} is {2,1,252,252}.
std::array<int, 4> shapeOf(const std::string& shape, const Workload& workload);

/// The type of an array's values, from its shape in the table: "float32" of "N1hw", "int32" of "Nh11:int32", the workload's kind of
/// "wC11:kind" and of "image".
std::string typeOf(const std::string& shape, const Workload& workload);

/// A workload of a stage beside features [N,C,h,w] and images of HxW: an image is prepared to h x w, one channel becomes a map of
/// HxW, the H nearest of W rows are searched for, and what else has two sizes has h x w twice. Of another layout where the stage has none
/// of the name.
Workload workloadOf(const Stage& stage, const std::string& kind, const std::string& layout, const std::array<int, 4>& features,
                    const std::array<int, 2>& image);

/// What a call has to move at least: inputs are read once, outputs are written once.
double bytesMoved(const Workload& workload);

/// Values of the first output.
double resultsOf(const Workload& workload);

/// Adds stages behind those that there are; while no stage runs. An Error where one has the name of another. addStages() of
/// choices.h adds their variants too.
void addToStageTable(std::span<const CompiledStage> stages);

} // namespace agpnet::stages
