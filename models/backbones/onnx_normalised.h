// normalised() as nodes of an ONNX graph.
#pragma once

#include "models/backbones/backbone.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

namespace agpnet
{

/// image: [1, 3, H, W], 0 to 1 → what the backbone expects.
inline OnnxValue describeNormalised(OnnxWriter& onnx, const BackboneProperties& backbone, const OnnxValue& image)
{
    const auto perChannel = [](const std::array<double, 3>& values) {
        return at::tensor(at::ArrayRef<double>(values)).view({1, 3, 1, 1});
    };
    const at::Tensor deviation = perChannel(backbone.std);
    onnx.part("normalise");
    return onnx.addConstant(onnx.multiplyConstant(image, 1 / deviation), -perChannel(backbone.mean) / deviation);
}

} // namespace agpnet
