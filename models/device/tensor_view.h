#pragma once

#include "common/error.h"
#include "halide_generators/runtime/stages.h"

#include <ATen/core/Tensor.h>

namespace agpnet
{

/// A float32 [N, C, H, W] tensor as the stages see it; any strides, no copy.
inline stages::View viewOf(const at::Tensor& tensor)
{
    require(tensor.dim() == 4 && tensor.scalar_type() == at::kFloat, "a stage takes float32 tensors of 4 dimensions, found {} of {}",
            c10::toString(tensor.scalar_type()), tensor.dim());
    stages::View view{};
    view.data = tensor.mutable_data_ptr();
    for (size_t i = 0; i < 4; i++)
    {
        view.size[i] = static_cast<int>(tensor.size(static_cast<int64_t>(i)));
        view.stride[i] = tensor.stride(static_cast<int64_t>(i));
    }
    return view;
}

} // namespace agpnet
