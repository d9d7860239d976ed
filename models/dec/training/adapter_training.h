// The training of an adapter on embeddings that are computed once: SGD on the multi-similarity loss of P x K batches, with virtual objects
// beside the real ones where a bridge is given.
#pragma once

#include "models/dec/adapter.h"
#include "models/dec/training/virtual_features.h"

#include <optional>
#include <utility>

namespace agpnet::dec
{

/// Labelled objects, as many views of each.
struct LabelledViews
{
    at::Tensor views;             ///< [objects, views, D], float32, whitened as they will be
    std::vector<int64_t> classes; ///< of each object
};

/// A pure function of its arguments and of the steps done, so that a training that was stopped goes on exactly. Not thread-safe.
class AdapterTraining
{
public:
    /// @param bridge  nothing, or for the same objects
    AdapterTraining(const Config& config, LabelledViews data, std::optional<Bridge> bridge = {});

    int64_t stepsDone() const { return steps_; }
    int64_t lastStep() const { return config_.epochs * perEpoch_; }
    double step(); ///< one batch; returns the loss

    const Adapter& adapter() const { return adapter_; }

    /// Weights, statistics, momenta and the number of steps, by name; restore() refuses what does not fit.
    NamedTensors state() const;
    void restore(const NamedTensors& state);

private:
    struct Group ///< parameters with one learning rate
    {
        NamedTensors parameters;
        std::vector<at::Tensor> momenta;
        double rate;
    };
    Group groupOf(const NamedTensors& parameters, double rate) const;
    at::Tensor lossOf(const std::vector<size_t>& batch, uint64_t epoch, uint64_t place);

    Config config_;
    LabelledViews data_;
    std::optional<Bridge> bridge_;
    Adapter adapter_;
    std::optional<VirtualFeatures> virtual_;
    std::vector<size_t> vocabulary_; ///< names that virtual objects have
    std::vector<Group> groups_;
    int64_t steps_ = 0, perEpoch_ = 0;
    std::vector<std::vector<size_t>> batches_; ///< of the epoch that is under way
    int64_t epoch_ = -1;
};

} // namespace agpnet::dec
