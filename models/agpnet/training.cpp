#include "models/agpnet/training.h"

#include "common/error.h"
#include "common/stopwatch.h"
#include "models/training/adamw.h"
#include "models/device/stage_device.h"
#include "models/device/team.h"
#include "models/device/tensor_view.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <cmath>
#include <optional>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/grad_mode.h>

namespace agpnet
{
namespace
{

/// Min-max to [0, 1] per image; a constant image gives 0.
at::Tensor minMax(const at::Tensor& attention)
{
    const at::Tensor low = attention.amin(1, true), high = attention.amax(1, true);
    return (attention - low) / (high - low).clamp_min(1e-20);
}

} // namespace

struct Training::Impl
{
    Impl(const Config& c, Backbone b, at::Device where)
        : config(completed(c, b.config)), backbone(std::move(b)), device(where),
          compute(scalarType(computeType(textOf(config.precision), where))),
          extractor(makeExtractor(
              backbone.config, backbone.weights,
              {.compute = computeType(textOf(config.precision), where), .device = where, .depth = allLayers(config.layers).back()})),
          // drawn on the host, so that a seed means the same weights everywhere
          decoder(Decoder(decoderShape(config, backbone.config), config.seed).clone(where)), ema(decoder.clone(where)),
          optimiser(decoder.parameters()), last(config.steps)
    {
        if (device.is_cpu())
            briefWaiting.emplace();
    }

    /// How far the training has come, 0 at the first step and 1 at the last: what α and the masked share rise with.
    double progress() const { return config.steps > 1 ? static_cast<double>(done) / (config.steps - 1) : 1; }

    double learningRate() const
    {
        const double rise = config.warmup > 0 ? std::min(1.0, (done + 1) / std::max(1.0, config.warmup * config.steps)) : 1;
        return config.learningRate * rise * (static_cast<double>(done) >= config.dropAt * static_cast<double>(last) ? 0.1 : 1);
    }

    int rows() const { return decoder.shape().rows; }
    int columns() const { return decoder.shape().columns; }

    /// A = minmax(prior) + minmax(learned), as [N, 1, rows, columns].
    at::Tensor mergedAttention(const at::Tensor& clean, const at::Tensor& prior) const
    {
        const at::Tensor learned = ema.attention(clean, compute, config.attentionBlocks);
        return (minMax(prior) + minMax(learned)).view({-1, 1, rows(), columns()});
    }

    stages::PerturbParams noiseParams(bool image, int64_t images) const
    {
        stages::PerturbParams params;
        params.level = image ? stages::Level::Image : stages::Level::Feature;
        params.seed = config.seed;
        params.step = static_cast<uint32_t>(done);
        params.firstImage = static_cast<uint32_t>(processes.rank() * images); // its place in the whole batch
        return params;
    }

    at::Tensor perturbed(const at::Tensor& x, const at::Tensor& attention, const stages::PerturbParams& params) const
    {
        at::Tensor out = at::empty_like(x);
        stages::perturb(stageDeviceOf(x), viewOf(x), viewOf(attention), params, viewOf(out));
        return out;
    }

    /// F + E ⊙ (α(t)·minmax(A) + β), in units of the features' RMS.
    at::Tensor featureNoise(const at::Tensor& tokens, const at::Tensor& attention, uint64_t stream) const
    {
        stages::PerturbParams params = noiseParams(false, tokens.size(0));
        params.seed += stream; // the two branches must not share their noise
        const double alpha = config.alpha * progress();
        if (config.noise == Noise::Guided)
        {
            params.alpha = static_cast<float>(alpha * unit);
            params.beta = static_cast<float>(config.beta * unit);
        }
        else // the same mean strength, nowhere more than elsewhere
        {
            const double mean = processes.gathered(minMax(attention.flatten(1)).mean().view({1})).mean().item<double>();
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
        stages::PerturbParams params = noiseParams(true, images.size(0));
        params.alpha = 0;
        params.beta = static_cast<float>(config.imageSigma);
        params.ratio = config.imageShare * progress();
        if (config.noise == Noise::Guided)
            return perturbed(images, attention, params);
        at::Generator generator =
            at::make_generator<at::CPUGeneratorImpl>(config.seed * 0x9E3779B97F4A7C15ull + static_cast<uint64_t>(done));
        std::vector<int64_t> whole = attention.sizes().vec();
        whole[0] *= processes.size();
        const at::Tensor drawn = at::empty(whole).uniform_(0, 1, generator);
        return perturbed(images, drawn.narrow(0, processes.rank() * attention.size(0), attention.size(0)).to(images.device()), params);
    }

    void checkImages(const at::Tensor& images01) const;
    Features features(const at::Tensor& images01) const;
    void measure(const Features& features, const std::vector<int64_t>& products);
    double step(const Features& features, const at::Tensor& images01);
    at::Tensor lossOf(const at::Tensor& output, const at::Tensor& target) const;
    at::Tensor lossWithGradient(const at::Tensor& input, const at::Tensor& target); ///< sets the gradients of the decoder's parameters
    void updateAverage();

    Config config;
    Backbone backbone;
    at::Device device;
    at::ScalarType compute;
    std::unique_ptr<Extractor> extractor;
    Decoder decoder, ema;
    AdamW optimiser;
    Standardizer scale;
    int64_t done = 0, last = 0;
    double unit = 0;
    Times times;
    ProcessGroup processes;
    std::optional<BriefWaiting> briefWaiting; ///< on the CPU: steps are LibTorch's loops, in which threads wait for each other
};

void Training::Impl::checkImages(const at::Tensor& images01) const
{
    require(images01.defined() && images01.dim() == 4 && images01.size(0) > 0 && images01.size(1) == inputChannels(config) &&
                images01.size(2) == config.height && images01.size(3) == config.width,
            "training takes images of shape [N, {}, {}, {}], found [{}]", inputChannels(config), config.height, config.width,
            images01.defined() ? fmt::format("{}", fmt::join(images01.sizes(), ", ")) : "");
}

Features Training::Impl::features(const at::Tensor& images01) const
{
    checkImages(images01);
    at::NoGradGuard noGradient;
    Features features = extractFeatures(*extractor, config, images01.to(device), true);
    features.tokens = features.tokens.to(at::kHalf);
    return features;
}

void Training::Impl::measure(const Features& features, const std::vector<int64_t>& products)
{
    at::NoGradGuard noGradient;
    if (config.target == Target::Standardised)
        scale = Standardizer::measured(features.tokens, products);
    unit = std::sqrt(scale.applied(features.tokens, scale.product(features.tokens)).square().mean().item<double>());
    require(std::isfinite(unit) && unit > 0, "the backbone's features have a root mean square of {}, expected finite and more than 0",
            unit);
}

at::Tensor Training::Impl::lossOf(const at::Tensor& output, const at::Tensor& target) const
{
    if (config.loss == Loss::Cosine)
        return (1 - at::cosine_similarity(output, target, -1)).mean();
    if (config.loss == Loss::Mse)
        return at::mse_loss(output, target);
    // hard: what is already easy must not become perfect, or defects are copied as well
    constexpr double easyShare = 0.9, easyWeight = 0.1;
    const at::Tensor perToken = (output - target).square().mean({-1});
    const at::Tensor whole = processes.gathered(perToken.detach());
    const at::Tensor limit = at::quantile(whole.flatten(), easyShare);
    const auto weight = [&](const at::Tensor& errors) { return at::where(errors < limit, easyWeight, 1.0); };
    return (perToken * weight(perToken.detach())).sum() / weight(whole).sum() *
           processes.size(); // the mean over processes is that of the whole
}

at::Tensor Training::Impl::lossWithGradient(const at::Tensor& input, const at::Tensor& target)
{
    // "hard" weighs each token by all others'; a device divides its work by itself
    constexpr int64_t mostParts = 4;
    const int64_t parts = device.is_cpu() && config.loss != Loss::Hard ? std::min(mostParts, input.size(0)) : 1;
    std::vector<at::Tensor> parameters, losses(static_cast<size_t>(parts));
    for (const auto& [name, parameter] : decoder.parameters())
        parameters.push_back(parameter);
    std::vector<torch::autograd::variable_list> gradients(losses.size());

    // Each thread takes parts from forward to backward and waits for no other in between: beside other programs that counts, alone it is no
    // slower. There are as many on every computer, and they are added in their order: the result does not depend on the number of threads.
    const std::vector<at::Tensor> inputs = input.tensor_split(parts), targets = target.tensor_split(parts);
    const auto learn = [&](int64_t i)
    {
        const auto part = static_cast<size_t>(i);
        const c10::InferenceMode noInference(false); // modes belong to threads
        const at::AutoGradMode withGradient(true);
        const double share = static_cast<double>(inputs[part].size(0)) / static_cast<double>(input.size(0));
        const at::Tensor loss = lossOf(decoder.forward(inputs[part], compute), targets[part]) * share;
        gradients[part] = torch::autograd::grad({loss}, parameters);
        losses[part] = loss.detach();
    };
    if (parts > 1)
    {
        const Team::Scope threads;
        Team::forEach(parts, learn);
    }
    else
        learn(0);

    const at::NoGradGuard noGradient;
    for (size_t i = 0; i < parameters.size(); i++)
    {
        at::Tensor sum = gradients[0][i];
        for (size_t part = 1; part < gradients.size(); part++)
            sum = part == 1 ? sum + gradients[part][i] : sum.add_(gradients[part][i]); // never in one that something else may be a view of
        parameters[i].mutable_grad() = sum.contiguous(); // as the optimiser goes through it
    }
    at::Tensor loss = losses[0];
    for (size_t part = 1; part < losses.size(); part++)
        loss = loss + losses[part];
    return loss;
}

double Training::Impl::step(const Features& features, const at::Tensor& images01)
{
    require(done < last, "training is complete after {} steps; a further step needs a config with more", last);
    const bool fromImages = config.noise != Noise::None && config.imageNoise;
    if (fromImages)
        checkImages(images01);
    const int64_t n = features.tokens.size(0);
    if (unit == 0)
        measure(features, {});

    at::Tensor clean, plain, fromImage; // the decoder's inputs: feature noise alone, image and feature noise
    {
        const TimeInto time(times.noise);
        at::NoGradGuard noGradient;
        const at::Tensor product = scale.product(features.tokens);
        clean = scale.applied(features.tokens, product);
        if (config.noise == Noise::None)
            plain = clean;
        else
        {
            const at::Tensor attention = mergedAttention(clean, features.prior);
            plain = featureNoise(clean, attention, 0);
            if (fromImages)
            {
                const at::Tensor noisy = imageNoise(normalised(backbone.config, images01.to(device)), attention);
                fromImage = featureNoise(scale.applied(extractNormalised(*extractor, config, noisy, false).tokens, product), attention, 1);
            }
        }
    }

    // the caller's mode must not decide whether the decoder learns
    const c10::InferenceMode noInference(false);
    const at::AutoGradMode withGradient(true);

    // L = ½ (L_feat + L_img,feat); both branches in one pass of the decoder
    const Stopwatch decoding;
    const at::Tensor input = fromImage.defined() ? at::cat({plain, fromImage}) : plain;
    const at::Tensor loss = lossWithGradient(input, fromImage.defined() ? at::cat({clean, clean}) : clean);
    const double value = processes.gathered(loss.view({1})).mean().item<double>();
    require(std::isfinite(value),
            "the loss is {} at step {} with {} images: the learning rate of {} is too high, or an image is not finite", value, done, n,
            config.learningRate);
    if (processes.size() > 1)
    {
        std::vector<at::Tensor> gradients;
        for (const auto& [name, parameter] : decoder.parameters())
            gradients.push_back(parameter.grad());
        processes.average(gradients);
    }
    times.decoder += decoding.seconds();
    const TimeInto time(times.optimiser);
    optimiser.step(learningRate(), config.weightDecay, config.gradientClip);
    updateAverage();
    done++;
    return value;
}

void Training::Impl::updateAverage()
{
    at::NoGradGuard noGradient;
    std::vector<at::Tensor> average, current;
    for (size_t i = 0; i < ema.parameters().size(); i++)
    {
        average.push_back(ema.parameters()[i].second);
        current.push_back(decoder.parameters()[i].second);
    }
    at::_foreach_lerp_(average, current, 1 - config.ema);
}

Training::Training(const Config& config, Backbone backbone, at::Device device)
    : impl_(std::make_unique<Impl>(config, std::move(backbone), device))
{
}
Training::~Training() = default;
Training::Training(Training&&) noexcept = default;
Training& Training::operator=(Training&&) noexcept = default;

Features Training::features(const at::Tensor& images) const
{
    return impl_->features(images);
}

void Training::measure(const Features& features, const std::vector<int64_t>& products)
{
    require(impl_->done == 0 && impl_->unit == 0, "the scale of the features has already been taken, and training goes on with it");
    impl_->measure(features, products);
}

double Training::step(const Features& features, const at::Tensor& images)
{
    return impl_->step(features, images);
}

Reconstruction Training::reconstruct(const Features& features) const
{
    require(measured(), "a model that was not trained reconstructs nothing: no step was taken");
    at::NoGradGuard noGradient;
    const at::Tensor clean = impl_->scale.applied(features.tokens, impl_->scale.product(features.tokens));
    const at::Tensor output = impl_->decoder.forward(clean, impl_->compute);
    return {asGrid(clean, impl_->rows(), impl_->columns()), asGrid(output, impl_->rows(), impl_->columns()), at::Tensor()};
}

void Training::join(const ProcessGroup& processes)
{
    require(processes.size() == 1 || impl_->device.is_cpu(), "{} processes are to train together on {} each, expected the CPU",
            processes.size(), impl_->device.str());
    impl_->processes = processes;
    if (processes.size() == 1)
        return;
    std::vector<at::Tensor> tensors;
    const NamedTensors mine = state();
    for (const auto& [name, tensor] : mine)
        tensors.push_back(tensor);
    processes.broadcast(tensors);
    restore(mine);
}

const ProcessGroup& Training::processes() const
{
    return impl_->processes;
}

void Training::beginEnd()
{
    const double share = std::max(impl_->config.dropAt, 1.0 / static_cast<double>(impl_->last));
    impl_->last = std::min(impl_->last, static_cast<int64_t>(std::ceil(static_cast<double>(impl_->done) / share)));
}

int64_t Training::lastStep() const
{
    return impl_->last;
}

const Training::Times& Training::times() const
{
    return impl_->times;
}

bool Training::needsImages() const
{
    return config().noise != Noise::None && config().imageNoise;
}

const Standardizer& Training::scale() const
{
    return impl_->scale;
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

void Training::setBits(int bits)
{
    impl_->config.bits = bits;
    validate(impl_->config);
}

const Backbone& Training::backbone() const
{
    return impl_->backbone;
}

at::Device Training::device() const
{
    return impl_->device;
}

ComputeType Training::compute() const
{
    return computeType(textOf(impl_->config.precision), impl_->device);
}

const Decoder& Training::decoder() const
{
    return impl_->decoder;
}

AgpNet Training::model(ComputeType compute, const NetRanges& ranges) const
{
    return AgpNet(impl_->config, impl_->backbone, impl_->scale, impl_->decoder, compute,
                  compute == ComputeType::Int8 ? at::Device(at::kCPU) : impl_->device, ranges);
}

NamedTensors Training::state() const
{
    NamedTensors state;
    const auto add = [&](const std::string& name, const at::Tensor& tensor) { state.emplace_back(name, tensor.to(at::kCPU)); };
    for (size_t i = 0; i < impl_->decoder.parameters().size(); i++)
    {
        const auto& [name, tensor] = impl_->decoder.parameters()[i];
        add("decoder." + name, tensor.detach());
        add("adam.first." + name, impl_->optimiser.first()[i]);
        add("adam.second." + name, impl_->optimiser.second()[i]);
        add("ema." + name, impl_->ema.parameters()[i].second);
    }
    if (impl_->scale.mean.defined())
    {
        add("scale.mean", impl_->scale.mean);
        add("scale.deviation", impl_->scale.deviation);
    }
    state.emplace_back("steps_done", at::tensor({impl_->done}, at::kLong));
    state.emplace_back("last_step", at::tensor({impl_->last}, at::kLong));
    state.emplace_back("noise_unit", at::tensor({impl_->unit}, at::kDouble));
    return state;
}

void Training::restore(const NamedTensors& state)
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
        return tensor.to(like.device(), tensor.scalar_type(), false, true);
    };
    const int64_t done = scalar("steps_done").item<int64_t>();
    const int64_t last = scalar("last_step").item<int64_t>();
    const double unit = scalar("noise_unit").item<double>();
    require(done >= 0 && last > 0 && last <= config().steps && std::isfinite(unit) && unit >= 0,
            "training state: {} steps done of {} with noise unit {}, expected none negative and no more steps than {}", done, last, unit,
            config().steps);

    // everything is read before anything changes
    NamedTensors decoder, ema;
    std::vector<at::Tensor> first, second;
    for (const auto& [name, tensor] : impl_->decoder.parameters())
    {
        decoder.emplace_back(name, copied("decoder." + name, tensor));
        ema.emplace_back(name, copied("ema." + name, tensor));
        first.push_back(copied("adam.first." + name, tensor));
        second.push_back(copied("adam.second." + name, tensor));
    }
    Standardizer scale;
    if (unit > 0 && config().target == Target::Standardised)
        scale = Standardizer::checked(named("scale.mean").clone(), named("scale.deviation").clone(), impl_->decoder.shape().channels);
    impl_->decoder = Decoder(impl_->decoder.shape(), decoder);
    impl_->ema = Decoder(impl_->ema.shape(), ema);
    impl_->optimiser = AdamW(impl_->decoder.parameters(), std::move(first), std::move(second), done);
    impl_->scale = scale.on(impl_->device);
    impl_->done = done;
    impl_->last = last;
    impl_->unit = unit;
}

} // namespace agpnet
