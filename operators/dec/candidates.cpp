#include "operators/dec/candidates.h"

#include "common/error.h"
#include "models/dec/training/adapter_training.h"
#include "models/dec/training/retrieval_quality.h"
#include "models/training/counter_random.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <map>
#include <tuple>

namespace agpnet::dec
{
namespace
{

constexpr size_t folds = 5, leastClasses = 5, leastObjects = 20;
constexpr double leastGain = 0.003; ///< of an adapter over the closed forms; the figures of one training move by about as much

/// All views, one below the other, with a number for each: its object's or its class's.
std::pair<at::Tensor, std::vector<int64_t>> allViews(const EmbeddedObjects& objects, bool byClass)
{
    std::vector<int64_t> groups;
    for (size_t i = 0; i < objects.views.size(); i++)
        groups.insert(groups.end(), static_cast<size_t>(objects.views[i].size(0)),
                      byClass ? objects.classes[i] : static_cast<int64_t>(i));
    return {at::cat(objects.views), groups};
}

Whitening whiteningFor(const Candidate& candidate, const EmbeddedObjects& objects)
{
    if (candidate.whitening == WhiteningKind::None)
        return {};
    if (candidate.whitening == WhiteningKind::Centred)
        return centringOf(at::cat(objects.views));
    const auto [views, groups] = allViews(objects, candidate.whitening == WhiteningKind::Classes);
    return whiteningOf(views, groups, candidate.shrink);
}

at::Tensor describedAll(const Space& space, const EmbeddedObjects& objects)
{
    std::vector<at::Tensor> rows;
    for (const at::Tensor& views : objects.views)
        rows.push_back(space.describe(views, true));
    return at::stack(rows);
}

bool severalViews(const EmbeddedObjects& objects)
{
    return std::any_of(objects.views.begin(), objects.views.end(), [](const at::Tensor& views) { return views.size(0) > 1; });
}

bool severalOfAClass(const EmbeddedObjects& objects)
{
    std::vector<int64_t> classes = objects.classes;
    std::sort(classes.begin(), classes.end());
    return objects.classCount > 1 && std::adjacent_find(classes.begin(), classes.end()) != classes.end();
}

} // namespace

EmbeddedObjects EmbeddedObjects::chosen(const std::vector<size_t>& objects) const
{
    EmbeddedObjects some;
    std::vector<int64_t> places;
    for (const size_t i : objects)
    {
        some.views.push_back(views[i]);
        some.classes.push_back(classes[i]);
        places.push_back(static_cast<int64_t>(i));
    }
    some.classCount = classCount;
    if (bridge)
        some.bridge = Bridge{bridge->views.index_select(0, at::tensor(places)), bridge->classes, bridge->names};
    return some;
}

at::Tensor ringsOf(const std::vector<at::Tensor>& views)
{
    std::map<int64_t, size_t> counts;
    for (const at::Tensor& own : views)
        counts[own.size(0)]++;
    const int64_t usual =
        std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.second < b.second; })->first;
    std::vector<at::Tensor> rings;
    for (const at::Tensor& own : views)
    {
        std::vector<int64_t> order;
        for (int64_t i = 0; i < usual; i++)
            order.push_back(i * own.size(0) / usual);
        rings.push_back(own.index_select(0, at::tensor(order)));
    }
    return at::stack(rings);
}

at::Tensor EmbeddedObjects::rings() const
{
    return ringsOf(views);
}

std::optional<Space> learned(const Candidate& candidate, const Config& config, const EmbeddedObjects& objects, const KeepGoing& keepGoing)
{
    const int64_t width = objects.views.at(0).size(1);
    Whitening whitening = whiteningFor(candidate, objects);
    if (candidate.adapter == AdapterKind::Mean)
        return Space{std::move(whitening), Adapter(AdapterKind::Mean, width, config.lambda, config.seed)};
    Config own = config;
    own.adapter = candidate.adapter;
    AdapterTraining training(own, {whitening(objects.rings()), objects.classes}, candidate.virtualFeatures ? objects.bridge : std::nullopt);
    double loss = 0;
    while (training.stepsDone() < training.lastStep())
    {
        if (keepGoing && !keepGoing(loss))
            return std::nullopt;
        loss = training.step();
    }
    NamedTensors state;
    for (const auto& [name, tensor] : training.adapter().state())
        state.emplace_back(name, tensor.detach().clone());
    return Space{std::move(whitening), Adapter(candidate.adapter, width, config.lambda, state)};
}

std::vector<Candidate> closedForms(const EmbeddedObjects& objects)
{
    std::vector<Candidate> all = {{"mean", WhiteningKind::None}, {"centred mean", WhiteningKind::Centred}};
    for (const auto& [kind, possible, by] : {std::tuple{WhiteningKind::Objects, severalViews(objects), "objects"},
                                             {WhiteningKind::Classes, severalOfAClass(objects), "classes"}})
        for (const double shrink : {0.1, 0.3, 1.0})
            if (possible)
                all.push_back({fmt::format("whitened by {}, shrink {}", by, shrink), kind, shrink});
    return all;
}

std::vector<Candidate> adaptersBehind(const Candidate& whitened, const EmbeddedObjects& objects)
{
    if (!severalOfAClass(objects) || !severalViews(objects))
        return {};
    Candidate adapter = whitened;
    adapter.adapter = AdapterKind::CamFromMean;
    adapter.name += ", cam_from_mean";
    std::vector<Candidate> all = {adapter};
    if (objects.bridge && !objects.bridge->empty())
    {
        adapter.virtualFeatures = true;
        adapter.name += ", virtual features";
        all.push_back(adapter);
    }
    return all;
}

Candidate candidateOf(const Config& config, const EmbeddedObjects& objects)
{
    require(config.adapter == AdapterKind::Mean || objects.classCount > 1,
            "config: 'adapter' is '{}', which is trained on classes, but the objects have {}; expected several, or the adapter 'mean'",
            textOf(config.adapter), objects.classCount > 0 ? "one class" : "none");
    Candidate candidate{"as configured", config.whitening, config.shrink, config.adapter, objects.bridge && !objects.bridge->empty()};
    if (candidate.whitening == WhiteningKind::Classes && !severalOfAClass(objects))
        candidate.whitening = WhiteningKind::Objects;
    if (candidate.whitening == WhiteningKind::Objects && !severalViews(objects))
        candidate.whitening = WhiteningKind::Centred;
    if (candidate.whitening == WhiteningKind::Centred && objects.views.size() == 1)
        candidate.whitening = WhiteningKind::None; // or every descriptor of the one object would be zero
    return candidate;
}

bool canHoldOut(const EmbeddedObjects& objects)
{
    return objects.classCount >= static_cast<int64_t>(leastClasses) && objects.views.size() >= leastObjects && severalOfAClass(objects);
}

std::vector<Fold> foldsOf(const EmbeddedObjects& objects, uint64_t seed)
{
    const std::vector<size_t> order = CounterRandom(mixed(mixed(0, seed), 0xF01D)).permutation(static_cast<size_t>(objects.classCount));
    std::vector<Fold> all(folds);
    for (size_t place = 0; place < order.size(); place++)
        for (size_t i = 0; i < objects.classes.size(); i++)
            if (objects.classes[i] == static_cast<int64_t>(order[place]))
                for (size_t f = 0; f < folds; f++)
                    (place % folds == f ? all[f].heldOut : all[f].learned).push_back(i);
    for (Fold& fold : all)
    {
        std::sort(fold.learned.begin(), fold.learned.end());
        std::sort(fold.heldOut.begin(), fold.heldOut.end());
    }
    return all;
}

std::optional<Comparison> compared(const Config& config, const EmbeddedObjects& objects, const KeepGoing& keepGoing)
{
    const std::vector<Fold> all = foldsOf(objects, config.seed);
    Comparison comparison;
    const auto measure = [&](Candidate candidate) {
        double sum = 0;
        size_t measured = 0;
        for (const Fold& fold : all)
        {
            const EmbeddedObjects heldOut = objects.chosen(fold.heldOut);
            const std::optional<Space> space = learned(candidate, config, objects.chosen(fold.learned), keepGoing);
            if (!space)
                return false;
            const double quality = meanAveragePrecision(describedAll(*space, heldOut), heldOut.classes);
            sum += quality < 0 ? 0 : quality;
            measured += quality < 0 ? 0 : 1;
        }
        candidate.quality = measured > 0 ? sum / static_cast<double>(measured) : -1;
        comparison.candidates.push_back(std::move(candidate));
        const double gain = comparison.candidates.back().quality - comparison.candidates[comparison.best].quality;
        if (gain > (comparison.candidates.back().adapter == AdapterKind::Mean ? 0 : leastGain))
            comparison.best = comparison.candidates.size() - 1;
        return true;
    };
    for (const Candidate& candidate : closedForms(objects))
        if (!measure(candidate))
            return std::nullopt;
    const Candidate closed = comparison.candidates[comparison.best];
    for (const Candidate& candidate : adaptersBehind(closed, objects))
        if (!measure(candidate))
            return std::nullopt;
    return comparison;
}

nlohmann::json toJson(const std::vector<Candidate>& candidates)
{
    nlohmann::json list = nlohmann::json::array();
    for (const Candidate& candidate : candidates)
        list.push_back({{"name", candidate.name}, {"held_out_map", candidate.quality}});
    return list;
}

} // namespace agpnet::dec
