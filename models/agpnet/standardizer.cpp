#include "models/agpnet/standardizer.h"

#include "common/error.h"

#include <ATen/ATen.h>
#include <algorithm>

namespace agpnet
{

Standardizer Standardizer::measured(const at::Tensor& tokens, const std::vector<int64_t>& products)
{
    require(products.empty() || static_cast<int64_t>(products.size()) == tokens.size(0), "{} images, but the products of {}",
            tokens.size(0), products.size());
    const int64_t count = products.empty() ? 1 : *std::max_element(products.begin(), products.end()) + 1;
    const at::Tensor owner = products.empty() ? at::zeros({tokens.size(0)}, at::kLong) : at::tensor(products, at::kLong);
    std::vector<at::Tensor> means, deviations;
    for (int64_t product = 0; product < count; product++)
    {
        const at::Tensor own = at::nonzero(owner == product).flatten().to(tokens.device());
        require(own.numel() > 0, "product {} of {} has no image to take the scale of its features from", product + 1, count);
        const at::Tensor flat = tokens.index_select(0, own).to(at::kDouble).flatten(0, 1);
        const at::Tensor mean = flat.mean({0});
        const at::Tensor deviation = (flat - mean).square().mean({0}).sqrt();
        means.push_back(mean.to(at::kFloat));
        // a channel that never changes says nothing, and must not be divided by nothing
        deviations.push_back(deviation.clamp_min(1e-3 * deviation.mean().item<double>() + 1e-12).to(at::kFloat));
    }
    return {at::stack(means), at::stack(deviations)};
}

int64_t Standardizer::products() const
{
    return mean.defined() ? mean.size(0) : 1;
}

Standardizer Standardizer::on(at::Device device) const
{
    return mean.defined() ? Standardizer{mean.to(device), deviation.to(device)} : Standardizer{};
}

at::Tensor Standardizer::product(const at::Tensor& tokens) const
{
    if (products() == 1)
        return at::zeros({tokens.size(0)}, tokens.options().dtype(at::kLong));
    const at::Tensor own = tokens.to(at::kFloat).mean({1}).unsqueeze(1); // [N, 1, C] against [products, C]
    return ((own - mean) / deviation).square().sum({2}).argmin(1);
}

at::Tensor Standardizer::applied(const at::Tensor& tokens, const at::Tensor& product) const
{
    const at::Tensor exact = tokens.to(at::kFloat);
    if (!mean.defined())
        return exact;
    if (products() == 1)
        return (exact - mean) / deviation;
    return (exact - mean.index_select(0, product).unsqueeze(1)) / deviation.index_select(0, product).unsqueeze(1);
}

OnnxValue Standardizer::describe(OnnxWriter& onnx, const OnnxValue& tokens) const
{
    onnx.part("scale");
    if (!mean.defined())
        return tokens;
    if (mean.size(0) == 1)
        return onnx.multiplyConstant(onnx.addConstant(tokens, -mean), 1 / deviation);
    const int64_t length = tokens.shape[1], channels = tokens.shape[2], products = mean.size(0);
    const auto repeated = [&](const OnnxValue& row, int64_t times) { // [1, 1, C] → [1, C, times]
        return onnx.product(onnx.reshape(row, {1, channels, 1}), at::ones({1, times}));
    };
    // which product is the nearest: 1 for it, 0 for the others
    const OnnxValue own = repeated(onnx.reduce("ReduceMean", tokens, {1}), products);
    const OnnxValue apart = onnx.multiplyConstant(onnx.addConstant(own, -mean.t().unsqueeze(0)), (1 / deviation).t().unsqueeze(0));
    const OnnxValue distance = onnx.reduce("ReduceMean", onnx.multiply(apart, apart), {1}); // [1, 1, products]
    const OnnxValue further = onnx.unary("Sign", onnx.subtract(distance, onnx.reduce("ReduceMin", distance, {2})));
    const OnnxValue nearest = onnx.add(onnx.multiply(further, -1), 1);
    const auto chosen = [&](const at::Tensor& values) {
        return onnx.transpose(repeated(onnx.product(nearest, values), length), {0, 2, 1});
    };
    return onnx.multiply(onnx.subtract(tokens, chosen(mean)), chosen(1 / deviation));
}

Standardizer Standardizer::checked(at::Tensor mean, at::Tensor deviation, int64_t channels)
{
    for (at::Tensor* tensor : {&mean, &deviation})
    {
        require(tensor->scalar_type() == at::kFloat && tensor->dim() >= 1 && tensor->dim() <= 2 && tensor->size(-1) == channels &&
                    tensor->numel() > 0,
                "the feature scale has shape [{}], expected [products, {}] of float32", fmt::join(tensor->sizes(), ", "), channels);
        *tensor = tensor->view({-1, channels});
    }
    require(mean.sizes() == deviation.sizes(), "the feature scale has means of {} products and deviations of {}", mean.size(0),
            deviation.size(0));
    require(at::isfinite(mean).all().item<bool>() && at::isfinite(deviation).all().item<bool>() && deviation.min().item<double>() > 0,
            "the feature scale holds values that are not finite, or a deviation that is not above 0");
    return {std::move(mean), std::move(deviation)};
}

} // namespace agpnet
