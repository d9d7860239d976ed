#include "apps/evaluation/retrieval_metrics.h"

#include "tests/support/error_text.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <numeric>

namespace agpnet::tools
{
namespace
{

using test::errorOf;
using ::testing::HasSubstr;

constexpr double tight = 1e-12;

std::vector<LabelledObject> objectsOf(const std::vector<std::string>& classes)
{
    std::vector<LabelledObject> objects;
    for (size_t i = 0; i < classes.size(); i++)
        objects.push_back({fmt::format("object{:04}", i), classes[i]});
    return objects;
}

/// A random case: classes of different sizes, similarities with ties on purpose.
struct Case
{
    std::vector<LabelledObject> objects;
    cv::Mat1f similarities;
};

Case randomCase(uint64_t seed, int number, int classes, float pull)
{
    cv::RNG rng(seed);
    std::vector<std::string> names;
    for (int i = 0; i < number; i++)
        names.push_back(fmt::format("class{}", rng.uniform(0, rng.uniform(1, classes + 1))));
    Case random{objectsOf(names), cv::Mat1f(number, number)};
    for (int i = 0; i < number; i++)
        for (int j = 0; j < number; j++)
            random.similarities(i, j) =
                static_cast<float>(rng.uniform(0, 40)) / 40 + (names[static_cast<size_t>(i)] == names[static_cast<size_t>(j)] ? pull : 0);
    return random;
}

/// The same metrics by counting, without sorting anything: the rank of a target is one more than the number of those before it.
struct Reference
{
    std::vector<double> ap, interpolated, nn, ndcg, nmrr, ndcg100, nmrrPapers, recall5, hit5;
    size_t leftOut = 0;

    Reference(const cv::Mat1f& similarities, const std::vector<LabelledObject>& queries, const std::vector<LabelledObject>& targets,
              bool leaveOut)
    {
        const int q = similarities.rows, t = similarities.cols;
        const auto relevant = [&](int i, int j)
        { return !(leaveOut && i == j) && queries[static_cast<size_t>(i)].className == targets[static_cast<size_t>(j)].className; };
        const auto rank = [&](int i, int j)
        {
            int before = 0;
            for (int k = 0; k < t; k++)
                if (!(leaveOut && k == i) && k != j)
                    before += similarities(i, k) > similarities(i, j) ||
                              (similarities(i, k) == similarities(i, j) &&
                               targets[static_cast<size_t>(k)].name < targets[static_cast<size_t>(j)].name);
            return before + 1;
        };
        std::vector<double> numbers;
        for (int i = 0; i < q; i++)
        {
            numbers.push_back(0);
            for (int j = 0; j < t; j++)
                numbers.back() += relevant(i, j);
        }
        const double most = *std::max_element(numbers.begin(), numbers.end());
        for (int i = 0; i < q; i++)
        {
            const double ng = numbers[static_cast<size_t>(i)];
            if (ng == 0)
            {
                leftOut++;
                continue;
            }
            std::vector<int> ranks;
            for (int j = 0; j < t; j++)
                if (relevant(i, j))
                    ranks.push_back(rank(i, j));
            const auto precision = [&](int r)
            { return static_cast<double>(std::count_if(ranks.begin(), ranks.end(), [r](int other) { return other <= r; })) / r; };
            const int looked = t - leaveOut;
            const double window = std::min(4 * ng, 2 * most);
            double sumAp = 0, sumBest = 0, dcg = 0, ideal = 0, dcg100 = 0, ideal100 = 0, sumRank = 0, sumPapers = 0, within5 = 0;
            for (const int r : ranks)
            {
                sumAp += precision(r);
                double best = 0;
                for (int later = r; later <= looked; later++)
                    best = std::max(best, precision(later));
                sumBest += best;
                sumRank += r > window ? 1.25 * window : r;
                within5 += r <= 5;
            }
            for (int r = 1; r <= looked; r++)
            {
                const bool here = std::find(ranks.begin(), ranks.end(), r) != ranks.end();
                const double weight = std::log(2) / std::log(1 + r);
                dcg += here ? weight : 0;
                dcg100 += here && r <= 100 ? weight : 0;
                ideal += r <= ng ? weight : 0;
                ideal100 += r <= 100 ? weight : 0;
                sumPapers += r <= ng ? (here ? r : window + 1) : 0;
            }
            ap.push_back(sumAp / ng);
            interpolated.push_back(sumBest / ng);
            nn.push_back(precision(1));
            ndcg.push_back(dcg / ideal);
            ndcg100.push_back(dcg100 / ideal100);
            nmrr.push_back((sumRank / ng - 0.5 - ng / 2) / (1.25 * window - 0.5 - ng / 2));
            nmrrPapers.push_back((sumPapers / ng - 0.5 - ng / 2) / (window + 0.5 - ng / 2));
            recall5.push_back(within5 / ng);
            hit5.push_back(within5 > 0);
        }
    }
};

double mean(const std::vector<double>& values)
{
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

RetrievalOptions withoutDrawings()
{
    RetrievalOptions options;
    options.drawings = 0;
    return options;
}

void expectEqual(const RetrievalMetrics& m, const Reference& expected)
{
    EXPECT_EQ(m.queries, expected.ap.size());
    EXPECT_EQ(m.leftOut, expected.leftOut);
    EXPECT_NEAR(m.map.value, mean(expected.ap), tight);
    EXPECT_NEAR(m.mapInterpolated.value, mean(expected.interpolated), tight);
    EXPECT_NEAR(m.nn.value, mean(expected.nn), tight);
    EXPECT_NEAR(m.ndcg.value, mean(expected.ndcg), tight);
    EXPECT_NEAR(m.anmrr.value, mean(expected.nmrr), tight);
    EXPECT_NEAR(m.ndcg100Papers.value, mean(expected.ndcg100), tight);
    EXPECT_NEAR(m.anmrrPapers.value, mean(expected.nmrrPapers), tight);
    EXPECT_NEAR(m.recall[1].value, mean(expected.recall5), tight);
    EXPECT_NEAR(m.hit[1].value, mean(expected.hit5), tight);
    EXPECT_EQ(m.hit[0].value, m.nn.value);
}

TEST(RetrievalMetrics, EqualReferenceOnRandomCases)
{
    for (uint64_t seed = 1; seed <= 12; seed++)
    {
        SCOPED_TRACE(seed);
        const Case random = randomCase(seed, 30 + static_cast<int>(seed) * 12, 1 + static_cast<int>(seed), static_cast<float>(seed) / 20);
        expectEqual(retrievalMetrics(leaveOneOut(random.similarities, random.objects), withoutDrawings()),
                    Reference(random.similarities, random.objects, random.objects, true));
        const int cut = random.similarities.rows / 4;
        const std::vector<LabelledObject> queries(random.objects.begin(), random.objects.begin() + cut),
            targets(random.objects.begin() + cut, random.objects.end());
        const cv::Mat1f part = random.similarities(cv::Range(0, cut), cv::Range(cut, random.similarities.cols));
        expectEqual(retrievalMetrics(rankTargets(part, queries, targets), withoutDrawings()), Reference(part, queries, targets, false));
    }
}

/// By hand: the ranks of the relevant targets among ten.
TEST(RetrievalMetrics, EqualValuesWorkedOutByHand)
{
    struct
    {
        std::vector<size_t> ranks;
        double ap, interpolated, nn, ndcg, nmrr, nmrrPapers;
    } const table[] = {
        {{1}, 1, 1, 1, 1, 0, 0},
        {{2}, 1. / 2, 1. / 2, 0, std::log(2) / std::log(3), 2. / 3, 1},                                                  // K = 2
        {{3}, 1. / 3, 1. / 3, 0, 0.5, 1, 1},                                                                             // beyond K
        {{1, 3, 6}, 13. / 18, 13. / 18, 1, (1 + 0.5 + std::log(2) / std::log(7)) / 2.1309297535714573, 8. / 33, 1. / 3}, // K = 6
        {{2, 3}, 7. / 12, 2. / 3, 0, (0.6309297535714573 + 0.5) / 1.6309297535714573, 2. / 7, 4. / 7},                   // K = 4
    };
    for (const auto& row : table)
    {
        const Ranking ranking{{"q", "c"}, {"t", row.nn > 0 ? "c" : "d"}, row.ranks, 10};
        const RetrievalMetrics m = retrievalMetrics({{ranking}}, withoutDrawings());
        SCOPED_TRACE(fmt::format("{}", fmt::join(row.ranks, ",")));
        EXPECT_NEAR(m.map.value, row.ap, tight);
        EXPECT_NEAR(m.mapInterpolated.value, row.interpolated, tight);
        EXPECT_EQ(m.nn.value, row.nn);
        EXPECT_NEAR(m.ndcg.value, row.ndcg, tight);
        EXPECT_NEAR(m.anmrr.value, row.nmrr, tight);
        EXPECT_NEAR(m.anmrrPapers.value, row.nmrrPapers, tight);
    }
}

/// The code that the papers share, run on these very distances, gives these numbers.
TEST(RetrievalMetrics, EqualThePapersCode)
{
    const int queries = 20, targets = 120, classes[] = {0, 1, 2, 4};
    std::vector<std::string> ofQueries, ofTargets;
    cv::Mat1f similarities(queries, targets);
    for (int i = 0; i < queries; i++)
        ofQueries.push_back(std::to_string(classes[i % 4]));
    for (int j = 0; j < targets; j++)
        ofTargets.push_back(std::to_string(j * j % 7));
    for (int i = 0; i < queries; i++)
        for (int j = 0; j < targets; j++)
            similarities(i, j) = static_cast<float>((37 * i + 61 * j + 7 * i * j) % 101 * 128 + j +
                                                    (ofQueries[static_cast<size_t>(i)] == ofTargets[static_cast<size_t>(j)] ? 1200 : 0));
    const std::vector<Ranking> rankings = rankTargets(similarities, objectsOf(ofQueries), objectsOf(ofTargets));
    const RetrievalMetrics m = retrievalMetrics(rankings, withoutDrawings());
    EXPECT_NEAR(m.mapInterpolated.value, 0.430151344292773, 1e-12);
    EXPECT_NEAR(m.ndcg100Papers.value, 0.3241066046480382, 1e-12);
    EXPECT_NEAR(m.anmrrPapers.value, 0.6253886667935784, 1e-12);
    EXPECT_NEAR(m.nn.value, 0.9, 1e-12);
    const double curve[] = {0.9522727272727274,  0.8044444444444444, 0.5194967777320719,  0.4010472245834088,
                            0.36772526057744187, 0.3525967400025586, 0.33053420924560034, 0.3222212286795171,
                            0.30852736322218666, 0.2971867314671758, 0.29378225303889777};
    const Curve points = precisionRecall(rankings);
    ASSERT_EQ(points.size(), std::size(curve));
    for (size_t i = 0; i < points.size(); i++)
        EXPECT_NEAR(points[i].y, curve[i], 1e-12) << i;
}

TEST(RetrievalMetrics, PerfectRanking)
{
    Case one = randomCase(3, 60, 5, 2); // every similarity within a class is above all others
    const RetrievalMetrics m = retrievalMetrics(leaveOneOut(one.similarities, one.objects));
    for (const MeanMetric* metric : {&m.map, &m.mapInterpolated, &m.nn, &m.ndcg})
    {
        EXPECT_NEAR(metric->value, 1, tight);
        EXPECT_NEAR(metric->interval->low, 1, tight);
    }
    EXPECT_NEAR(m.anmrr.value, 0, tight);
    EXPECT_NEAR(m.anmrrPapers.value, 0, tight);
    for (const cv::Point2d& point : precisionRecall(leaveOneOut(one.similarities, one.objects), 21))
        EXPECT_NEAR(point.y, 1, tight);
}

TEST(RetrievalMetrics, RandomRankingIsNearChance)
{
    const Case one = randomCase(11, 600, 1, 0);
    std::vector<std::string> classes;
    for (int i = 0; i < 600; i++)
        classes.push_back(std::to_string(i % 4));
    const RetrievalMetrics m = retrievalMetrics(leaveOneOut(one.similarities, objectsOf(classes)));
    EXPECT_NEAR(m.map.value, 0.25, 0.02);
    EXPECT_NEAR(m.nn.value, 0.25, 0.07);
    EXPECT_NEAR(m.recall[2].value, 10.0 / 599, 0.004);
    EXPECT_LT(m.nn.interval->low, m.nn.value);
    EXPECT_GT(m.nn.interval->high, m.nn.value);
    EXPECT_NEAR((m.nn.interval->high - m.nn.interval->low) / 2, 1.96 * std::sqrt(0.25 * 0.75 / 600), 0.01);
}

TEST(RetrievalMetrics, InterpolatedIsNeverBelowPlain)
{
    const Case one = randomCase(5, 150, 6, 0.2f);
    for (const QueryMetrics& query : queryMetrics(leaveOneOut(one.similarities, one.objects)))
    {
        EXPECT_GE(query.apInterpolated, query.ap);
        EXPECT_GE(query.ap, 0);
        EXPECT_LE(query.apInterpolated, 1);
        EXPECT_GE(query.nmrr, 0);
        EXPECT_LE(query.nmrr, 1);
    }
    double last = 1;
    for (const cv::Point2d& point : precisionRecall(leaveOneOut(one.similarities, one.objects), 33))
    {
        EXPECT_LE(point.y, last);
        last = point.y;
    }
}

TEST(RetrievalMetrics, OrderOfObjectsDoesNotMatter)
{
    const Case one = randomCase(7, 80, 5, 0.3f); // with many ties
    std::vector<int> order(80);
    std::iota(order.begin(), order.end(), 0);
    cv::RNG rng(1);
    for (int i = 79; i > 0; i--)
        std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(rng.uniform(0, i + 1))]);
    Case other{{}, cv::Mat1f(80, 80)};
    for (int i = 0; i < 80; i++)
    {
        other.objects.push_back(one.objects[static_cast<size_t>(order[static_cast<size_t>(i)])]);
        for (int j = 0; j < 80; j++)
            other.similarities(i, j) = one.similarities(order[static_cast<size_t>(i)], order[static_cast<size_t>(j)]);
    }
    const auto a = leaveOneOut(one.similarities, one.objects), b = leaveOneOut(other.similarities, other.objects);
    for (size_t i = 0; i < a.size(); i++)
    {
        EXPECT_EQ(b[i].relevant, a[static_cast<size_t>(order[i])].relevant);
        EXPECT_EQ(b[i].first.name, a[static_cast<size_t>(order[i])].first.name);
    }
    EXPECT_NEAR(retrievalMetrics(a).map.value, retrievalMetrics(b).map.value, tight);
    EXPECT_EQ(confusion(a).counts, confusion(b).counts);
}

TEST(RetrievalMetrics, EqualSimilaritiesAreOrderedByName)
{
    const std::vector<LabelledObject> targets = {{"c", ""}, {"a", ""}, {"d", ""}, {"b", ""}};
    EXPECT_EQ(orderTargets(std::vector<float>{1, 1, 2, 1}, targets), (std::vector<size_t>{2, 1, 3, 0}));
    EXPECT_EQ(orderTargets(std::vector<float>{0.0f, -0.0f, 0, 0}, targets), (std::vector<size_t>{1, 3, 0, 2}));
}

TEST(RetrievalMetrics, QueryWithoutRelevantTargetIsLeftOutAndCounted)
{
    const std::vector<LabelledObject> objects = objectsOf({"bolt", "bolt", "nut"});
    const RetrievalMetrics m = retrievalMetrics(leaveOneOut(cv::Mat1f(3, 3, 0.5f), objects));
    EXPECT_EQ(m.queries, 2u);
    EXPECT_EQ(m.leftOut, 1u);
    EXPECT_EQ(m.classes, 1u);
    EXPECT_EQ(m.reason, "");

    const RetrievalMetrics one = retrievalMetrics(leaveOneOut(cv::Mat1f(1, 1, 1.0f), objectsOf({"bolt"})));
    EXPECT_EQ(one.queries, 0u);
    EXPECT_EQ(one.leftOut, 1u);
    EXPECT_EQ(one.reason, "no query has a target of its class");
    EXPECT_TRUE(precisionRecall(leaveOneOut(cv::Mat1f(1, 1, 1.0f), objectsOf({"bolt"}))).empty());
    EXPECT_EQ(retrievalMetrics({}).reason, "there are no queries");
    EXPECT_TRUE(confusion({}).classes.empty());
}

TEST(RetrievalMetrics, RecallBeyondTheTargetsIsOne)
{
    RetrievalOptions options = withoutDrawings();
    options.at = {1000, 1};
    const Case one = randomCase(9, 20, 2, 0);
    const RetrievalMetrics m = retrievalMetrics(leaveOneOut(one.similarities, one.objects), options);
    EXPECT_EQ(m.recall[0].value, 1);
    EXPECT_EQ(m.hit[0].value, 1);
    EXPECT_EQ(m.hit[1].value, m.nn.value);
    EXPECT_FALSE(m.map.interval.has_value());
}

TEST(RetrievalMetrics, DrawingClassesGivesAWiderIntervalThanDrawingQueries)
{
    // half of the classes are found always, half never: queries of one class say the same
    std::vector<Ranking> rankings;
    for (int c = 0; c < 8; c++)
        for (int i = 0; i < 25; i++)
            rankings.push_back({{fmt::format("{}-{}", c, i), std::to_string(c)}, {}, {c < 4 ? size_t{1} : size_t{9}}, 10});
    RetrievalOptions options;
    const Interval queries = *retrievalMetrics(rankings, options).nn.interval;
    EXPECT_EQ(queries.low, retrievalMetrics(rankings, options).nn.interval->low);
    options.drawn = Drawn::Classes;
    const Interval classes = *retrievalMetrics(rankings, options).nn.interval;
    EXPECT_GT(classes.high - classes.low, 3 * (queries.high - queries.low));
    options.seed = 2;
    options.drawn = Drawn::Queries;
    options.drawings = 50;
    const Interval other = *retrievalMetrics(rankings, options).nn.interval;
    EXPECT_TRUE(other.low != queries.low || other.high != queries.high);
}

TEST(RetrievalMetrics, ConfusionCountsTheNearestTargets)
{
    const std::vector<LabelledObject> objects = objectsOf({"nut", "nut", "bolt", "bolt", "gear"});
    cv::Mat1f similarities = (cv::Mat1f(5, 5) << 9, 1, 2, 0, 0, // nut 0: a bolt
                              1, 9, 0, 3, 0,                    // nut 1: a bolt
                              0, 0, 9, 1, 5,                    // bolt 2: a gear
                              0, 0, 1, 9, 0,                    // bolt 3: right
                              7, 0, 0, 0, 9);                   // the only gear is left out
    const Confusion table = confusion(leaveOneOut(similarities, objects));
    EXPECT_EQ(table.classes, (std::vector<std::string>{"bolt", "gear", "nut"}));
    EXPECT_EQ(table.counts, (std::vector<std::vector<size_t>>{{1, 1, 0}, {0, 0, 0}, {2, 0, 0}}));
    const std::vector<Confusion::Pair> worst = table.worst(5);
    ASSERT_EQ(worst.size(), 2u);
    EXPECT_EQ(worst[0].query + ">" + worst[0].found, "nut>bolt");
    EXPECT_EQ(worst[0].count, 2u);
    EXPECT_EQ(worst[0].of, 2u);
    EXPECT_EQ(worst[1].query + ">" + worst[1].found, "bolt>gear");
    EXPECT_EQ(table.worst(1).size(), 1u);
}

TEST(RetrievalMetrics, ErrorsNameWhatIsWrong)
{
    const std::vector<LabelledObject> objects = objectsOf({"a", "a", "b"});
    cv::Mat1f similarities(3, 3, 0.5f);
    similarities(1, 1) = std::numeric_limits<float>::quiet_NaN(); // of an object with itself: not looked at
    EXPECT_EQ(leaveOneOut(similarities, objects).size(), 3u);
    EXPECT_EQ(errorOf([&] { rankTargets(similarities, objects, objects); }),
              "query 'object0001': the similarity to 'object0001' is not a number");
    similarities(0, 2) = std::numeric_limits<float>::quiet_NaN();
    EXPECT_EQ(errorOf([&] { leaveOneOut(similarities, objects); }), "query 'object0000': the similarity to 'object0002' is not a number");
    EXPECT_THAT(errorOf([&] { leaveOneOut(cv::Mat1f(3, 2, 0.0f), objects); }), HasSubstr("are 3 x 2, 3 x 3 expected"));
    EXPECT_THAT(errorOf([&] { leaveOneOut(cv::Mat(3, 3, CV_64F, cv::Scalar(0)), objects); }), HasSubstr("CV_64FC1"));
    RetrievalOptions options;
    options.at = {0};
    EXPECT_THAT(errorOf([&] { retrievalMetrics({}, options); }), HasSubstr("is 0, at least 1 expected"));
    EXPECT_THAT(errorOf([&] { precisionRecall({}, 1); }), HasSubstr("1 points"));
}

} // namespace
} // namespace agpnet::tools
