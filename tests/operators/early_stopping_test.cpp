#include "operators/agpnet/training/early_stopping.h"
#include "operators/training/training_loop.h"

#include "agpnet/agpnet.hpp"
#include "operators/agpnet/training/synthetic.h"
#include "tests/support/error_text.h"
#include "tests/support/tiny_backbone.h"

#include <nlohmann/json.hpp>
#include <opencv2/imgproc.hpp>

namespace agpnet
{
namespace
{

using nlohmann::json;

cv::Mat texture(uint64_t seed, int channels, cv::Size size = {120, 80})
{
    cv::Mat image(size, CV_32FC(channels));
    cv::Mat values = image.reshape(1);
    cv::RNG(seed).fill(values, cv::RNG::UNIFORM, 0.3, 0.7);
    return image;
}

double sumOfDifferences(const cv::Mat& a, const cv::Mat& b, const cv::Mat& where)
{
    cv::Mat difference = cv::abs(a - b);
    std::vector<cv::Mat> channels;
    cv::split(difference, channels);
    double sum = 0;
    for (cv::Mat& channel : channels)
    {
        channel.setTo(0, where == 0);
        sum += cv::sum(channel)[0];
    }
    return sum;
}

TEST(SyntheticDefect, ChangesThePictureWhereItSays)
{
    for (const int channels : {1, 3, 6})
        for (uint64_t n = 0; n < 64; n++)
        {
            const cv::Mat image = texture(1, channels), before = image.clone(), donor = texture(2, channels, {64, 64});
            const SyntheticDefect defect = withDefect(image, donor, 7, n);
            SCOPED_TRACE(testing::Message() << channels << " channels, number " << n);
            ASSERT_EQ(defect.image.type(), image.type());
            ASSERT_EQ(defect.image.size(), image.size());
            ASSERT_EQ(defect.mask.type(), CV_8U);
            EXPECT_EQ(cv::norm(image.reshape(1), before.reshape(1), cv::NORM_INF), 0) << "the input was written to";
            EXPECT_TRUE(cv::checkRange(defect.image.reshape(1), true, nullptr, 0, 1 + 1e-6));
            const int area = cv::countNonZero(defect.mask);
            EXPECT_GT(area, 0);
            EXPECT_LT(area, 0.3 * static_cast<double>(image.total()));
            // most of what changed lies in the mask and what is just beside it
            cv::Mat near;
            cv::dilate(defect.mask, near, cv::getStructuringElement(cv::MORPH_ELLIPSE, {13, 13}));
            const double all = sumOfDifferences(defect.image, image, cv::Mat(image.size(), CV_8U, cv::Scalar(255)));
            EXPECT_GT(all, 0);
            EXPECT_GT(sumOfDifferences(defect.image, image, near), 0.9 * all);
        }
}

TEST(SyntheticDefect, FollowsFromSeedAndNumber)
{
    const cv::Mat image = texture(1, 3);
    for (uint64_t n = 0; n < 8; n++)
    {
        EXPECT_EQ(cv::norm(withDefect(image, image, 3, n).image, withDefect(image, image, 3, n).image, cv::NORM_INF), 0);
        EXPECT_GT(cv::norm(withDefect(image, image, 3, n).image, withDefect(image, image, 4, n).image, cv::NORM_INF), 0);
        EXPECT_GT(cv::norm(withDefect(image, image, 3, n).image, withDefect(image, image, 3, n + 4).image, cv::NORM_INF), 0);
    }
}

TEST(SyntheticDefect, RefusesWhatIsTooSmallOrOfAnotherType)
{
    const auto sentence = [](const cv::Mat& image, const cv::Mat& donor) { return test::errorOf([&] { withDefect(image, donor, 0, 0); }); };
    EXPECT_THAT(sentence(texture(0, 3, {15, 40}), texture(0, 3)), testing::HasSubstr("15x40"));
    EXPECT_THAT(sentence(texture(0, 3), texture(0, 1)), testing::HasSubstr("needs pictures of float"));
}

TEST(EarlyStopping, WaitsForTheBestOfSeveralChecks)
{
    const struct
    {
        std::vector<double> checks;
        bool enough;
    } table[] = {
        {{}, false},
        {{0.9, 0.9, 0.9, 0.9}, false},          // nothing to compare with yet
        {{0.9, 0.9, 0.9, 0.9, 0.9}, true},
        {{0.5, 0.6, 0.7, 0.8, 0.9}, false},
        {{0.9, 0.5, 0.5, 0.5, 0.92}, false},    // one of them is better
        {{0.9, 0.5, 0.5, 0.5, 0.9005}, true},   // by less than counts
        {{0.5, 0.9, 0.8, 0.8, 0.8, 0.8}, true},
        {{0.5, 0.8, 0.8, 0.8, 0.8, 0.9}, false},
    };
    for (const auto& [checks, enough] : table)
        EXPECT_EQ(noLongerRises(checks), enough) << json(checks).dump();
}

class EarlyStop : public ::testing::Test
{
protected:
    cv::Ptr<AnomalyTrainer> trainer() const
    {
        return AnomalyTrainer::create(backbone_, test::tinyConfig(1000, R"("early_stop":true,"learning_rate":0.001)"));
    }

    static std::vector<ImageSet> pictures()
    {
        return {{"", 24, [](size_t i) {
                     cv::Mat image(40, 48, CV_8UC3);
                     cv::RNG(i + 1).fill(image, cv::RNG::UNIFORM, 100, 130);
                     return image;
                 }}};
    }

    test::TempFolder folder_;
    std::string backbone_ = test::writeTinyBackbone(folder_);
};

TEST_F(EarlyStop, EndsBeforeTheLastStepAndSaysWhen)
{
    const auto model = trainer();
    int steps = 0;
    ASSERT_TRUE(model->fit(pictures(), [&](const TrainProgress& progress) {
        steps = progress.steps;
        return true;
    }));
    const json record = json::parse(model->getRecord());
    const int seen = record.at("early_stop").at("seen_at");
    EXPECT_LT(model->getStepsDone(), 1000);
    EXPECT_EQ(model->getStepsDone(), model->getSteps());
    EXPECT_EQ(steps, model->getSteps());
    EXPECT_EQ(model->getSteps(), static_cast<int>(std::ceil(seen / 0.8))); // the end has its share
    EXPECT_EQ(record["early_stop"]["checks"].size(), static_cast<size_t>(seen / stepsBetweenChecks));
    for (const double check : record["early_stop"]["checks"])
    {
        EXPECT_GE(check, 0);
        EXPECT_LE(check, 1);
    }
    for (const char* part : {"reading", "backbone", "noise", "decoder", "optimiser", "checks", "thresholds"})
        EXPECT_GT(record.at("profile").at(part).get<double>(), 0) << part;
}

TEST_F(EarlyStop, ResumedItDecidesAlike)
{
    const auto whole = trainer();
    whole->fit(pictures());
    const int end = whole->getSteps();
    for (const int stopAt : {30, end - 5}) // before the decision and after it
    {
        const std::string state = folder_ / "t.state";
        const auto begun = trainer();
        EXPECT_FALSE(begun->fit(pictures(), [&](const TrainProgress& progress) { return progress.step < stopAt; }));
        begun->saveState(state);
        const auto resumed = AnomalyTrainer::resume(state);
        EXPECT_EQ(resumed->getStepsDone(), stopAt);
        ASSERT_TRUE(resumed->fit(pictures()));
        EXPECT_EQ(resumed->getSteps(), end);
        EXPECT_EQ(json::parse(resumed->getRecord()).at("early_stop"), json::parse(whole->getRecord()).at("early_stop"));
        EXPECT_EQ(resumed->getDetector()->getThreshold(), whole->getDetector()->getThreshold());
    }
}

} // namespace
} // namespace agpnet
