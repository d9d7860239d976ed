// Features of the pictures of a training, kept between epochs: the frozen backbone says the same of the same picture.
#pragma once

#include "models/agpnet/network.h"

#include <cstdint>
#include <map>
#include <tuple>

namespace agpnet
{

/// A picture, or a tile of one, that training looks at.
struct View
{
    size_t product = 0, image = 0, tile = 0;
    auto operator<=>(const View&) const = default;
};

class FeatureStore
{
public:
    explicit FeatureStore(int64_t budgetBytes) : budget_(budgetBytes) {}

    const Features* find(const View& view) const
    {
        const auto it = entries_.find(view);
        return it == entries_.end() ? nullptr : &it->second;
    }

    /// Remembers the n-th of a batch, if it still fits.
    void keep(const View& view, const Features& batch, int64_t n)
    {
        const Features one{batch.tokens[n].clone(), batch.prior[n].clone()};
        const auto bytes = static_cast<int64_t>(one.tokens.nbytes() + one.prior.nbytes());
        if (used_ + bytes > budget_)
            return;
        if (entries_.emplace(view, one).second)
            used_ += bytes;
    }

private:
    int64_t budget_, used_ = 0;
    std::map<View, Features> entries_;
};

} // namespace agpnet
