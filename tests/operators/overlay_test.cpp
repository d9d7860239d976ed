#include "agpnet/overlay.hpp"
#include "tests/support/error_text.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/imgproc.hpp>

namespace agpnet
{
namespace
{

using ::testing::HasSubstr;

std::string overlayError(const cv::Mat& image, const cv::Mat& map, double threshold)
{
    cv::Mat result;
    return test::errorOf<cv::Exception>([&] { overlay(image, map, result, threshold); });
}

cv::Mat mapWithSquare(cv::Size size)
{
    cv::Mat map(size, CV_32F, cv::Scalar(0));
    map(cv::Rect(40, 30, 30, 30)) = 1.0F;
    return map;
}

TEST(Overlay, ColdStaysHotIsColouredAndOutlined)
{
    const cv::Mat image(100, 120, CV_8UC3, cv::Scalar(100, 90, 80));
    cv::Mat shown;
    overlay(image, mapWithSquare(image.size()), shown, 0.5);
    ASSERT_EQ(shown.size(), image.size());
    ASSERT_EQ(shown.type(), CV_8UC3);
    EXPECT_EQ(shown.at<cv::Vec3b>(5, 5), cv::Vec3b(100, 90, 80));
    EXPECT_GT(shown.at<cv::Vec3b>(45, 55)[2], 200);
    EXPECT_EQ(shown.at<cv::Vec3b>(30, 55), cv::Vec3b(255, 255, 255)); // the outline
    EXPECT_LT(shown.at<cv::Vec3b>(29, 55)[0], 100);                   // and its edge
}

TEST(Overlay, EveryKindOfPictureLooksTheSame)
{
    cv::Mat colour(100, 120, CV_8UC3), expected;
    cv::RNG(1).fill(colour, cv::RNG::UNIFORM, 0, 256);
    const cv::Mat map = mapWithSquare(colour.size());
    overlay(colour, map, expected, 0.5);
    for (const int depth : {CV_16U, CV_32F})
    {
        cv::Mat image, shown;
        colour.convertTo(image, depth, depth == CV_16U ? 257 : 1 / 255.0);
        overlay(image, map, shown, 0.5);
        EXPECT_EQ(cv::norm(shown, expected, cv::NORM_INF), 0) << depth;
    }
    for (const int channels : {4, 6})
    {
        cv::Mat image = cv::Mat::zeros(colour.size(), CV_8UC(channels)), shown;
        cv::mixChannels({colour}, {image}, {0, 0, 1, 1, 2, 2});
        overlay(image, map, shown, 0.5);
        EXPECT_EQ(cv::norm(shown, expected, cv::NORM_INF), 0) << channels;
    }
    cv::Mat grey, threeTimes, shown;
    cv::cvtColor(colour, grey, cv::COLOR_BGR2GRAY);
    cv::cvtColor(grey, threeTimes, cv::COLOR_GRAY2BGR);
    overlay(threeTimes, map, expected, 0.5);
    overlay(grey, map, shown, 0.5);
    EXPECT_EQ(cv::norm(shown, expected, cv::NORM_INF), 0);
}

TEST(Overlay, TheResultMayBeThePictureItself)
{
    cv::Mat image(100, 120, CV_8UC3), expected;
    cv::RNG(2).fill(image, cv::RNG::UNIFORM, 0, 256);
    const cv::Mat map = mapWithSquare(image.size());
    overlay(image, map, expected, 0.5);
    overlay(image, map, image, 0.5);
    EXPECT_EQ(cv::norm(image, expected, cv::NORM_INF), 0);
    cv::UMat onDevice, shown;
    image.copyTo(onDevice);
    overlay(onDevice, map, shown, 1e6); // nothing comes near
    EXPECT_EQ(cv::norm(shown, image, cv::NORM_INF), 0);
}

TEST(Overlay, PeaksOfOnePixelSurviveShrinking)
{
    const cv::Mat image(64, 64, CV_8UC3, cv::Scalar::all(100));
    cv::Mat map(1000, 1000, CV_32F, cv::Scalar(0)), shown;
    map.at<float>(333, 501) = 1;
    overlay(image, map, shown, 0.5);
    EXPECT_GT(cv::norm(shown, image, cv::NORM_INF), 0);
}

TEST(Overlay, RefusesWhatMakesNoSense)
{
    const cv::Mat image(8, 8, CV_8UC3, cv::Scalar::all(0)), map(8, 8, CV_32F, cv::Scalar(0));
    EXPECT_EQ(overlayError(image, map, 1), "no error");
    EXPECT_THAT(overlayError(image, cv::Mat(8, 8, CV_32F, cv::Scalar(NAN)), 1), HasSubstr("map holds values that are not finite"));
    EXPECT_THAT(overlayError(image, image, 1), HasSubstr("map is of type CV_8UC3"));
    EXPECT_THAT(overlayError(image, cv::Mat(), 1), HasSubstr("map is of type"));
    EXPECT_THAT(overlayError(cv::Mat(), map, 1), HasSubstr("image is empty"));
    EXPECT_THAT(overlayError(cv::Mat(8, 8, CV_8UC2, cv::Scalar::all(0)), map, 1), HasSubstr("image has 2 channels"));
    EXPECT_THAT(overlayError(cv::Mat(8, 8, CV_32S, cv::Scalar::all(0)), map, 1), HasSubstr("image is of type CV_32SC1"));
    for (const double threshold : {0.0, -1.0, static_cast<double>(NAN)})
        EXPECT_THAT(overlayError(image, map, threshold), HasSubstr("the pixel threshold is"));
}

} // namespace
} // namespace agpnet
