// What the tests of the C functions share: a small trained model, and what the C++ functions find with it.
#pragma once

#include "agpnet/anomaly_trainer.hpp"
#include "agpnet/c_api.h"
#include "tests/support/tiny_backbone.h"

#include <array>
#include <functional>
#include <opencv2/core.hpp>
#include <string>
#include <utility>

namespace agpnet::test
{

/// A code and its message.
using Answer = std::pair<int, std::string>;

/// Calls a C function with its last two arguments.
template <typename Function, typename... Arguments>
Answer answerOf(Function function, const Arguments&... arguments)
{
    char message[512] = "untouched";
    const int status = function(arguments..., message, sizeof message);
    return {status, message};
}

#define AGPNET_EXPECT_OK(...)                                            \
    do                                                                   \
    {                                                                    \
        const ::agpnet::test::Answer answer = ::agpnet::test::answerOf(__VA_ARGS__); \
        EXPECT_EQ(answer.first, AGPNET_OK) << answer.second;             \
        EXPECT_EQ(answer.second, "");                                    \
    } while (false)

/// Sees to it that a handle is freed.
template <typename Handle, void (*freeHandle)(Handle*)>
struct Owner
{
    Handle* handle = nullptr;
    Owner() = default;
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    ~Owner() { freeHandle(handle); }
    Handle** operator&() { freeHandle(std::exchange(handle, nullptr)); return &handle; }
    operator Handle*() const { return handle; }
};
using Results = Owner<agpnet_results, agpnet_results_free>;
using Detector = Owner<agpnet_detector, agpnet_detector_free>;
using Stream = Owner<agpnet_stream, agpnet_stream_free>;
using Trainer = Owner<agpnet_trainer, agpnet_trainer_free>;

template <typename Structure>
Structure sized()
{
    Structure structure{};
    structure.size = sizeof structure;
    return structure;
}

/// Calls with the structure as the first version had it, as no version had it, and as a later version may have it.
template <typename Structure>
void checkSizes(const char* name, Structure structure, const std::function<Answer(Structure*)>& call)
{
    structure.size = sizeof(size_t);
    const Answer tooSmall = call(&structure);
    EXPECT_EQ(tooSmall.first, AGPNET_E_ARGUMENT) << name;
    EXPECT_THAT(tooSmall.second, ::testing::StartsWith(std::string(name) + ".size is 8, expected at least "));
    const size_t first = std::stoul(tooSmall.second.substr(tooSmall.second.rfind(' ')));
    EXPECT_LE(first, sizeof structure);

    structure.size = first;
    const Answer firstVersion = call(&structure);
    EXPECT_EQ(firstVersion.first, AGPNET_OK) << name << ": " << firstVersion.second;
    EXPECT_EQ(structure.size, first);

    struct Later
    {
        Structure known;
        std::array<char, 16> unknown;
    } later{structure, {}};
    later.known.size = sizeof later;
    later.unknown.fill('x');
    const Answer laterVersion = call(&later.known);
    EXPECT_EQ(laterVersion.first, AGPNET_OK) << name << ": " << laterVersion.second;
    EXPECT_EQ(later.known.size, sizeof later);
    for (char c : later.unknown)
        EXPECT_EQ(c, 'x') << name;
}

inline cv::Mat noiseImage(size_t seed, cv::Size size = {48, 40})
{
    cv::Mat image(size, CV_8UC3);
    cv::RNG(seed + 1).fill(image, cv::RNG::UNIFORM, 0, 256);
    return image;
}

inline agpnet_image structureOf(const cv::Mat& mat)
{
    const int type = mat.depth() == CV_8U ? AGPNET_UINT8 : mat.depth() == CV_16U ? AGPNET_UINT16 : AGPNET_FLOAT32;
    return {sizeof(agpnet_image), mat.data, mat.rows, mat.cols, mat.channels(), type, static_cast<int64_t>(mat.step)};
}

/// The pixels that a map or a mask has.
inline cv::Mat matOf(const agpnet_image& image)
{
    return cv::Mat(image.height, image.width, image.type == AGPNET_UINT8 ? CV_8U : CV_32F, const_cast<void*>(image.data),
                   static_cast<size_t>(image.stride));
}

inline bool same(const cv::Mat& a, const cv::Mat& b)
{
    return a.size() == b.size() && a.type() == b.type() && cv::norm(a, b, cv::NORM_INF) == 0;
}

/// Are the results of image `index` those of the C++ function, bit for bit? An empty map or mask stands for none.
inline void expectSame(const agpnet_results* results, size_t index, const AnomalyResult& expected, const cv::Mat& map, const cv::Mat& mask)
{
    agpnet_result result{};
    result.size = sizeof result;
    AGPNET_EXPECT_OK(agpnet_results_get_result, results, index, &result);
    EXPECT_EQ(result.score, expected.score);
    EXPECT_EQ(result.threshold, expected.threshold);
    EXPECT_EQ(result.pixel_threshold, expected.pixelThreshold);
    EXPECT_EQ(result.calibrated, expected.calibrated);
    EXPECT_EQ(result.drift, expected.drift);
    EXPECT_EQ(result.anomalous, expected.anomalous ? 1 : 0);
    EXPECT_EQ(result.product, expected.product);
    EXPECT_EQ(result.warning, expected.warning);
    ASSERT_EQ(result.region_count, expected.regions.size());
    for (size_t i = 0; i < expected.regions.size(); i++)
    {
        agpnet_region region{};
        region.size = sizeof region;
        AGPNET_EXPECT_OK(agpnet_results_get_region, results, index, i, &region);
        const AnomalyRegion& own = expected.regions[i];
        EXPECT_EQ(cv::Rect(region.x, region.y, region.width, region.height), own.box);
        EXPECT_EQ(cv::Point(region.peak_x, region.peak_y), own.peak);
        EXPECT_EQ(region.score, own.score);
        EXPECT_EQ(region.area, own.area);
        ASSERT_EQ(region.contour_count, own.contour.size());
        for (size_t corner = 0; corner < own.contour.size(); corner++)
            EXPECT_EQ(cv::Point(region.contour[2 * corner], region.contour[2 * corner + 1]), own.contour[corner]);
    }
    agpnet_image image{};
    image.size = sizeof image;
    if (map.empty())
        EXPECT_EQ(answerOf(agpnet_results_get_map, results, index, &image).first, AGPNET_E_STATE);
    else
    {
        AGPNET_EXPECT_OK(agpnet_results_get_map, results, index, &image);
        EXPECT_TRUE(same(matOf(image), map));
    }
    if (mask.empty())
        EXPECT_EQ(answerOf(agpnet_results_get_mask, results, index, &image).first, AGPNET_E_STATE);
    else
    {
        AGPNET_EXPECT_OK(agpnet_results_get_mask, results, index, &image);
        EXPECT_TRUE(same(matOf(image), mask));
    }
}

/// A model of two products that uses tiles, so that every option has something to choose.
class CApi : public ::testing::Test
{
protected:
    static void SetUpTestSuite()
    {
        folder = new TempFolder;
        backbone = writeTinyBackbone(*folder);
        const cv::Ptr<AnomalyTrainer> trainer = AnomalyTrainer::create(backbone, tinyConfig(2, R"("tile":40)"));
        trainer->fit({{"a", 3, [](size_t i) { return noiseImage(i); }}, {"b", 3, [](size_t i) { return noiseImage(100 + i, {90, 60}); }}});
        model = *folder / "two.agp";
        trainer->save(model);
        reference = AnomalyDetector::create(model);
        detector = new Detector;
        AGPNET_EXPECT_OK(agpnet_detector_create, model.c_str(), static_cast<const agpnet_detector_options*>(nullptr), &*detector);
    }
    static void TearDownTestSuite()
    {
        reference.release();
        delete detector;
        delete folder;
    }

    inline static TempFolder* folder = nullptr;
    inline static std::string backbone, model;
    inline static cv::Ptr<AnomalyDetector> reference; ///< the same model in C++
    inline static Detector* detector = nullptr;
};

} // namespace agpnet::test
