// How close is close? Similarities that are known to be of different things, from which a similarity becomes a share, and a stated rate a
// threshold.
#pragma once

#include <ATen/core/Tensor.h>
#include <cstdint>
#include <vector>

namespace agpnet
{

struct Closeness
{
    /// Similarities of a query to entries of other objects; sorted, rising. Empty: not known.
    std::vector<float> pairs;

    /// Greatest similarity of a query to all entries but its own object's, as if that were missing in the gallery: one list for each number
    /// of views that the queries were made of.
    struct Strangers
    {
        int64_t views = 1;
        std::vector<float> best; ///< sorted, rising
    };
    std::vector<Strangers> strangers; ///< by rising number of views

    bool known() const { return !strangers.empty(); }

    /// Fraction of pairs of different objects that are at least this close, 0 to 1; -1: not known.
    double shareAsClose(double similarity) const;

    /// The similarity that queries for things which are not in the gallery exceed at this rate, by queries of so many views.
    double threshold(double rate, int64_t views) const;
};

/// Values at `count` evenly spaced quantiles, or all of them where there are no more: enough for rates down to 1 / count.
std::vector<float> quantiles(std::vector<float> values, size_t count);

} // namespace agpnet
