#include "apps/evaluation/metrics.h"

#include "tests/support/error_text.h"
#include "tests/support/temp_folder.h"

#include <chrono>
#include <cmath>
#include <limits>
#include <opencv2/imgproc.hpp>
#include <set>

namespace agpnet::tools
{
namespace
{

using test::errorOf;
using ::testing::HasSubstr;

constexpr double tight = 1e-11;

struct Case
{
    std::vector<cv::Mat> maps, masks;
};

/// Small, with many ties, and two components that touch at a corner only: what most definitions disagree on.
Case goldenCase()
{
    Case golden;
    for (int n = 0; n < 4; n++)
    {
        cv::Mat mask(16, 16, CV_8U, cv::Scalar(0)), map(16, 16, CV_32F);
        if (n == 1)
        {
            mask(cv::Range(2, 5), cv::Range(2, 5)) = 255;
            mask(cv::Range(5, 9), cv::Range(5, 9)) = 255;
        }
        if (n == 2)
        {
            mask.at<uchar>(0, 15) = 255;
            mask(cv::Range(9, 15), cv::Range(3, 5)) = 255;
        }
        for (int y = 0; y < 16; y++)
            for (int x = 0; x < 16; x++)
                map.at<float>(y, x) =
                    static_cast<float>((37 * n + 17 * y + 29 * x + 7 * x * y) % 64) / 64 + (mask.at<uchar>(y, x) ? 0.375f : 0.0f);
        golden.maps.push_back(map);
        golden.masks.push_back(mask);
    }
    return golden;
}

PixelMetrics measure(const Case& data, std::span<const double> limits = PixelAccumulator::defaultLimits)
{
    PixelAccumulator pixels;
    for (size_t i = 0; i < data.maps.size(); i++)
        pixels.add(data.maps[i], data.masks[i]);
    return pixels.finish(limits);
}

TEST(PixelMetrics, GoldenCase)
{
    const std::vector<double> limits = {0.3, 0.05, 1.0};
    const PixelMetrics m = measure(goldenCase(), limits);
    EXPECT_EQ(m.components, 3u);
    EXPECT_EQ(m.positives, 38u);
    EXPECT_EQ(m.negatives, 4u * 256 - 38);
    EXPECT_NEAR(*m.auroc, 0.825731290701, tight);
    EXPECT_NEAR(*m.ap, 0.544615096757, tight);
    EXPECT_NEAR(*m.f1Max, 0.666666666667, tight);
    EXPECT_EQ(*m.f1Threshold, 1.015625f);
    EXPECT_NEAR(*m.aupro[0], 0.698043223871, tight);
    EXPECT_NEAR(*m.aupro[1], 0.645555555556, tight);
    EXPECT_NEAR(*m.aupro[2], 0.872172075727, tight);
    EXPECT_GT(std::abs(*m.aupro[0] - 0.663655701885), 0.01);  // 4-connected components
    EXPECT_GT(std::abs(*m.aupro[0] - 0.694734892788), 0.001); // 100 or 200 uniform thresholds
    EXPECT_TRUE(m.reason.empty());
}

TEST(PixelMetrics, EmptyMaskIsAGoodPicture)
{
    Case data = goldenCase();
    data.masks[0] = data.masks[3] = cv::Mat();
    EXPECT_NEAR(*measure(data).aupro[0], 0.698043223871, tight);
}

TEST(PixelMetrics, OrderAndMonotoneScaleDoNotMatter)
{
    Case data = goldenCase();
    std::reverse(data.maps.begin(), data.maps.end());
    std::reverse(data.masks.begin(), data.masks.end());
    for (cv::Mat& map : data.maps)
        map = map * 8 - 5; // exact, and partly negative
    const PixelMetrics m = measure(data);
    EXPECT_NEAR(*m.auroc, 0.825731290701, tight);
    EXPECT_NEAR(*m.ap, 0.544615096757, tight);
    EXPECT_EQ(*m.f1Threshold, 1.015625f * 8 - 5);
    EXPECT_NEAR(*m.aupro[0], 0.698043223871, tight);
}

TEST(PixelMetrics, PerfectAndReversedMaps)
{
    Case data;
    cv::Mat mask(64, 64, CV_8U, cv::Scalar(0)), map;
    cv::circle(mask, {30, 30}, 9, cv::Scalar(1), cv::FILLED); // 1 counts as positive
    mask.convertTo(map, CV_32F);
    data.maps = {map};
    data.masks = {mask};
    PixelMetrics m = measure(data);
    EXPECT_EQ(*m.auroc, 1);
    EXPECT_EQ(*m.ap, 1);
    EXPECT_EQ(*m.f1Max, 1);
    EXPECT_NEAR(*m.aupro[0], 1, 1e-12);
    data.maps = {cv::Mat(-map)};
    m = measure(data);
    EXPECT_EQ(*m.auroc, 0);
    EXPECT_NEAR(*m.aupro[0], 0, 1e-12);
}

/// The definitions written out with loops over all thresholds, to check the sorted walk on random data with ties.
TEST(PixelMetrics, AgreesWithTheDefinitionsSpelledOut)
{
    cv::RNG rng(11);
    Case data;
    for (int n = 0; n < 3; n++)
    {
        cv::Mat map(40, 50, CV_32S), mask(40, 50, CV_8U, cv::Scalar(0));
        rng.fill(map, cv::RNG::UNIFORM, 0, 40);
        map.convertTo(map, CV_32F, 0.25, -3);
        for (int blob = 0; blob < 4; blob++)
            cv::circle(mask, {rng.uniform(0, 50), rng.uniform(0, 40)}, rng.uniform(0, 6), cv::Scalar(255), cv::FILLED);
        cv::Mat raised = map + 2;
        raised.copyTo(map, mask);
        data.maps.push_back(map);
        data.masks.push_back(mask);
    }
    struct Region
    {
        size_t map;
        cv::Mat where;
    };
    std::vector<Region> regions;
    std::set<float> thresholds;
    for (size_t n = 0; n < 3; n++)
    {
        cv::Mat labels;
        const int count = cv::connectedComponents(data.masks[n], labels, 8);
        for (int c = 1; c < count; c++)
            regions.push_back({n, labels == c});
        thresholds.insert(data.maps[n].begin<float>(), data.maps[n].end<float>());
    }
    double area = 0, lastX = 0, lastY = 0, auroc = 0, lastTpr = 0, lastFpr = 0, ap = 0, f1 = 0;
    const double limit = 0.3;
    for (auto t = thresholds.rbegin(); t != thresholds.rend(); ++t)
    {
        double tp = 0, fp = 0, positives = 0, negatives = 0, y = 0;
        for (size_t n = 0; n < 3; n++)
        {
            const cv::Mat above = data.maps[n] >= *t;
            positives += cv::countNonZero(data.masks[n]);
            negatives += cv::countNonZero(~data.masks[n]);
            tp += cv::countNonZero(above & data.masks[n]);
            fp += cv::countNonZero(above & ~data.masks[n]);
        }
        for (const Region& region : regions)
            y += double(cv::countNonZero((data.maps[region.map] >= *t) & region.where)) / cv::countNonZero(region.where) /
                 double(regions.size());
        const double x = fp / negatives;
        if (lastX < limit)
        {
            const double end = std::min(x, limit);
            const double yEnd = x > lastX ? lastY + (y - lastY) * (end - lastX) / (x - lastX) : y;
            area += (end - lastX) * (yEnd + lastY) / 2;
        }
        auroc += (x - lastFpr) * (tp / positives + lastTpr) / 2;
        ap += (tp / positives - lastTpr) * tp / (tp + fp);
        f1 = std::max(f1, 2 * tp / (tp + fp + positives));
        lastX = lastFpr = x;
        lastY = y;
        lastTpr = tp / positives;
    }
    const PixelMetrics m = measure(data);
    EXPECT_EQ(m.components, regions.size());
    EXPECT_NEAR(*m.auroc, auroc, 1e-12);
    EXPECT_NEAR(*m.ap, ap, 1e-12);
    EXPECT_NEAR(*m.f1Max, f1, 1e-12);
    EXPECT_NEAR(*m.aupro[0], area / limit, 1e-12);
}

/// Random maps with ties, of a span of values that makes bins share scores.
Case randomCase(cv::RNG& rng, double spread)
{
    Case data;
    for (int n = 0; n < 4; n++)
    {
        cv::Mat map(48, 40, CV_32F), mask(48, 40, CV_8U, cv::Scalar(0));
        rng.fill(map, cv::RNG::NORMAL, 1, spread);
        for (int blob = 0; n > 0 && blob < 3; blob++)
        {
            const int radius = rng.uniform(0, 6); // one by one: compilers evaluate arguments in orders of their own
            const cv::Point centre{rng.uniform(0, 40), rng.uniform(0, 48)};
            cv::circle(mask, centre, radius, cv::Scalar(255), cv::FILLED);
        }
        cv::add(map, spread * rng.uniform(0.0, 2.0), map, mask);
        map(cv::Rect(0, 0, 40, 12)) *= 64 / spread; // a part of it in steps
        cv::Mat part = map(cv::Rect(0, 0, 40, 12)), steps;
        part.convertTo(steps, CV_32S);
        steps.convertTo(part, CV_32F, spread / 64);
        data.maps.push_back(map);
        data.masks.push_back(mask);
    }
    return data;
}

TEST(PixelMetrics, BoundsHoldTheExactFigures)
{
    cv::RNG rng(21);
    double widest = 0;
    for (int round = 0; round < 40; round++)
    {
        const Case data = randomCase(rng, round % 2 ? 1e-3 : 0.2); // close together, many scores share a bin
        const std::vector<double> limits = {0.3, 0.05, 1.0};
        const PixelMetrics exact = measure(data, limits);
        PixelAccumulator pixels(static_cast<uint64_t>(rng.uniform(0, 4 * 40 * 48)));
        for (size_t i = 0; i < data.maps.size(); i++)
            pixels.add(data.maps[i], data.masks[i]);
        const PixelMetrics binned = pixels.finish(limits);
        ASSERT_TRUE(binned.bounds.has_value());
        ASSERT_FALSE(exact.bounds.has_value());
        const auto within = [&](double value, const Interval& bounds, double shown)
        {
            EXPECT_GE(value, bounds.low - 1e-12);
            EXPECT_LE(value, bounds.high + 1e-12);
            EXPECT_GE(shown, bounds.low - 1e-12);
            EXPECT_LE(shown, bounds.high + 1e-12);
            EXPECT_LE(std::abs(shown - value), binned.maxError() + 1e-12);
        };
        within(*exact.auroc, binned.bounds->auroc, *binned.auroc);
        within(*exact.ap, binned.bounds->ap, *binned.ap);
        within(*exact.f1Max, binned.bounds->f1Max, *binned.f1Max);
        for (size_t i = 0; i < limits.size(); i++)
            within(*exact.aupro[i], binned.bounds->aupro[i], *binned.aupro[i]);
        EXPECT_EQ(exact.components, binned.components);
        EXPECT_EQ(exact.positives, binned.positives);
        EXPECT_EQ(exact.negatives, binned.negatives);
        EXPECT_LT(binned.maxError(), round % 2 ? 0.5 : 2e-3);
        widest = std::max(widest, binned.maxError());
    }
    EXPECT_GT(widest, 1e-3) << "else the test has tested nothing";
}

TEST(PixelMetrics, BinsOfOneScoreAreExact)
{
    const Case data = goldenCase();
    PixelAccumulator pixels(100);
    for (size_t i = 0; i < data.maps.size(); i++)
        pixels.add(data.maps[i], data.masks[i]);
    const PixelMetrics m = pixels.finish();
    EXPECT_EQ(m.maxError(), 0);
    EXPECT_NEAR(*m.auroc, 0.825731290701, tight);
    EXPECT_NEAR(*m.ap, 0.544615096757, tight);
    EXPECT_NEAR(*m.aupro[0], 0.698043223871, tight);
    EXPECT_EQ(*m.f1Threshold, 1.015625f);
}

TEST(PixelMetrics, GroupsGiveWhatTheirMapsAloneGive)
{
    const Case data = goldenCase();
    for (const uint64_t exact : {uint64_t{1} << 30, uint64_t{0}})
    {
        PixelAccumulator pixels(exact), pair;
        for (size_t i = 0; i < data.maps.size(); i++)
            pixels.add(data.maps[i], data.masks[i], i == 1 ? "a" : (i == 2 ? "b" : "good"));
        for (const size_t i : {0, 2, 3})
            pair.add(data.maps[i], data.masks[i]);
        const PixelMetrics expected = pair.finish();
        for (int again = 0; again < 2; again++)
        {
            const std::vector<std::string> names = {"good", "b"};
            const PixelMetrics m = pixels.finish(std::span<const std::string>(names));
            EXPECT_NEAR(*m.auroc, *expected.auroc, tight);
            EXPECT_NEAR(*m.aupro[0], *expected.aupro[0], tight);
            EXPECT_EQ(m.components, 2u);
            EXPECT_NEAR(*pixels.finish().aupro[0], 0.698043223871, tight);
        }
        const std::vector<std::string> none = {"c"};
        EXPECT_EQ(pixels.finish(std::span<const std::string>(none)).reason, "there are no maps");
    }
}

double areaUnder(const Curve& curve)
{
    double area = 0;
    for (size_t i = 1; i < curve.size(); i++)
        area += (curve[i].x - curve[i - 1].x) * (curve[i].y + curve[i - 1].y) / 2;
    return area;
}

TEST(Curves, ThinnedOnesEncloseTheSameArea)
{
    cv::RNG rng(2);
    const Case data = randomCase(rng, 0.2);
    PixelAccumulator pixels;
    for (size_t i = 0; i < data.maps.size(); i++)
        pixels.add(data.maps[i], data.masks[i]);
    Curves curves;
    const std::vector<double> limits = {1.0};
    const PixelMetrics m = pixels.finish(limits, &curves);
    EXPECT_EQ(curves.roc.front(), cv::Point2d(0, 0));
    EXPECT_EQ(curves.roc.back(), cv::Point2d(1, 1));
    EXPECT_NEAR(areaUnder(curves.roc), *m.auroc, 1e-3);
    EXPECT_NEAR(areaUnder(curves.pro), *m.aupro[0], 1e-3);
    EXPECT_LT(curves.roc.size() + curves.pr.size() + curves.pro.size(), 8000u);
}

TEST(PixelMetrics, OneClassHasNoFiguresButAReason)
{
    Case data = goldenCase();
    data.maps.resize(1);
    data.masks.resize(1);
    PixelMetrics m = measure(data);
    EXPECT_FALSE(m.auroc || m.ap || m.f1Max || m.f1Threshold || m.aupro[0]);
    EXPECT_EQ(m.reason, "there are no anomalous pixels");
    data.masks[0] = 255;
    EXPECT_EQ(measure(data).reason, "there are no good pixels");
    EXPECT_EQ(measure({}).reason, "there are no maps");
}

TEST(PixelMetrics, RefusesWhatItCannotRank)
{
    Case data = goldenCase();
    data.maps[2].at<float>(3, 5) = std::numeric_limits<float>::quiet_NaN();
    EXPECT_THAT(errorOf([&] { measure(data); }), HasSubstr("map 3: the score at row 3, column 5"));
    data = goldenCase();
    data.maps[1] = data.maps[1](cv::Rect(0, 0, 8, 16));
    EXPECT_THAT(errorOf([&] { measure(data); }), HasSubstr("mask 2: 16x16 pixels, but its map has 8x16"));
    const std::vector<double> bad = {0.0};
    EXPECT_THAT(errorOf([&] { measure(goldenCase(), bad); }), HasSubstr("limit"));
}

TEST(PixelMetrics, InfinitiesAndZerosAreOrdered)
{
    const std::vector<float> scores = {-INFINITY, -0.0f, 0.0f, INFINITY};
    const std::vector<uint8_t> labels = {0, 0, 1, 1};
    EXPECT_DOUBLE_EQ(*rankMetrics(scores, labels).auroc, (2 + 1 + 0.5) / 4);
}

/// The size of a real test set, in seconds. The largest of its kind, so it also guards the radix sort.
TEST(PixelMetrics, SixHundredMaps)
{
    cv::RNG rng(5);
    cv::Mat map(252, 252, CV_32F), mask(252, 252, CV_8U, cv::Scalar(0));
    cv::circle(mask, {100, 90}, 12, cv::Scalar(255), cv::FILLED);
    PixelAccumulator pixels;
    std::chrono::duration<double> spent{};
    for (int n = 0; n < 600; n++)
    {
        rng.fill(map, cv::RNG::NORMAL, 1, 0.3);
        if (n % 3)
            cv::add(map, 1, map, mask);
        const auto start = std::chrono::steady_clock::now();
        pixels.add(map, n % 3 ? mask : cv::Mat());
        spent += std::chrono::steady_clock::now() - start;
    }
    const auto start = std::chrono::steady_clock::now();
    const PixelMetrics m = pixels.finish();
    spent += std::chrono::steady_clock::now() - start;
    RecordProperty("seconds", std::to_string(spent.count()));
    std::printf("600 maps of 252x252: %.2f s\n", spent.count());
    EXPECT_EQ(m.components, 400u);
    EXPECT_NEAR(*m.auroc, std::erfc(-1 / 0.6) / 2, 1e-3); // P(N(1, 0.3√2) > 0)
    EXPECT_LT(spent.count(), 60);
}

TEST(RankMetrics, SevenPoints)
{
    const std::vector<float> scores = {.1f, .4f, .35f, .8f, .4f, .4f, .2f};
    const std::vector<uint8_t> labels = {0, 1, 0, 1, 1, 0, 1};
    const RankMetrics m = rankMetrics(scores, labels);
    EXPECT_NEAR(*m.auroc, 0.75, tight);
    EXPECT_NEAR(*m.ap, 0.7916666667, 1e-10);
    EXPECT_NEAR(*m.f1Max, 0.8, tight);
    EXPECT_EQ(*m.f1Threshold, .2f);
}

TEST(RankMetrics, AllTied)
{
    const std::vector<float> scores(4, 0.5f);
    const std::vector<uint8_t> labels = {0, 0, 1, 1};
    const RankMetrics m = rankMetrics(scores, labels);
    EXPECT_DOUBLE_EQ(*m.auroc, 0.5);
    EXPECT_DOUBLE_EQ(*m.ap, 0.5);
    EXPECT_DOUBLE_EQ(*m.f1Max, 2.0 / 3);
}

struct SklearnCase
{
    int n, every, levels;
    double auroc, ap, f1Max;
};

class Sklearn : public ::testing::TestWithParam<SklearnCase>
{
};

/// The figures are scikit-learn's (roc_auc_score, average_precision_score, the best F1 of precision_recall_curve).
TEST_P(Sklearn, GivesTheSameFigures)
{
    const SklearnCase& c = GetParam();
    std::vector<float> scores;
    std::vector<uint8_t> labels;
    for (int i = 0; i < c.n; i++)
    {
        const bool anomalous = i % c.every == 0;
        const double score = (i * 7919 + 104729) % 1009 / 1009.0 + (anomalous ? 0.25 : 0);
        scores.push_back(static_cast<float>(std::floor(score * c.levels) / c.levels));
        labels.push_back(anomalous);
    }
    const RankMetrics m = rankMetrics(scores, labels);
    EXPECT_NEAR(*m.auroc, c.auroc, tight);
    EXPECT_NEAR(*m.ap, c.ap, tight);
    EXPECT_NEAR(*m.f1Max, c.f1Max, tight);
}

INSTANTIATE_TEST_SUITE_P(Table, Sklearn,
                         ::testing::Values(SklearnCase{300, 3, 64, 0.734025000000, 0.646102503131, 0.584795321637},
                                           SklearnCase{1000, 7, 16, 0.714106780034, 0.420960500090, 0.384180790960},
                                           SklearnCase{500, 2, 4, 0.719248000000, 0.709403785360, 0.726744186047},
                                           SklearnCase{2000, 50, 1024, 0.719655612245, 0.293200691262, 0.400000000000}));

TEST(RankMetrics, OneClassAndNaN)
{
    const std::vector<float> scores = {1, 2};
    EXPECT_EQ(rankMetrics(scores, std::vector<uint8_t>{0, 0}).reason, "there are no anomalous images");
    EXPECT_FALSE(rankMetrics(scores, std::vector<uint8_t>{0, 0}).auroc.has_value());
    EXPECT_EQ(rankMetrics(scores, std::vector<uint8_t>{1, 1}).reason, "there are no good images");
    EXPECT_EQ(rankMetrics({}, {}).reason, "there are no images");
    const std::vector<float> bad = {1, NAN};
    EXPECT_THAT(errorOf([&] { rankMetrics(bad, std::vector<uint8_t>{0, 1}); }), HasSubstr("score 2 of 2"));
    EXPECT_THAT(errorOf([&] { rankMetrics(bad, std::vector<uint8_t>{0}); }), HasSubstr("2 scores, but 1 labels"));
}

TEST(Bootstrap, HoldsTheFigureAndFollowsTheSeed)
{
    cv::RNG rng(4);
    std::vector<float> scores;
    std::vector<uint8_t> labels;
    for (int i = 0; i < 200; i++)
    {
        labels.push_back(i % 4 == 0);
        scores.push_back(static_cast<float>(rng.gaussian(1) + (labels.back() ? 1.5 : 0)));
    }
    const RankMetrics m = rankMetrics(scores, labels);
    const Bootstrap drawn = bootstrapImages(scores, labels, 1000, 7);
    ASSERT_EQ(drawn.auroc.size(), 1000u);
    const Interval auroc = *interval95(drawn.auroc), ap = *interval95(drawn.ap), f1 = *interval95(drawn.f1Max);
    EXPECT_LT(auroc.low, *m.auroc);
    EXPECT_GT(auroc.high, *m.auroc);
    EXPECT_LT(ap.low, *m.ap);
    EXPECT_GT(ap.high, *m.ap);
    EXPECT_GT(f1.high, *m.f1Max);
    // Hanley and McNeil's standard error of this AUROC is about 0.03
    EXPECT_NEAR((auroc.high - auroc.low) / (2 * 1.96), 0.03, 0.01);
    EXPECT_EQ(bootstrapImages(scores, labels, 1000, 7).auroc, drawn.auroc);
    EXPECT_NE(bootstrapImages(scores, labels, 1000, 8).auroc, drawn.auroc);
    EXPECT_TRUE(bootstrapImages(scores, std::vector<uint8_t>(200, 0)).auroc.empty());
    EXPECT_FALSE(interval95({}).has_value());
}

TEST(Bootstrap, PerfectStaysPerfect)
{
    const std::vector<float> scores = {1, 2, 3, 4, 5};
    const std::vector<uint8_t> labels = {0, 0, 1, 1, 1};
    const Interval interval = *interval95(bootstrapImages(scores, labels, 200).auroc);
    EXPECT_EQ(interval.low, 1);
    EXPECT_EQ(interval.high, 1);
}

TEST(Percentile, NearestRank)
{
    EXPECT_EQ(percentile({15, 20, 35, 40, 50}, 0.3), 20);
    EXPECT_EQ(percentile({15, 20, 35, 40, 50}, 0.5), 35);
    EXPECT_EQ(percentile({50, 15, 40, 20, 35}, 1), 50);
    EXPECT_EQ(percentile({7}, 0.99), 7);
    EXPECT_EQ(percentile({}, 0.5), 0);
}

TEST(ImageScore, GoldenCase)
{
    const Case golden = goldenCase();
    const double maxima[] = {0.984375, 1.34375, 1.328125, 0.984375};
    const double tops[] = {0.984375, 1.328125, 1.28125, 0.984375};
    for (size_t n = 0; n < 4; n++)
    {
        EXPECT_EQ(imageScore(golden.maps[n]), maxima[n]);
        EXPECT_EQ(imageScore(golden.maps[n], ScoreKind::Top1), tops[n]);
    }
    EXPECT_EQ(imageScore(cv::Mat(2, 2, CV_32F, cv::Scalar(3)), ScoreKind::Top1), 3);
    EXPECT_THAT(errorOf([] { imageScore(cv::Mat(2, 2, CV_32F, cv::Scalar(NAN))); }), HasSubstr("not a number"));
}

TEST(ResizeMask, NearestAndBinary)
{
    cv::Mat mask(4, 4, CV_8U, cv::Scalar(0));
    mask.at<uchar>(1, 2) = 1;
    const cv::Mat large = resizeMask(mask, {8, 8});
    EXPECT_EQ(cv::countNonZero(large), 4);
    EXPECT_EQ(large.at<uchar>(2, 4), 255);
    EXPECT_EQ(large.at<uchar>(3, 5), 255);
}

} // namespace
} // namespace agpnet::tools
