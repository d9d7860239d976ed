// How close is close? Similarities that are known to be of different things, from which a similarity becomes a fraction, and a stated rate
// a threshold.
//
// Whether the best match is the object itself shows in two numbers: how close it is, and how far it is ahead of the second. The evidence is
//     evidence = s_1 + weight (s_1 - s_2)
// with the weight for which most objects that are in the gallery are accepted at the rate at which few strangers are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace agpnet
{

struct Closeness
{
    /// Similarities of a query to entries of other objects; sorted, rising. Empty: not known.
    std::vector<float> pairs;

    /// Evidence of queries whose own object is left out, as if it were missing in the gallery: one list for each number of views that the
    /// queries were made of.
    struct Strangers
    {
        int64_t views = 1;
        double weight = 0; ///< of the lead in the evidence
        std::vector<float> evidence; ///< sorted, rising
    };
    std::vector<Strangers> strangers; ///< by rising number of views

    bool known() const { return !strangers.empty(); }

    /// Fraction of pairs of different objects that are at least this close, 0 to 1; -1: not known.
    double shareAsClose(double similarity) const;

    /// Evidence of a best match with this similarity and the second's, for a query of so many views.
    double evidence(double first, double second, int64_t views) const;

    /// The evidence that queries for things which are not in the gallery exceed at this rate, by queries of so many views.
    double threshold(double rate, int64_t views) const;

private:
    const Strangers& ofViews(int64_t views) const; ///< those of the most views that the query has at least
};

/// The two best similarities of a query.
struct BestTwo
{
    float first = -1, second = -1;
};

/// @param own       with the query's own object in the gallery
/// @param strangers without it
Closeness::Strangers learnedStrangers(int64_t views, const std::vector<BestTwo>& own, const std::vector<BestTwo>& strangers);

/// Values at `count` evenly spaced quantiles, or all of them where there are no more: enough for rates down to 1 / count.
std::vector<float> quantiles(std::vector<float> values, size_t count);

} // namespace agpnet
