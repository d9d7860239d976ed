// The detector in C gives what the detector in C++ gives, whatever the options.
#include "tests/plugin/c_api_fixture.h"

#include <thread>

namespace agpnet
{
namespace
{

using test::Answer;
using test::answerOf;
using test::CApi;
using test::expectSame;
using test::noiseImage;
using test::structureOf;
using ::testing::HasSubstr;

constexpr uint32_t both = AGPNET_MAP | AGPNET_MASK;

/// An option in C, and the same in C++.
struct OptionCase
{
    const char* name;
    std::function<void(agpnet_detect_options&)> set;
    DetectOptions expected;
};

std::vector<OptionCase> optionCases()
{
    static const unsigned char half[] = {0, 255};
    static const agpnet_image mask{sizeof mask, half, 1, 2, 1, AGPNET_UINT8, 2};
    static const float left[] = {0, 0, 0.5f, 0, 0.5f, 1, 0, 1}, inPixels[] = {0, 0, 60, 0, 60, 70, 0, 70},
                       hole[] = {10, 10, 30, 10, 30, 30};
    static const agpnet_polygon one{left, 4}, two[] = {{inPixels, 4}, {hole, 3}};
    return {
        {"as trained", [](auto&) {}, DetectOptions()},
        {"map size", [](auto& o) { o.map_size = AGPNET_MAP_SIZE_MODEL; }, DetectOptions().setMapSize(MAP_MODEL)},
        {"whole images", [](auto& o) { o.tile_side = 0; }, DetectOptions().setTiles(0)},
        {"other tiles", [](auto& o) { o.tile_side = 50, o.tile_overlap = 0.5; }, DetectOptions().setTiles(50, 0.5)},
        {"whole region", [](auto& o) { o.region = AGPNET_REGION_WHOLE; }, DetectOptions().setRegionOfInterest(cv::noArray())},
        {"mask", [](auto& o) { o.region = AGPNET_REGION_MASK, o.mask = &mask; },
         DetectOptions().setRegionOfInterest(cv::Mat1b(1, 2, const_cast<uchar*>(half)))},
        {"fractions", [](auto& o) { o.region = AGPNET_REGION_POLYGONS, o.polygons = &one, o.polygon_count = 1; },
         DetectOptions().setRegionPolygons({{{0, 0}, {0.5f, 0}, {0.5f, 1}, {0, 1}}})},
        {"pixels",
         [](auto& o)
         { o.region = AGPNET_REGION_POLYGONS, o.polygons = two, o.polygon_count = 2, o.polygon_height = 70, o.polygon_width = 120; },
         DetectOptions().setRegionPolygons({{{0, 0}, {60, 0}, {60, 70}, {0, 70}}, {{10, 10}, {30, 10}, {30, 30}}}, {120, 70})},
        {"product", [](auto& o) { o.product = "b"; }, DetectOptions().setProduct("b")},
        {"sensitivity", [](auto& o) { o.sensitivity = 1.5; }, DetectOptions().setSensitivity(1.5)},
        {"thresholds", [](auto& o) { o.threshold = 0.01, o.pixel_threshold = 0.02; },
         DetectOptions().setThreshold(0.01).setPixelThreshold(0.02)},
        {"minimum area", [](auto& o) { o.sensitivity = 2, o.minimum_area = 60; }, DetectOptions().setSensitivity(2).setMinimumArea(60)},
        {"threads", [](auto& o) { o.threads = 1; }, DetectOptions().setThreads(1)},
    };
}

TEST_F(CApi, GivesWhatTheDetectorGives)
{
    const cv::Mat image = noiseImage(1, {120, 70});
    const agpnet_image given = structureOf(image);
    test::Results results;
    for (const OptionCase& c : optionCases())
    {
        SCOPED_TRACE(c.name);
        agpnet_detect_options options = AGPNET_DETECT_OPTIONS_INIT;
        c.set(options);
        cv::Mat map, mask;
        const AnomalyResult expected = reference->detect(image, map, mask, c.expected);
        AGPNET_EXPECT_OK(agpnet_detector_detect, *detector, &given, &options, both, &results);
        ASSERT_EQ(agpnet_results_count(results), 1u);
        expectSame(results, 0, expected, map, mask);

        // the same as options of the detector
        test::Detector own;
        const agpnet_detector_options create{sizeof create, nullptr, nullptr, &options};
        AGPNET_EXPECT_OK(agpnet_detector_create, model.c_str(), &create, &own);
        AGPNET_EXPECT_OK(agpnet_detector_detect, own, &given, nullptr, both, &results);
        expectSame(results, 0, expected, map, mask);
        AGPNET_EXPECT_OK(agpnet_detector_set_options, own, nullptr);
        AGPNET_EXPECT_OK(agpnet_detector_detect, own, &given, nullptr, both, &results);
        const AnomalyResult asTrained = reference->detect(image, map, mask);
        expectSame(results, 0, asTrained, map, mask);
        AGPNET_EXPECT_OK(agpnet_detector_set_options, own, &options);
        AGPNET_EXPECT_OK(agpnet_detector_detect, own, &given, nullptr, 0u, &results);
        agpnet_result result{sizeof result, 0, 0, 0, 0, 0, 0, 0, nullptr, nullptr};
        AGPNET_EXPECT_OK(agpnet_results_get_result, results, 0, &result);
        EXPECT_EQ(result.score, expected.score);
        EXPECT_EQ(result.threshold, expected.threshold);
    }
}

TEST_F(CApi, ReturnsTheOutputsThatAreRequested)
{
    const cv::Mat image = noiseImage(1);
    const agpnet_image given = structureOf(image);
    test::Results results;
    for (uint32_t outputs : {0u, uint32_t{AGPNET_MAP}, uint32_t{AGPNET_MASK}, both})
    {
        cv::Mat map, mask;
        const bool withMap = outputs & AGPNET_MAP, withMask = outputs & AGPNET_MASK;
        const AnomalyResult expected = reference->detect(image, withMap ? cv::_OutputArray(map) : cv::_OutputArray(),
                                                         withMask ? cv::_OutputArray(mask) : cv::_OutputArray());
        AGPNET_EXPECT_OK(agpnet_detector_detect, *detector, &given, nullptr, outputs, &results);
        expectSame(results, 0, expected, map, mask);
        AGPNET_EXPECT_OK(agpnet_detector_detect_batch, *detector, &given, 1, nullptr, outputs, &results);
        expectSame(results, 0, expected, map, mask);
    }
    EXPECT_EQ(answerOf(agpnet_detector_detect, *detector, &given, nullptr, 4u, &results),
              Answer(AGPNET_E_ARGUMENT, "outputs is 4, expected AGPNET_MAP (1), AGPNET_MASK (2), both or 0"));
}

TEST_F(CApi, TakesEveryTypeOfImage)
{
    cv::Mat image = noiseImage(1, {60, 50}), deep, real, withAlpha;
    image.convertTo(deep, CV_16U, 257);
    image.convertTo(real, CV_32F, 1 / 255.);
    std::vector<cv::Mat> channels;
    cv::split(image, channels);
    channels.push_back(channels[0]);
    cv::merge(channels, withAlpha);
    const cv::Mat part = noiseImage(2, {90, 80})(cv::Rect(7, 5, 60, 50));
    test::Results results;
    for (const cv::Mat& one : {image, deep, real, withAlpha, channels[1], part})
    {
        const agpnet_image given = structureOf(one);
        cv::Mat map;
        const AnomalyResult expected = reference->detect(one, map);
        AGPNET_EXPECT_OK(agpnet_detector_detect, *detector, &given, nullptr, uint32_t{AGPNET_MAP}, &results);
        expectSame(results, 0, expected, map, cv::Mat());
    }
}

TEST_F(CApi, InspectsBatches)
{
    std::vector<cv::Mat> images, maps, masks;
    std::vector<agpnet_image> given;
    for (size_t i = 0; i < 5; i++)
    {
        images.push_back(noiseImage(i, {48 + 9 * static_cast<int>(i), 40}));
        given.push_back(structureOf(images.back()));
    }
    agpnet_detect_options options = AGPNET_DETECT_OPTIONS_INIT;
    options.sensitivity = 2;
    const std::vector<AnomalyResult> expected = reference->detectBatch(images, maps, masks, DetectOptions().setSensitivity(2));
    test::Results results, alone;
    AGPNET_EXPECT_OK(agpnet_detector_detect_batch, *detector, given.data(), given.size(), &options, both, &results);
    ASSERT_EQ(agpnet_results_count(results), images.size());
    for (size_t i = 0; i < images.size(); i++)
    {
        expectSame(results, i, expected[i], maps[i], masks[i]);
        AGPNET_EXPECT_OK(agpnet_detector_detect, *detector, &given[i], &options, both, &alone);
        agpnet_result inBatch{sizeof inBatch, 0, 0, 0, 0, 0, 0, 0, nullptr, nullptr}, single = inBatch;
        AGPNET_EXPECT_OK(agpnet_results_get_result, results, i, &inBatch);
        AGPNET_EXPECT_OK(agpnet_results_get_result, alone, 0, &single);
        EXPECT_NEAR(inBatch.score, single.score, 1e-4 * single.score); // a batch may be added up in another order
        EXPECT_EQ(inBatch.anomalous, single.anomalous);
    }
    AGPNET_EXPECT_OK(agpnet_detector_detect_batch, *detector, nullptr, 0, nullptr, both, &results);
    EXPECT_EQ(agpnet_results_count(results), 0u);
    given[3].channels = 2;
    EXPECT_EQ(answerOf(agpnet_detector_detect_batch, *detector, given.data(), given.size(), nullptr, both, &results),
              Answer(AGPNET_E_ARGUMENT, "images[3].channels is 2, expected 1, 3, 4 or 6"));
    EXPECT_EQ(results.handle, nullptr);
}

TEST_F(CApi, ServesManyThreads)
{
    const cv::Mat image = noiseImage(1);
    const agpnet_image given = structureOf(image);
    std::vector<AnomalyResult> expected;
    for (int thread = 0; thread < 4; thread++)
        expected.push_back(reference->detect(image, cv::noArray(), cv::noArray(), DetectOptions().setSensitivity(1 + thread)));
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; thread++)
        threads.emplace_back([&, thread] { // each with options of its own
            agpnet_detect_options options = AGPNET_DETECT_OPTIONS_INIT;
            options.sensitivity = 1 + thread;
            test::Results results;
            for (int i = 0; i < 8; i++)
            {
                AGPNET_EXPECT_OK(agpnet_detector_detect, *detector, &given, &options, 0u, &results);
                expectSame(results, 0, expected[static_cast<size_t>(thread)], cv::Mat(), cv::Mat());
            }
        });
    for (std::thread& thread : threads)
        thread.join();
}

/// The model has seen 8 bits alone: it takes all 16.
TEST_F(CApi, WarnsOfValuesThatDoNotFit)
{
    cv::Mat deep;
    test::Results results;
    const auto warning = [&](double maximum) {
        noiseImage(1).convertTo(deep, CV_16U, maximum / 255);
        const agpnet_image given = structureOf(deep);
        AGPNET_EXPECT_OK(agpnet_detector_detect, *detector, &given, nullptr, 0u, &results);
        agpnet_result result{sizeof result, 0, 0, 0, 0, 0, 0, 0, nullptr, nullptr};
        AGPNET_EXPECT_OK(agpnet_results_get_result, results, 0, &result);
        return std::string(result.warning);
    };
    EXPECT_EQ(warning(65535), "");
    EXPECT_THAT(warning(4095), HasSubstr("it is dark, or of 12 bits"));
}

TEST_F(CApi, TellsItsProperties)
{
    agpnet_detector_info info{sizeof info, nullptr, nullptr, nullptr, 0, 0, 0};
    AGPNET_EXPECT_OK(agpnet_detector_get_info, *detector, &info);
    EXPECT_EQ(info.header, reference->getHeader());
    EXPECT_EQ(info.precision, reference->getPrecision());
    EXPECT_STREQ(info.device, "cpu");
    EXPECT_EQ(cv::Size(info.input_width, info.input_height), reference->getInputSize());
    ASSERT_EQ(info.product_count, 2u);
    EXPECT_STREQ(agpnet_detector_get_product(*detector, 0), "a");
    EXPECT_STREQ(agpnet_detector_get_product(*detector, 1), "b");
    EXPECT_EQ(agpnet_detector_get_product(*detector, 2), nullptr);
    for (const char* product : {static_cast<const char*>(nullptr), "a", "b"})
    {
        double threshold = 0, pixelThreshold = 0;
        AGPNET_EXPECT_OK(agpnet_detector_get_thresholds, *detector, product, &threshold, &pixelThreshold);
        EXPECT_EQ(threshold, reference->getThreshold(product ? product : ""));
        EXPECT_EQ(pixelThreshold, reference->getPixelThreshold(product ? product : ""));
        AGPNET_EXPECT_OK(agpnet_detector_get_thresholds, *detector, product, nullptr, nullptr);
    }
    EXPECT_EQ(answerOf(agpnet_detector_get_thresholds, *detector, "c", nullptr, nullptr).first, AGPNET_E_ARGUMENT);
    EXPECT_THAT(agpnet_build_information(), HasSubstr("\"opencv\""));
}

TEST_F(CApi, ChecksDrift)
{
    // 8 held-out images, so that the range of features is known
    const auto trainer = AnomalyTrainer::create(backbone, test::tinyConfig(1));
    trainer->fit(4, [](size_t i) { return noiseImage(i); });
    trainer->calibrate(8, [](size_t i) { return noiseImage(50 + i); });
    trainer->save(*folder / "drift.agp");
    const auto own = AnomalyDetector::create(*folder / "drift.agp");
    test::Detector inC;
    AGPNET_EXPECT_OK(agpnet_detector_create, (*folder / "drift.agp").c_str(), nullptr, &inC);
    AGPNET_EXPECT_OK(agpnet_detector_set_drift_window, inC, 5);
    own->setDriftWindow(5);
    test::Results results;
    for (size_t i = 0; i < 6; i++)
    {
        const cv::Mat image = i < 2 ? noiseImage(i) : cv::Mat(40, 48, CV_8UC3, cv::Scalar::all(20 * static_cast<double>(i)));
        const agpnet_image given = structureOf(image);
        AGPNET_EXPECT_OK(agpnet_detector_detect, inC, &given, nullptr, 0u, &results);
        expectSame(results, 0, own->detect(image), cv::Mat(), cv::Mat());
        agpnet_drift drift{sizeof drift, 0, 0, 0, 0, 0, 0};
        AGPNET_EXPECT_OK(agpnet_detector_get_drift, inC, &drift);
        const DriftState expected = own->getDrift();
        EXPECT_EQ(drift.known, 1);
        EXPECT_EQ(drift.images, expected.pictures);
        EXPECT_EQ(drift.window, 5);
        EXPECT_EQ(drift.median, expected.median);
        EXPECT_EQ(drift.outside, expected.outside);
        EXPECT_EQ(drift.drifting, expected.drifting ? 1 : 0);
    }
    EXPECT_EQ(answerOf(agpnet_detector_set_drift_window, inC, 3).first, AGPNET_E_ARGUMENT);
}

TEST_F(CApi, RefusesByCodeAndMessage)
{
    test::Detector none;
    const auto create = [&](const char* path, const char* precision, const char* device) {
        const agpnet_detector_options options{sizeof options, precision, device, nullptr};
        const Answer answer = answerOf(agpnet_detector_create, path, &options, &none);
        EXPECT_EQ(none.handle, nullptr);
        return answer;
    };
    test::writeBytes(*folder / "text.agp", "no model");
    const std::string text = *folder / "text.agp";
    for (const auto& [answer, code, part] : std::vector<std::tuple<Answer, int, const char*>>{
             {create("/nonexistent/x.agp", nullptr, nullptr), AGPNET_E_FILE, "/nonexistent/x.agp"},
             {create(text.c_str(), nullptr, nullptr), AGPNET_E_FILE, "text.agp"},
             {create(model.c_str(), "half", nullptr), AGPNET_E_ARGUMENT, "precision is 'half'"},
             {create(model.c_str(), nullptr, "tpu"), AGPNET_E_DEVICE, "device is 'tpu', expected cpu, cuda or cuda:N"},
             {create(model.c_str(), nullptr, "cuda:120"), AGPNET_E_DEVICE, "device is 'cuda:120', but"},
         })
    {
        EXPECT_EQ(answer.first, code) << answer.second;
        EXPECT_THAT(answer.second, HasSubstr(part));
    }

    const cv::Mat pixels = noiseImage(1);
    test::Results results;
    const auto image = [&](const std::function<void(agpnet_image&)>& change) {
        agpnet_image bad = structureOf(pixels);
        change(bad);
        return answerOf(agpnet_detector_detect, *detector, &bad, nullptr, 0u, &results);
    };
    const auto options = [&](const std::function<void(agpnet_detect_options&)>& change) {
        const agpnet_image good = structureOf(pixels);
        agpnet_detect_options bad = AGPNET_DETECT_OPTIONS_INIT;
        change(bad);
        return answerOf(agpnet_detector_detect, *detector, &good, &bad, 0u, &results);
    };
    const float line[] = {0, 0, 1, 1};
    const agpnet_polygon twoPoints{line, 2};
    const cv::Mat nothing(2, 2, CV_8U, cv::Scalar(0)), wrong(2, 2, CV_16U, cv::Scalar(1));
    const agpnet_image emptyMask = structureOf(nothing), deepMask = structureOf(wrong);
    for (const auto& [answer, part] :
         std::vector<std::pair<Answer, const char*>>{
             {image([](auto& bad) { bad.type = 3; }), "image.type is 3"},
             {image([](auto& bad) { bad.channels = 2; }), "image.channels is 2, expected 1, 3, 4 or 6"},
             {image([](auto& bad) { bad.height = -1; }), "image has -1 rows"},
             {image([](auto& bad) { bad.stride = 47 * 3; }), "image.stride is 141"},
             {image([](auto& bad) { bad.height = 4; }), "4"},
             {options([](auto& bad) { bad.map_size = 2; }), "map size is 2"},
             {options([](auto& bad) { bad.tile_side = 5; }), "5"},
             {options([](auto& bad) { bad.tile_overlap = 0.95; }), "0.95"},
             {options([](auto& bad) { bad.region = 4; }), "options.region is 4, expected 0 to 3"},
             {options([&](auto& bad) { bad.region = AGPNET_REGION_MASK, bad.mask = &emptyMask; }), "0 everywhere"},
             {options([&](auto& bad) { bad.region = AGPNET_REGION_MASK, bad.mask = &deepMask; }), "expected CV_8UC1"},
             {options([](auto& bad) { bad.region = AGPNET_REGION_POLYGONS; }), "options.polygon_count is 0"},
             {options([&](auto& bad) { bad.region = AGPNET_REGION_POLYGONS, bad.polygons = &twoPoints, bad.polygon_count = 1; }),
              "2 points"},
             {options([](auto& bad) { bad.product = "c"; }), "product is 'c', expected one of a, b"},
             {options([](auto& bad) { bad.sensitivity = 0; }), "sensitivity is 0"},
             {options([](auto& bad) { bad.threshold = -1; }), "threshold is -1"},
             {options([](auto& bad) { bad.pixel_threshold = -1; }), "pixel threshold is -1"},
             {options([](auto& bad) { bad.minimum_area = -1; }), "minimum area is -1"},
             {options([](auto& bad) { bad.threads = 257; }), "257"},
         })
    {
        EXPECT_EQ(answer.first, AGPNET_E_ARGUMENT) << answer.second;
        EXPECT_THAT(answer.second, HasSubstr(part));
    }

    const agpnet_image good = structureOf(pixels);
    AGPNET_EXPECT_OK(agpnet_detector_detect, *detector, &good, nullptr, 0u, &results);
    agpnet_result result{sizeof result, 0, 0, 0, 0, 0, 0, 0, nullptr, nullptr};
    agpnet_region region{sizeof region, 0, 0, 0, 0, 0, 0, 0, 0, nullptr, 0};
    EXPECT_EQ(answerOf(agpnet_results_get_result, results, 1, &result),
              Answer(AGPNET_E_ARGUMENT, "index is 1, expected less than the 1 images of the results"));
    EXPECT_THAT(answerOf(agpnet_results_get_region, results, 0, 9999, &region).second, HasSubstr("region is 9999, expected less than the"));
}

} // namespace
} // namespace agpnet
