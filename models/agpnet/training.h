// One optimisation step of AGPNet, and the state between steps. Method: docs/method.md.
#pragma once

#include "models/agpnet/network.h"
#include "models/training/process_group.h"

#include <cstdint>
#include <memory>

namespace agpnet
{

/// Seeded and stateless in its randomness: noise and initial weights follow from (seed, step) alone, so that a resumed
/// training continues as if never stopped. Everything is computed on one device, where tensors given are brought and those returned are.
/// Not thread-safe.
class Training
{
public:
    Training(const Config& config, Backbone backbone, at::Device device = at::kCPU);
    ~Training();
    Training(Training&&) noexcept;
    Training& operator=(Training&&) noexcept;

    /// Tokens and prior attention of unperturbed images [N, 3 or 6, H, W], 0 to 1, at the config's size. Tokens come in half
    /// precision, so that what a caller keeps between steps and what it computes afresh are the same.
    Features features(const at::Tensor& images) const;

    /// Takes the scale of F_clean and the unit of its noise from features of normal images, `products` as in Standardizer. Once, before the
    /// first step; a step that finds it undone does it with its own images, as one product.
    void measure(const Features& features, const std::vector<int64_t>& products);
    bool measured() const { return noiseUnit() > 0; }

    /// One optimisation step on the features of images; the images themselves are wanted where needsImages(), else ignored.
    /// Returns the loss. After lastStep() steps it refuses.
    double step(const Features& features, const at::Tensor& images);
    double step(const at::Tensor& images) { return step(features(images), images); }
    bool needsImages() const;

    /// From now on each of these processes gives step() its share of a batch, equally large, in the order of their ranks. Afterwards all
    /// have the model that one process would have had from the whole batch. Takes over process 0's state. Losses are those of the whole
    /// batch. On the CPU only.
    void join(const ProcessGroup& processes);
    const ProcessGroup& processes() const;

    /// What the decoder, as it stands, makes of features.
    Reconstruction reconstruct(const Features& features) const;

    /// Enough: from here on the last part of the schedule, at a tenth of the rate, as long in proportion to the steps done as it would
    /// have been to all. May come too late to change anything.
    void beginEnd();

    int64_t stepsDone() const;
    int64_t lastStep() const; ///< steps in all: the config's, or fewer after beginEnd()
    bool finished() const { return stepsDone() >= lastStep(); }

    /// Where the time of the steps went, seconds.
    struct Times
    {
        double noise = 0;    ///< attention, perturbation and what the backbone says of perturbed images
        double decoder = 0;  ///< forward, loss, backward
        double optimiser = 0;
    };
    const Times& times() const;
    double noiseUnit() const; ///< RMS of F_clean; 0 before measure()
    const Standardizer& scale() const;
    const Config& config() const;
    void setBits(int bits); ///< the config's, found in images: nothing here is computed from it
    const Backbone& backbone() const;
    at::Device device() const;
    ComputeType compute() const; ///< of the matrix products
    const Decoder& decoder() const;

    /// A snapshot for inference. In products of 8 bits it is on the CPU, wherever the training is.
    AgpNet model(ComputeType compute, const NetRanges& ranges = {}) const;

    /// Decoder, EMA decoder, optimiser moments and counters, by name, in host memory; restore() refuses what does not fit.
    NamedTensors state() const;
    void restore(const NamedTensors& state);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace agpnet
