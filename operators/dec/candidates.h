// The descriptors that training can choose between, and the choice: on classes that none of them was learned from.
#pragma once

#include "models/dec/network.h"
#include "models/dec/training/virtual_features.h"

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace agpnet::dec
{

/// Embeddings of the training's views.
struct EmbeddedObjects
{
    std::vector<at::Tensor> views; ///< of each object, [its views, E]
    std::vector<int64_t> classes;  ///< of each object, from 0; all 0 where there are no classes
    int64_t classCount = 0;
    std::optional<Bridge> bridge; ///< views as in rings()

    /// Some of them. The bridge's vectors of classes stay.
    EmbeddedObjects chosen(const std::vector<size_t>& objects) const;

    /// [objects, M, E]: M is the number of views that most objects have; of others every so many-th, or some twice.
    at::Tensor rings() const;
};

/// The same for vectors of another network.
at::Tensor ringsOf(const std::vector<at::Tensor>& views);

struct Candidate
{
    std::string name; ///< "mean", "whitened by classes", ...
    WhiteningKind whitening = WhiteningKind::None;
    double shrink = 0;
    AdapterKind adapter = AdapterKind::Mean;
    bool virtualFeatures = false;

    double quality = -1; ///< mean average precision on held-out classes; -1: not measured
};

/// Called before each step of a training; false ends it.
using KeepGoing = std::function<bool(double loss)>;

/// Learns what the candidate says. Nothing where keepGoing ended it.
std::optional<Space> learned(const Candidate& candidate, const Config& config, const EmbeddedObjects& objects, const KeepGoing& keepGoing);

/// The closed forms that these objects allow, simpler ones first.
std::vector<Candidate> closedForms(const EmbeddedObjects& objects);

/// Adapters behind the best whitening.
std::vector<Candidate> adaptersBehind(const Candidate& whitened, const EmbeddedObjects& objects);

/// The one that the config names.
Candidate candidateOf(const Config& config, const EmbeddedObjects& objects);

/// Whether classes can be held out: enough of them, with enough objects.
bool canHoldOut(const EmbeddedObjects& objects);

/// Folds that hold out a fifth of the classes each: numbers of objects learned from, and held out.
struct Fold
{
    std::vector<size_t> learned, heldOut;
};
std::vector<Fold> foldsOf(const EmbeddedObjects& objects, uint64_t seed);

/// All candidates with their quality, and the number of the best one. An adapter is chosen only where it beats every closed form by more
/// than chance would move it, so that the result never ends below the whitened mean.
struct Comparison
{
    std::vector<Candidate> candidates;
    size_t best = 0;
};

/// Nothing where keepGoing ended it.
std::optional<Comparison> compared(const Config& config, const EmbeddedObjects& objects, const KeepGoing& keepGoing);

nlohmann::json toJson(const std::vector<Candidate>& candidates);

} // namespace agpnet::dec
