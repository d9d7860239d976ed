#include "models/weights/named_weights.h"

#include "common/error.h"

namespace agpnet
{

std::vector<FoundKey> findKeys(const StateDict& weights, const std::vector<std::string>& keyNames)
{
    std::vector<FoundKey> found;
    for (const auto& [name, tensor] : weights)
        for (const std::string& key : keyNames)
            if (name.ends_with(key) && (name.size() == key.size() || name[name.size() - key.size() - 1] == '.'))
            {
                found.push_back({name.substr(0, name.size() - key.size()), key});
                break;
            }
    return found;
}

FoundKey findTheKey(const StateDict& weights, const std::vector<std::string>& keyNames, std::string_view what)
{
    require(!weights.empty(), "there are no weights");
    const std::vector<FoundKey> found = findKeys(weights, keyNames);
    require(!found.empty(), "{}: these are not the weights of a {}: none of the {} tensors is called {}", weights.begin()->first, what,
            weights.size(), fmt::join(keyNames, " or "));
    if (found.size() == 1)
        return found[0];
    const FoundKey* teacher = nullptr;
    for (const FoundKey& one : found)
        if (one.prefix.find("teacher") != std::string::npos)
            teacher = teacher ? nullptr : &one;
    require(teacher != nullptr, "the weights hold more than one {}: {}{} and {}{}", what, found[0].prefix, found[0].key,
            found[1].prefix, found[1].key);
    return *teacher;
}

bool NamedWeights::hasAnyUnder(const std::string& begin) const
{
    const auto at = weights_.lower_bound(prefix_ + begin);
    return at != weights_.end() && at->first.starts_with(prefix_ + begin);
}

at::Tensor NamedWeights::get(const std::string& name, std::initializer_list<int64_t> shape)
{
    const at::Tensor tensor = get(name);
    require(tensor.sizes() == at::IntArrayRef(shape), "{}{}: has shape {}, expected [{}]", prefix_, name, shapeText(tensor),
            fmt::join(at::IntArrayRef(shape), ", "));
    return tensor;
}

at::Tensor NamedWeights::get(const std::string& name, int64_t rank)
{
    const at::Tensor tensor = get(name);
    require(tensor.dim() == rank, "{}{}: has shape {}, expected {} dimensions", prefix_, name, shapeText(tensor), rank);
    require(tensor.numel() > 0, "{}{}: is empty", prefix_, name);
    return tensor;
}

at::Tensor NamedWeights::get(const std::string& name)
{
    const auto found = weights_.find(prefix_ + name);
    require(found != weights_.end(), "{}{}: is missing from the weights", prefix_, name);
    require(at::isFloatingType(found->second.scalar_type()), "{}{}: holds {}, expected floating-point numbers", prefix_, name,
            c10::toString(found->second.scalar_type()));
    used_.insert(found->first);
    return found->second;
}

void NamedWeights::finish(std::string_view part, std::string_view what) const
{
    const std::string begin = prefix_ + std::string(part);
    for (auto at = weights_.lower_bound(begin); at != weights_.end() && at->first.starts_with(begin); ++at)
        require(used_.contains(at->first) || at->first.ends_with(".num_batches_tracked"),
                "{}: is not part of a {} as known here (shape {})", at->first, what, shapeText(at->second));
}

std::string shapeText(const at::Tensor& tensor)
{
    return fmt::format("[{}]", fmt::join(tensor.sizes(), ", "));
}

} // namespace agpnet
