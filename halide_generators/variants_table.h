// The compiled pipelines, as CMake writes them from variants.json.
#pragma once

#include <cstddef>

namespace agpnet::stages
{

struct VariantRow
{
    const char* stage;
    const char* api;
    const char* name;
    const char* target; // a Halide target
    const char* layout; // tokens, planar or any
    const char* kind;   // the residual's metric, the type of the picture to prepare; else empty
    int multiple;       // the channels must be a multiple of it
    int (*run)(void** arguments);
};

extern const VariantRow variantTable[];
extern const size_t variantCount;

} // namespace agpnet::stages
