// Reading weights by name: which prefix they stand behind, what is missing or misshapen, and what was never asked for.
#pragma once

#include "models/weights/state_dict.h"

#include <cstdint>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace agpnet
{

/// A tensor whose name ends, at a dot, with one of several key names.
struct FoundKey
{
    std::string prefix; ///< prefix of the key name, with its dot
    std::string key;
};

/// For a name that ends with several key names, the first in the list counts.
std::vector<FoundKey> findKeys(const StateDict& weights, const std::vector<std::string>& keyNames);

/// The only one. A training checkpoint holds student and teacher: of several, it is the one teacher, as that is what gets
/// published. An Error where there is none, or more than one of equal right. `what`: "vision transformer", for messages.
FoundKey findTheKey(const StateDict& weights, const std::vector<std::string>& keyNames, std::string_view what);

/// The weights behind a prefix, noting what has been used: what is left over tells another architecture.
class NamedWeights
{
public:
    NamedWeights(const StateDict& weights, std::string prefix) : weights_(weights), prefix_(std::move(prefix)) {}

    bool has(const std::string& name) const { return weights_.contains(prefix_ + name); }
    bool hasAnyUnder(const std::string& begin) const;

    at::Tensor get(const std::string& name, std::initializer_list<int64_t> shape);
    at::Tensor get(const std::string& name, int64_t rank);

    /// Refuses whatever under `part` was not asked for, except batch norms' counters; `what` as above.
    void finish(std::string_view part, std::string_view what) const;

    const std::string& prefix() const { return prefix_; }

private:
    at::Tensor get(const std::string& name);

    const StateDict& weights_;
    std::string prefix_;
    std::set<std::string> used_;
};

std::string shapeText(const at::Tensor& tensor);

} // namespace agpnet
