// A small network with random weights, and what its reference implementation makes of an image.
#pragma once

#include "models/weights/safetensors.h"
#include "models/weights/state_dict.h"
#include "support.h"

#include <ATen/TensorOperators.h>

namespace agpnet::test
{

struct Fixture
{
    StateDict weights;
    StateDict expected;
};

inline Fixture load(const std::string& name)
{
    Fixture result;
    for (const auto& [key, tensor] : readSafetensors(fixture(name + ".safetensors")).tensors)
        if (key.starts_with("weights/"))
            result.weights[key.substr(8)] = tensor;
        else
            result.expected[key] = tensor;
    return result;
}

inline double largest(const at::Tensor& a, const at::Tensor& b)
{
    return (a - b).abs().max().item<double>();
}

inline double relative(const at::Tensor& a, const at::Tensor& b)
{
    return ((a.to(at::kFloat) - b).norm() / b.norm()).item<double>();
}

} // namespace agpnet::test
