#include "models/linear.h"

#include "common/cpu.h"

#include <optional>
#include <string_view>

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/silu.h>

namespace agpnet
{
namespace
{

// oneDNN keeps a weight in the layout its matrix multiplication likes, and fuses what follows. These operators are what
// torch.compile emits; they have no C++ declaration and not every LibTorch has them, so they are looked up by name.
using ReorderWeight = at::Tensor(const at::Tensor&, std::optional<c10::SymInt>);
using LinearPointwise = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view,
                                   c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);

struct OneDnn
{
    std::optional<c10::TypedOperatorHandle<ReorderWeight>> reorder;
    std::optional<c10::TypedOperatorHandle<LinearPointwise>> linear;

    OneDnn()
    {
        try
        {
            auto& dispatcher = c10::Dispatcher::singleton();
            const auto reorderSchema = dispatcher.findSchema({"mkldnn::_reorder_linear_weight", ""});
            const auto linearSchema = dispatcher.findSchema({"mkldnn::_linear_pointwise", ""});
            if (!reorderSchema || !linearSchema)
                return;
            reorder = reorderSchema->typed<ReorderWeight>(); // throws where the signature is another
            linear = linearSchema->typed<LinearPointwise>();
        }
        catch (const c10::Error&)
        {
            reorder.reset();
            linear.reset();
        }
    }
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

Linear::Linear(const at::Tensor& weight, const at::Tensor& bias, at::ScalarType type, int64_t packedFor)
    : weight_(weight.detach().to(type).clone()), // never a view into a mapped file, whose pages may have to be read again
      // LibTorch lays no bfloat16 weight out for a CPU without AVX-512
      packed_(packedFor > 0 && weight.is_cpu() && canPack() && (type != at::kBFloat16 || cpuFeatures().avx512))
{
    if (bias.defined())
        bias_ = bias.detach().to(type).clone();
    if (packed_)
        weight_ = oneDnn().reorder->call(weight_, std::optional<c10::SymInt>(std::in_place, packedFor));
}

at::Tensor Linear::operator()(const at::Tensor& input, Then then) const
{
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
