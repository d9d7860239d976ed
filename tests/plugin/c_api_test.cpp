// What holds for all C functions: codes and messages, null pointers, structures of other versions, the exported names, and a program in
// C99.
#include "plugin/c_call.h"
#include "tests/plugin/c_api_fixture.h"

#include <array>
#include <cstdio>
#include <fstream>
#include <functional>
#include <regex>
#include <set>
#include <sstream>
#include <sys/wait.h>

namespace agpnet
{
namespace
{

using test::Answer;
using test::answerOf;
using test::CApi;
using test::checkSizes;
using test::sized;

TEST(CApiCodes, TellWhatWasWrong)
{
    struct Case
    {
        std::function<void()> thrown;
        int code;
        const char* message;
    };
    const auto opencv = [](int code) { return [code] { CV_Error(code, "why"); }; };
    const auto own = [](ErrorKind kind) { return [kind] { throw Error("why", kind); }; };
    for (const Case& c : {Case{[] {}, AGPNET_OK, ""},
                          Case{opencv(cv::Error::StsBadArg), AGPNET_E_ARGUMENT, "why"},
                          Case{opencv(cv::Error::StsParseError), AGPNET_E_FILE, "why"},
                          Case{opencv(cv::Error::GpuApiCallError), AGPNET_E_DEVICE, "why"},
                          Case{opencv(cv::Error::StsError), AGPNET_E_STATE, "why"},
                          Case{opencv(cv::Error::StsNoMem), AGPNET_E_MEMORY, "why"},
                          Case{opencv(cv::Error::StsInternal), AGPNET_E_FAILED, "why"},
                          Case{own(ErrorKind::Argument), AGPNET_E_ARGUMENT, "why"},
                          Case{own(ErrorKind::File), AGPNET_E_FILE, "why"},
                          Case{own(ErrorKind::Device), AGPNET_E_DEVICE, "why"},
                          Case{own(ErrorKind::State), AGPNET_E_STATE, "why"},
                          Case{[] { throw std::bad_alloc(); }, AGPNET_E_MEMORY, "not enough memory"},
                          Case{[] { throw std::runtime_error("why"); }, AGPNET_E_FAILED, "why"},
                          Case{[] { throw 7; }, AGPNET_E_FAILED, "an exception of an unknown type"}})
    {
        char message[64] = "untouched";
        EXPECT_EQ(called(message, sizeof message, c.thrown), c.code);
        EXPECT_STREQ(message, c.message);
        EXPECT_EQ(called(nullptr, 0, c.thrown), c.code);
        char little[4];
        EXPECT_EQ(called(little, sizeof little, c.thrown), c.code);
        EXPECT_EQ(little, std::string(c.message).substr(0, 3));
        EXPECT_EQ(called(nullptr, 4, c.thrown), AGPNET_E_ARGUMENT);
    }
}

/// Each pointer that must be there, in turn.
TEST_F(CApi, NamesTheNullPointer)
{
    const cv::Mat pixels = test::noiseImage(1);
    const agpnet_image image = test::structureOf(pixels);
    test::Results results;
    test::Stream stream;
    test::Trainer trainer;
    AGPNET_EXPECT_OK(agpnet_detector_detect, *detector, &image, nullptr, 0u, &results);
    AGPNET_EXPECT_OK(agpnet_stream_create, *detector, nullptr, &stream);
    const std::string config = test::tinyConfig(2);
    const agpnet_trainer_options options{sizeof options, backbone.c_str(), config.c_str(), nullptr};
    AGPNET_EXPECT_OK(agpnet_trainer_create, &options, &trainer);
    const agpnet_trainer_options noBackbone = sized<agpnet_trainer_options>();
    agpnet_detect_options noMask = AGPNET_DETECT_OPTIONS_INIT, noPolygons = AGPNET_DETECT_OPTIONS_INIT,
                          noPoints = AGPNET_DETECT_OPTIONS_INIT;
    noMask.region = AGPNET_REGION_MASK;
    noPolygons.region = noPoints.region = AGPNET_REGION_POLYGONS;
    noPolygons.polygon_count = noPoints.polygon_count = 1;
    const agpnet_polygon none{nullptr, 3};
    noPoints.polygons = &none;
    agpnet_image noData = image;
    noData.data = nullptr;

    const agpnet_calibration_set noRead = sized<agpnet_calibration_set>();
    agpnet_results* newResults;
    agpnet_detector* newDetector;
    agpnet_stream* newStream;
    agpnet_trainer* newTrainer;
    int32_t taken;
    size_t count;
    for (const auto& [found, name] : std::vector<std::pair<Answer, std::string>>{
             {answerOf(agpnet_results_get_result, nullptr, 0, nullptr), "results"},
             {answerOf(agpnet_results_get_result, results, 0, nullptr), "result"},
             {answerOf(agpnet_results_get_region, nullptr, 0, 0, nullptr), "results"},
             {answerOf(agpnet_results_get_map, nullptr, 0, nullptr), "results"},
             {answerOf(agpnet_results_get_mask, nullptr, 0, nullptr), "results"},
             {answerOf(agpnet_detector_create, nullptr, nullptr, &newDetector), "model"},
             {answerOf(agpnet_detector_create, model.c_str(), nullptr, nullptr), "detector"},
             {answerOf(agpnet_detector_detect, nullptr, &image, nullptr, 0u, &newResults), "detector"},
             {answerOf(agpnet_detector_detect, *detector, nullptr, nullptr, 0u, &newResults), "image"},
             {answerOf(agpnet_detector_detect, *detector, &noData, nullptr, 0u, &newResults), "image.data"},
             {answerOf(agpnet_detector_detect, *detector, &image, nullptr, 0u, nullptr), "results"},
             {answerOf(agpnet_detector_detect, *detector, &image, &noMask, 0u, &newResults), "options.mask"},
             {answerOf(agpnet_detector_detect, *detector, &image, &noPolygons, 0u, &newResults), "options.polygons"},
             {answerOf(agpnet_detector_detect, *detector, &image, &noPoints, 0u, &newResults), "options.polygons[0].points"},
             {answerOf(agpnet_detector_detect_batch, nullptr, &image, 1, nullptr, 0u, &newResults), "detector"},
             {answerOf(agpnet_detector_detect_batch, *detector, nullptr, 1, nullptr, 0u, &newResults), "images"},
             {answerOf(agpnet_detector_detect_batch, *detector, &image, 1, nullptr, 0u, nullptr), "results"},
             {answerOf(agpnet_detector_set_options, nullptr, nullptr), "detector"},
             {answerOf(agpnet_detector_get_info, nullptr, nullptr), "detector"},
             {answerOf(agpnet_detector_get_info, *detector, nullptr), "info"},
             {answerOf(agpnet_detector_get_thresholds, nullptr, nullptr, nullptr, nullptr), "detector"},
             {answerOf(agpnet_detector_get_drift, nullptr, nullptr), "detector"},
             {answerOf(agpnet_detector_get_drift, *detector, nullptr), "drift"},
             {answerOf(agpnet_detector_set_drift_window, nullptr, 8), "detector"},
             {answerOf(agpnet_stream_create, nullptr, nullptr, &newStream), "detector"},
             {answerOf(agpnet_stream_create, *detector, nullptr, nullptr), "stream"},
             {answerOf(agpnet_stream_push, nullptr, &image, 0, nullptr), "stream"},
             {answerOf(agpnet_stream_push, stream, nullptr, 0, nullptr), "frame"},
             {answerOf(agpnet_stream_try_push, nullptr, &image, 0, nullptr, &taken), "stream"},
             {answerOf(agpnet_stream_try_push, stream, nullptr, 0, nullptr, &taken), "frame"},
             {answerOf(agpnet_stream_try_push, stream, &image, 0, nullptr, nullptr), "taken"},
             {answerOf(agpnet_stream_pop, nullptr, 0, nullptr, &newResults), "stream"},
             {answerOf(agpnet_stream_pop, stream, 0, nullptr, nullptr), "results"},
             {answerOf(agpnet_stream_close, nullptr), "stream"},
             {answerOf(agpnet_stream_get_under_way, nullptr, &count), "stream"},
             {answerOf(agpnet_stream_get_under_way, stream, nullptr), "count"},
             {answerOf(agpnet_trainer_create, nullptr, &newTrainer), "options"},
             {answerOf(agpnet_trainer_create, &noBackbone, &newTrainer), "options.backbone"},
             {answerOf(agpnet_trainer_create, &options, nullptr), "trainer"},
             {answerOf(agpnet_trainer_resume, nullptr, nullptr, &newTrainer), "state"},
             {answerOf(agpnet_trainer_resume, "x", nullptr, nullptr), "trainer"},
             {answerOf(agpnet_trainer_join_processes, nullptr, nullptr, nullptr), "trainer"},
             {answerOf(agpnet_trainer_fit, nullptr, nullptr, 0, nullptr, nullptr, nullptr), "trainer"},
             {answerOf(agpnet_trainer_fit, trainer, nullptr, 1, nullptr, nullptr, nullptr), "sets"},
             {answerOf(agpnet_trainer_step, nullptr, &image, 1, nullptr), "trainer"},
             {answerOf(agpnet_trainer_step, trainer, nullptr, 1, nullptr), "images"},
             {answerOf(agpnet_trainer_calibrate, nullptr, nullptr, 1), "trainer"},
             {answerOf(agpnet_trainer_calibrate, trainer, nullptr, 1), "images"},
             {answerOf(agpnet_trainer_get_info, nullptr, nullptr), "trainer"},
             {answerOf(agpnet_trainer_get_info, trainer, nullptr), "info"},
             {answerOf(agpnet_trainer_note, nullptr, "k", "1"), "trainer"},
             {answerOf(agpnet_trainer_note, trainer, nullptr, "1"), "key"},
             {answerOf(agpnet_trainer_note, trainer, "k", nullptr), "json"},
             {answerOf(agpnet_trainer_save, nullptr, "x", 1), "trainer"},
             {answerOf(agpnet_trainer_save, trainer, nullptr, 1), "path"},
             {answerOf(agpnet_trainer_save_state, nullptr, "x"), "trainer"},
             {answerOf(agpnet_trainer_save_state, trainer, nullptr), "path"},
             {answerOf(agpnet_trainer_get_detector, nullptr, &newDetector), "trainer"},
             {answerOf(agpnet_trainer_get_detector, trainer, nullptr), "detector"},
             {answerOf(agpnet_calibrate, nullptr, nullptr, 0, nullptr, "x", nullptr), "model"},
             {answerOf(agpnet_calibrate, model.c_str(), nullptr, 0, nullptr, nullptr, nullptr), "out"},
             {answerOf(agpnet_calibrate, model.c_str(), nullptr, 1, nullptr, "x", nullptr), "sets"},
             {answerOf(agpnet_calibrate, model.c_str(), &noRead, 1, nullptr, "x", nullptr), "sets.read"},
         })
        EXPECT_EQ(found, Answer(AGPNET_E_ARGUMENT, name + " is null"));
    EXPECT_EQ(agpnet_results_count(nullptr), 0u);
    EXPECT_EQ(agpnet_detector_get_product(nullptr, 0), nullptr);
    agpnet_results_free(nullptr);
    agpnet_detector_free(nullptr);
    agpnet_stream_free(nullptr);
    agpnet_trainer_free(nullptr);
}

TEST_F(CApi, TakesStructuresOfOtherVersions)
{
    const cv::Mat pixels = test::noiseImage(1), whole(2, 2, CV_8U, cv::Scalar(1));
    const agpnet_image image = test::structureOf(pixels);
    const agpnet_image_set set{sizeof set, nullptr, 1, &image, nullptr, nullptr};
    const std::string config = test::tinyConfig(2);
    test::Results results, others;
    test::Detector newDetector;
    test::Stream stream, newStream;
    test::Trainer trainer, newTrainer;
    agpnet_detect_options options = AGPNET_DETECT_OPTIONS_INIT;
    options.sensitivity = 1e6;
    AGPNET_EXPECT_OK(agpnet_detector_detect, *detector, &image, &options, uint32_t{AGPNET_MAP | AGPNET_MASK}, &results);
    AGPNET_EXPECT_OK(agpnet_stream_create, *detector, nullptr, &stream);
    const agpnet_trainer_options trainerOptions{sizeof trainerOptions, backbone.c_str(), config.c_str(), nullptr};
    AGPNET_EXPECT_OK(agpnet_trainer_create, &trainerOptions, &trainer);

    checkSizes<agpnet_image>("image", image,
                             [&](auto* it) { return answerOf(agpnet_detector_detect, *detector, it, nullptr, 0u, &others); });
    checkSizes<agpnet_image>("images", image,
                             [&](auto* it) { return answerOf(agpnet_detector_detect_batch, *detector, it, 1, nullptr, 0u, &others); });
    checkSizes<agpnet_detect_options>("options", options,
                                      [&](auto* it) { return answerOf(agpnet_detector_detect, *detector, &image, it, 0u, &others); });
    checkSizes<agpnet_result>("result", {}, [&](auto* it) { return answerOf(agpnet_results_get_result, results, 0, it); });
    checkSizes<agpnet_region>("found", {}, [&](auto* it) { return answerOf(agpnet_results_get_region, results, 0, 0, it); });
    checkSizes<agpnet_image>("map", {}, [&](auto* it) { return answerOf(agpnet_results_get_map, results, 0, it); });
    checkSizes<agpnet_image>("mask", {}, [&](auto* it) { return answerOf(agpnet_results_get_mask, results, 0, it); });
    checkSizes<agpnet_detector_options>("options", {},
                                        [&](auto* it) { return answerOf(agpnet_detector_create, model.c_str(), it, &newDetector); });
    checkSizes<agpnet_detector_info>("info", {}, [&](auto* it) { return answerOf(agpnet_detector_get_info, *detector, it); });
    checkSizes<agpnet_drift>("drift", {}, [&](auto* it) { return answerOf(agpnet_detector_get_drift, *detector, it); });
    checkSizes<agpnet_stream_options>("options", AGPNET_STREAM_OPTIONS_INIT,
                                      [&](auto* it) { return answerOf(agpnet_stream_create, *detector, it, &newStream); });
    checkSizes<agpnet_frame>("frame", {}, [&](auto* it) {
        if (it->size > sizeof(size_t)) // of the size that is refused nothing is popped, and the next call gets it
            agpnet_stream_push(stream, &image, 0, nullptr, nullptr, 0);
        return answerOf(agpnet_stream_pop, stream, -1, it, &others);
    });
    checkSizes<agpnet_trainer_options>("options", trainerOptions,
                                       [&](auto* it) { return answerOf(agpnet_trainer_create, it, &newTrainer); });
    checkSizes<agpnet_trainer_info>("info", {}, [&](auto* it) { return answerOf(agpnet_trainer_get_info, trainer, it); });
    checkSizes<agpnet_image_set>("images", set, [&](auto* it) { return answerOf(agpnet_trainer_calibrate, trainer, it, 1); });
}

TEST_F(CApi, TakesArraysOfLaterStructures)
{
    struct Later
    {
        agpnet_image known;
        std::array<char, 24> unknown;
    };
    const cv::Mat pixels[] = {test::noiseImage(1), test::noiseImage(2, {60, 44})};
    std::array<Later, 2> images{};
    for (size_t i = 0; i < images.size(); i++)
    {
        images[i].known = test::structureOf(pixels[i]);
        images[i].known.size = sizeof(Later);
    }
    test::Results results;
    AGPNET_EXPECT_OK(agpnet_detector_detect_batch, *detector, &images[0].known, images.size(), nullptr, uint32_t{AGPNET_MAP}, &results);
    agpnet_image map = sized<agpnet_image>();
    AGPNET_EXPECT_OK(agpnet_results_get_map, results, 1, &map);
    EXPECT_EQ(test::matOf(map).size(), pixels[1].size());

    images[1].known.size = sizeof(agpnet_image);
    EXPECT_EQ(
        answerOf(agpnet_detector_detect_batch, *detector, &images[0].known, images.size(), nullptr, 0u, &results),
        Answer(AGPNET_E_ARGUMENT, fmt::format("images[1].size is {}, expected {} as in images[0]", sizeof(agpnet_image), sizeof(Later))));
}

/// The functions of the headers, and no others, leave the library.
TEST(CApiNames, AreThoseOfTheHeaders)
{
    std::ifstream in(AGPNET_INCLUDE "/agpnet/c_api.h");
    std::stringstream header;
    header << in.rdbuf();
    const std::string text = header.str();
    const std::regex declared(R"(AGPNET_EXPORT [^;]*?(agpnet_\w+)\()");
    std::set<std::string> expected = {"agpnet_plugin_init_v1", "agpnet_load_tuning_v1"}; // agpnet/plugin.h has their types
    for (auto found = std::sregex_iterator(text.begin(), text.end(), declared); found != std::sregex_iterator(); ++found)
        expected.insert((*found)[1]);
    EXPECT_GT(expected.size(), 30u);

    const std::string list = std::string(::testing::TempDir()) + "agpnet-c-symbols.txt";
    ASSERT_EQ(std::system(("nm -D --defined-only " AGPNET_PLUGIN_PATH " > " + list).c_str()), 0);
    std::ifstream symbols(list);
    std::set<std::string> exported;
    for (std::string address, type, name; symbols >> address >> type >> name;)
        if (name.starts_with("agpnet_"))
            exported.insert(name.substr(0, name.find('@')));
    EXPECT_EQ(exported, expected);
}

/// A program that was compiled by a C compiler with -std=c99 -pedantic.
TEST_F(CApi, WorksInC99)
{
    const std::string output = *folder / "c99.txt",
                      command = fmt::format("OMP_NUM_THREADS=1 '{}' '{}' '{}' '{}' > '{}' 2>&1", AGPNET_C99_CLIENT, backbone,
                                            test::tinyConfig(3), folder->path().string(), output);
    const int status = std::system(command.c_str());
    std::ifstream in(output);
    std::stringstream text;
    text << in.rdbuf();
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << text.str();
    EXPECT_EQ(text.str(), "");
}

} // namespace
} // namespace agpnet
