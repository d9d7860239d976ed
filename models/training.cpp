#include "models/training.h"

#include "common/error.h"
#include "common/sha256.h"
#include "models/tensor_view.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <cmath>
#include <torch/csrc/autograd/grad_mode.h>
#include <torch/optim/adamw.h>
#include <unordered_map>

namespace agpnet
{
namespace
{

/// Remembers the features of images already seen, by content, until the budget is full. Kept in half precision; what is not
/// kept is rounded the same way, so that a result does not depend on the budget.
class FeatureCache
{
public:
    explicit FeatureCache(int64_t budgetBytes) : budget_(budgetBytes) {}

    /// images [N, ...]; `extract` is called with those that are not known.
    template <typename Extract>
    Features get(const at::Tensor& images, Extract extract)
    {
        const int64_t n = images.size(0);
        std::vector<std::string> keys;
        std::vector<int64_t> missing;
        for (int64_t i = 0; i < n; i++)
        {
            const at::Tensor image = images[i].contiguous();
            keys.push_back(budget_ > 0 ? sha256(image.const_data_ptr(), image.nbytes()) : std::string());
            if (budget_ <= 0 || !entries_.contains(keys.back()))
                missing.push_back(i);
        }
        Features fresh;
        if (!missing.empty())
        {
            fresh = extract(images.index_select(0, at::tensor(missing, at::kLong)));
            fresh.clean = fresh.clean.to(at::kHalf);
        }
        std::vector<at::Tensor> clean, prior;
        for (int64_t i = 0, next = 0; i < n; i++)
        {
            if (next < static_cast<int64_t>(missing.size()) && missing[static_cast<size_t>(next)] == i)
            {
                clean.push_back(fresh.clean[next]);
                prior.push_back(fresh.prior[next]);
                keep(keys[static_cast<size_t>(i)], clean.back(), prior.back());
                next++;
            }
            else
            {
                const Features& entry = entries_.at(keys[static_cast<size_t>(i)]);
                clean.push_back(entry.clean);
                prior.push_back(entry.prior);
            }
        }
        return {at::stack(clean).to(at::kFloat), at::stack(prior)};
    }

private:
    void keep(const std::string& key, const at::Tensor& clean, const at::Tensor& prior)
    {
        const auto bytes = static_cast<int64_t>(clean.nbytes() + prior.nbytes());
        if (used_ + bytes > budget_)
            return;
        if (entries_.emplace(key, Features{clean.clone(), prior.clone()}).second)
            used_ += bytes;
    }

    int64_t budget_, used_ = 0;
    std::unordered_map<std::string, Features> entries_;
};

/// Min-max to [0, 1] per image; a constant image gives 0.
at::Tensor minMax(const at::Tensor& attention)
{
    const at::Tensor low = attention.amin(1, true), high = attention.amax(1, true);
    return (attention - low) / (high - low).clamp_min(1e-20);
}

} // namespace

struct Training::Impl
{
    Impl(const Config& c, Backbone b)
        : config(completed(c, b.config)), backbone(std::move(b)), compute(scalarType(computeType(config.precision))),
          extractor(makeExtractor(backbone.config, backbone.weights, {.compute = computeType(config.precision)})), decoder(decoderShape(config, backbone.config), config.seed),
          ema(decoder.clone()), cache(static_cast<int64_t>(config.cacheMiB) << 20)
    {
        makeOptimiser();
    }

    void makeOptimiser()
    {
        std::vector<at::Tensor> parameters;
        for (const auto& [name, tensor] : decoder.parameters())
        {
            at::Tensor parameter = tensor;
            parameters.push_back(parameter.requires_grad_(true));
        }
        optimiser = std::make_unique<torch::optim::AdamW>(
            parameters, torch::optim::AdamWOptions(config.learningRate).weight_decay(config.weightDecay));
    }

    /// How far the training has come, 0 at the first step and 1 at the last: what α and the masked share rise with.
    double progress() const { return config.steps > 1 ? static_cast<double>(done) / (config.steps - 1) : 1; }

    double learningRate() const
    {
        const double at = static_cast<double>(done) / config.steps;
        const double rise = config.warmup > 0 ? std::min(1.0, (done + 1) / std::max(1.0, config.warmup * config.steps)) : 1;
        return config.learningRate * rise * (at >= config.dropAt ? 0.1 : 1);
    }

    int rows() const { return decoder.shape().rows; }
    int columns() const { return decoder.shape().columns; }

    /// A = minmax(prior) + minmax(learned), as [N, 1, rows, columns].
    at::Tensor mergedAttention(const Features& features) const
    {
        const at::Tensor learned = ema.attention(features.clean, compute);
        return (minMax(features.prior) + minMax(learned)).view({-1, 1, rows(), columns()});
    }

    stages::PerturbParams noiseParams(bool image) const
    {
        stages::PerturbParams params;
        params.level = image ? stages::Level::Image : stages::Level::Feature;
        params.seed = config.seed;
        params.step = static_cast<uint32_t>(done);
        return params;
    }

    at::Tensor perturbed(const at::Tensor& x, const at::Tensor& attention, const stages::PerturbParams& params) const
    {
        at::Tensor out = at::empty_like(x);
        stages::perturb({}, viewOf(x), viewOf(attention), params, viewOf(out));
        return out;
    }

    /// F + E ⊙ (α(t)·minmax(A) + β), in units of the features' RMS.
    at::Tensor featureNoise(const at::Tensor& tokens, const at::Tensor& attention, uint64_t stream) const
    {
        stages::PerturbParams params = noiseParams(false);
        params.seed += stream; // the two branches must not share their noise
        const double alpha = config.alpha * progress();
        if (config.noise == Noise::Guided)
        {
            params.alpha = static_cast<float>(alpha * unit);
            params.beta = static_cast<float>(config.beta * unit);
        }
        else // the same mean strength, nowhere more than elsewhere
        {
            const double mean = minMax(attention.flatten(1)).mean().item<double>();
            params.alpha = 0;
            params.beta = static_cast<float>((alpha * mean + config.beta) * unit);
        }
        const at::Tensor grid = asGrid(tokens, rows(), columns());
        const at::Tensor out = perturbed(grid, attention, params);
        return out.permute({0, 2, 3, 1}).reshape(tokens.sizes());
    }

    /// Gaussian noise inside the most-attended share of the picture, which grows with training.
    at::Tensor imageNoise(const at::Tensor& images, const at::Tensor& attention) const
    {
        stages::PerturbParams params = noiseParams(true);
        params.alpha = 0;
        params.beta = static_cast<float>(config.imageSigma);
        params.ratio = config.imageShare * progress();
        if (config.noise == Noise::Guided)
            return perturbed(images, attention, params);
        at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(config.seed * 0x9E3779B97F4A7C15ull + static_cast<uint64_t>(done));
        return perturbed(images, at::empty(attention.sizes()).uniform_(0, 1, generator), params);
    }

    double step(const at::Tensor& images01);
    void clipGradients();
    void updateAverage();

    Config config;
    Backbone backbone;
    at::ScalarType compute;
    std::unique_ptr<Extractor> extractor;
    Decoder decoder, ema;
    FeatureCache cache;
    std::unique_ptr<torch::optim::AdamW> optimiser;
    int64_t done = 0;
    double unit = 0;
};

double Training::Impl::step(const at::Tensor& images01)
{
    require(done < config.steps, "training is complete after {} steps; a further step needs a config with more", config.steps);
    require(images01.dim() == 4 && images01.size(0) > 0 && images01.size(1) == 3 && images01.size(2) == config.height &&
                images01.size(3) == config.width,
            "training takes images of shape [N, 3, {}, {}], found [{}]", config.height, config.width,
            fmt::join(images01.sizes(), ", "));

    Features features;
    at::Tensor plain, fromImage; // the decoder's inputs: feature noise alone, image and feature noise
    {
        at::NoGradGuard noGradient;
        const at::Tensor images = normalised(backbone.config, images01);
        features = cache.get(images, [&](const at::Tensor& unseen) { return extractNormalised(*extractor, config, unseen, true); });
        if (unit == 0)
            unit = std::sqrt(features.clean.square().mean().item<double>());
        if (config.noise == Noise::None)
            plain = features.clean;
        else
        {
            const at::Tensor attention = mergedAttention(features);
            plain = featureNoise(features.clean, attention, 0);
            if (config.imageNoise)
            {
                const at::Tensor noisy = extractNormalised(*extractor, config, imageNoise(images, attention), false).clean;
                fromImage = featureNoise(noisy, attention, 1);
            }
        }
    }

    // the caller's mode must not decide whether the decoder learns
    const c10::InferenceMode noInference(false);
    const at::AutoGradMode withGradient(true);

    // L = ½ (L_feat + L_img,feat); both branches in one pass of the decoder
    const int64_t n = images01.size(0);
    const at::Tensor input = fromImage.defined() ? at::cat({plain, fromImage}) : plain;
    const at::Tensor output = decoder.forward(input, compute);
    const at::Tensor target = fromImage.defined() ? at::cat({features.clean, features.clean}) : features.clean;
    const at::Tensor loss = at::mse_loss(output, target);
    const double value = loss.item<double>();
    require(std::isfinite(value), "the loss is {} at step {} with {} images: the learning rate of {} is too high, or an image is not finite",
            value, done, n, config.learningRate);

    static_cast<torch::optim::AdamWOptions&>(optimiser->param_groups()[0].options()).lr(learningRate());
    optimiser->zero_grad();
    loss.backward();
    clipGradients();
    optimiser->step();
    updateAverage();
    done++;
    return value;
}

void Training::Impl::clipGradients()
{
    double sum = 0;
    for (const auto& [name, parameter] : decoder.parameters())
        sum += parameter.grad().square().sum().item<double>();
    const double norm = std::sqrt(sum);
    if (norm > config.gradientClip)
        for (const auto& [name, parameter] : decoder.parameters())
            parameter.grad().mul_(config.gradientClip / norm);
}

void Training::Impl::updateAverage()
{
    at::NoGradGuard noGradient;
    for (size_t i = 0; i < ema.parameters().size(); i++)
    {
        at::Tensor average = ema.parameters()[i].second;
        average.lerp_(decoder.parameters()[i].second, 1 - config.ema);
    }
}

Training::Training(const Config& config, Backbone backbone) : impl_(std::make_unique<Impl>(config, std::move(backbone))) {}
Training::~Training() = default;
Training::Training(Training&&) noexcept = default;
Training& Training::operator=(Training&&) noexcept = default;

double Training::step(const at::Tensor& images)
{
    return impl_->step(images);
}

int64_t Training::stepsDone() const
{
    return impl_->done;
}

double Training::noiseUnit() const
{
    return impl_->unit;
}

const Config& Training::config() const
{
    return impl_->config;
}

const Backbone& Training::backbone() const
{
    return impl_->backbone;
}

const Decoder& Training::decoder() const
{
    return impl_->decoder;
}

AgpNet Training::model(ComputeType compute) const
{
    return AgpNet(impl_->config, impl_->backbone, impl_->decoder, compute);
}

Decoder::NamedTensors Training::state() const
{
    Decoder::NamedTensors state;
    for (const auto& [name, tensor] : impl_->decoder.parameters())
    {
        state.emplace_back("decoder." + name, tensor.detach());
        const auto& moments = impl_->optimiser->state();
        if (const auto it = moments.find(tensor.unsafeGetTensorImpl()); it != moments.end())
        {
            const auto& adam = static_cast<const torch::optim::AdamWParamState&>(*it->second);
            state.emplace_back("adam.first." + name, adam.exp_avg());
            state.emplace_back("adam.second." + name, adam.exp_avg_sq());
        }
    }
    for (const auto& [name, tensor] : impl_->ema.parameters())
        state.emplace_back("ema." + name, tensor);
    state.emplace_back("steps_done", at::tensor({impl_->done}, at::kLong));
    state.emplace_back("noise_unit", at::tensor({impl_->unit}, at::kDouble));
    return state;
}

void Training::restore(const Decoder::NamedTensors& state)
{
    const auto named = [&](const std::string& name) {
        for (const auto& [candidate, tensor] : state)
            if (candidate == name)
                return tensor;
        fail("training state: tensor '{}' is missing", name);
    };
    const auto scalar = [&](const std::string& name) {
        const at::Tensor tensor = named(name);
        require(tensor.numel() == 1, "training state: tensor '{}' has {} values, expected 1", name, tensor.numel());
        return tensor;
    };
    const auto copied = [&](const std::string& name, const at::Tensor& like) {
        const at::Tensor tensor = named(name);
        require(tensor.sizes() == like.sizes() && tensor.scalar_type() == at::kFloat,
                "training state: tensor '{}' has shape [{}], expected [{}] of float32", name, fmt::join(tensor.sizes(), ", "),
                fmt::join(like.sizes(), ", "));
        return tensor.clone();
    };
    const int64_t done = scalar("steps_done").item<int64_t>();
    const double unit = scalar("noise_unit").item<double>();
    require(done >= 0 && std::isfinite(unit) && unit >= 0, "training state: {} steps done with noise unit {}, expected neither negative",
            done, unit);

    // everything is read before anything changes
    Decoder::NamedTensors decoder, ema, first, second;
    for (const auto& [name, tensor] : impl_->decoder.parameters())
    {
        decoder.emplace_back(name, copied("decoder." + name, tensor));
        ema.emplace_back(name, copied("ema." + name, tensor));
        if (done > 0)
        {
            first.emplace_back(name, copied("adam.first." + name, tensor));
            second.emplace_back(name, copied("adam.second." + name, tensor));
        }
    }
    impl_->decoder = Decoder(impl_->decoder.shape(), decoder);
    impl_->ema = Decoder(impl_->ema.shape(), ema);
    impl_->makeOptimiser();
    for (size_t i = 0; i < first.size(); i++)
    {
        auto adam = std::make_unique<torch::optim::AdamWParamState>();
        adam->step(done);
        adam->exp_avg(first[i].second);
        adam->exp_avg_sq(second[i].second);
        impl_->optimiser->state()[impl_->decoder.parameters()[i].second.unsafeGetTensorImpl()] = std::move(adam);
    }
    impl_->done = done;
    impl_->unit = unit;
}

} // namespace agpnet
