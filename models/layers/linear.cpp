#include "models/layers/linear.h"

#include "common/cpu.h"

#include <optional>
#include <string_view>

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros.h>

namespace agpnet
{
namespace
{

// oneDNN keeps a weight in the layout its matrix multiplication likes, and fuses what follows. These operators are what
// torch.compile emits; they have no C++ declaration and not every LibTorch has them, so they are looked up by name.
using ReorderWeight = at::Tensor(const at::Tensor&, std::optional<c10::SymInt>);
using LinearPointwise = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view,
                                   c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);

using PrepackQuantised = at::Tensor(at::Tensor, std::optional<c10::List<int64_t>>);
using LinearQuantised = at::Tensor(at::Tensor, double, int64_t, at::Tensor, at::Tensor, at::Tensor, std::optional<at::Tensor>, double,
                                   int64_t, std::optional<at::ScalarType>, std::string_view, c10::List<std::optional<at::Scalar>>,
                                   std::string_view);

template <typename Signature>
std::optional<c10::TypedOperatorHandle<Signature>> operatorNamed(const char* name)
{
    try
    {
        const auto schema = c10::Dispatcher::singleton().findSchema({name, ""});
        if (schema)
            return schema->typed<Signature>(); // throws where the signature is another
    }
    catch (const c10::Error&)
    {
    }
    return std::nullopt;
}

struct OneDnn
{
    std::optional<c10::TypedOperatorHandle<ReorderWeight>> reorder = operatorNamed<ReorderWeight>("mkldnn::_reorder_linear_weight");
    std::optional<c10::TypedOperatorHandle<LinearPointwise>> linear = operatorNamed<LinearPointwise>("mkldnn::_linear_pointwise");
    std::optional<c10::TypedOperatorHandle<PrepackQuantised>> prepackQuantised = operatorNamed<PrepackQuantised>("onednn::qlinear_prepack");
    std::optional<c10::TypedOperatorHandle<LinearQuantised>> linearQuantised = operatorNamed<LinearQuantised>("onednn::qlinear_pointwise");
};

const OneDnn& oneDnn()
{
    static const OneDnn instance;
    return instance;
}

} // namespace

bool Linear::canPack()
{
    return oneDnn().reorder && oneDnn().linear;
}

bool Linear::canQuantise()
{
    return cpuFeatures().vnni() && oneDnn().prepackQuantised && oneDnn().linearQuantised;
}

Linear::Linear(const at::Tensor& weight, const at::Tensor& bias, Quantisation input, std::optional<Quantisation> output, int64_t packedFor)
    : bias_(bias), packed_(canQuantise()), bytes_(Bytes{input, output, {}, {}})
{
    const QuantisedWeight quantised = quantisedWeight(weight);
    bytes_->scale = quantised.scale;
    bytes_->zero = at::zeros({weight.size(0)}, at::kLong);
    if (!packed_)
    {
        weight_ = quantised.bytes.to(at::kFloat).mul_(bytes_->scale.unsqueeze(1));
        return;
    }
    weight_ = oneDnn().prepackQuantised->call(
        quantised.bytes, packedFor > 0 ? std::optional(c10::List<int64_t>({packedFor, weight.size(1)})) : std::nullopt);
}

Linear::Linear(const at::Tensor& weight, const at::Tensor& bias, at::ScalarType type, int64_t packedFor)
    : // LibTorch lays no bfloat16 weight out for a CPU without AVX-512
      packed_(packedFor > 0 && weight.is_cpu() && canPack() && (type != at::kBFloat16 || cpuFeatures().avx512))
{
    if (bias.defined())
        bias_ = bias.detach().to(type).clone();
    // never a view into a mapped file, whose pages may have to be read again
    weight_ = packed_ ? oneDnn().reorder->call(weight.detach().to(type).contiguous(), std::optional<c10::SymInt>(std::in_place, packedFor))
                      : weight.detach().to(type).clone();
}

at::Tensor Linear::operator()(const at::Tensor& input, Then then) const
{
    if (bytes_ && !packed_)
    {
        at::Tensor result = at::linear(input.to(at::kFloat).sub_(bytes_->input.zero).mul_(bytes_->input.scale), weight_, bias_);
        result = then == Then::Gelu ? at::gelu(result) : then == Then::Silu ? at::silu(result) : result;
        if (!bytes_->output)
            return result;
        return result.div_(bytes_->output->scale).round_().add_(bytes_->output->zero).clamp_(0, 255).to(at::kByte);
    }
    if (bytes_)
    {
        const bool gelu = then == Then::Gelu;
        const Quantisation output = bytes_->output.value_or(Quantisation{});
        return oneDnn().linearQuantised->call(input, bytes_->input.scale, bytes_->input.zero, weight_, bytes_->scale, bytes_->zero, bias_,
                                              output.scale, output.zero, bytes_->output ? at::kByte : at::kFloat,
                                              gelu                 ? "gelu"
                                              : then == Then::Silu ? "swish"
                                                                   : "none",
                                              c10::List<std::optional<at::Scalar>>(), gelu ? "none" : "");
    }
    const std::optional<at::Tensor> bias = bias_.defined() ? std::optional<at::Tensor>(bias_) : std::nullopt;
    if (packed_)
    {
        const bool gelu = then == Then::Gelu;
        return oneDnn().linear->call(input, weight_, bias, gelu ? "gelu" : then == Then::Silu ? "swish" : "none",
                                     c10::List<std::optional<at::Scalar>>(),
                                     gelu ? std::optional<std::string_view>("none") : std::nullopt);
    }
    at::Tensor result = at::linear(input, weight_, bias);
    return then == Then::Gelu ? at::gelu(result) : then == Then::Silu ? at::silu(result) : result;
}

} // namespace agpnet
