// The stages and their compiled variants, as CMake writes them from stages.json, variants.json and the presets.
#pragma once

#include <span>

namespace agpnet::stages
{

/// A line of stages.json, which says what each is. Lists have spaces between.
struct CompiledStage
{
    const char* name;
    const char* kinds;
    const char* kindParameter;
    const char* layouts;
    const char* inputs;
    const char* outputs;
    const char* hash; // the SHA-256 of its generator's sources
};

struct CompiledVariant
{
    const char* stage;
    const char* api;
    const char* name;
    const char* target;     // a Halide target
    const char* layout;     // one of the stage's, or any
    const char* kind;       // one of the stage's; empty where it has none
    int multiple;           // the channels must be a multiple of it
    const char* parameters; // the generator's, "key=value" by the alphabet with spaces between
    int (*run)(void** arguments);
};

extern const std::span<const CompiledStage> compiledStages;
extern const std::span<const CompiledVariant> compiledVariants;
extern const char* const halideVersion; // that compiled them

} // namespace agpnet::stages
