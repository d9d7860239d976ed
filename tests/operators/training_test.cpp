// AnomalyTrainer::fit through the public interface, around a tiny backbone: several products, few pictures, regions, tiles, stopping.
#include "agpnet/agpnet.hpp"
#include "models/agpnet/file.h"
#include "operators/agpnet/inspection/predict.h"
#include "tests/support/error_text.h"
#include "tests/support/tiny_backbone.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <opencv2/imgproc.hpp>
#include <set>

namespace agpnet
{
namespace
{

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using test::errorOf;
using test::TempFolder;

cv::Mat noise(uint64_t seed, cv::Size size = {48, 40}, double most = 256)
{
    cv::Mat image(size, CV_8UC3);
    cv::RNG(seed).fill(image, cv::RNG::UNIFORM, 0, most);
    return image;
}

ImageSet set(const std::string& name, size_t count, uint64_t seed, double most = 256, cv::Size size = {48, 40})
{
    return {name, count, [=](size_t i) { return noise(seed + i, size, most); }};
}

class Fit : public ::testing::Test
{
protected:
    cv::Ptr<AnomalyTrainer> trainer(int steps, const std::string& more = "") const
    {
        return AnomalyTrainer::create(backbone_, test::tinyConfig(steps, more));
    }

    std::map<std::string, at::Tensor> tensorsOf(const cv::Ptr<AnomalyTrainer>& trained) const
    {
        trained->save(folder_ / "tensors.agp", false);
        std::map<std::string, at::Tensor> tensors;
        for (const auto& [name, tensor] : readSafetensors(folder_ / "tensors.agp").tensors)
            tensors[name] = tensor.clone();
        return tensors;
    }

    TempFolder folder_;
    std::string backbone_ = test::writeTinyBackbone(folder_);
};

TEST_F(Fit, SeveralProductsGetThresholdsOfTheirOwn)
{
    const auto model = trainer(4);
    model->fit({set("loud", 24, 0), set("quiet", 5, 100, 40)});
    model->save(folder_ / "m.agp");
    const auto detector = AnomalyDetector::create(folder_ / "m.agp");
    EXPECT_THAT(detector->getProducts(), ElementsAre("loud", "quiet"));
    EXPECT_EQ(detector->getOptions().getProduct(), "");
    const double all = detector->getThreshold();
    const double loud = detector->getThreshold("loud"), loudPixels = detector->getPixelThreshold("loud");
    const double quiet = detector->getThreshold("quiet");
    EXPECT_NE(quiet, loud);
    EXPECT_NE(detector->getPixelThreshold("quiet"), loudPixels);
    detector->setOptions(DetectOptions().setProduct("quiet"));
    EXPECT_EQ(detector->getOptions().getProduct(), "quiet");
    EXPECT_EQ(detector->detect(noise(3)).threshold, quiet);
    EXPECT_EQ(detector->detect(noise(3), cv::noArray(), cv::noArray(), DetectOptions().setProduct("loud")).threshold, loud)
        << "of one call alone";
    EXPECT_EQ(detector->detect(noise(3)).threshold, quiet);
    detector->setOptions(DetectOptions());
    EXPECT_NE(all, 0);
    // each is judged as what it looks like
    for (const auto& [image, product, threshold] : {std::tuple{noise(3), "loud", loud}, {noise(103, {48, 40}, 40), "quiet", quiet}})
    {
        const AnomalyResult found = detector->detect(image);
        EXPECT_EQ(found.product, product);
        EXPECT_EQ(found.threshold, threshold);
    }
    EXPECT_THAT(errorOf<cv::Exception>([&] { detector->setOptions(detector->getOptions().setProduct("soft")); }),
                HasSubstr("product is 'soft', expected one of loud, quiet"));

    const json scores = json::parse(detector->getHeader()).at("scores");
    ASSERT_EQ(scores.at("classes").size(), 2u);
    EXPECT_EQ(scores["classes"][0].at("name"), "loud");
    EXPECT_EQ(scores["classes"][0].at("from"), "held-back");
    EXPECT_EQ(scores["classes"][0].at("count"), 2);
    EXPECT_EQ(scores["classes"][1].at("from"), "training");
    EXPECT_EQ(scores["classes"][1].at("count"), 5);
    EXPECT_EQ(scores.at("from"), "mixed");
    EXPECT_EQ(scores.at("count"), 7);
}

/// The pictures of set(), with values of so many bits in 16.
ImageSet deepSet(size_t count, uint64_t seed, int bits)
{
    return {"", count, [=](size_t i) {
                cv::Mat deep;
                noise(seed + i).convertTo(deep, CV_16U, ((1 << bits) - 1) / 255.0);
                return deep;
            }};
}

cv::Mat deepNoise(uint64_t seed, int bits)
{
    return deepSet(1, seed, bits).image(0);
}

TEST_F(Fit, TheBitsOfSixteenBitImagesAreFoundAndKept)
{
    const auto eight = trainer(4);
    eight->fit({set("", 12, 0)});
    const double score = eight->getDetector()->detect(noise(100)).score;
    for (const int bits : {10, 12, 14, 16})
    {
        const auto model = trainer(4);
        model->fit({deepSet(12, 0, bits)});
        EXPECT_EQ(json::parse(model->getConfig()).at("bits"), bits);
        model->save(folder_ / "deep.agp");
        const auto detector = AnomalyDetector::create(folder_ / "deep.agp");
        const json header = json::parse(detector->getHeader()), values = header.at("training").at("values");
        EXPECT_EQ(header.at("config").at("bits"), bits);
        EXPECT_EQ(values.at("bits"), bits);
        EXPECT_EQ(values.at("given"), false);
        EXPECT_EQ(values.at("images"), 12);
        EXPECT_EQ(values.at("above"), 0);
        EXPECT_EQ(values.at("greatest"), (1 << bits) - 1);
        // the same pictures in finer steps: nearly the same training, whatever the bits
        const AnomalyResult found = detector->detect(deepNoise(100, bits));
        EXPECT_NEAR(found.score, score, 0.02 * score) << bits;
        EXPECT_EQ(found.warning, "");
        EXPECT_NEAR(detector->detect(noise(100)).score, score, 0.02 * score) << "8-bit images go on as they are";
        std::vector<cv::Mat> maps;
        EXPECT_EQ(detector->detectBatch(std::vector<cv::Mat>{deepNoise(100, bits), noise(100)}, maps)[0].score, found.score);
        if (bits < 16)
        {
            EXPECT_THAT(detector->detect(deepNoise(100, 16)).warning,
                        HasSubstr("holds values up to 65535, and the model takes those of " + std::to_string(bits) + " bits"));
        }
        if (bits > 10)
        {
            EXPECT_THAT(detector->detect(deepNoise(100, bits - 4)).warning, HasSubstr("it is dark, or of"));
        }
    }
    // a model that has seen 8 bits alone takes all 16
    EXPECT_NEAR(eight->getDetector()->detect(deepNoise(100, 16)).score, score, 0.02 * score);
    EXPECT_THAT(eight->getDetector()->detect(deepNoise(100, 12)).warning, HasSubstr("it is dark, or of 12 bits"));
    EXPECT_FALSE(json::parse(eight->getDetector()->getHeader()).at("training").contains("values"));
}

TEST_F(Fit, BitsThatAreGivenHold)
{
    const auto model = trainer(2, R"("bits":12)");
    model->fit({deepSet(8, 0, 14)});
    const json values = json::parse(model->getRecord()).at("values");
    EXPECT_EQ(json::parse(model->getConfig()).at("bits"), 12);
    EXPECT_EQ(values.at("given"), true);
    EXPECT_EQ(values.at("above"), 8);
    EXPECT_THAT(model->getDetector()->detect(deepNoise(0, 14)).warning, HasSubstr("12 bits"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { trainer(2, R"("bits":7)"); }),
                HasSubstr("'bits' is 7, expected 0 (found in the training's images) or 8 to 16"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { trainer(2, R"("bits":17)"); }), HasSubstr("'bits' is 17"));
}

/// Some of 8 bits, some of 12, the first deep one late: as if all were of 8.
TEST_F(Fit, BitsAreFoundAmongPicturesOfOtherDepths)
{
    const auto model = trainer(4);
    model->fit({{"", 12, [](size_t i) { return i % 3 == 2 ? deepNoise(i, 12) : noise(i); }}});
    EXPECT_EQ(json::parse(model->getConfig()).at("bits"), 12);
    const auto eight = trainer(4);
    eight->fit({set("", 12, 0)});
    const double score = eight->getDetector()->detect(noise(100)).score;
    EXPECT_NEAR(model->getDetector()->detect(noise(100)).score, score, 0.02 * score);
}

TEST_F(Fit, AResumedTrainingKeepsTheBits)
{
    const auto whole = trainer(4);
    whole->fit({deepSet(8, 0, 10)});
    const auto begun = trainer(4);
    EXPECT_FALSE(begun->fit({deepSet(8, 0, 10)}, [](const TrainProgress& at) { return at.step < 2; }));
    begun->saveState(folder_ / "state");
    const auto resumed = AnomalyTrainer::resume(folder_ / "state");
    EXPECT_EQ(json::parse(resumed->getConfig()).at("bits"), 10);
    EXPECT_TRUE(resumed->fit({deepSet(8, 0, 10)}));
    EXPECT_EQ(json::parse(resumed->getRecord()).at("values"), json::parse(whole->getRecord()).at("values"));
    EXPECT_EQ(resumed->getDetector()->detect(deepNoise(50, 10)).score, whole->getDetector()->detect(deepNoise(50, 10)).score);
}

TEST_F(Fit, StepsTakeTheBitsOfTheFirstBatch)
{
    const auto model = trainer(3);
    model->step(std::vector<cv::Mat>{deepNoise(0, 12), deepNoise(1, 12)});
    EXPECT_EQ(json::parse(model->getConfig()).at("bits"), 12);
    EXPECT_THAT(errorOf<cv::Exception>([&] { model->step(std::vector<cv::Mat>{deepNoise(0, 14)}); }),
                HasSubstr("an image holds values up to 16383, more than the 12 bits of the first batch"));
    EXPECT_EQ(model->getStepsDone(), 1);
}

TEST_F(Fit, OneProductNeedsNoName)
{
    const auto model = trainer(1);
    model->fit({set("", 3, 0)});
    EXPECT_TRUE(model->getDetector()->getProducts().empty());
    EXPECT_THAT(errorOf<cv::Exception>([&] { model->getDetector()->setOptions(DetectOptions().setProduct("a")); }),
                HasSubstr("expected none: the model was trained for one product"));
    EXPECT_FALSE(json::parse(model->getDetector()->getHeader()).at("scores").contains("classes"));
}

TEST_F(Fit, RefusesProductsThatCannotBeToldApart)
{
    EXPECT_THAT(errorOf<cv::Exception>([&] { trainer(1)->fit(std::vector<ImageSet>{}); }), HasSubstr("no products"));
    EXPECT_THAT(errorOf<cv::Exception>(
                    [&] {
                        trainer(1)->fit({set("a", 3, 0), set("a", 3, 9)});
                    }),
                HasSubstr("two products are called 'a'"));
    EXPECT_THAT(errorOf<cv::Exception>(
                    [&] {
                        trainer(1)->fit({set("a", 3, 0), set("", 3, 9)});
                    }),
                HasSubstr("one of 2 products has no name"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { trainer(1)->fit({set("a", 3, 0), set("b", 0, 9)}); }), HasSubstr("no training images of 'b'"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { trainer(1)->fit(0, {}); }), HasSubstr("no training images"));
}

TEST_F(Fit, StoppedAnywhereItGoesOnExactly)
{
    const std::vector<ImageSet> products = {set("a", 21, 0, 256, {70, 50}), set("b", 3, 50, 128, {40, 60})};
    for (const std::string config :
         {R"("tile":32,"augment":["rotate","brightness","shift"])", R"("cache_mib":16)", R"("cache_mib":0,"tile":40)"})
    {
        const auto whole = trainer(9, config);
        ASSERT_TRUE(whole->fit(products));
        const auto expected = tensorsOf(whole);
        for (const int stop : {1, 4, 8})
        {
            const auto first = trainer(9, config);
            ASSERT_FALSE(first->fit(products, [&](const TrainProgress& at) { return at.step < stop; }));
            first->saveState(folder_ / "half.state");
            const auto second = AnomalyTrainer::resume(folder_ / "half.state");
            EXPECT_EQ(second->getStepsDone(), stop);
            ASSERT_TRUE(second->fit(products));
            const auto found = tensorsOf(second);
            ASSERT_EQ(found.size(), expected.size());
            for (const auto& [name, tensor] : expected)
                EXPECT_TRUE(tensor.equal(found.at(name))) << name << " after a stop at step " << stop << " with " << config;
            EXPECT_EQ(second->getDetector()->getThreshold(), whole->getDetector()->getThreshold());
        }
    }
}

TEST_F(Fit, AStateGoesOnOnlyWithAsManyPictures)
{
    const auto first = trainer(4);
    first->fit({set("a", 5, 0), set("b", 6, 0)}, [](const TrainProgress&) { return false; });
    first->saveState(folder_ / "half.state");
    const auto second = AnomalyTrainer::resume(folder_ / "half.state");
    EXPECT_THAT(errorOf<cv::Exception>([&] { second->fit({set("a", 5, 0), set("b", 7, 0)}); }), HasSubstr("cannot go on with"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { second->fit({set("a", 5, 0), set("c", 6, 0)}); }), HasSubstr("cannot go on with"));
    EXPECT_EQ(second->getStepsDone(), 1);
}

TEST_F(Fit, TheStateMayBeSavedFromWithin)
{
    const auto model = trainer(3);
    int saved = 0;
    model->fit({set("", 3, 0)}, [&](const TrainProgress& at) {
        model->saveState(folder_ / "now.state");
        EXPECT_EQ(AnomalyTrainer::resume(folder_ / "now.state")->getStepsDone(), at.step);
        saved++;
        return true;
    });
    EXPECT_EQ(saved, 3);
}

TEST_F(Fit, FewShotsTrainOnAllAndSayWhereThresholdsComeFrom)
{
    const auto model = trainer(4, R"("shots":3)");
    EXPECT_EQ(json::parse(model->getConfig()).at("augment"), json::array({"few-shot"}));
    std::set<size_t> read;
    model->fit(40, [&](size_t i) {
        read.insert(i);
        return noise(i);
    });
    EXPECT_EQ(read.size(), 3u) << "and no other picture was looked at";
    const json record = json::parse(model->getRecord());
    EXPECT_EQ(record.at("images"), 3);
    EXPECT_EQ(record.at("images_held_back"), 0);
    const auto chosen = record.at("sets").at(0).at("chosen").get<std::set<size_t>>();
    EXPECT_EQ(chosen, read);
    const json scores = json::parse(model->getDetector()->getHeader()).at("scores");
    EXPECT_EQ(scores.at("from"), "augmented");
    EXPECT_EQ(scores.at("count"), 48);
    EXPECT_GT(scores.at("deviation"), 0.0);
    EXPECT_THAT(errorOf<cv::Exception>([&] { trainer(4, R"("shots":3)")->fit(2, [](size_t i) { return noise(i); }); }),
                HasSubstr("'shots' is 3, but there are 2 images"));
}

TEST_F(Fit, AugmentationChangesTrainingAlone)
{
    const auto plain = trainer(3), turned = trainer(3, R"("augment":["rotate"])");
    for (const auto& model : {plain, turned})
        model->fit({set("", 4, 0)});
    const auto a = tensorsOf(plain), b = tensorsOf(turned);
    EXPECT_FALSE(a.at("decoder.out.weight").equal(b.at("decoder.out.weight")));
    // one step by hand takes the images as they are
    const auto c = trainer(3), d = trainer(3, R"("augment":["rotate"],"tile":32)");
    EXPECT_EQ(c->step(std::vector<cv::Mat>{noise(1)}), d->step(std::vector<cv::Mat>{noise(1)}));
}

TEST_F(Fit, ARegionOfInterestBelongsToTheModel)
{
    const auto model = trainer(2, R"("roi":[[[0,0],[0.5,0],[0.5,1],[0,1]]])"), everywhere = trainer(2);
    model->fit({set("", 4, 0)});
    everywhere->fit({set("", 4, 0)});
    cv::Mat map, full, mask;
    const AnomalyResult result = model->getDetector()->detect(noise(9), map, mask);
    EXPECT_GT(cv::countNonZero(map.colRange(0, 24)), 0);
    EXPECT_EQ(cv::countNonZero(map.colRange(25, 48)), 0);
    // the same decoder; elsewhere its map is the same, and thresholds are those of the inside
    everywhere->getDetector()->detect(noise(9), full);
    EXPECT_EQ(cv::norm(map.colRange(0, 23), full.colRange(0, 23), cv::NORM_INF), 0);
    EXPECT_LE(model->getDetector()->getThreshold(), everywhere->getDetector()->getThreshold() * 1.2);
    EXPECT_GT(result.score, 0);
}

TEST_F(Fit, ARegionOfInterestCanBeSet)
{
    const auto model = trainer(2);
    model->fit({set("", 4, 0)});
    const auto detector = model->getDetector();
    cv::Mat full, byMask, byShares, byPixels;
    const double score = detector->detect(noise(9), full).score;

    cv::Mat mask = cv::Mat::zeros(40, 48, CV_8U);
    mask(cv::Rect(24, 10, 24, 30)) = 7;
    detector->setOptions(detector->getOptions().setRegionOfInterest(mask));
    const double inside = detector->detect(noise(9), byMask).score;
    EXPECT_LE(inside, score);
    EXPECT_EQ(cv::countNonZero(byMask(cv::Rect(0, 0, 24, 40))), 0);
    EXPECT_GT(cv::countNonZero(byMask(cv::Rect(26, 12, 20, 26))), 500);

    detector->setOptions(detector->getOptions().setRegionPolygons({{{0.5f, 0.25f}, {1, 0.25f}, {1, 1}, {0.5f, 1}}}));
    const double shares = detector->detect(noise(9), byShares).score;
    detector->setOptions(detector->getOptions().setRegionPolygons({{{24, 10}, {48, 10}, {48, 40}, {24, 40}}}, {48, 40}));
    EXPECT_EQ(detector->detect(noise(9), byPixels).score, shares);
    EXPECT_EQ(cv::norm(byShares, byPixels, cv::NORM_INF), 0);
    EXPECT_LT(cv::countNonZero((byMask > 0) != (byShares > 0)), 80) << "but for the border";

    detector->setOptions(detector->getOptions().setRegionOfInterest(cv::noArray()));
    EXPECT_EQ(detector->detect(noise(9)).score, score);
    EXPECT_THAT(
        errorOf<cv::Exception>([&] { detector->setOptions(detector->getOptions().setRegionOfInterest(cv::Mat::ones(4, 4, CV_32F))); }),
        HasSubstr("CV_32FC1, expected CV_8UC1"));
    EXPECT_THAT(
        errorOf<cv::Exception>([&] { detector->setOptions(detector->getOptions().setRegionOfInterest(cv::Mat::zeros(4, 5, CV_8U))); }),
        HasSubstr("the mask of 5x4 is 0 everywhere"));
    EXPECT_THAT(errorOf<cv::Exception>(
                    [&] {
                        detector->setOptions(detector->getOptions().setRegionPolygons({{{0, 0}, {1, 1}}}));
                    }),
                HasSubstr("polygon 0 has 2 points"));
    EXPECT_THAT(errorOf<cv::Exception>(
                    [&] {
                        detector->setOptions(detector->getOptions().setRegionPolygons({{{0, 0}, {1, 1}, {3, 1}}}));
                    }),
                HasSubstr("the point (3, 1)"));
    EXPECT_EQ(detector->detect(noise(9)).score, score) << "what was refused changes nothing";
}

TEST(AnomalyRegion, PolygonsAreEvenOdd)
{
    const Polygon outer = {{0, 0}, {1, 0}, {1, 1}, {0, 1}}, inner = {{0.25, 0.25}, {0.75, 0.25}, {0.75, 0.75}, {0.25, 0.75}};
    RegionOfInterest region{{outer, inner}, {}};
    const cv::Mat inside = region.at({100, 60});
    EXPECT_EQ(inside.at<uchar>(30, 50), 0) << "a hole";
    EXPECT_EQ(inside.at<uchar>(2, 2), 255);
    EXPECT_NEAR(cv::countNonZero(inside), 100 * 60 * 0.75, 200);
    region.polygons = {{{0.001, 0.001}, {0.002, 0.001}, {0.002, 0.002}}};
    EXPECT_GE(cv::countNonZero(region.at({8, 8})), 1) << "a region smaller than a pixel is the pixel it lies in";
}

TEST(AnomalyRegion, ScoreIsThatOfTheInside)
{
    cv::Mat map(20, 20, CV_32F);
    cv::RNG(1).fill(map, cv::RNG::UNIFORM, 0, 1);
    map.at<float>(0, 0) = 9; // outside
    map.at<float>(10, 10) = 5;
    cv::Mat mask = cv::Mat::zeros(20, 20, CV_8U);
    mask(cv::Rect(5, 5, 15, 15)) = 1;
    for (const auto& [kind, expected] : {std::pair{ImageScore::Max, 5.0}, {ImageScore::Top1, 0.0}})
    {
        cv::Mat copy = map.clone();
        const double score = keepInside({{}, mask}, kind, copy);
        EXPECT_EQ(copy.at<float>(0, 0), 0);
        EXPECT_EQ(copy.at<float>(10, 10), 5);
        if (expected > 0)
        {
            EXPECT_EQ(score, expected);
        }
        else // two of 225 pixels
        {
            cv::Mat sorted;
            cv::sort(copy.reshape(1, 1), sorted, cv::SORT_EVERY_ROW | cv::SORT_DESCENDING);
            EXPECT_NEAR(score, (sorted.at<float>(0) + sorted.at<float>(1)) / 2, 1e-6);
        }
    }
}

TEST(AnomalyRegion, IsReadFromText)
{
    const auto polygons = polygonsFromText(" 0.1,0.2 1,0 0.5,0.5 ; 3,4 5,6 7,8 9,1");
    ASSERT_EQ(polygons.size(), 2u);
    EXPECT_EQ(polygons[0][0], cv::Point2f(0.1f, 0.2f));
    EXPECT_EQ(polygons[1].size(), 4u);
    EXPECT_TRUE(polygonsFromText("").empty());
    for (const auto& [text, part] : {std::pair<const char*, const char*>{"1,2 3,4", "2 points, expected at least 3"},
                                     {"1,2 3;4 5,6", "'3' is no point, expected x,y"},
                                     {"a,b c,d e,f", "'a,b' is no point"},
                                     {"1,2 3,4 5,6x", "'5,6x' is no point"},
                                     {"nan,1 2,3 4,5", "'nan,1' is no point"},
                                     {"1,2 3,4 5,6;", "no error"}})
        EXPECT_THAT(errorOf<cv::Exception>([text = text] { polygonsFromText(text); }), HasSubstr(part)) << text;
}

} // namespace
} // namespace agpnet
