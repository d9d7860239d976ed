// Thresholds that are taken in C are those that are taken in C++.
#include "agpnet/anomaly_calibration.hpp"
#include "tests/plugin/c_api_fixture.h"

#include <opencv2/imgproc.hpp>

namespace agpnet
{
namespace
{

using test::Answer;
using test::answerOf;
using test::readBytes;
using test::CApi;
using test::noiseImage;
using ::testing::HasSubstr;

/// Every third image has a defect.
struct LabelledImages
{
    size_t first;
    cv::Mat image, mask;
    size_t refused = SIZE_MAX;

    CalibrationImage at(size_t i) const
    {
        CalibrationImage one{noiseImage(first + i), i % 3 == 2, cv::Mat()};
        if (one.anomalous)
        {
            one.mask = cv::Mat(20, 30, CV_8U, cv::Scalar(0));
            one.mask(cv::Rect(3, 3, 9, 9)).setTo(255);
            cv::resize(one.mask, one.mask, one.image.size(), 0, 0, cv::INTER_NEAREST);
            one.image.setTo(cv::Scalar::all(200), one.mask);
        }
        return one;
    }
    static int read(void* context, size_t i, agpnet_image* image, int32_t* anomalous, agpnet_image* mask)
    {
        auto& self = *static_cast<LabelledImages*>(context);
        if (i == self.refused)
            return 0;
        const CalibrationImage one = self.at(i);
        EXPECT_EQ(*anomalous, 0);
        EXPECT_EQ(mask->data, nullptr);
        one.image.copyTo(self.image);
        *image = test::structureOf(self.image);
        *anomalous = one.anomalous ? 1 : 0;
        if (!one.mask.empty())
        {
            one.mask.copyTo(self.mask);
            *mask = test::structureOf(self.mask);
        }
        return 1;
    }
};

int count(void* context, size_t done, size_t total)
{
    EXPECT_EQ(total, 13u);
    EXPECT_EQ(done, ++*static_cast<size_t*>(context));
    return 1;
}

int stop(void*, size_t done, size_t)
{
    return done < 3;
}

TEST_F(CApi, CalibratesAsCppDoes)
{
    LabelledImages a{300, {}, {}}, b{400, {}, {}};
    const agpnet_calibration_set sets[] = {{sizeof(agpnet_calibration_set), "a", 6, LabelledImages::read, &a},
                                           {sizeof(agpnet_calibration_set), "b", 7, LabelledImages::read, &b}};
    const std::string inC = *folder / "calibrated-c.agp", inCpp = *folder / "calibrated-cpp.agp";
    for (const int rule : {AGPNET_THRESHOLD_F1, AGPNET_THRESHOLD_COST})
    {
        CalibrationOptions expected;
        expected.rule = static_cast<ThresholdRule>(rule);
        expected.falseAlarms = 0.1;
        expected.missCost = 3;
        std::vector<CalibrationSet> products(2);
        products[0].product = "a";
        products[0].count = 6;
        products[0].image = [&](size_t i) { return a.at(i); };
        products[1].product = "b";
        products[1].count = 7;
        products[1].image = [&](size_t i) { return b.at(i); };
        ASSERT_TRUE(calibrate(model, products, expected, inCpp));

        size_t calls = 0;
        const agpnet_calibration_options options{sizeof options, rule, 0.1, 3, count, &calls};
        int32_t finished = -1;
        AGPNET_EXPECT_OK(agpnet_calibrate, model.c_str(), sets, size_t{2}, &options, inC.c_str(), &finished);
        EXPECT_EQ(finished, 1);
        EXPECT_EQ(calls, 13u);
        EXPECT_TRUE(readBytes(inC) == readBytes(inCpp));
        EXPECT_FALSE(readBytes(inC) == readBytes(model));
    }
}

TEST_F(CApi, CalibrationStopsAndRefuses)
{
    LabelledImages a{300, {}, {}}, b{400, {}, {}};
    b.refused = 4;
    const agpnet_calibration_set sets[] = {{sizeof(agpnet_calibration_set), "a", 6, LabelledImages::read, &a},
                                           {sizeof(agpnet_calibration_set), "b", 7, LabelledImages::read, &b}};
    const std::string out = *folder / "none.agp";
    agpnet_calibration_options options = AGPNET_CALIBRATION_OPTIONS_INIT;
    options.rule = AGPNET_THRESHOLD_F1;
    const auto refused = [&](const char* of, size_t number, int code, const char* part) {
        const Answer answer = answerOf(agpnet_calibrate, of, sets, number, &options, out.c_str(), nullptr);
        EXPECT_EQ(answer.first, code) << answer.second;
        EXPECT_THAT(answer.second, HasSubstr(part));
        EXPECT_FALSE(std::filesystem::exists(out));
    };
    refused(model.c_str(), 2, AGPNET_E_FAILED, "image 4 of set 'b' was not read: the function read returned 0");
    refused("/nonexistent.agp", 2, AGPNET_E_FILE, "/nonexistent.agp");
    refused(model.c_str(), 1, AGPNET_E_ARGUMENT, "");
    options.rule = 4;
    refused(model.c_str(), 2, AGPNET_E_ARGUMENT, "4");
    options.rule = AGPNET_THRESHOLD_F1;
    options.false_alarms = 2;
    refused(model.c_str(), 2, AGPNET_E_ARGUMENT, "2");
    options.false_alarms = 0.1;
    options.progress = stop;
    int32_t finished = -1;
    AGPNET_EXPECT_OK(agpnet_calibrate, model.c_str(), sets, size_t{2}, &options, out.c_str(), &finished);
    EXPECT_EQ(finished, 0);
    EXPECT_FALSE(std::filesystem::exists(out));
}

} // namespace
} // namespace agpnet
