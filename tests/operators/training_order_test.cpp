// The order of the pictures, and how they are changed: functions of the seed and the place alone.
#include "operators/training/augment.h"
#include "operators/training/training_order.h"

#include "common/error.h"
#include "models/agpnet/config.h"
#include "tests/support/error_text.h"
#include "tests/support/temp_folder.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>

namespace agpnet
{
namespace
{

using ::testing::HasSubstr;
using test::errorOf;
using Place = TrainingOrder::Place;

bool same(const Place& a, const Place& b)
{
    return a.product == b.product && a.image == b.image && a.visit == b.visit;
}

TEST(TrainingOrder, ShowsEveryPictureOnceBeforeAnyTwice)
{
    TrainingOrder order({37}, 5, 0);
    const Split& split = order.splits()[0];
    ASSERT_EQ(split.heldBack.size(), 3u);
    ASSERT_EQ(split.trained.size(), 34u);
    for (size_t epoch = 0; epoch < 4; epoch++)
    {
        std::set<size_t> seen;
        for (size_t i = 0; i < 34; i++)
        {
            const Place place = order[epoch * 34 + i];
            EXPECT_EQ(place.visit, epoch);
            EXPECT_EQ(std::count(split.heldBack.begin(), split.heldBack.end(), place.image), 0);
            seen.insert(place.image);
        }
        EXPECT_EQ(seen.size(), 34u);
    }
}

TEST(TrainingOrder, DependsOnThePlaceAlone)
{
    TrainingOrder forwards({30, 7, 100}, 11, 0), anyhow({30, 7, 100}, 11, 0), other({30, 7, 100}, 12, 0);
    std::vector<Place> places;
    for (size_t i = 0; i < 500; i++)
        places.push_back(forwards[i]);
    size_t differ = 0;
    for (size_t i = 0; i < 500; i++)
    {
        const size_t at = i * 211 % 500; // jumps between epochs
        EXPECT_TRUE(same(anyhow[at], places[at])) << at;
        differ += !same(other[at], places[at]);
    }
    EXPECT_GT(differ, 300u);
}

TEST(TrainingOrder, ProductsTakeTurnsWhateverTheirSize)
{
    const std::vector<size_t> counts = {3, 200, 25};
    TrainingOrder order(counts, 0, 0);
    std::map<size_t, std::map<size_t, size_t>> visits;
    for (size_t round = 0; round < 200; round++)
    {
        std::set<size_t> products;
        for (size_t i = 0; i < 3; i++)
        {
            const Place place = order[round * 3 + i];
            products.insert(place.product);
            EXPECT_EQ(visits[place.product][place.image]++, place.visit);
        }
        ASSERT_EQ(products.size(), 3u) << round;
    }
    for (size_t product = 0; product < counts.size(); product++)
    {
        size_t least = SIZE_MAX, most = 0;
        for (const size_t image : order.splits()[product].trained)
        {
            least = std::min(least, visits[product][image]);
            most = std::max(most, visits[product][image]);
        }
        EXPECT_LE(most - least, 1u) << product;
    }
}

TEST(TrainingOrder, ChoosesShotsBySeed)
{
    for (const size_t shots : {1u, 4u, 30u})
    {
        const Split a(30, 7, shots), b(30, 7, shots), c(30, 8, shots);
        EXPECT_EQ(a.trained.size(), shots);
        EXPECT_TRUE(a.heldBack.empty());
        EXPECT_EQ(a.trained, b.trained);
        EXPECT_NE(a.trained, c.trained);
        EXPECT_EQ(std::set<size_t>(a.trained.begin(), a.trained.end()).size(), shots);
    }
    EXPECT_THAT(errorOf([] { Split(3, 0, 4); }), HasSubstr("'shots' is 4, but there are 3 images"));
    EXPECT_THAT(errorOf([] { TrainingOrder({3, 0}, 0, 0); }), HasSubstr("no training images"));
}

cv::Mat picture(int type, cv::Size size = {40, 24})
{
    cv::Mat image(size, CV_MAKETYPE(CV_32F, CV_MAT_CN(type)));
    cv::RNG(4).fill(image, cv::RNG::UNIFORM, 0, 1);
    cv::Mat converted;
    image.convertTo(converted, type, CV_MAT_DEPTH(type) == CV_8U ? 255 : CV_MAT_DEPTH(type) == CV_16U ? 65535 : 1);
    return converted;
}

bool equal(const cv::Mat& a, const cv::Mat& b)
{
    return a.size() == b.size() && a.type() == b.type() && cv::norm(a.reshape(1), b.reshape(1), cv::NORM_INF) == 0;
}

cv::Mat changed(const cv::Mat& image, const std::vector<Augmentation>& names, uint64_t step, uint64_t place = 0)
{
    return augmented(image, names, AugmentFor::Training, 1, step, place);
}

TEST(Augmentation, NoneIsNone)
{
    const cv::Mat image = picture(CV_8UC3);
    EXPECT_EQ(changed(image, {}, 3).data, image.data) << "not even a copy";
}

TEST(Augmentation, EveryNameChangesEveryTypeAndKeepsItsRange)
{
    for (const auto& [augmentation, name] : EnumNames<Augmentation>::table)
        for (const int type : {CV_8UC1, CV_8UC3, CV_8UC4, CV_16UC1, CV_16UC3, CV_32FC1, CV_32FC3, CV_32FC4})
        {
            const cv::Mat image = picture(type), before = image.clone();
            size_t different = 0;
            for (uint64_t step = 0; step < 20; step++)
            {
                const cv::Mat once = changed(image, {augmentation}, step), again = changed(image, {augmentation}, step);
                ASSERT_EQ(once.size(), image.size()) << name;
                ASSERT_EQ(once.type(), image.type()) << name;
                EXPECT_TRUE(equal(once, again)) << name;
                different += !equal(once, image);
                double least = 0, most = 0;
                cv::minMaxLoc(once.reshape(1), &least, &most);
                EXPECT_GE(least, 0) << name;
                if (once.depth() == CV_32F)
                {
                    EXPECT_LE(most, 1) << name << " " << cv::typeToString(type);
                }
            }
            EXPECT_GT(different, 3u) << name;
            EXPECT_TRUE(equal(image, before)) << name << " wrote to its input";
        }
}

TEST(Augmentation, DependsOnSeedStepPlaceAndUse)
{
    const cv::Mat image = picture(CV_8UC3);
    const std::vector<Augmentation> names = {Augmentation::Rotate};
    const cv::Mat base = augmented(image, names, AugmentFor::Training, 1, 2, 3);
    EXPECT_FALSE(equal(base, augmented(image, names, AugmentFor::Training, 2, 2, 3)));
    EXPECT_FALSE(equal(base, augmented(image, names, AugmentFor::Training, 1, 3, 3)));
    EXPECT_FALSE(equal(base, augmented(image, names, AugmentFor::Training, 1, 2, 4)));
    EXPECT_FALSE(equal(base, augmented(image, names, AugmentFor::Thresholds, 1, 2, 3)));
}

TEST(Augmentation, OneMoreNameLeavesTheOthersAsTheyWere)
{
    const cv::Mat image = picture(CV_8UC3);
    for (uint64_t step = 0; step < 50; step++)
    {
        const cv::Mat flip = changed(image, {Augmentation::FlipHorizontal}, step),
                      both = changed(image, {Augmentation::FlipVertical, Augmentation::FlipHorizontal}, step);
        cv::Mat flippedBack;
        cv::flip(both, flippedBack, 0);
        EXPECT_TRUE(equal(both, flip) || equal(flippedBack, flip)) << step;
    }
}

TEST(Augmentation, FlipsAndQuarterTurnsMoveWholePixels)
{
    const cv::Mat wide = picture(CV_8UC3), square = picture(CV_8UC3, {32, 32});
    const auto sorted = [](const cv::Mat& image) {
        std::vector<uchar> values(image.begin<cv::Vec3b>() == image.end<cv::Vec3b>() ? 0 : image.total() * 3);
        std::copy(image.data, image.data + values.size(), values.begin());
        std::sort(values.begin(), values.end());
        return values;
    };
    for (const Augmentation name : {Augmentation::FlipHorizontal, Augmentation::FlipVertical, Augmentation::Rotate90})
        for (uint64_t step = 0; step < 20; step++)
        {
            EXPECT_EQ(changed(wide, {name}, step).size(), wide.size());
            EXPECT_EQ(sorted(changed(wide, {name}, step)), sorted(wide)) << textOf(name);
            EXPECT_EQ(sorted(changed(square, {name}, step)), sorted(square)) << textOf(name);
        }
}

TEST(Augmentation, StaysWithinItsDocumentedStrength)
{
    const cv::Mat grey(32, 32, CV_32F, cv::Scalar(0.5));
    double least = 1, most = 0;
    for (uint64_t step = 0; step < 300; step++)
    {
        const double value = changed(grey, {Augmentation::Brightness}, step).at<float>(5, 5);
        least = std::min(least, value);
        most = std::max(most, value);
        // what comes in over the border is the picture, never black
        EXPECT_NEAR(cv::mean(changed(grey, {Augmentation::Rotate, Augmentation::Tilt, Augmentation::Shift}, step))[0], 0.5, 1e-5);
    }
    EXPECT_GE(least, 0.5 * 0.85);
    EXPECT_LE(most, 0.5 * 1.15);
    EXPECT_LT(least, 0.5 * 0.9);
    EXPECT_GT(most, 0.5 * 1.1);

    cv::Mat dot = cv::Mat::zeros(100, 100, CV_32F);
    dot(cv::Rect(48, 48, 5, 5)) = 1;
    for (uint64_t step = 0; step < 100; step++)
    {
        cv::Point at;
        cv::minMaxLoc(changed(dot, {Augmentation::Shift}, step), nullptr, nullptr, nullptr, &at);
        EXPECT_LE(std::abs(at.x - 50), 8) << "5 % of the side, and the dot's own size";
        EXPECT_LE(std::abs(at.y - 50), 8);
    }
}

struct BadConfig
{
    const char* text;
    const char* part;
};

class BadConfigs : public ::testing::TestWithParam<BadConfig>
{
};

TEST_P(BadConfigs, AreRefusedByKeyAndValue)
{
    EXPECT_THAT(errorOf([] { configFromTextOrFile(GetParam().text); }), HasSubstr(GetParam().part));
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadConfigs,
    ::testing::Values(BadConfig{R"({"tile":16})", "'tile' is 16, expected 0 (off) or 32 to 16384"},
                      BadConfig{R"({"tile":64.5})", "'tile' is 64.5"},
                      BadConfig{R"({"tile_overlap":1})", "'tile_overlap' is 1, expected 0 to 0.9"},
                      BadConfig{R"({"augment":"rotate"})", "'augment' is \"rotate\", expected a list of names"},
                      BadConfig{R"({"augment":["mirror"]})", "'augment' names 'mirror', expected one of flip_horizontal"},
                      BadConfig{R"({"augment":[1]})", "'augment' is 1, expected a text"}, BadConfig{R"({"shots":-1})", "'shots' is -1"},
                      BadConfig{R"({"roi":{}})", "'roi' is {}, expected a list of polygons"},
                      BadConfig{R"({"roi":[[0.1,0.2]]})", "expected a list of polygons"},
                      BadConfig{R"({"roi":[[[0,0],[1,0]]]})", "'roi' polygon 0 has 2 points, expected at least 3"},
                      BadConfig{R"({"roi":[[[0,0],[1,0],[1,1.5]]]})", "'roi' polygon 0 has the point (1, 1.5)"},
                      BadConfig{R"({"roi":[[[0,0],[1,0],["a",1]]]})", "'roi' is \"a\", expected a number"}));

TEST(Config, ShotsChangeTheDefaultsOfStepsAndAugment)
{
    const int usual = Config().steps;
    const Config few = configFromTextOrFile(R"({"shots":2})");
    EXPECT_LT(few.steps, usual);
    EXPECT_THAT(few.augment, ::testing::ElementsAre(Augmentation::FewShot));
    EXPECT_EQ(configFromTextOrFile(R"({"shots":64})").steps, usual);
    const Config own = configFromTextOrFile(R"({"shots":2,"steps":7,"augment":[]})");
    EXPECT_EQ(own.steps, 7);
    EXPECT_TRUE(own.augment.empty());
}

} // namespace
} // namespace agpnet
