// The compiled pipelines, as CMake writes them from variants.json and the presets.
#pragma once

#include <cstddef>

namespace agpnet::stages
{

struct CompiledVariant
{
    const char* stage;
    const char* api;
    const char* name;
    const char* target; // a Halide target
    const char* layout; // tokens, planar or any
    const char* kind;   // the residual's metric, the type of the picture to prepare; else empty
    int multiple;       // the channels must be a multiple of it
    const char* parameters; // the generator's, "key=value" by the alphabet with spaces between
    int (*run)(void** arguments);
};

extern const CompiledVariant variantTable[];
extern const size_t variantCount;

/// What the schedules were made by. A stage's hash is the SHA-256 of its generator's sources.
struct SourceHash
{
    const char* stage;
    const char* hash;
};

extern const SourceHash sourceHashes[];
extern const size_t sourceHashCount;
extern const char* const halideVersion;

} // namespace agpnet::stages
