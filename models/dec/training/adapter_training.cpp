#include "models/dec/training/adapter_training.h"

#include "common/error.h"
#include "models/dec/training/batch_order.h"
#include "models/dec/training/multi_similarity.h"
#include "models/training/counter_random.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <c10/core/GradMode.h>

namespace agpnet::dec
{
namespace
{

/// Different uses of one seed.
enum Use : uint64_t
{
    RingUse = 1,
    NameUse,
    VocabularyUse,
    VirtualWeights
};

constexpr int64_t virtualClass = int64_t{1} << 32; // numbers of virtual classes begin here

/// The ring of views begun elsewhere, perhaps in the other direction.
at::Tensor turned(const at::Tensor& views, CounterRandom& random)
{
    const auto count = static_cast<int>(views.size(0));
    const int start = random.below(count);
    const bool back = random.below(2) == 1;
    std::vector<int64_t> order;
    for (int i = 0; i < count; i++)
        order.push_back(((back ? start - i : start + i) + count) % count);
    return views.index_select(0, at::tensor(order));
}

} // namespace

AdapterTraining::AdapterTraining(const Config& config, LabelledViews data, std::optional<Bridge> bridge)
    : config_(config), data_(std::move(data)), bridge_(std::move(bridge)),
      adapter_(config.adapter, data_.views.size(2), config.lambda, config.seed)
{
    require(config.adapter != AdapterKind::Mean,
            "config: 'adapter' is 'mean', which has nothing to train; expected mlp, cam or cam_from_mean");
    perEpoch_ = static_cast<int64_t>(
        batchesOf(data_.classes, static_cast<size_t>(config.classesPerBatch), static_cast<size_t>(config.objectsPerClass), config.seed, 0)
            .size());
    groups_.push_back(groupOf(adapter_.parameters(), config.learningRate));
    if (!bridge_ || bridge_->empty() || config.virtualNames == 0)
    {
        bridge_.reset();
        return;
    }
    require(bridge_->views.sizes().slice(0, 2) == data_.views.sizes().slice(0, 2) && bridge_->classes.size(1) == bridge_->views.size(2) &&
                bridge_->names.size(1) == bridge_->views.size(2),
            "the bridge has vectors of {} for views, {} for classes and {} for names, expected one width", bridge_->views.size(2),
            bridge_->classes.size(1), bridge_->names.size(1));
    virtual_.emplace(bridge_->views.size(2), data_.views.size(2), config.virtualScale, mixed(config.seed, VirtualWeights));
    groups_.push_back(groupOf(virtual_->parameters(), config.virtualRate));
    vocabulary_ = CounterRandom(mixed(mixed(0, config.seed), VocabularyUse)).permutation(static_cast<size_t>(bridge_->names.size(0)));
    vocabulary_.resize(std::min(vocabulary_.size(), static_cast<size_t>(config.virtualNames)));
}

AdapterTraining::Group AdapterTraining::groupOf(const NamedTensors& parameters, double rate) const
{
    Group group{parameters, {}, rate};
    for (auto& [name, tensor] : group.parameters)
    {
        tensor.requires_grad_(true); // shared with their owner
        group.momenta.push_back(at::zeros_like(tensor.detach()));
    }
    return group;
}

at::Tensor AdapterTraining::lossOf(const std::vector<size_t>& batch, uint64_t epoch, uint64_t place)
{
    CounterRandom ring(mixed(mixed(mixed(mixed(0, config_.seed), RingUse), epoch), place));
    CounterRandom names(mixed(mixed(mixed(mixed(0, config_.seed), NameUse), epoch), place));
    std::vector<at::Tensor> views, bridges, differences;
    std::vector<int64_t> classes;
    for (const size_t object : batch)
    {
        at::Tensor own = data_.views[static_cast<int64_t>(object)];
        at::Tensor image = bridge_ ? bridge_->views[static_cast<int64_t>(object)] : at::Tensor();
        if (config_.turnRing && adapter_.ordered())
        {
            CounterRandom same = ring; // views and their bridge vectors turn together
            own = turned(own, ring);
            if (bridge_)
                image = turned(image, same);
        }
        views.push_back(own);
        classes.push_back(data_.classes[object]);
        if (bridge_)
            bridges.push_back(image);
    }
    at::Tensor all = at::stack(views);
    std::vector<float> weights;
    if (virtual_)
    {
        // One unseen name for each class of the batch: its objects stay together under the new name.
        std::map<int64_t, int64_t> nameOf;
        const size_t real = classes.size();
        for (size_t i = 0; i < real; i++)
        {
            const auto [entry, isNew] = nameOf.try_emplace(classes[i], 0);
            if (isNew)
                entry->second = static_cast<int64_t>(vocabulary_[static_cast<size_t>(names.below(static_cast<int>(vocabulary_.size())))]);
            differences.push_back(bridge_->names[entry->second] - bridge_->classes[classes[i]]);
            classes.push_back(virtualClass + entry->second);
        }
        all = at::cat({all, (*virtual_)(all, at::stack(bridges), at::stack(differences))});
        weights.assign(real, 1.F);
        weights.resize(classes.size(), static_cast<float>(config_.virtualWeight));
    }
    return multiSimilarityLoss(adapter_(all, true), classes, config_, weights);
}

double AdapterTraining::step()
{
    require(steps_ < lastStep(), "the training has taken its {} steps", lastStep());
    const int64_t epoch = steps_ / perEpoch_;
    if (epoch != epoch_)
        batches_ = batchesOf(data_.classes, static_cast<size_t>(config_.classesPerBatch), static_cast<size_t>(config_.objectsPerClass),
                             config_.seed, static_cast<uint64_t>(epoch));
    epoch_ = epoch;
    const auto place = static_cast<size_t>(steps_ % perEpoch_);
    const c10::AutoGradMode gradient(true);
    const at::Tensor loss = lossOf(batches_[place], static_cast<uint64_t>(epoch), place);
    loss.backward();
    const c10::AutoGradMode noGradient(false);
    const double share = static_cast<double>(epoch) / config_.epochs;
    const double drop = share < 2.0 / 7 ? 1 : share < 4.0 / 7 ? 0.1 : 0.01;
    for (Group& group : groups_)
        for (size_t i = 0; i < group.parameters.size(); i++)
        {
            at::Tensor& weight = group.parameters[i].second;
            if (!weight.grad().defined())
                continue;
            group.momenta[i].mul_(config_.momentum).add_(weight.grad().add(weight, config_.weightDecay));
            weight.sub_(group.momenta[i], group.rate * drop);
            weight.mutable_grad().reset();
        }
    steps_++;
    return loss.item<double>();
}

NamedTensors AdapterTraining::state() const
{
    NamedTensors all;
    for (const auto& [name, tensor] : adapter_.state())
        all.emplace_back("adapter." + name, tensor.detach());
    if (virtual_)
        for (const auto& [name, tensor] : virtual_->parameters())
            all.emplace_back("virtual." + name, tensor.detach());
    for (size_t g = 0; g < groups_.size(); g++)
        for (size_t i = 0; i < groups_[g].momenta.size(); i++)
            all.emplace_back(fmt::format("momentum{}.{}", g, groups_[g].parameters[i].first), groups_[g].momenta[i]);
    all.emplace_back("steps", at::full({}, steps_, at::kLong));
    return all;
}

void AdapterTraining::restore(const NamedTensors& state)
{
    const c10::AutoGradMode noGradient(false);
    const NamedTensors own = this->state();
    require(own.size() == state.size(), "the training's state has {} tensors, expected {}", state.size(), own.size());
    std::vector<const at::Tensor*> found;
    for (const auto& [name, tensor] : own)
    {
        const auto entry = std::find_if(state.begin(), state.end(), [&wanted = name](const auto& one) { return one.first == wanted; });
        require(entry != state.end() && entry->second.sizes() == tensor.sizes() && entry->second.scalar_type() == tensor.scalar_type(),
                "the training's state lacks '{}' of shape [{}]", name, fmt::join(tensor.sizes(), ", "));
        found.push_back(&entry->second);
    }
    for (size_t i = 0; i + 1 < own.size(); i++)
        at::Tensor(own[i].second).copy_(*found[i]); // shares its memory with what it describes
    steps_ = found.back()->item<int64_t>();
    require(steps_ >= 0 && steps_ <= lastStep(), "the training's state has {} steps done, expected 0 to {}", steps_, lastStep());
}

} // namespace agpnet::dec
