#pragma once

#include "halide_generators/stages.h"

#include <ATen/ops/from_blob.h>

namespace agpnet
{

/// A host view as a tensor; no copy.
inline at::Tensor tensorOf(const stages::View& view)
{
    return at::from_blob(view.data, {view.size[0], view.size[1], view.size[2], view.size[3]},
                         {view.stride[0], view.stride[1], view.stride[2], view.stride[3]}, at::kFloat);
}

/// The operators around the LibTorch model take host memory.
void requireHost(const char* name, const stages::Device& device);

} // namespace agpnet
