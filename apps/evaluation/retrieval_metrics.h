// Metrics of retrieval, by one definition each. A query is compared with targets; those of its class are relevant. With NG relevant targets
// at the ranks r_1 < r_2 < ... (from 1) and the precisions p_j = j / r_j:
//   AP            the mean of p_j
//   interpolated  the same with each p_j replaced by the maximum of itself and all later ones, as papers on 3-D retrieval have it
//   recall@k      the fraction of the relevant targets within the first k;  hit@k: whether one of them is there
//   NN            hit@1: the nearest target is relevant
//   NDCG          the sum of 1 / log2(1 + r_j), divided by the same sum for the ranks 1 to NG
//   NMRR          MPEG-7: with K = min(4 NG, 2 max NG), a rank above K counts as 1.25 K; the mean rank, from 0 (perfect) to 1 (none found)
// Two more follow the code that papers on open-set 3-D retrieval share. They are for comparison with their tables only:
//   NDCG@100 papers  the sum within the first 100 ranks, divided by that sum as if all 100 targets were relevant: few relevant targets make
//                    it small, however good the ranking is
//   NMRR papers      only the first NG ranks are looked at: one that is relevant counts as its rank, another as K + 1
// Each is a mean over queries. A query without a relevant target is left out and counted.
#pragma once

#include "apps/evaluation/metrics.h"

namespace agpnet::tools
{

/// What is compared: an object by its name, or one of its views.
struct LabelledObject
{
    std::string name;
    std::string className;
};

/// The place of the relevant targets in the order of one query.
struct Ranking
{
    LabelledObject query;
    LabelledObject first;         ///< the nearest target; empty where there are none
    std::vector<size_t> relevant; ///< ranks from 1, rising
    size_t targets = 0;
};

/// Targets in the order of their similarity, highest first; those that are equally similar in the order of their names. Error if a
/// similarity is not a number.
std::vector<size_t> orderTargets(std::span<const float> similarities, std::span<const LabelledObject> targets);

/// Row i of `similarities` (CV_32FC1) compares query i with each target. Where distances are at hand, pass them negated.
std::vector<Ranking> rankTargets(const cv::Mat& similarities, std::span<const LabelledObject> queries,
                                 std::span<const LabelledObject> targets);

/// Each object is a query once, the others are its targets. The diagonal is not looked at.
std::vector<Ranking> leaveOneOut(const cv::Mat& similarities, std::span<const LabelledObject> objects);

/// The metrics of one query.
struct QueryMetrics
{
    LabelledObject query;
    double ap = 0, apInterpolated = 0, nn = 0, ndcg = 0, nmrr = 0, ndcg100Papers = 0, nmrrPapers = 0;
    std::vector<double> recall, hit; ///< one for each of the k asked for
};

/// Of the queries with a relevant target. `at`: the k of recall@k and hit@k.
std::vector<QueryMetrics> queryMetrics(std::span<const Ranking> rankings, std::span<const size_t> at = {});

/// A mean over queries, and where it may lie: the middle 95 % of the bootstrap samples.
struct MeanMetric
{
    double value = 0;
    std::optional<Interval> interval;
};

struct RetrievalMetrics
{
    size_t queries = 0; ///< with a relevant target
    size_t leftOut = 0; ///< without one
    size_t classes = 0; ///< of the queries
    std::string reason; ///< why there are no metrics; empty if there are
    MeanMetric map, mapInterpolated, nn, ndcg, anmrr, ndcg100Papers, anmrrPapers;
    std::vector<MeanMetric> recall, hit; ///< one for each of the k asked for
};

/// What the bootstrap draws again with replacement.
enum class Drawn
{
    Queries, ///< other queries of the same classes
    Classes  ///< other classes, with all their queries: the interval is wider, and says more of objects never seen
};

struct RetrievalOptions
{
    std::vector<size_t> at = {1, 5, 10}; ///< the k of recall@k and hit@k
    int drawings = 1000;                 ///< number of bootstrap samples; 0 for none
    Drawn drawn = Drawn::Queries;
    uint64_t seed = 1;
};

RetrievalMetrics retrievalMetrics(std::span<const Ranking> rankings, const RetrievalOptions& options = {});

/// Interpolated precision at `points` recalls from 0 to 1: the highest precision at this recall or more, the mean over queries. Empty
/// where no query has a relevant target.
Curve precisionRecall(std::span<const Ranking> rankings, int points = 11);

/// Which class the nearest target has, for each class of queries. Only queries with a relevant target count.
struct Confusion
{
    std::vector<std::string> classes;        ///< of queries and nearest targets, in the order of their names
    std::vector<std::vector<size_t>> counts; ///< [class of the query][class of the nearest target]

    struct Pair
    {
        std::string query, found;
        size_t count = 0; ///< of `of`
        size_t of = 0;    ///< queries of this class
    };
    /// The pairs of different classes that occur most, at most `limit`: by count, then by names.
    std::vector<Pair> worst(size_t limit) const;
};

Confusion confusion(std::span<const Ranking> rankings);

} // namespace agpnet::tools
