#include "models/training/adamw.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <optional>
#include <torch/csrc/autograd/grad_mode.h>

namespace agpnet
{

AdamW::AdamW(const NamedTensors& parameters) : AdamW(parameters, {}, {}, 0) {}

AdamW::AdamW(const NamedTensors& parameters, std::vector<at::Tensor> first, std::vector<at::Tensor> second, int64_t steps)
    : first_(std::move(first)), second_(std::move(second))
{
    const bool fresh = first_.empty();
    for (const auto& [name, tensor] : parameters)
    {
        at::Tensor parameter = tensor;
        parameters_.push_back(parameter.requires_grad_(true));
        steps_.push_back(at::full({}, static_cast<double>(steps), tensor.options().dtype(at::kFloat).requires_grad(false)));
        if (fresh)
        {
            first_.push_back(at::zeros_like(tensor.detach()));
            second_.push_back(at::zeros_like(tensor.detach()));
        }
    }
}

void AdamW::step(double learningRate, double weightDecay, double clip)
{
    at::NoGradGuard noGradient;
    std::vector<at::Tensor> gradients;
    for (const at::Tensor& parameter : parameters_)
        gradients.push_back(parameter.grad());
    const double norm = at::stack(at::_foreach_norm(gradients, 2)).norm().item<double>();
    std::optional<at::Tensor> tooLongBy; // what the kernel divides gradients by, in its one pass over them
    if (norm > clip)
        tooLongBy = at::full({}, norm / clip, gradients.front().options());
    at::_foreach_add_(steps_, 1);
    constexpr double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
    at::_fused_adamw_(parameters_, gradients, first_, second_, {}, steps_, learningRate, beta1, beta2, weightDecay, epsilon, false, false,
                      tooLongBy);
    for (at::Tensor& parameter : parameters_)
        parameter.mutable_grad() = at::Tensor();
}

} // namespace agpnet
