// A picture and the blob a user would make of it are one to the model.
#include "operators/image/preprocess.h"

#include "tests/support/error_text.h"
#include "tests/support/temp_folder.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/dnn.hpp>
#include <opencv2/imgproc.hpp>
#include <tuple>

namespace agpnet
{
namespace
{

class PictureAndBlob : public ::testing::TestWithParam<std::tuple<int, cv::Size>>
{
};

TEST_P(PictureAndBlob, AreTheSameBits)
{
    const auto [type, size] = GetParam();
    cv::Mat image(61, 83, type);
    const double most = image.depth() == CV_8U ? 255 : image.depth() == CV_16U ? 65535 : 1;
    cv::RNG(3).fill(image, cv::RNG::UNIFORM, 0, image.depth() == CV_32F ? 1 : most + 1);
    cv::Mat colour = image.clone();
    if (image.channels() == 1)
        cv::merge(std::vector<cv::Mat>(3, image), colour);
    colour.convertTo(colour, CV_MAKETYPE(CV_32F, 3), 1 / most); // blobFromImage takes 8 bits and floats only, and multiplies likewise
    cv::Mat blob;
    cv::dnn::blobFromImage(colour, blob, 1, {}, cv::Scalar(), true);
    const Frame picture(image), tensor(at::from_blob(blob.data, {1, 3, image.rows, image.cols}, at::kFloat));
    EXPECT_EQ(picture.size(), tensor.size());
    EXPECT_TRUE(picture.at(size).equal(tensor.at(size)));
    const cv::Rect part(7, 5, 60, 50); // a tile
    EXPECT_TRUE(picture.at(part, size).equal(tensor.at(part, size)));
}

INSTANTIATE_TEST_SUITE_P(, PictureAndBlob,
                         ::testing::Combine(::testing::Values(CV_8UC3, CV_8UC1, CV_16UC3, CV_16UC1, CV_32FC3, CV_32FC1),
                                            ::testing::Values(cv::Size(28, 42), cv::Size(252, 252), cv::Size(83, 61), cv::Size(60, 50),
                                                              cv::Size(90, 30))));

TEST(Picture, OfFourChannelsLosesTheLast)
{
    cv::Mat image(40, 30, CV_8UC4), colour;
    cv::RNG(3).fill(image, cv::RNG::UNIFORM, 0, 256);
    cv::mixChannels(std::vector<cv::Mat>{image}, std::vector<cv::Mat>{colour = cv::Mat(40, 30, CV_8UC3)}, {0, 0, 1, 1, 2, 2});
    EXPECT_TRUE(Frame(image).at({16, 16}).equal(Frame(colour).at({16, 16})));
}

/// The ways in which people make blobs for other networks.
TEST(Blob, ThatIsNotFrom0To1IsRefused)
{
    cv::Mat image(60, 80, CV_8UC3), dim;
    cv::RNG(5).fill(image, cv::RNG::UNIFORM, 0, 256);
    image.convertTo(dim, CV_8U, 0.5, 60); // neither black nor white
    for (int i = 0; i < 8; i++)
        cv::rectangle(image, {10 * i, 0, 5, 60}, i % 2 ? cv::Scalar::all(0) : cv::Scalar::all(255), cv::FILLED);
    const cv::Scalar mean(123.675, 116.28, 103.53);
    const struct
    {
        const char* name;
        cv::Mat blob;
        bool accepted;
    } blobs[] = {{"as it should be", cv::dnn::blobFromImage(image, 1 / 255., {}, {}, true), true},
                 {"0 to 255", cv::dnn::blobFromImage(image, 1, {}, {}, true), false},
                 {"0 to 255, dim", cv::dnn::blobFromImage(dim, 1, {}, {}, true), false},
                 {"mean subtracted", cv::dnn::blobFromImage(image, 1 / 255., {}, mean, true), false},
                 {"mean subtracted, dim", cv::dnn::blobFromImage(dim, 1 / 255., {}, mean, true), false},
                 {"mean subtracted from 0 to 255", cv::dnn::blobFromImage(dim, 1, {}, mean, true), false},
                 {"mean subtracted, divided by the deviation", cv::dnn::blobFromImage(dim, 1 / 57., {}, mean, true), false},
                 {"-1 to 1", cv::dnn::blobFromImage(image, 1 / 127.5, {}, cv::Scalar::all(127.5), true), false}};
    for (const auto& [name, blob, accepted] : blobs)
    {
        const at::Tensor tensor = at::from_blob(blob.data, {1, 3, image.rows, image.cols}, at::kFloat);
        const auto check = [&] { checkBlob(tensor, "blob"); };
        if (accepted)
            EXPECT_NO_THROW(check()) << name;
        else
            EXPECT_THAT(test::errorOf(check),
                        ::testing::AllOf(::testing::HasSubstr("blob holds values from"), ::testing::HasSubstr("expected 0 to 1, RGB")))
                << name;
    }
    cv::Mat floats(60, 80, CV_32FC3, cv::Scalar::all(0.5)), larger;
    cv::rectangle(floats, {10, 10, 20, 20}, cv::Scalar::all(0), cv::FILLED);
    cv::rectangle(floats, {50, 10, 20, 20}, cv::Scalar::all(1), cv::FILLED);
    cv::resize(floats, larger, {}, 4, 4, cv::INTER_CUBIC); // overshoots at edges
    double least = 0, most = 0;
    cv::minMaxLoc(larger.reshape(1), &least, &most);
    ASSERT_LT(least, -0.02);
    EXPECT_NO_THROW(Frame{larger});
}

/// 16-bit images of fewer bits are the floats that one gets by dividing by their greatest value; geometry is not concerned.
class Bits : public ::testing::TestWithParam<std::tuple<int, int, cv::Size>>
{
};

TEST_P(Bits, AreScaledByTheirGreatestValue)
{
    const auto [bits, channels, size] = GetParam();
    const ValueRange range{bits, 0};
    cv::Mat image(61, 83, CV_MAKETYPE(CV_16U, channels)), unit;
    cv::RNG(3).fill(image, cv::RNG::UNIFORM, 0, range.most() + 1);
    image.convertTo(unit, CV_32F, 1.0 / range.most());
    if (channels == 6)
        for (int y = 0; y < image.rows; y++)
            for (int i = 0; i < image.cols * 6; i++)
                if (i % 6 >= 3)
                    unit.ptr<float>(y)[i] = static_cast<float>(image.ptr<ushort>(y)[i]) / 65535;
    const at::Tensor wanted = Frame(unit).at(size), got = Frame(image, "image", range).at(size);
    EXPECT_LT((wanted - got).abs().max().item<float>(), 1e-6f);
    EXPECT_LT((wanted - imagesToBatch({image}, size, range)).abs().max().item<float>(), 1e-6f);
    cv::UMat device;
    image.copyTo(device);
    EXPECT_LT((wanted - Frame(device, "image", range).at(size)).abs().max().item<float>(), 1e-5f);
    EXPECT_EQ(Frame(image, "image", range).warning(), "");
}

INSTANTIATE_TEST_SUITE_P(, Bits,
                         ::testing::Combine(::testing::Values(8, 10, 12, 14, 16), ::testing::Values(1, 3, 4, 6),
                                            ::testing::Values(cv::Size(28, 42), cv::Size(83, 61), cv::Size(90, 30))));

TEST(BitsFor, IsTheSmallestThatACameraHas)
{
    const std::pair<int, int> cases[] = {{0, 8},     {255, 8},   {256, 10},   {1023, 10},  {1024, 12},
                                         {4095, 12}, {4096, 14}, {16383, 14}, {16384, 16}, {65535, 16}};
    for (const auto& [greatest, bits] : cases)
        EXPECT_EQ(bitsFor(greatest), bits) << greatest;
}

TEST(Misfit, SaysWhatDoesNotFit)
{
    struct Case
    {
        ValueRange range;
        int greatest;
        const char* sentence; ///< a part of it; "" for none
    };
    const Case cases[] = {
        {{12, 3000}, 4095, ""},
        {{12, 3000}, 4096, "image holds values up to 4096, and the model takes those of 12 bits, 0 to 4095"},
        {{12, 3000},
         1023,
         "image holds values up to 1023 only, and the model takes those of 12 bits, 0 to 4095: it is dark, or of 10 bits"},
        {{12, 3000}, 1024, ""},
        {{12, 1100}, 900, ""}, // as dark as training's darkest, nearly
        {{16, 40000}, 4095, "it is dark, or of 12 bits"},
        {{0, 0}, 4095, "values up to 4095 only, and the model takes those of 16 bits, 0 to 65535: it is dark, or of 12 bits"},
        {{0, 0}, 4096, ""},
        {{8, 200}, 256, "those of 8 bits"}};
    for (const Case& each : cases)
        for (const int channels : {1, 3, 4, 6})
        {
            cv::Mat image(20, 20, CV_MAKETYPE(CV_16U, channels), cv::Scalar::all(0));
            image.ptr<ushort>(7)[5 * channels] = static_cast<ushort>(each.greatest);
            if (channels == 6)
                image.ptr<ushort>(7)[5 * channels + 4] = 65535; // geometry does not count
            const std::string sentence = misfit(each.range, image, "image");
            EXPECT_EQ(sentence.empty(), each.sentence[0] == 0) << each.range.bits << " " << each.greatest << " " << sentence;
            EXPECT_NE(sentence.find(each.sentence), std::string::npos) << sentence;
        }
    EXPECT_EQ(misfit({8, 0}, cv::Mat(20, 20, CV_8UC3, cv::Scalar::all(255)), "image"), "");
    EXPECT_EQ(misfit({8, 0}, cv::Mat(20, 20, CV_32FC3, cv::Scalar::all(1)), "image"), "");
}

} // namespace
} // namespace agpnet
