// The detector behind C functions: what they refuse, and structures of other versions. What they find is compared in
// tests/package.
#include "agpnet/c_api.h"

#include "agpnet/anomaly_trainer.hpp"
#include "tests/support/tiny_backbone.h"

#include <array>

namespace agpnet
{
namespace
{

using ::testing::HasSubstr;

class CApi : public ::testing::Test
{
protected:
    static void SetUpTestSuite()
    {
        const test::TempFolder folder;
        const cv::Ptr<AnomalyTrainer> trainer = AnomalyTrainer::create(test::writeTinyBackbone(folder), test::tinyConfig(2));
        const auto picture = [](size_t i)
        {
            cv::Mat image(40, 48, CV_8UC3);
            cv::RNG(i + 1).fill(image, cv::RNG::UNIFORM, 0, 256);
            return image;
        };
        trainer->fit(4, picture);
        trainer->calibrate(4, picture);
        trainer->save(folder / "tiny.agp");
        char message[256];
        ASSERT_EQ(agpnet_detector_load((folder / "tiny.agp").c_str(), nullptr, &detector, message, sizeof message), AGPNET_OK)
            << message;
        pixels = picture(7);
    }
    static void TearDownTestSuite()
    {
        agpnet_detector_free(detector);
        pixels.release();
    }

    static agpnet_image image()
    {
        return {sizeof(agpnet_image), pixels.data, pixels.rows, pixels.cols, 3, AGPNET_UINT8, static_cast<int64_t>(pixels.step)};
    }

    /// The code and the sentence.
    static std::pair<int, std::string> detect(const agpnet_detector* which, const agpnet_image* given, agpnet_result* result)
    {
        char message[256] = "untouched";
        const int status = agpnet_detector_detect(which, given, nullptr, nullptr, result, message, sizeof message);
        return {status, message};
    }

    static agpnet_detector* detector;
    static cv::Mat pixels;
};

agpnet_detector* CApi::detector = nullptr;
cv::Mat CApi::pixels;

TEST_F(CApi, GivesWhatTheDetectorGives)
{
    std::vector<float> map(pixels.total(), -1);
    std::vector<uint8_t> mask(pixels.total(), 7);
    const agpnet_image given = image();
    agpnet_result result{};
    result.size = sizeof result;
    ASSERT_EQ(agpnet_detector_detect(detector, &given, map.data(), mask.data(), &result, nullptr, 0), AGPNET_OK);
    EXPECT_GT(result.score, 0);
    EXPECT_GT(result.threshold, 0);
    EXPECT_EQ(result.anomalous, result.score > result.threshold ? 1 : 0);
    for (size_t i = 0; i < map.size(); i++)
    {
        EXPECT_GE(map[i], 0);
        EXPECT_TRUE(mask[i] == 0 || mask[i] == 255);
    }
    EXPECT_EQ(agpnet_detector_detect(detector, &given, nullptr, nullptr, nullptr, nullptr, 0), AGPNET_OK) << "nothing is wanted";
    EXPECT_THAT(agpnet_detector_header(detector), HasSubstr("\"format_version\""));
    EXPECT_THAT(agpnet_build_information(), HasSubstr("\"opencv\""));
}

/// The model has seen 8 bits alone: it takes all 16.
TEST_F(CApi, WarnsOfValuesThatDoNotFit)
{
    cv::Mat deep;
    agpnet_image given = image();
    given.type = AGPNET_UINT16;
    const auto sentence = [&](double most)
    {
        pixels.convertTo(deep, CV_16U, most / 255);
        given.data = deep.data;
        given.stride = static_cast<int64_t>(deep.step);
        const auto [status, message] = detect(detector, &given, nullptr);
        EXPECT_EQ(status, AGPNET_OK);
        return message;
    };
    EXPECT_EQ(sentence(65535), "");
    EXPECT_THAT(sentence(4095), HasSubstr("it is dark, or of 12 bits"));
}

TEST_F(CApi, RefusesByCodeAndSentence)
{
    agpnet_result result{};
    result.size = sizeof result;
    const agpnet_image good = image();
    EXPECT_EQ(detect(nullptr, &good, &result), std::pair(int{AGPNET_E_ARGUMENT}, std::string("detector is null")));
    EXPECT_EQ(detect(detector, nullptr, &result).second, "image is null");
    const auto refused = [&](auto change)
    {
        agpnet_image bad = good;
        change(bad);
        const auto [status, sentence] = detect(detector, &bad, &result);
        EXPECT_NE(status, AGPNET_OK);
        return sentence;
    };
    EXPECT_THAT(refused([](agpnet_image& bad) { bad.data = nullptr; }), HasSubstr("image.data is null"));
    EXPECT_THAT(refused([](agpnet_image& bad) { bad.size = 8; }), HasSubstr("image.size is 8"));
    EXPECT_THAT(refused([](agpnet_image& bad) { bad.type = 3; }), HasSubstr("image.type is 3"));
    EXPECT_THAT(refused([](agpnet_image& bad) { bad.channels = 2; }), HasSubstr("image.channels is 2"));
    EXPECT_THAT(refused([](agpnet_image& bad) { bad.height = -1; }), HasSubstr("-1 rows"));
    EXPECT_THAT(refused([](agpnet_image& bad) { bad.stride = 47 * 3; }), HasSubstr("image.stride is 141"));
    EXPECT_THAT(refused([](agpnet_image& bad) { bad.height = 4; }), HasSubstr("4"));
    result.size = 4;
    EXPECT_THAT(detect(detector, &good, &result).second, HasSubstr("result.size is 4"));

    char message[256];
    agpnet_detector* none = detector;
    EXPECT_EQ(agpnet_detector_load("/nonexistent/x.agp", "auto", &none, message, sizeof message), AGPNET_E_FAILED);
    EXPECT_EQ(none, nullptr);
    EXPECT_THAT(message, HasSubstr("/nonexistent/x.agp"));
    EXPECT_EQ(agpnet_detector_load(nullptr, "auto", &none, message, sizeof message), AGPNET_E_ARGUMENT);
    EXPECT_EQ(agpnet_detector_load("x.agp", "auto", nullptr, nullptr, 0), AGPNET_E_ARGUMENT);
    EXPECT_EQ(agpnet_detector_load("x.agp", "auto", &none, nullptr, 9), AGPNET_E_ARGUMENT);
    EXPECT_EQ(agpnet_detector_load_on("x.agp", "auto", "tpu", &none, message, sizeof message), AGPNET_E_FAILED);
    EXPECT_STREQ(message, "device is 'tpu', expected cpu, cuda or cuda:N");
    char little[5];
    EXPECT_EQ(agpnet_detector_load(nullptr, "auto", &none, little, sizeof little), AGPNET_E_ARGUMENT);
    EXPECT_STREQ(little, "path");
    EXPECT_EQ(agpnet_detector_set_sensitivity(detector, -1, message, sizeof message), AGPNET_E_FAILED);
    EXPECT_EQ(agpnet_detector_set_threads(detector, -1, message, sizeof message), AGPNET_E_FAILED);
    EXPECT_EQ(agpnet_detector_set_threads(detector, 1, message, sizeof message), AGPNET_OK) << message;
    EXPECT_EQ(agpnet_detector_header(nullptr), nullptr);
    agpnet_detector_free(nullptr);
}

TEST_F(CApi, LeavesMembersAloneThatItDoesNotKnow)
{
    struct Later
    {
        agpnet_result known;
        std::array<char, 16> unknown;
    } later{};
    later.known.size = sizeof later;
    later.unknown.fill('x');
    const agpnet_image given = image();
    ASSERT_EQ(detect(detector, &given, &later.known).first, AGPNET_OK);
    EXPECT_GT(later.known.score, 0);
    EXPECT_EQ(later.known.size, sizeof later);
    for (char c : later.unknown)
        EXPECT_EQ(c, 'x');
}

} // namespace
} // namespace agpnet
