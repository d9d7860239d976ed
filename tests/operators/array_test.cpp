// The stages and the detector as OpenCV functions: array kinds, layouts, picture types, bad input.
#include "agpnet/agpnet.hpp"
#include "tests/support/error_text.h"
#include "tests/support/tiny_backbone.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/core/ocl.hpp>
#include <opencv2/imgproc.hpp>

namespace agpnet
{
namespace
{

using ::testing::HasSubstr;
using test::errorOf;
using test::TempFolder;

cv::Mat randomArray(std::vector<int> size, uint64_t seed)
{
    cv::Mat array(static_cast<int>(size.size()), size.data(), CV_32F);
    cv::RNG random(seed);
    random.fill(array, cv::RNG::NORMAL, 0, 1);
    return array;
}

double largestDifference(const cv::Mat& a, const cv::Mat& b)
{
    EXPECT_EQ(std::vector<int>(a.size.p, a.size.p + a.dims), std::vector<int>(b.size.p, b.size.p + b.dims));
    return cv::norm(a.reshape(1, 1), b.reshape(1, 1), cv::NORM_INF);
}

TEST(Arrays, SubMatricesGiveTheSame)
{
    const cv::Mat f = randomArray({2, 5, 9, 11}, 1), g = randomArray({2, 5, 9, 11}, 2);
    const std::vector<cv::Range> part = {cv::Range::all(), cv::Range(1, 4), cv::Range(2, 9), cv::Range(3, 8)};
    cv::Mat expected, found;
    residual(f(part).clone(), g(part).clone(), expected);
    residual(f(part), g(part), found);
    EXPECT_EQ(largestDifference(expected, found), 0);
}

TEST(Arrays, OutputMayBeInput)
{
    const cv::Mat x = randomArray({1, 3, 8, 8}, 1), attention = randomArray({1, 1, 4, 4}, 2);
    cv::Mat expected, inPlace = x.clone();
    perturb(x, attention, expected);
    perturb(inPlace, attention, inPlace);
    EXPECT_EQ(largestDifference(expected, inPlace), 0);
}

TEST(Arrays, UMatGivesWhatMatGives)
{
    const cv::Mat f = randomArray({2, 7, 9, 11}, 1), g = randomArray({2, 7, 9, 11}, 2), a = randomArray({2, 1, 9, 11}, 3);
    cv::Mat noise, distance, map, score;
    perturb(f, a, noise);
    residual(f, g, distance);
    heatmap(distance, map, score, {50, 40}, 3, SCORE_TOP1);
    cv::UMat uf, ug, ua, uNoise, uDistance, uMap, uScore;
    f.copyTo(uf);
    g.copyTo(ug);
    a.copyTo(ua);
    perturb(uf, ua, uNoise);
    residual(uf, ug, uDistance);
    heatmap(uDistance, uMap, uScore, {50, 40}, 3, SCORE_TOP1);
    EXPECT_LT(largestDifference(noise, uNoise.getMat(cv::ACCESS_READ)), 1e-5);
    EXPECT_LT(largestDifference(distance, uDistance.getMat(cv::ACCESS_READ)), 1e-5);
    EXPECT_LT(largestDifference(map, uMap.getMat(cv::ACCESS_READ)), 1e-5);
    EXPECT_LT(largestDifference(score, uScore.getMat(cv::ACCESS_READ)), 1e-5);
    cv::Mat mixed; // a UMat in, a Mat out
    residual(uf, g, mixed);
    EXPECT_LT(largestDifference(distance, mixed), 1e-5);
    const std::vector<cv::Range> part = {cv::Range::all(), cv::Range(1, 4), cv::Range(2, 9), cv::Range(3, 8)};
    cv::Mat expected;
    residual(f(part), g(part), expected);
    residual(uf(part), ug(part), mixed);
    EXPECT_LT(largestDifference(expected, mixed), 1e-5);
    if (!cv::ocl::useOpenCL())
        GTEST_SKIP() << "OpenCV finds no OpenCL device: only the way over the host was tested";
}

/// The products in double precision, the largest first.
cv::Mat nearestRows(const cv::Mat& queries, const cv::Mat& rows, int k, const cv::Mat& scale, cv::Mat& similarities)
{
    cv::Mat indices(queries.rows, k, CV_32S);
    similarities.create(queries.rows, k, CV_32F);
    for (int q = 0; q < queries.rows; q++)
    {
        std::vector<std::pair<double, int>> all;
        for (int row = 0; row < rows.rows; row++)
            all.emplace_back(-queries.row(q).dot(rows.row(row)) * (scale.empty() ? 1 : scale.at<float>(row)), row);
        std::sort(all.begin(), all.end());
        for (int i = 0; i < k; i++)
        {
            indices.at<int>(q, i) = all[static_cast<size_t>(i)].second;
            similarities.at<float>(q, i) = static_cast<float>(-all[static_cast<size_t>(i)].first);
        }
    }
    return indices;
}

TEST(Arrays, NearestTakesRowsOfEveryType)
{
    const cv::Mat queries = randomArray({9, 33}, 1), exact = randomArray({150, 33}, 2), scale = randomArray({150, 1}, 3);
    for (const int type : {CV_32F, CV_16F, CV_8S})
        for (const bool scaled : {false, true})
            for (const bool onDevice : {false, true})
            {
                cv::Mat rows, values, expected, indices, similarities;
                exact.convertTo(rows, type, type == CV_8S ? 40 : 1);
                rows.convertTo(values, CV_32F);
                const cv::Mat numbers = nearestRows(queries, values, 6, scaled ? scale : cv::Mat(), expected);
                const cv::_InputArray factors = scaled ? cv::_InputArray(scale) : cv::_InputArray();
                if (onDevice)
                    nearest(queries.getUMat(cv::ACCESS_READ), rows, 6, indices, similarities, factors);
                else
                    nearest(queries, rows, 6, indices, similarities, factors);
                ASSERT_EQ(indices.type(), CV_32S);
                EXPECT_EQ(cv::countNonZero(indices != numbers), 0) << cv::typeToString(type);
                EXPECT_LT(cv::norm(similarities, expected, cv::NORM_INF), 1e-4 * (type == CV_8S ? 40 : 1)) << cv::typeToString(type);
            }
}

TEST(Arrays, NearestTakesPartsOfArrays)
{
    const cv::Mat queries = randomArray({4, 20}, 1), rows = randomArray({50, 20}, 2), deep = randomArray({50, 20, 2, 1}, 3);
    const cv::Range part(3, 16), some(10, 40);
    cv::Mat expected, indices, similarities, same;
    nearest(queries.colRange(part).clone(), rows(some, part).clone(), 3, expected, similarities);
    nearest(queries.colRange(part), rows(some, part), 3, indices, same);
    EXPECT_EQ(cv::countNonZero(indices != expected), 0);
    EXPECT_EQ(cv::norm(similarities, same, cv::NORM_INF), 0);
    const std::vector<cv::Range> first = {cv::Range::all(), cv::Range::all(), cv::Range(0, 1), cv::Range::all()};
    nearest(queries, deep(first).clone(), 3, expected, similarities);
    nearest(queries, deep(first), 3, indices, same); // the values of a row do not lie side by side
    EXPECT_EQ(cv::countNonZero(indices != expected), 0);
}

TEST(Arrays, BadOnesAreRefusedByName)
{
    const cv::Mat f = randomArray({1, 2, 3, 4}, 1);
    cv::Mat out, score;
    EXPECT_THAT(errorOf<cv::Exception>([&] { residual(f, randomArray({1, 3, 3, 4}, 1), out); }), HasSubstr("3"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { residual(cv::Mat(), f, out); }), HasSubstr("features"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { residual(cv::Mat(4, 4, CV_8U), f, out); }), HasSubstr("CV_8U"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { residual(randomArray({2, 3, 4}, 1), f, out); }), HasSubstr("3 dimensions"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { heatmap(f, out, score, {8, 8}); }), HasSubstr("expected [1,1,3,4]"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { heatmap(randomArray({1, 1, 3, 4}, 1), out, score, {0, 8}); }), HasSubstr("0x8"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { heatmap(randomArray({1, 1, 3, 4}, 1), out, score, {8, 8}, -1); }), HasSubstr("sigma"));
    PerturbParams params;
    params.ratio = 2;
    EXPECT_THAT(errorOf<cv::Exception>([&] { perturb(f, randomArray({1, 1, 3, 4}, 1), out, params); }), HasSubstr("ratio"));
    const cv::Mat query = randomArray({1, 4}, 1), rows = randomArray({5, 4}, 2);
    EXPECT_THAT(errorOf<cv::Exception>([&] { nearest(query, rows, 0, out, score); }), HasSubstr("k is 0"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { nearest(query, rows, 6, out, score); }), HasSubstr("k is 6; expected at most 1024"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { nearest(query, cv::Mat(5, 4, CV_8U), 1, out, score); }),
                HasSubstr("type CV_8UC1, expected CV_32F, CV_16F or CV_8S"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { nearest(query, randomArray({5, 3}, 2), 1, out, score); }), HasSubstr("3 values; expected 4"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { nearest(query, cv::Mat(), 1, out, score); }), HasSubstr("rows"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { nearest(query, rows, 1, out, score, randomArray({4, 1}, 1)); }), HasSubstr("scale"));
    EXPECT_TRUE(out.empty()) << "nothing half written";
}

class WithModel : public ::testing::Test
{
protected:
    static void SetUpTestSuite()
    {
        folder = new TempFolder;
        cv::Ptr<AnomalyTrainer> trainer = AnomalyTrainer::create(test::writeTinyBackbone(*folder), test::tinyConfig(3));
        trainer->fit(8, [](size_t i) { return picture(static_cast<uint64_t>(i)); });
        model = *folder / "m.agp";
        trainer->save(model);
    }
    static void TearDownTestSuite()
    {
        delete folder;
        folder = nullptr;
    }
    static cv::Mat picture(uint64_t seed, cv::Size size = {48, 40}, int type = CV_8UC3)
    {
        cv::Mat image(size, type);
        cv::RNG random(seed);
        random.fill(image, cv::RNG::UNIFORM, 0, CV_MAT_DEPTH(type) == CV_32F ? 1 : CV_MAT_DEPTH(type) == CV_16U ? 65536 : 256);
        return image;
    }
    static TempFolder* folder;
    static std::string model;
};
TempFolder* WithModel::folder = nullptr;
std::string WithModel::model;

TEST_F(WithModel, PictureTypesAgree)
{
    const auto detector = AnomalyDetector::create(model, "fp32");
    const cv::Mat bgr = picture(1);
    const double expected = detector->detect(bgr).score;
    cv::Mat other;
    bgr.convertTo(other, CV_16U, 257);
    EXPECT_NEAR(detector->detect(other).score, expected, 1e-4);
    bgr.convertTo(other, CV_32F, 1 / 255.);
    EXPECT_NEAR(detector->detect(other).score, expected, 1e-4);
    cv::cvtColor(bgr, other, cv::COLOR_BGR2BGRA);
    EXPECT_EQ(detector->detect(other).score, expected);
    EXPECT_EQ(detector->detect(bgr.getUMat(cv::ACCESS_READ)).score, expected);
    cv::Mat grey, three;
    cv::cvtColor(bgr, grey, cv::COLOR_BGR2GRAY);
    cv::cvtColor(grey, three, cv::COLOR_GRAY2BGR);
    EXPECT_EQ(detector->detect(grey).score, detector->detect(three).score);
    cv::Mat wide(60, 90, CV_8UC3, cv::Scalar::all(3));
    bgr.copyTo(wide(cv::Rect(7, 9, bgr.cols, bgr.rows)));
    EXPECT_EQ(detector->detect(wide(cv::Rect(7, 9, bgr.cols, bgr.rows))).score, expected);
}

TEST_F(WithModel, BatchAgreesWithSingle)
{
    const auto detector = AnomalyDetector::create(model, "fp32");
    const std::vector<cv::Mat> pictures = {picture(1), picture(2, {64, 64}), picture(3, {30, 90}, CV_8UC1)};
    std::vector<cv::Mat> maps, masks;
    const std::vector<AnomalyResult> results = detector->detectBatch(pictures, maps, masks);
    ASSERT_EQ(results.size(), 3u);
    for (size_t i = 0; i < 3; i++)
    {
        cv::Mat map, mask;
        const AnomalyResult single = detector->detect(pictures[i], map, mask);
        EXPECT_NEAR(results[i].score, single.score, 1e-4);
        EXPECT_EQ(maps[i].size(), pictures[i].size());
        EXPECT_LT(cv::norm(maps[i], map, cv::NORM_INF), 1e-4);
        EXPECT_EQ(masks[i].type(), CV_8U);
    }
    EXPECT_TRUE(detector->detectBatch(std::vector<cv::Mat>{}).empty());
}

TEST_F(WithModel, ThreadsDoNotChangeWhatIsFound)
{
    const auto detector = AnomalyDetector::create(model, "fp32");
    EXPECT_EQ(detector->getOptions().getThreads(), 0);
    cv::Mat one, several;
    detector->setOptions(detector->getOptions().setThreads(1));
    const double alone = detector->detect(picture(1), one).score;
    detector->setOptions(detector->getOptions().setThreads(3));
    EXPECT_EQ(detector->getOptions().getThreads(), 3);
    EXPECT_NEAR(detector->detect(picture(1), several).score, alone, 1e-5 * alone);
    EXPECT_LT(cv::norm(one, several, cv::NORM_INF), 1e-4);
    EXPECT_THAT(errorOf<cv::Exception>([&] { detector->setOptions(detector->getOptions().setThreads(-1)); }),
                HasSubstr("threads is -1, expected 0"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { detector->setOptions(detector->getOptions().setThreads(257)); }), HasSubstr("threads is 257"));
    EXPECT_EQ(detector->getOptions().getThreads(), 3);
}

TEST_F(WithModel, SensitivityAndRegions)
{
    const auto detector = AnomalyDetector::create(model, "fp32");
    cv::Mat map, mask;
    detector->setOptions(detector->getOptions().setSensitivity(1e6));
    AnomalyResult result = detector->detect(picture(1), map, mask);
    EXPECT_TRUE(result.anomalous);
    ASSERT_EQ(result.regions.size(), 1u) << "everything is above a threshold of almost 0";
    EXPECT_EQ(result.regions[0].area, 48 * 40);
    EXPECT_EQ(result.regions[0].score, map.at<float>(result.regions[0].peak));
    detector->setOptions(detector->getOptions().setSensitivity(1e-6));
    result = detector->detect(picture(1), map, mask);
    EXPECT_FALSE(result.anomalous);
    EXPECT_EQ(cv::countNonZero(mask), 0);
    EXPECT_TRUE(result.regions.empty());
    EXPECT_THAT(errorOf<cv::Exception>([&] { detector->setOptions(detector->getOptions().setSensitivity(0)); }),
                HasSubstr("sensitivity is 0"));
}

TEST_F(WithModel, BadPicturesAreRefused)
{
    const auto detector = AnomalyDetector::create(model);
    cv::Mat map;
    const auto refuse = [&](const cv::Mat& image) { return errorOf<cv::Exception>([&] { detector->detect(image, map); }); };
    EXPECT_THAT(refuse(cv::Mat()), HasSubstr("empty"));
    EXPECT_THAT(refuse(picture(1, {1, 1})), HasSubstr("1x1 pixels"));
    EXPECT_THAT(refuse(picture(1, {40, 40}, CV_8UC2)), HasSubstr("2 channels"));
    EXPECT_THAT(refuse(cv::Mat(40, 40, CV_64F, cv::Scalar(0))), HasSubstr("CV_64F"));
    cv::Mat nan(40, 40, CV_32FC3, cv::Scalar::all(0.5));
    nan.at<cv::Vec3f>(3, 3)[1] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_THAT(refuse(nan), HasSubstr("not finite"));
    EXPECT_THAT(refuse(cv::Mat(40, 40, CV_32FC3, cv::Scalar::all(200))), HasSubstr("expected 0 to 1"));
    EXPECT_TRUE(map.empty());
    EXPECT_THAT(errorOf<cv::Exception>([] { AnomalyDetector::create("/nonexistent.agp"); }), HasSubstr("/nonexistent.agp"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { AnomalyDetector::create(model, "fp32", "gpu"); }),
                HasSubstr("device is 'gpu', expected cpu, cuda or cuda:N"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { AnomalyTrainer::create(*folder / "tiny1.safetensors", test::tinyConfig(2), "cuda:"); }),
                HasSubstr("device is 'cuda:'"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { AnomalyDetector::create(*folder / "tiny1.safetensors"); }), HasSubstr("not an AGPNet file"));
    writeSafetensors(*folder / "cnn.safetensors", {{}, {{"conv1.weight", at::zeros({4, 3, 7, 7})}, {"bn1.weight", at::zeros({4})}}});
    EXPECT_THAT(errorOf<cv::Exception>([&] { AnomalyTrainer::create(*folder / "cnn.safetensors"); }), HasSubstr("cnn.safetensors"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { AnomalyTrainer::create("/nonexistent.pth"); }), HasSubstr("/nonexistent.pth"));
}

TEST_F(WithModel, TrainerStepsOnPicturesAndBlobs)
{
    const std::string backbone = test::writeTinyBackbone(*folder, 7);
    const auto a = AnomalyTrainer::create(backbone, test::tinyConfig(2)), b = AnomalyTrainer::create(backbone, test::tinyConfig(2));
    const std::vector<cv::Mat> pictures = {picture(1, {24, 32}), picture(2, {24, 32})};
    int size[] = {2, 3, 32, 24};
    cv::Mat blob(4, size, CV_32F);
    for (int n = 0; n < 2; n++)
        for (int c = 0; c < 3; c++)
        {
            cv::Mat plane(32, 24, CV_32F, blob.ptr<float>(n, c));
            cv::Mat channel;
            cv::extractChannel(pictures[static_cast<size_t>(n)], channel, 2 - c);
            channel.convertTo(plane, CV_32F, 1 / 255.);
        }
    EXPECT_NEAR(a->step(pictures), b->stepBlob(blob), 1e-5);
    EXPECT_THAT(errorOf<cv::Exception>([&] { b->stepBlob(cv::Mat(3, 3, CV_32F)); }), HasSubstr("blob"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { b->step(std::vector<cv::Mat>{}); }), HasSubstr("no images"));
    b->save(*folder / "stepped.agp");
    EXPECT_THAT(b->getDetector()->getHeader(), HasSubstr("\"backbone\""));
    EXPECT_EQ(AnomalyDetector::create(*folder / "stepped.agp")->getInputSize(), cv::Size(24, 32));
}

} // namespace
} // namespace agpnet
