// Which compiled pipeline a call takes. In this order: the one that the caller names; one that was measured to be the fastest for such a
// call, on this device or its like; the first of the table that fits.
//
// A choice says what is fast and never what is right: a pipeline is taken only if it is compiled in, runs on this machine and fits the
// call's buffers.
#pragma once

#include "halide_generators/runtime/compiled_stages.h"
#include "halide_generators/runtime/device_identity.h"
#include "halide_generators/runtime/workload.h"
#include "halide_generators/runtime/stages.h"

#include <string>
#include <vector>

namespace agpnet::stages
{

/// What was measured to be the fastest for a workload on a device.
struct Choice
{
    Workload workload;
    DeviceIdentity device;
    std::string variant;
    std::string parameters; ///< as CompiledVariant::parameters
    std::string origin;     ///< where it is from, for people
    double speedup = 1;     ///< over the default, as measured
};

enum class Why
{
    Caller,       ///< the caller named it
    Exact,        ///< measured on this device with this shape
    Nearest,      ///< measured on this device with a shape near it
    Architecture, ///< measured on another device of this architecture
    Default       ///< nothing that was measured applies
};

const char* nameOf(Why why);

struct Pick
{
    const CompiledVariant* row = nullptr; ///< null: nothing fits
    Why why = Why::Default;
    const Choice* choice = nullptr; ///< what decided; null for Caller and Default
};

bool runsHere(const CompiledVariant& row, int cudaDevice);
bool fits(const CompiledVariant& row, const Workload& workload);

/// Every variant that is compiled in, in the order in which they are tried.
const std::vector<const CompiledVariant*>& allVariants();

/// Stages that another library compiled with agpnet_compile_stages(), behind those that there are; while no stage runs. An Error where one
/// has the name of another. The tables have to outlive all calls.
void addStages(std::span<const CompiledStage> stages, std::span<const CompiledVariant> variants);

/// A schedule that was compiled after this program was, for a program that measures such; while no stage runs. It has to outlive all calls.
void addVariant(const CompiledVariant& variant);

/// The first compiled pipeline for the workload with that name, or with any name if it is empty, that fits and runs here.
const CompiledVariant* firstVariant(Api api, const Workload& workload, const std::string& name, int cudaDevice = 0);

/// The policy alone, without the table of choices or any device: of `choices` the best that applies, else the default.
Pick pick(const std::vector<Choice>& choices, const Workload& workload, const DeviceIdentity& device, int cudaDevice = 0);

/// A compiled pipeline is what the choice names, with the same parameters, and fits the workload.
bool compiledIn(const Choice& choice);

/// Replaces what stages consult, but for choices that are not compiled in. Takes effect with the next call of a stage, in any thread.
void setChoices(std::vector<Choice> choices);

/// Called once, before the first call of a stage that needs choices, unless setChoices() was called by then. Must not throw.
void setChoicesLoader(void (*load)());

/// What setChoices() left in.
std::vector<Choice> currentChoices();

/// The workloads of the calls so far that looked for a schedule, on devices of this api.
std::vector<Workload> seenWorkloads(Api api);

/// What a call of the workload on the device would take.
struct Decision
{
    std::string variant, parameters, origin;
    Why why = Why::Default;
    double speedup = 1; ///< as it was measured for what decided
};
Decision decide(const Device& device, const Workload& workload);

/// For a stage: as decide(), remembered.
const CompiledVariant& chosenVariant(const Device& device, const Workload& workload);

} // namespace agpnet::stages
