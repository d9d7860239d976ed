#include "models/dec/adapter.h"

#include "common/error.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <algorithm>
#include <cmath>

namespace agpnet::dec
{
namespace
{

constexpr int64_t chunk = 3; // views of a convolution, and chunks of a pooling window
constexpr int blocks = 2;

/// Uniform in ± 1 / sqrt(inputs), as LibTorch's own layers begin.
at::Tensor uniform(at::IntArrayRef shape, int64_t inputs, at::Generator& generator)
{
    const double bound = 1 / std::sqrt(static_cast<double>(inputs));
    return at::empty(shape, at::kFloat).uniform_(-bound, bound, generator);
}

/// [B, M, D] → the next multiple of `chunk` views, from the start of the ring again.
at::Tensor filledFromStart(const at::Tensor& views)
{
    const int64_t count = views.size(1), missing = (chunk - count % chunk) % chunk;
    if (missing == 0)
        return views;
    std::vector<int64_t> order;
    for (int64_t i = 0; i < count + missing; i++)
        order.push_back(i % count);
    return views.index_select(1, at::tensor(order, at::TensorOptions(at::kLong).device(views.device())));
}

/// One linear map of each chunk: [B, 3 n, D] → [B, n, D]. weight: [D, 3 D], tap after tap.
at::Tensor convolved(const at::Tensor& views, const at::Tensor& weight, const at::Tensor& bias)
{
    return at::linear(views.reshape({views.size(0), views.size(1) / chunk, chunk * views.size(2)}), weight, bias);
}

/// Averages over windows of three, the last as long as there are.
at::Tensor pooled(const at::Tensor& chunks)
{
    return at::avg_pool1d(chunks.transpose(1, 2), {chunk}, {chunk}, {0}, true, false).transpose(1, 2);
}

std::string named(const char* part, int block)
{
    return fmt::format("block{}.{}", block + 1, part);
}

} // namespace

Adapter::Adapter(AdapterKind kind, int64_t width, double lambda, uint64_t seed) : kind_(kind), width_(width), lambda_(lambda)
{
    at::Generator generator = at::detail::createCPUGenerator(seed);
    const int64_t inputs = chunk * width;
    if (kind == AdapterKind::Mlp)
        for (int i = 0; i < 3; i++)
        {
            parameters_.emplace_back(fmt::format("layer{}.weight", i + 1), uniform({width, width}, width, generator));
            parameters_.emplace_back(fmt::format("layer{}.bias", i + 1), uniform({width}, width, generator));
        }
    for (int i = 0; i < blocks && ordered(); i++)
    {
        const bool fromMean = kind == AdapterKind::CamFromMean;
        parameters_.emplace_back(named("weight", i), fromMean ? at::eye(width).repeat({1, chunk}) / static_cast<double>(chunk)
                                                              : uniform({width, inputs}, inputs, generator));
        parameters_.emplace_back(named("bias", i), fromMean ? at::zeros({width}) : uniform({width}, inputs, generator));
        if (fromMean)
            continue;
        parameters_.emplace_back(named("norm.weight", i), at::ones({width}));
        parameters_.emplace_back(named("norm.bias", i), at::zeros({width}));
        statistics_.emplace_back(named("norm.mean", i), at::zeros({width}));
        statistics_.emplace_back(named("norm.variance", i), at::ones({width}));
    }
}

Adapter::Adapter(AdapterKind kind, int64_t width, double lambda, const NamedTensors& learned) : Adapter(kind, width, lambda, 0)
{
    size_t taken = 0;
    for (NamedTensors* own : {&parameters_, &statistics_})
        for (auto& [name, tensor] : *own)
        {
            const auto found =
                std::find_if(learned.begin(), learned.end(), [&own = name](const auto& entry) { return entry.first == own; });
            require(found != learned.end(), "the adapter's tensor '{}' is missing", name);
            require(found->second.scalar_type() == at::kFloat && found->second.sizes() == tensor.sizes(),
                    "the adapter's tensor '{}' is {} of shape [{}], expected float32 [{}]", name, toString(found->second.scalar_type()),
                    fmt::join(found->second.sizes(), ", "), fmt::join(tensor.sizes(), ", "));
            require(at::isfinite(found->second).all().item<bool>(), "the adapter's tensor '{}' has values that are not finite", name);
            tensor = found->second.clone();
            taken++;
        }
    require(taken == learned.size(), "the adapter has {} tensors, expected the {} of '{}'", learned.size(), taken, textOf(kind));
}

const at::Tensor& Adapter::get(const std::string& name) const
{
    for (const NamedTensors* own : {&parameters_, &statistics_})
        for (const auto& [known, tensor] : *own)
            if (known == name)
                return tensor;
    fail("the adapter has no tensor '{}'", name);
}

NamedTensors Adapter::state() const
{
    NamedTensors all = parameters_;
    all.insert(all.end(), statistics_.begin(), statistics_.end());
    return all;
}

at::Tensor Adapter::chunks(const at::Tensor& views, bool training) const
{
    constexpr double keep = 0.1, eps = 1e-5;
    at::Tensor x = views;
    for (int i = 0; i < blocks; i++)
    {
        x = convolved(filledFromStart(x), get(named("weight", i)), get(named("bias", i)));
        x = at::batch_norm(x.transpose(1, 2), get(named("norm.weight", i)), get(named("norm.bias", i)), get(named("norm.mean", i)),
                           get(named("norm.variance", i)), training, keep, eps, false)
                .relu()
                .transpose(1, 2);
        x = pooled(x);
    }
    return x.mean(1);
}

at::Tensor Adapter::chunksFromMean(const at::Tensor& views) const
{
    at::Tensor x = views;
    std::vector<float> weights(static_cast<size_t>(views.size(1)), 1.F); // views that each place stands for
    // Fills up to whole chunks with places of no weight, and scales the others so that the plain mean of a chunk is the weighted one.
    const auto weighted = [&] {
        const int64_t missing = (chunk - x.size(1) % chunk) % chunk;
        weights.resize(weights.size() + static_cast<size_t>(missing), 0.F);
        std::vector<float> sums, scales;
        for (size_t i = 0; i < weights.size(); i += chunk)
        {
            sums.push_back(weights[i] + weights[i + 1] + weights[i + 2]);
            for (size_t j = i; j < i + chunk; j++)
                scales.push_back(static_cast<float>(chunk) * weights[j] / sums.back());
        }
        weights = sums;
        const at::Tensor scale = at::tensor(scales, at::TensorOptions(at::kFloat).device(x.device())).view({1, -1, 1});
        x = (missing > 0 ? at::constant_pad_nd(x, {0, 0, 0, missing}) : x) * scale;
    };
    for (int i = 0; i < blocks; i++)
    {
        weighted();
        x = convolved(x, get(named("weight", i)), get(named("bias", i)));
        weighted();
        x = x.reshape({x.size(0), x.size(1) / chunk, chunk, width_}).mean(2);
    }
    const at::Tensor share = at::tensor(weights, at::TensorOptions(at::kFloat).device(x.device()));
    return (x * (share / share.sum()).view({1, -1, 1})).sum(1);
}

at::Tensor Adapter::ofMeans(const at::Tensor& means) const
{
    return (*this)(means.unsqueeze(1).expand({means.size(0), ordered() ? chunk * chunk : 1, means.size(1)}));
}

at::Tensor Adapter::operator()(const at::Tensor& views, bool training) const
{
    require(views.dim() == 3 && views.size(1) > 0 && views.size(2) == width_, "the views have shape [{}], expected [objects, views, {}]",
            fmt::join(views.sizes(), ", "), width_);
    const at::Tensor mean = views.mean(1);
    switch (kind_)
    {
    case AdapterKind::Mean:
        return mean;
    case AdapterKind::Mlp:
    {
        const at::Tensor first = at::linear(mean, get("layer1.weight"), get("layer1.bias")).relu();
        const at::Tensor second = at::linear(first, get("layer2.weight"), get("layer2.bias")).relu();
        return at::linear(second, get("layer3.weight"), get("layer3.bias"));
    }
    case AdapterKind::Cam:
        return lambda_ * mean + (1 - lambda_) * chunks(views, training);
    case AdapterKind::CamFromMean:
        return lambda_ * mean + (1 - lambda_) * chunksFromMean(views);
    }
    return mean;
}

} // namespace agpnet::dec
