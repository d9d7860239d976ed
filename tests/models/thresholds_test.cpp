#include "models/thresholds/thresholds.h"
#include "tests/models/support.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <random>

namespace agpnet::test
{
namespace
{

using ::testing::HasSubstr;

/// Forty fixed scores with a long tail.
std::vector<double> fixedScores()
{
    std::vector<double> scores;
    for (int i = 1; i <= 40; i++)
        scores.push_back(std::round((-std::log(1 - (i * 37 % 101) / 101.0) * 0.3 + 0.2) * 1e6) / 1e6);
    return scores;
}

TEST(Thresholds, TailIsThatOfSciPy)
{
    // scipy 1.17.1 on the same scores: l = scipy.stats.lmoment(excesses, [1, 2], standardize=False); shape = 2 - l[0]/l[1],
    // scale = l[0] (1 - shape); from + scipy.stats.genpareto.isf(rate / share, shape, scale=scale)
    const Tail tail = fittedTail(fixedScores());
    EXPECT_NEAR(tail.from, 0.6134525, 1e-12);
    EXPECT_EQ(tail.share, 0.25);
    EXPECT_NEAR(tail.shape, 0.10746263895016117, 1e-12);
    EXPECT_NEAR(tail.scale, 0.26708368320417875, 1e-12);
    for (const auto& [rate, expected] :
         {std::pair{0.25, 0.6134525}, {0.1, 0.8706329361939774}, {0.01, 1.6405880925791831}, {0.001, 2.626704240940237}})
        EXPECT_NEAR(thresholdFromTail(fixedScores(), rate).value, expected, 1e-12) << rate;
}

TEST(Thresholds, QuantilesOfATailAreThoseOfSciPy)
{
    // scipy.stats.genpareto.isf([0.5, 0.04, 0.004], shape, loc=2, scale=0.5)
    struct Case
    {
        double shape;
        std::array<double, 3> expected;
    };
    for (const Case& c :
         {Case{-0.4, {2.30267714593, 2.90506758463, 3.11267993209}}, Case{-0.1, {2.33483504232, 3.37610168161, 4.12143524593}},
          Case{0, {2.34657359028, 3.60943791243, 4.76073045893}}, Case{0.1, {2.35886731268, 3.89864830731, 5.6848836611}},
          Case{0.3, {2.38524068891, 4.71087967401, 9.06768657891}}})
    {
        const Tail tail{2, 0.25, c.shape, 0.5};
        size_t i = 0;
        for (const double share : {0.5, 0.04, 0.004})
            EXPECT_NEAR(tail.quantile(0.25 * share), c.expected[i++], 1e-10) << c.shape;
    }
    EXPECT_THAT(errorOf([] { Tail{2, 0.25, 0, 0.5}.quantile(0.3); }), HasSubstr("the rate 0.3 is not in the tail"));
}

/// The mean rate at which new scores exceed a threshold that was taken from n of their kind.
double meanRate(const std::function<double(std::mt19937_64&)>& draw, size_t n,
                const std::function<double(const std::vector<double>&)>& threshold)
{
    constexpr int repeats = 400;
    constexpr size_t fresh = 20'000;
    std::mt19937_64 random(7);
    std::vector<double> others(fresh);
    std::generate(others.begin(), others.end(), [&] { return draw(random); });
    std::sort(others.begin(), others.end());
    double sum = 0;
    for (int i = 0; i < repeats; i++)
    {
        std::vector<double> scores(n);
        std::generate(scores.begin(), scores.end(), [&] { return draw(random); });
        const auto above = others.end() - std::upper_bound(others.begin(), others.end(), threshold(scores));
        sum += static_cast<double>(above) / static_cast<double>(fresh);
    }
    return sum / repeats;
}

TEST(Thresholds, KeepTheStatedRateOnNewScores)
{
    const std::pair<const char*, std::function<double(std::mt19937_64&)>> kinds[] = {
        {"normal", [](std::mt19937_64& r) { return std::normal_distribution(1.0, 0.1)(r); }},
        {"log-normal", [](std::mt19937_64& r) { return std::lognormal_distribution(0.0, 0.5)(r); }},
        {"gamma", [](std::mt19937_64& r) { return std::gamma_distribution(4.0, 0.1)(r); }},
        {"Student's t, 4", [](std::mt19937_64& r) { return std::student_t_distribution(4.0)(r); }}};
    for (const auto& [name, draw] : kinds)
        for (const double rate : {0.01, 0.05})
        {
            // few scores are worth less than their number: the rate is kept to a factor of two from 64 of them
            for (const auto& [n, most] : {std::pair<size_t, double>{64, 2}, {500, 1.3}})
            {
                const double found = meanRate(draw, n, [rate = rate](const auto& scores) { return thresholdFromTail(scores, rate).value; });
                EXPECT_LT(found, most * rate) << name << ", " << n;
                EXPECT_GT(found, rate / most) << name << ", " << n;
            }
            const double found =
                meanRate(draw, 500, [rate = rate](const auto& scores) { return thresholdFromQuantile(scores, rate).value; });
            EXPECT_NEAR(found, rate, 0.2 * rate) << name;
        }
}

TEST(Thresholds, FallAsTheRateRises)
{
    double tail = HUGE_VAL, quantile = HUGE_VAL;
    for (const double rate : {1e-6, 1e-3, 0.01, 0.02, 0.1, 0.2, 0.24})
    {
        EXPECT_LT(thresholdFromTail(fixedScores(), rate).value, tail) << rate;
        EXPECT_LE(thresholdFromQuantile(fixedScores(), rate).value, quantile) << rate;
        tail = thresholdFromTail(fixedScores(), rate).value;
        quantile = thresholdFromQuantile(fixedScores(), rate).value;
    }
}

TEST(Thresholds, SayWhereTheyComeFrom)
{
    const Threshold tail = thresholdFromTail(fixedScores(), 0.01);
    EXPECT_EQ(tail.method, "tail");
    EXPECT_EQ(tail.rate, 0.01);
    EXPECT_EQ(tail.normal, 40);
    EXPECT_EQ(thresholdFromTail(fixedScores(), 0.4).method, "quantile") << "it is not in the tail";
    const Threshold quantile = thresholdFromQuantile(fixedScores(), 0.001);
    EXPECT_EQ(quantile.rate, 1.0 / 41) << "the least that 40 scores can tell";
    EXPECT_EQ(quantile.value, 1.584536);
    // few: the mean and three deviations, and no rate
    const Threshold few = thresholdFromTail({1, 2, 3}, 0.01);
    EXPECT_EQ(few.method, "deviations");
    EXPECT_DOUBLE_EQ(few.value, 5);
    EXPECT_LT(few.rate, 0);
    EXPECT_EQ(thresholdFromTail({2}, 0.01).value, 2);
    EXPECT_EQ(thresholdFromTail(std::vector<double>(20, 3.0), 0.01).value, 3) << "nothing is known to lie above";
}

TEST(Thresholds, OfLabelledScoresAreTheBestThereAre)
{
    // F1-max is .8, where all from .2 upward are called, of which .35 and a .4 are normal
    const std::vector<double> normal = {.1, .35, .4}, anomalous = {.4, .8, .4, .2};
    const Threshold f1 = thresholdFromF1(normal, anomalous);
    EXPECT_EQ(f1.method, "f1");
    EXPECT_DOUBLE_EQ(f1.value, 0.15) << "between .1 and .2";
    EXPECT_DOUBLE_EQ(f1.rate, 2.0 / 3);

    // against every threshold there is, on drawn scores
    std::mt19937_64 random(3);
    for (int repeat = 0; repeat < 50; repeat++)
    {
        std::vector<double> good, bad;
        for (int i = 0; i < 12; i++)
            good.push_back(std::uniform_int_distribution(0, 20)(random));
        for (int i = 0; i < 9; i++)
            bad.push_back(std::uniform_int_distribution(5, 25)(random));
        const auto above = [](const std::vector<double>& scores, double t) {
            return static_cast<double>(std::count_if(scores.begin(), scores.end(), [t](double s) { return s > t; }));
        };
        const auto f1At = [&](double t) { return 2 * above(bad, t) / (above(bad, t) + 9 + above(good, t)); };
        const auto costAt = [&](double t) { return 3 * (9 - above(bad, t)) + above(good, t); };
        double bestF1 = 0, leastCost = HUGE_VAL;
        for (double t = -0.5; t < 26; t++)
        {
            bestF1 = std::max(bestF1, f1At(t));
            leastCost = std::min(leastCost, costAt(t));
        }
        EXPECT_DOUBLE_EQ(f1At(thresholdFromF1(good, bad).value), bestF1);
        EXPECT_DOUBLE_EQ(costAt(thresholdFromCost(good, bad, 3).value), leastCost);
    }
    EXPECT_LE(thresholdFromCost(normal, anomalous, 100).value, thresholdFromCost(normal, anomalous, 0.1).value)
        << "a dear miss is worth alarms";
}

TEST(Thresholds, RefuseWhatSaysNothing)
{
    EXPECT_THAT(errorOf([] { thresholdFromTail({}, 0.01); }), HasSubstr("no scores of normal images"));
    EXPECT_THAT(errorOf([] { thresholdFromF1({1}, {}); }), HasSubstr("no scores of anomalous images"));
    EXPECT_THAT(errorOf([] { thresholdFromTail({1, NAN}, 0.01); }), HasSubstr("is nan, expected a finite one"));
    EXPECT_THAT(errorOf([] { thresholdFromQuantile({1, 2}, 1); }), HasSubstr("the false-positive rate is 1"));
    EXPECT_THAT(errorOf([] { thresholdFromCost({1}, {2}, 0); }), HasSubstr("the cost of a missed defect is 0"));
    EXPECT_THAT(errorOf([] { fittedTail({1, 2, 3}); }), HasSubstr("3 scores, expected at least 8"));
}

TEST(Calibrated, RisesFrom0To1AndIsHalfAtTheThreshold)
{
    for (const double steepness : {1.0, 3.3, 16.0})
    {
        EXPECT_EQ(calibrated(0, 0.3, steepness), 0);
        EXPECT_DOUBLE_EQ(calibrated(0.3, 0.3, steepness), 0.5);
        double last = 0;
        for (double score = 0.01; score < 2; score *= 1.05)
        {
            const double value = calibrated(score, 0.3, steepness);
            EXPECT_GT(value, last);
            EXPECT_LT(value, 1);
            EXPECT_EQ(value > 0.5, score > 0.3);
            last = value;
        }
    }
    EXPECT_NEAR(calibrated(0.2, 0.3, steepnessFor(0.2, 0.3)), 0.1, 1e-12) << "a usual normal picture";
    EXPECT_EQ(steepnessFor(0.4, 0.3), 16) << "a threshold below the median";
    EXPECT_EQ(steepnessFor(0, 0.3), 16);
}

} // namespace
} // namespace agpnet::test
