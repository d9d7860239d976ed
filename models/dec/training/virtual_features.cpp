#include "models/dec/training/virtual_features.h"

#include "common/error.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <cmath>
#include <string_view>

namespace agpnet::dec
{

VirtualFeatures::VirtualFeatures(int64_t bridgeWidth, int64_t width, double scale, uint64_t seed)
{
    at::Generator generator = at::detail::createCPUGenerator(seed);
    const auto uniform = [&](at::IntArrayRef shape, int64_t inputs) {
        const double bound = 1 / std::sqrt(static_cast<double>(inputs));
        return at::empty(shape, at::kFloat).uniform_(-bound, bound, generator);
    };
    parameters_ = {{"psi1.weight", uniform({width, bridgeWidth}, bridgeWidth)},
                   {"psi1.bias", uniform({width}, bridgeWidth)},
                   {"psi2.weight", uniform({width, width}, width)},
                   {"psi2.bias", uniform({width}, width)},
                   {"epsilon", at::full({}, scale, at::kFloat)},
                   {"alpha", at::full({}, 0.5, at::kFloat)},
                   {"beta", at::full({}, 0.5, at::kFloat)}};
}

const at::Tensor& VirtualFeatures::get(const char* name) const
{
    for (const auto& [known, tensor] : parameters_)
        if (known == name)
            return tensor;
    fail("virtual features have no tensor '{}'", name);
}

at::Tensor VirtualFeatures::operator()(const at::Tensor& features, const at::Tensor& bridge, const at::Tensor& difference) const
{
    const at::Tensor step = at::layer_norm(difference, {difference.size(-1)}).unsqueeze(1);
    const at::Tensor shifted = bridge + get("epsilon") * step;
    const at::Tensor hidden = at::linear(shifted, get("psi1.weight"), get("psi1.bias")).relu();
    return get("alpha") * at::linear(hidden, get("psi2.weight"), get("psi2.bias")) + get("beta") * features;
}

} // namespace agpnet::dec
