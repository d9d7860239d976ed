// Thresholds of a trained model taken anew, what follows at run time, and the drift check; around a tiny backbone.
#include "agpnet/agpnet.hpp"
#include "models/model_file/checksum.h"
#include "models/agpnet/file.h"
#include "operators/agpnet/calibration.h"
#include "operators/agpnet/inspection/drift_window.h"
#include "tests/support/error_text.h"
#include "tests/support/tiny_backbone.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <opencv2/imgproc.hpp>

namespace agpnet
{
namespace
{

using nlohmann::json;
using test::errorOf;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// A dotted part; light: of the whole picture, defect: a bright patch.
cv::Mat part(uint64_t seed, double light = 1, bool defect = false)
{
    cv::Mat image(40, 48, CV_8UC3);
    cv::RNG(seed).fill(image, cv::RNG::UNIFORM, 0, 160);
    for (int y = 4; y < 40; y += 8)
        cv::line(image, {0, y}, {48, y}, {200, 180, 90}, 2);
    if (defect)
        cv::rectangle(image, {14, 12, 16, 14}, {255, 255, 255}, cv::FILLED);
    image *= light;
    return image;
}

cv::Mat defectMask()
{
    cv::Mat mask = cv::Mat::zeros(40, 48, CV_8U);
    cv::rectangle(mask, {14, 12, 16, 14}, 255, cv::FILLED);
    return mask;
}

CalibrationSet goodSet(size_t count, uint64_t seed, const std::string& product = {})
{
    CalibrationSet set;
    set.product = product;
    set.count = count;
    set.image = [seed](size_t i) { return CalibrationImage{part(seed + i)}; };
    return set;
}

/// Every other one has a defect.
CalibrationSet labelledSet(size_t count, uint64_t seed, bool masks)
{
    CalibrationSet set;
    set.count = count;
    set.image = [=](size_t i)
    {
        const bool defect = i % 2 == 1;
        return CalibrationImage{part(seed + i, 1, defect), defect, defect && masks ? defectMask() : cv::Mat()};
    };
    return set;
}

json scoresOf(const std::string& model)
{
    return json::parse(AnomalyDetector::create(model)->getHeader()).at("scores");
}

class Calibration : public ::testing::Test
{
protected:
    static void SetUpTestSuite()
    {
        folder = new TempFolder;
        const auto trainer = AnomalyTrainer::create(test::writeTinyBackbone(*folder), test::tinyConfig(60, R"("learning_rate":0.01)"));
        trainer->fit(120, [](size_t i) { return part(i); });
        trainer->save(*folder / "m.agp");
    }
    static void TearDownTestSuite()
    {
        delete folder;
        folder = nullptr;
    }
    static std::string model() { return *folder / "m.agp"; }
    static std::string out() { return *folder / "out.agp"; }

    static TempFolder* folder;
};
TempFolder* Calibration::folder = nullptr;

TEST_F(Calibration, TrainingTakesThresholdsFromTheTailAndSaysSo)
{
    const json scores = scoresOf(model());
    EXPECT_EQ(scores.at("from"), "held-back");
    const json rule = scores.at("threshold_rule"), pixels = scores.at("pixel_threshold_rule");
    EXPECT_EQ(rule.at("method"), "tail");
    EXPECT_EQ(rule.at("false_alarms"), 0.01);
    EXPECT_EQ(rule.at("normal"), 12);
    EXPECT_EQ(rule.at("anomalous"), 0);
    EXPECT_EQ(rule.at("tail").size(), 4u);
    EXPECT_EQ(pixels.at("method"), "quantile") << "of pixels there are enough";
    EXPECT_EQ(pixels.at("false_alarms"), 0.002);
    EXPECT_EQ(pixels.at("normal"), 12 * 32 * 24);
}

TEST_F(Calibration, ChangesThresholdsAndNothingElse)
{
    ASSERT_TRUE(calibrate(model(), {goodSet(80, 1000)}, {}, out()));
    const TensorFile before = readSafetensors(model()), after = readSafetensors(out());
    ASSERT_EQ(before.tensors.size(), after.tensors.size());
    for (const auto& [name, tensor] : before.tensors)
        EXPECT_EQ(tensor.equal(after.tensors.at(name)), !name.starts_with("range.")) << name;
    json old = json::parse(before.metadata.at("agpnet")), fresh = json::parse(after.metadata.at("agpnet"));
    EXPECT_EQ(fresh.at("scores").at("count"), 80);
    for (const char* key : {"scores", "drift", checksumKey})
    {
        EXPECT_NE(old.at(key), fresh.at(key));
        old.erase(key);
        fresh.erase(key);
    }
    EXPECT_EQ(old, fresh);
    // in place, too
    ASSERT_TRUE(calibrate(out(), {goodSet(40, 1000)}, {}, out()));
    EXPECT_EQ(scoresOf(out()).at("count"), 40);
}

TEST_F(Calibration, ALowerRateOfFalseAlarmsGivesHigherThresholds)
{
    for (const ThresholdRule rule : {THRESHOLD_TAIL, THRESHOLD_QUANTILE})
    {
        double image = HUGE_VAL, pixel = HUGE_VAL;
        for (const double rate : {0.01, 0.05, 0.2})
        {
            CalibrationOptions options;
            options.rule = rule;
            options.falseAlarms = rate;
            calibrate(model(), {goodSet(60, 1000)}, options, out());
            const json scores = scoresOf(out());
            EXPECT_LE(scores.at("threshold").get<double>(), image);
            EXPECT_LE(scores.at("pixel_threshold").get<double>(), pixel);
            image = scores.at("threshold");
            pixel = scores.at("pixel_threshold");
        }
    }
}

TEST_F(Calibration, LabelledPicturesGiveTheBestThreshold)
{
    CalibrationOptions options;
    options.rule = THRESHOLD_F1;
    ASSERT_TRUE(calibrate(model(), {labelledSet(40, 2000, true)}, options, out()));
    json scores = scoresOf(out());
    EXPECT_EQ(scores.at("threshold_rule").at("method"), "f1");
    EXPECT_EQ(scores.at("threshold_rule").at("anomalous"), 20);
    EXPECT_EQ(scores.at("pixel_threshold_rule").at("method"), "f1");
    EXPECT_GT(scores.at("pixel_threshold_rule").at("anomalous"), 20);
    const auto detector = AnomalyDetector::create(out());
    int right = 0;
    for (uint64_t i = 0; i < 40; i++)
        right += detector->detect(part(3000 + i, 1, i % 2 == 1)).anomalous == (i % 2 == 1);
    EXPECT_GE(right, 36);

    // without masks nobody knows which pixels are anomalous
    options.rule = THRESHOLD_COST;
    options.missCost = 5;
    ASSERT_TRUE(calibrate(model(), {labelledSet(40, 2000, false)}, options, out()));
    scores = scoresOf(out());
    EXPECT_EQ(scores.at("threshold_rule").at("method"), "cost");
    EXPECT_EQ(scores.at("threshold_rule").at("cost"), 5);
    EXPECT_EQ(scores.at("pixel_threshold_rule").at("method"), "quantile");
}

TEST_F(Calibration, OfSeveralProductsWantsEach)
{
    const auto trainer = AnomalyTrainer::create(test::writeTinyBackbone(*folder), test::tinyConfig(4));
    trainer->fit({{"dark", 24, [](size_t i) { return part(i, 0.3); }}, {"light", 24, [](size_t i) { return part(i); }}});
    const std::string two = *folder / "two.agp";
    trainer->save(two);
    EXPECT_THAT(errorOf<cv::Exception>([&] { calibrate(two, {goodSet(9, 0, "light")}, {}, out()); }),
                HasSubstr("1 sets of images of 'light', expected one for each of dark, light"));
    CalibrationSet dark = goodSet(12, 500, "dark");
    dark.image = [](size_t i) { return CalibrationImage{part(500 + i, 0.3)}; };
    ASSERT_TRUE(calibrate(two, {goodSet(10, 500, "light"), dark}, {}, out()));
    const json header = json::parse(AnomalyDetector::create(out())->getHeader());
    EXPECT_EQ(header["scores"]["classes"][0]["name"], "dark") << "the model's order";
    EXPECT_EQ(header["scores"]["classes"][0]["count"], 12);
    EXPECT_EQ(header["scores"]["classes"][1]["count"], 10);
    EXPECT_EQ(header["scores"]["count"], 22);
    EXPECT_EQ(header["drift"].size(), 2u);
    const auto detector = AnomalyDetector::create(out());
    EXPECT_EQ(detector->detect(part(900, 0.3)).product, "dark");
    EXPECT_EQ(detector->detect(part(900)).product, "light");
    EXPECT_LT(detector->detect(part(900)).drift, 2) << "from its own product's range";
    EXPECT_THAT(errorOf<cv::Exception>([&] { untrainedPictures(detector->getHeader(), "grey", 24); }), HasSubstr("of the product 'grey'"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { untrainedPictures(detector->getHeader(), "dark", 25); }),
                HasSubstr("trained on 24 images of 'dark', not on 25"));
    EXPECT_EQ(untrainedPictures(detector->getHeader(), "dark", 24).size(), 2u);
}

TEST_F(Calibration, GivenUpWritesNothing)
{
    const std::string target = *folder / "none.agp";
    CalibrationOptions options;
    size_t last = 0;
    options.keepGoing = [&](size_t done, size_t total)
    {
        EXPECT_EQ(total, 20u);
        last = done;
        return done < 3;
    };
    EXPECT_FALSE(calibrate(model(), {goodSet(20, 0)}, options, target));
    EXPECT_EQ(last, 3u);
    EXPECT_FALSE(std::filesystem::exists(target));
}

TEST_F(Calibration, RefusesWhatMakesNoSense)
{
    const auto refused = [&](const std::vector<CalibrationSet>& sets, const CalibrationOptions& options = {})
    { return errorOf<cv::Exception>([&] { calibrate(model(), sets, options, *folder / "none.agp"); }); };
    EXPECT_THAT(refused({}), HasSubstr("0 sets of images, expected one without a product's name"));
    EXPECT_THAT(refused({goodSet(3, 0, "a")}), HasSubstr("1 sets of images of 'a'"));
    EXPECT_THAT(refused({goodSet(0, 0)}), HasSubstr("no images to take thresholds from"));
    EXPECT_THAT(refused({labelledSet(4, 0, false)}),
                HasSubstr("image 1 is anomalous, but the rule takes thresholds from normal images only"));
    CalibrationOptions options;
    options.falseAlarms = 0;
    EXPECT_THAT(refused({goodSet(3, 0)}, options), HasSubstr("false-positive rate is 0"));
    options = {};
    options.rule = THRESHOLD_COST;
    options.missCost = -1;
    EXPECT_THAT(refused({labelledSet(4, 0, false)}, options), HasSubstr("cost of a missed defect is -1"));
    options = {};
    options.rule = THRESHOLD_F1;
    EXPECT_THAT(refused({goodSet(3, 0)}, options), HasSubstr("no scores of anomalous images"));
    CalibrationSet bad = labelledSet(4, 0, true);
    bad.image = [](size_t) { return CalibrationImage{part(1), true, cv::Mat::ones(4, 4, CV_32F)}; };
    EXPECT_THAT(refused({bad}, options), HasSubstr("the mask of image 0 is of type CV_32FC1"));
    bad.image = [](size_t) { return CalibrationImage{}; };
    EXPECT_THAT(refused({bad}, options), HasSubstr("image"));
    EXPECT_FALSE(std::filesystem::exists(*folder / "none.agp"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { calibrate(*folder / "no.agp", {goodSet(3, 0)}, {}, out()); }), HasSubstr("no.agp"));
}

TEST_F(Calibration, ThresholdsCanBeSetAtRunTime)
{
    const auto detector = AnomalyDetector::create(model());
    const AnomalyResult before = detector->detect(part(5000));
    EXPECT_EQ(before.calibrated > 0.5, before.anomalous);
    EXPECT_EQ(before.threshold, detector->getThreshold());

    detector->setOptions(detector->getOptions().setThreshold(before.score));
    detector->setOptions(detector->getOptions().setSensitivity(2));
    EXPECT_EQ(detector->getOptions().getThreshold(), before.score) << "before sensitivity";
    const AnomalyResult twice = detector->detect(part(5000));
    EXPECT_EQ(twice.threshold, before.score / 2);
    EXPECT_TRUE(twice.anomalous);
    EXPECT_GT(twice.calibrated, 0.5);
    detector->setOptions(detector->getOptions().setSensitivity(1));
    EXPECT_NEAR(detector->detect(part(5000)).calibrated, 0.5, 1e-6);

    cv::Mat map, mask;
    detector->detect(part(5000), map);
    double peak = 0;
    cv::minMaxLoc(map, nullptr, &peak);
    detector->setOptions(detector->getOptions().setPixelThreshold(peak / 2));
    EXPECT_EQ(detector->getOptions().getPixelThreshold(), peak / 2);
    detector->detect(part(5000), map, mask);
    EXPECT_EQ(cv::countNonZero(mask != (map > peak / 2)), 0);

    detector->setOptions(detector->getOptions().setThreshold(0));
    detector->setOptions(detector->getOptions().setPixelThreshold(0));
    EXPECT_EQ(detector->detect(part(5000)).threshold, before.threshold) << "the model's own";
    EXPECT_THAT(errorOf<cv::Exception>([&] { detector->setOptions(detector->getOptions().setThreshold(-1)); }),
                HasSubstr("threshold is -1, expected 0"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { detector->setOptions(detector->getOptions().setPixelThreshold(NAN)); }),
                HasSubstr("pixel threshold is nan"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { detector->setOptions(detector->getOptions().setMinimumArea(-1)); }),
                HasSubstr("minimum area is -1"));
}

TEST_F(Calibration, RegionsAreTheConnectedPartsOfTheMask)
{
    const auto detector = AnomalyDetector::create(model());
    detector->setOptions(detector->getOptions().setSensitivity(1.3));
    cv::Mat map, mask;
    const AnomalyResult found = detector->detect(part(6001, 1, true), map, mask);
    ASSERT_FALSE(found.regions.empty());
    int area = 0;
    cv::Mat drawn = cv::Mat::zeros(mask.size(), CV_8U);
    double last = HUGE_VAL;
    for (const AnomalyRegion& region : found.regions)
    {
        area += region.area;
        EXPECT_LE(region.score, last) << "greatest first";
        last = region.score;
        EXPECT_EQ(map.at<float>(region.peak), region.score);
        EXPECT_EQ(cv::boundingRect(region.contour), region.box);
        EXPECT_GE(cv::pointPolygonTest(region.contour, region.peak, false), 0);
        cv::drawContours(drawn, std::vector<std::vector<cv::Point>>{region.contour}, 0, 255, cv::FILLED);
    }
    EXPECT_EQ(area, cv::countNonZero(mask));
    EXPECT_EQ(cv::countNonZero((mask != 0) & (drawn == 0)), 0) << "all of the mask is inside the contours";

    const int largest = std::max_element(found.regions.begin(), found.regions.end(),
                                         [](const AnomalyRegion& a, const AnomalyRegion& b) { return a.area < b.area; })
                            ->area;
    detector->setOptions(detector->getOptions().setMinimumArea(largest));
    cv::Mat cleaned;
    const AnomalyResult few = detector->detect(part(6001, 1, true), map, cleaned);
    int left = 0;
    for (const AnomalyRegion& region : few.regions)
    {
        EXPECT_GE(region.area, largest);
        left += region.area;
    }
    EXPECT_EQ(left, cv::countNonZero(cleaned)) << "out of the mask, too";
    EXPECT_EQ(few.anomalous, found.anomalous);
    detector->setOptions(detector->getOptions().setMinimumArea(largest + 1));
    EXPECT_TRUE(detector->detect(part(6001, 1, true), map, cleaned).regions.empty());
    EXPECT_EQ(cv::countNonZero(cleaned), 0);
}

TEST_F(Calibration, DriftIsFoundInAnotherLightAndNotInPartsOrDefects)
{
    calibrate(model(), {goodSet(64, 1000)}, {}, out());
    const auto detector = AnomalyDetector::create(out());
    EXPECT_TRUE(detector->getDrift().known);
    EXPECT_EQ(detector->getDrift().pictures, 0);
    EXPECT_FALSE(detector->getDrift().drifting);
    int outside = 0;
    for (uint64_t i = 0; i < 200; i++)
    {
        const AnomalyResult found = detector->detect(part(7000 + i));
        outside += found.drift > 1;
        EXPECT_FALSE(detector->getDrift().drifting) << i;
    }
    EXPECT_LE(outside, 8) << "a stated 1 % of 200, from 64 pictures";
    EXPECT_EQ(detector->getDrift().pictures, 32);

    int until = 0;
    for (; until < 32 && !detector->getDrift().drifting; until++)
        detector->detect(part(8000 + static_cast<uint64_t>(until), 0.6));
    EXPECT_LE(until, 8) << "a quarter of the window";
    EXPECT_GT(detector->getDrift().median, 0);
    EXPECT_GE(detector->getDrift().outside, 0.25);

    detector->setDriftWindow(16); // forgets
    EXPECT_EQ(detector->getDrift().pictures, 0);
    EXPECT_EQ(detector->getDrift().window, 16);
    detector->detectBatch(std::vector<cv::Mat>(4, part(1, 0.6)));
    EXPECT_TRUE(detector->getDrift().drifting);
    EXPECT_THAT(errorOf<cv::Exception>([&] { detector->setDriftWindow(3); }),
                HasSubstr("window of the drift check is 3 images, expected 4 to 65536"));
}

TEST_F(Calibration, AModelOfBeforeDecidesAndSaysThatItKnowsNoRange)
{
    TensorFile file = readSafetensors(model());
    json header = json::parse(file.metadata.at("agpnet"));
    header.erase("drift");
    header.erase(checksumKey);
    for (const char* key : {"median", "threshold_rule", "pixel_threshold_rule"})
        header["scores"].erase(key);
    file.metadata["agpnet"] = header.dump();
    std::erase_if(file.tensors, [](const auto& tensor) { return tensor.first.starts_with("range."); });
    const std::string older = *folder / "older.agp";
    writeSafetensors(older, file);

    const auto detector = AnomalyDetector::create(older);
    const AnomalyResult found = detector->detect(part(1)), same = AnomalyDetector::create(model())->detect(part(1));
    EXPECT_EQ(found.score, same.score);
    EXPECT_EQ(found.threshold, same.threshold);
    EXPECT_EQ(found.anomalous, found.calibrated > 0.5);
    EXPECT_EQ(found.drift, -1);
    EXPECT_FALSE(detector->getDrift().known);
    EXPECT_EQ(detector->getDrift().pictures, 0);
    EXPECT_EQ(readModel(older).scores.threshold.method, "deviations");
    calibrate(older, {goodSet(20, 0)}, {}, older);
    EXPECT_TRUE(AnomalyDetector::create(older)->getDrift().known);
}

TEST_F(Calibration, LiesAboutTheRangeAreRefused)
{
    const TensorFile good = readSafetensors(model());
    const auto refused = [&](const char* part, const std::function<void(json&, TensorFile&)>& edit)
    {
        TensorFile file = good;
        json header = json::parse(file.metadata.at("agpnet"));
        edit(header, file);
        header.erase(checksumKey); // a lie, not damage
        file.metadata["agpnet"] = header.dump();
        writeSafetensors(*folder / "bad.agp", file);
        EXPECT_THAT(errorOf<cv::Exception>([&] { AnomalyDetector::create(*folder / "bad.agp"); }),
                    AllOf(HasSubstr("bad.agp"), HasSubstr(part)));
    };
    refused("'range.mean' is missing", [](json&, TensorFile& file) { file.tensors.erase("range.mean"); });
    refused("expected [products,", [](json&, TensorFile& file) { file.tensors["range.mean"] = at::zeros({1, 4}); });
    refused("not above 0",
            [](json&, TensorFile& file) { file.tensors["range.deviation"] = file.tensors["range.deviation"] * 0; });
    refused("of 1 products with 2 limits", [](json& header, TensorFile&) { header["drift"].push_back(header["drift"][0]); });
    refused("'limit' is 0", [](json& header, TensorFile&) { header["drift"][0]["limit"] = 0; });
    refused("expected a list", [](json& header, TensorFile&) { header["drift"] = 7; });
    refused("'from'", [](json& header, TensorFile&) { header["scores"]["threshold_rule"]["tail"] = 7; });
    refused("'method'", [](json& header, TensorFile&) { header["scores"]["threshold_rule"].erase("method"); });
}

TEST(CalibrationScores, APictureThatIsNotGoodDoesNotStretchTheTail)
{
    const auto statistics = [](int count, int others)
    {
        CalibrationScores scores("held-back");
        for (int i = 0; i < count + others; i++)
        {
            const double score = i < count ? 0.1 + 0.001 * (i * 37 % 64) : 1.0;
            Prediction image;
            image.evidence.score = score;
            image.evidence.features = at::zeros({2});
            image.map = cv::Mat(4, 4, CV_32F, cv::Scalar(score));
            scores.addNormal(image);
        }
        return scores.statistics({});
    };
    const ScoreStatistics clean = statistics(63, 0), one = statistics(63, 1), many = statistics(63, 10);
    EXPECT_EQ(one.threshold.value, clean.threshold.value);
    EXPECT_EQ(one.count, 64);
    EXPECT_EQ(one.threshold.normal, 63) << "and the model says so";
    EXPECT_EQ(many.threshold.normal, 73) << "no accident";
    EXPECT_GT(many.threshold.value, 0.9);
}

TEST(DriftWindow, RaisesAtAQuarterOfThePictures)
{
    DriftWindow window;
    for (int i = 0; i < 3; i++)
        window.add(2);
    EXPECT_FALSE(window.state().drifting) << "three may be chance";
    window.add(2);
    EXPECT_TRUE(window.state().drifting);
    for (int i = 0; i < 12; i++)
        window.add(0.5);
    EXPECT_TRUE(window.state().drifting);
    EXPECT_EQ(window.state().outside, 0.25);
    EXPECT_EQ(window.state().median, 0.5);
    window.add(0.5);
    EXPECT_FALSE(window.state().drifting);
    EXPECT_EQ(window.state().pictures, 17);
    for (int i = 0; i < 100; i++)
        window.add(0.5);
    EXPECT_EQ(window.state().pictures, 32);
    EXPECT_EQ(window.state().outside, 0);
}

} // namespace
} // namespace agpnet
