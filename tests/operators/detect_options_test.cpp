// Options of an inspection: what they refuse, that copies are independent, that they count for one call alone, and errors' codes.
#include "agpnet/agpnet.hpp"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_backbone.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

namespace agpnet
{
namespace
{

using ::testing::HasSubstr;

cv::Mat noise(int seed, cv::Size size = {96, 72})
{
    cv::Mat image(size, CV_8UC3);
    cv::RNG(static_cast<uint64_t>(seed) + 1).fill(image, cv::RNG::UNIFORM, 0, 256);
    return image;
}

/// Code and message of what is thrown; 0 where nothing is.
template <typename Function>
std::pair<int, std::string> thrownBy(Function function)
{
    try
    {
        function();
    }
    catch (const cv::Exception& error)
    {
        return {error.code, error.err};
    }
    return {0, ""};
}

class Options : public ::testing::Test
{
protected:
    static void SetUpTestSuite()
    {
        folder = new test::TempFolder;
        const auto trainer = AnomalyTrainer::create(test::writeTinyBackbone(*folder), test::tinyConfig(3));
        trainer->fit(12, [](size_t i) { return noise(static_cast<int>(i)); });
        model = *folder / "m.agp";
        trainer->save(model);
    }
    static void TearDownTestSuite() { delete folder; }

    static test::TempFolder* folder;
    static std::string model;
};
test::TempFolder* Options::folder = nullptr;
std::string Options::model;

TEST_F(Options, BadValuesAreArgumentsThatAreNamed)
{
    struct Case
    {
        std::function<void(DetectOptions&)> set;
        const char* part;
    };
    for (const Case& c :
         {Case{[](DetectOptions& o) { o.setTiles(31); }, "'tile' is 31"}, Case{[](DetectOptions& o) { o.setTiles(-2); }, "'tile' is -2"},
          Case{[](DetectOptions& o) { o.setTiles(64, 0.95); }, "'tile_overlap' is 0.95"},
          Case{[](DetectOptions& o) { o.setSensitivity(0); }, "sensitivity is 0"},
          Case{[](DetectOptions& o) { o.setSensitivity(NAN); }, "sensitivity is nan"},
          Case{[](DetectOptions& o) { o.setThreshold(-1); }, "threshold is -1"},
          Case{[](DetectOptions& o) { o.setPixelThreshold(INFINITY); }, "pixel threshold is inf"},
          Case{[](DetectOptions& o) { o.setMinimumArea(-1); }, "minimum area is -1"},
          Case{[](DetectOptions& o) { o.setThreads(257); }, "threads is 257"},
          Case{[](DetectOptions& o) { o.setMapSize(static_cast<MapSize>(7)); }, "map size is 7"},
          Case{[](DetectOptions& o) { o.setRegionOfInterest(cv::Mat::zeros(4, 4, CV_8U)); }, "0 everywhere"},
          Case{[](DetectOptions& o) {
                   o.setRegionPolygons({{{0, 0}, {1, 1}}});
               },
               "2 points"}})
    {
        DetectOptions options;
        options.setSensitivity(3).setTiles(48, 0.5);
        const auto [code, message] = thrownBy([&] { c.set(options); });
        EXPECT_EQ(code, cv::Error::StsBadArg) << c.part;
        EXPECT_THAT(message, HasSubstr(c.part));
        EXPECT_EQ(options.getSensitivity(), 3) << "what is refused changes nothing";
        EXPECT_EQ(options.getTileSide(), 48);
        EXPECT_EQ(options.getTileOverlap(), 0.5);
    }
}

TEST_F(Options, CopiesAreIndependent)
{
    DetectOptions first = DetectOptions().setSensitivity(2).setProduct("a").setRegionPolygons({{{0, 0}, {0.5f, 0}, {0, 0.5f}}});
    DetectOptions second = first;
    second.setSensitivity(4)
        .setRegionOfInterest(cv::Mat::ones(3, 3, CV_8U))
        .setMapSize(MAP_MODEL)
        .setMinimumArea(5)
        .setThreads(2)
        .setHostFallback(false);
    EXPECT_EQ(first.getSensitivity(), 2);
    EXPECT_EQ(first.getRegionPolygons().size(), 1u);
    EXPECT_TRUE(first.getRegionMask().empty());
    EXPECT_EQ(first.getMapSize(), MAP_IMAGE);
    EXPECT_EQ(second.getProduct(), "a");
    EXPECT_EQ(second.getRegionMask().size(), cv::Size(3, 3));
    EXPECT_TRUE(second.getRegionPolygons().empty());
    EXPECT_EQ(second.getMinimumArea(), 5);
    EXPECT_EQ(second.getThreads(), 2);
    EXPECT_FALSE(second.getHostFallback());
    cv::Mat given = cv::Mat::ones(2, 2, CV_8U);
    const DetectOptions kept = DetectOptions().setRegionOfInterest(given);
    given.setTo(0);
    EXPECT_EQ(cv::countNonZero(kept.getRegionMask()), 4) << "the mask is copied";
}

TEST_F(Options, OfACallAreThoseOfADetectorThatHasThem)
{
    const auto plain = AnomalyDetector::create(model, "fp32");
    const cv::Mat image = noise(50);
    for (const DetectOptions& options :
         {DetectOptions(), DetectOptions().setSensitivity(1e6), DetectOptions().setTiles(48), DetectOptions().setMapSize(MAP_MODEL),
          DetectOptions().setRegionPolygons({{{0.2f, 0.2f}, {0.9f, 0.2f}, {0.5f, 0.9f}}}),
          DetectOptions().setThreshold(0.1).setPixelThreshold(0.2).setMinimumArea(20), DetectOptions().setThreads(1)})
    {
        const auto with = AnomalyDetector::create(model, "fp32", "cpu", options);
        cv::Mat map, mask, expectedMap, expectedMask;
        const AnomalyResult expected = with->detect(image, expectedMap, expectedMask), found = plain->detect(image, map, mask, options);
        EXPECT_EQ(found.score, expected.score);
        EXPECT_EQ(found.threshold, expected.threshold);
        EXPECT_EQ(found.regions.size(), expected.regions.size());
        ASSERT_EQ(map.size(), expectedMap.size());
        EXPECT_EQ(cv::norm(map, expectedMap, cv::NORM_INF), 0);
        EXPECT_EQ(cv::countNonZero(mask != expectedMask), 0);
        std::vector<cv::Mat> maps, masks;
        EXPECT_EQ(plain->detectBatch(std::vector<cv::Mat>{image}, maps, masks, options).at(0).score, expected.score);
    }
    EXPECT_EQ(plain->getOptions().getSensitivity(), 1) << "those of a call leave no trace";
}

TEST_F(Options, ThreadsShareADetectorWithOptionsOfTheirOwn)
{
    const auto detector = AnomalyDetector::create(model, "fp32");
    const cv::Mat image = noise(51);
    const double threshold = detector->getThreshold();
    std::vector<std::thread> threads;
    for (int i = 1; i <= 4; i++)
        threads.emplace_back([&, i] {
            for (int n = 0; n < 10; n++)
                EXPECT_EQ(detector->detect(image, cv::noArray(), cv::noArray(), DetectOptions().setSensitivity(i)).threshold,
                          threshold / i);
        });
    std::thread changes([&] {
        for (int n = 1; n < 50; n++)
            detector->setOptions(DetectOptions().setSensitivity(n));
    });
    for (int n = 0; n < 10; n++)
        EXPECT_LE(detector->detect(image).threshold, threshold); // by the old or the new ones
    for (std::thread& thread : threads)
        thread.join();
    changes.join();
}

TEST_F(Options, ErrorsTellArgumentFileAndDeviceApart)
{
    const std::string damaged = *folder / "damaged.agp";
    std::ofstream(damaged) << "nothing";
    EXPECT_EQ(thrownBy([&] { AnomalyDetector::create(*folder / "none.agp"); }).first, cv::Error::StsParseError);
    EXPECT_EQ(thrownBy([&] { AnomalyDetector::create(damaged); }).first, cv::Error::StsParseError);
    EXPECT_EQ(thrownBy([&] { AnomalyDetector::create(model, "half"); }).first, cv::Error::StsBadArg);
    EXPECT_EQ(thrownBy([&] { AnomalyDetector::create(model, "auto", "cuda:9"); }).first, cv::Error::GpuApiCallError);
    EXPECT_EQ(thrownBy([&] { AnomalyDetector::create(model)->detect(cv::Mat()); }).first, cv::Error::StsBadArg);
    EXPECT_EQ(thrownBy([&] { AnomalyDetector::create(model)->setOptions(DetectOptions().setProduct("x")); }).first, cv::Error::StsBadArg);
    EXPECT_EQ(thrownBy([&] { AnomalyTrainer::create(*folder / "none.pth"); }).first, cv::Error::StsParseError);
    EXPECT_EQ(thrownBy([&] { verifyModel(damaged); }).first, cv::Error::StsParseError);
    const auto trainer = AnomalyTrainer::create(*folder / "tiny1.safetensors", test::tinyConfig(1));
    trainer->step(noise(1));
    EXPECT_EQ(thrownBy([&] { trainer->save("/nonexistent/m.agp"); }).first, cv::Error::StsParseError);
}

} // namespace
} // namespace agpnet
