#include "apps/evaluation/retrieval_metrics.h"

#include "common/error.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace agpnet::tools
{

namespace
{

constexpr size_t paperDepth = 100; ///< ranks that the papers' NDCG looks at

Ranking rankRow(std::span<const float> similarities, const LabelledObject& query, std::span<const LabelledObject> targets,
                std::optional<size_t> except)
{
    Ranking ranking{query, {}, {}, 0};
    for (const size_t target : orderTargets(similarities, targets))
    {
        if (target == except)
            continue;
        if (ranking.targets++ == 0)
            ranking.first = targets[target];
        if (targets[target].className == query.className)
            ranking.relevant.push_back(ranking.targets);
    }
    return ranking;
}

std::span<const float> rowOf(const cv::Mat& similarities, size_t row)
{
    return {similarities.ptr<float>(static_cast<int>(row)), static_cast<size_t>(similarities.cols)};
}

void requireSize(const cv::Mat& similarities, size_t queries, size_t targets)
{
    require(similarities.empty() || similarities.type() == CV_32FC1, "the similarities are {}, one channel of 32-bit floats expected",
            cv::typeToString(similarities.type()));
    require(static_cast<size_t>(similarities.rows) == queries && static_cast<size_t>(similarities.cols) == targets,
            "the similarities are {} x {}, {} x {} expected: queries x targets", similarities.rows, similarities.cols, queries, targets);
}

double discount(size_t rank)
{
    return 1 / std::log2(1.0 + static_cast<double>(rank));
}

double sumOfDiscounts(size_t ranks)
{
    double sum = 0;
    for (size_t rank = 1; rank <= ranks; rank++)
        sum += discount(rank);
    return sum;
}

/// Precision at each relevant target, replaced by the maximum of itself and all later ones.
std::vector<double> interpolatedPrecisions(const Ranking& ranking)
{
    std::vector<double> precisions(ranking.relevant.size());
    double best = 0;
    for (size_t j = precisions.size(); j-- > 0;)
        precisions[j] = best = std::max(best, static_cast<double>(j + 1) / static_cast<double>(ranking.relevant[j]));
    return precisions;
}

double meanOf(const std::vector<double>& values)
{
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// The largest rank that counts as found.
double windowOf(size_t relevant, size_t mostRelevant)
{
    return static_cast<double>(std::min(4 * relevant, 2 * mostRelevant));
}

/// @param miss  what a target counts that is not found, in place of its rank
double modifiedRank(double meanRank, size_t relevant, double miss)
{
    const double perfect = (1 + static_cast<double>(relevant)) / 2;
    return (meanRank - perfect) / (miss - perfect);
}

double mpeg7Rank(const Ranking& ranking, size_t mostRelevant)
{
    const double window = windowOf(ranking.relevant.size(), mostRelevant), miss = 1.25 * window;
    double sum = 0;
    for (const size_t rank : ranking.relevant)
        sum += static_cast<double>(rank) <= window ? static_cast<double>(rank) : miss;
    return modifiedRank(sum / static_cast<double>(ranking.relevant.size()), ranking.relevant.size(), miss);
}

double paperRank(const Ranking& ranking, size_t mostRelevant)
{
    const size_t looked = ranking.relevant.size();
    const double miss = windowOf(looked, mostRelevant) + 1;
    double sum = 0;
    size_t found = 0;
    for (const size_t rank : ranking.relevant)
        if (rank <= looked)
        {
            sum += static_cast<double>(rank);
            found++;
        }
    sum += static_cast<double>(looked - found) * miss;
    return modifiedRank(sum / static_cast<double>(looked), looked, miss);
}

QueryMetrics measure(const Ranking& ranking, size_t mostRelevant, std::span<const size_t> at)
{
    QueryMetrics metrics;
    metrics.query = ranking.query;
    const std::vector<size_t>& ranks = ranking.relevant;
    const auto number = static_cast<double>(ranks.size());
    double precisions = 0, gain = 0, early = 0;
    for (size_t j = 0; j < ranks.size(); j++)
    {
        precisions += static_cast<double>(j + 1) / static_cast<double>(ranks[j]);
        gain += discount(ranks[j]);
        early += ranks[j] <= paperDepth ? discount(ranks[j]) : 0;
    }
    metrics.ap = precisions / number;
    metrics.apInterpolated = meanOf(interpolatedPrecisions(ranking));
    metrics.nn = ranks.front() == 1;
    metrics.ndcg = gain / sumOfDiscounts(ranks.size());
    metrics.nmrr = mpeg7Rank(ranking, mostRelevant);
    metrics.ndcg100Papers = early / sumOfDiscounts(std::min(paperDepth, ranking.targets));
    metrics.nmrrPapers = paperRank(ranking, mostRelevant);
    for (const size_t k : at)
    {
        const auto within = std::upper_bound(ranks.begin(), ranks.end(), k) - ranks.begin();
        metrics.recall.push_back(static_cast<double>(within) / number);
        metrics.hit.push_back(within > 0);
    }
    return metrics;
}

/// The metrics of the queries as columns of numbers, each with the mean that it goes to.
struct Column
{
    std::vector<double> values;
    MeanMetric* mean;
};

std::vector<Column> columnsOf(const std::vector<QueryMetrics>& queries, RetrievalMetrics& into)
{
    std::vector<Column> columns;
    const auto add = [&](MeanMetric& mean, auto value)
    {
        Column column{{}, &mean};
        for (const QueryMetrics& query : queries)
            column.values.push_back(value(query));
        columns.push_back(std::move(column));
    };
    add(into.map, [](const QueryMetrics& q) { return q.ap; });
    add(into.mapInterpolated, [](const QueryMetrics& q) { return q.apInterpolated; });
    add(into.nn, [](const QueryMetrics& q) { return q.nn; });
    add(into.ndcg, [](const QueryMetrics& q) { return q.ndcg; });
    add(into.anmrr, [](const QueryMetrics& q) { return q.nmrr; });
    add(into.ndcg100Papers, [](const QueryMetrics& q) { return q.ndcg100Papers; });
    add(into.anmrrPapers, [](const QueryMetrics& q) { return q.nmrrPapers; });
    for (size_t k = 0; k < into.recall.size(); k++)
    {
        add(into.recall[k], [k](const QueryMetrics& q) { return q.recall[k]; });
        add(into.hit[k], [k](const QueryMetrics& q) { return q.hit[k]; });
    }
    return columns;
}

std::map<std::string, std::vector<size_t>> byClass(const std::vector<QueryMetrics>& queries)
{
    std::map<std::string, std::vector<size_t>> classes;
    for (size_t i = 0; i < queries.size(); i++)
        classes[queries[i].query.className].push_back(i);
    return classes;
}

/// The means of the columns over the drawn queries, once for each drawing.
void addIntervals(std::vector<Column>& columns, const std::vector<std::vector<size_t>>& groups, const RetrievalOptions& options)
{
    cv::RNG rng(options.seed);
    std::vector<std::vector<double>> means(columns.size());
    std::vector<size_t> drawn;
    for (int drawing = 0; drawing < options.drawings; drawing++)
    {
        drawn.clear();
        for (size_t i = 0; i < groups.size(); i++)
        {
            const auto& group = groups[static_cast<size_t>(rng.uniform(0, static_cast<int>(groups.size())))];
            drawn.insert(drawn.end(), group.begin(), group.end());
        }
        for (size_t c = 0; c < columns.size(); c++)
        {
            double sum = 0;
            for (const size_t query : drawn)
                sum += columns[c].values[query];
            means[c].push_back(sum / static_cast<double>(drawn.size()));
        }
    }
    for (size_t c = 0; c < columns.size(); c++)
        columns[c].mean->interval = interval95(std::move(means[c]));
}

} // namespace

std::vector<size_t> orderTargets(std::span<const float> similarities, std::span<const LabelledObject> targets)
{
    require(similarities.size() == targets.size(), "{} similarities, but {} targets", similarities.size(), targets.size());
    for (size_t i = 0; i < targets.size(); i++)
        require(!std::isnan(similarities[i]), "the similarity to '{}' is not a number", targets[i].name);
    std::vector<size_t> order(targets.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) {
                         return similarities[a] != similarities[b] ? similarities[a] > similarities[b] : targets[a].name < targets[b].name;
                     });
    return order;
}

std::vector<Ranking> rankTargets(const cv::Mat& similarities, std::span<const LabelledObject> queries,
                                 std::span<const LabelledObject> targets)
{
    requireSize(similarities, queries.size(), targets.size());
    std::vector<Ranking> rankings;
    for (size_t i = 0; i < queries.size(); i++)
        try
        {
            rankings.push_back(rankRow(rowOf(similarities, i), queries[i], targets, {}));
        }
        catch (const Error& error)
        {
            fail("query '{}': {}", queries[i].name, error.what());
        }
    return rankings;
}

std::vector<Ranking> leaveOneOut(const cv::Mat& similarities, std::span<const LabelledObject> objects)
{
    requireSize(similarities, objects.size(), objects.size());
    std::vector<Ranking> rankings;
    std::vector<float> row;
    for (size_t i = 0; i < objects.size(); i++)
        try
        {
            const std::span<const float> all = rowOf(similarities, i);
            row.assign(all.begin(), all.end());
            row[i] = 0; // may be anything, even not a number
            rankings.push_back(rankRow(row, objects[i], objects, i));
        }
        catch (const Error& error)
        {
            fail("query '{}': {}", objects[i].name, error.what());
        }
    return rankings;
}

std::vector<QueryMetrics> queryMetrics(std::span<const Ranking> rankings, std::span<const size_t> at)
{
    size_t mostRelevant = 0;
    for (const Ranking& ranking : rankings)
        mostRelevant = std::max(mostRelevant, ranking.relevant.size());
    std::vector<QueryMetrics> metrics;
    for (const Ranking& ranking : rankings)
        if (!ranking.relevant.empty())
            metrics.push_back(measure(ranking, mostRelevant, at));
    return metrics;
}

RetrievalMetrics retrievalMetrics(std::span<const Ranking> rankings, const RetrievalOptions& options)
{
    for (const size_t k : options.at)
        require(k >= 1, "the k of recall@k is {}, at least 1 expected", k);
    const std::vector<QueryMetrics> queries = queryMetrics(rankings, options.at);
    const auto classes = byClass(queries);
    RetrievalMetrics result;
    result.queries = queries.size();
    result.leftOut = rankings.size() - queries.size();
    result.classes = classes.size();
    if (queries.empty())
    {
        result.reason = rankings.empty() ? "there are no queries" : "no query has a target of its class";
        return result;
    }
    result.recall.resize(options.at.size());
    result.hit.resize(options.at.size());
    std::vector<Column> columns = columnsOf(queries, result);
    for (Column& column : columns)
        column.mean->value = meanOf(column.values);
    std::vector<std::vector<size_t>> groups;
    if (options.drawn == Drawn::Classes)
        for (const auto& [name, members] : classes)
            groups.push_back(members);
    else
        for (size_t i = 0; i < queries.size(); i++)
            groups.push_back({i});
    addIntervals(columns, groups, options);
    return result;
}

Curve precisionRecall(std::span<const Ranking> rankings, int points)
{
    require(points >= 2, "a precision-recall curve has {} points, at least 2 expected", points);
    std::vector<double> sums(static_cast<size_t>(points));
    size_t queries = 0;
    for (const Ranking& ranking : rankings)
    {
        if (ranking.relevant.empty())
            continue;
        queries++;
        const std::vector<double> precisions = interpolatedPrecisions(ranking);
        for (size_t i = 0; i < sums.size(); i++)
        {
            // the first relevant target with a recall of i / (points - 1), in whole numbers: 3 of 10 are exactly 0.3
            const size_t steps = sums.size() - 1, needed = (i * precisions.size() + steps - 1) / steps;
            sums[i] += precisions[std::max<size_t>(needed, 1) - 1];
        }
    }
    Curve curve;
    for (size_t i = 0; queries > 0 && i < sums.size(); i++)
        curve.emplace_back(static_cast<double>(i) / static_cast<double>(points - 1), sums[i] / static_cast<double>(queries));
    return curve;
}

Confusion confusion(std::span<const Ranking> rankings)
{
    std::map<std::string, size_t> number;
    for (const Ranking& ranking : rankings)
        if (!ranking.relevant.empty())
        {
            number.emplace(ranking.query.className, 0);
            number.emplace(ranking.first.className, 0);
        }
    Confusion result;
    for (auto& [name, place] : number)
    {
        place = result.classes.size();
        result.classes.push_back(name);
    }
    result.counts.assign(number.size(), std::vector<size_t>(number.size()));
    for (const Ranking& ranking : rankings)
        if (!ranking.relevant.empty())
            result.counts[number.at(ranking.query.className)][number.at(ranking.first.className)]++;
    return result;
}

std::vector<Confusion::Pair> Confusion::worst(size_t limit) const
{
    std::vector<Pair> pairs;
    for (size_t i = 0; i < classes.size(); i++)
        for (size_t j = 0; j < classes.size(); j++)
            if (i != j && counts[i][j] > 0)
                pairs.push_back({classes[i], classes[j], counts[i][j], std::accumulate(counts[i].begin(), counts[i].end(), size_t{0})});
    // stable: of those with one count, the names are in order already
    std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.count > b.count; });
    if (pairs.size() > limit)
        pairs.resize(limit);
    return pairs;
}

} // namespace agpnet::tools
