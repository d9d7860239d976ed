#include "apps/demo/demo_data.h"

#include "apps/datasets/dataset.h"
#include "apps/datasets/image_io.h"
#include "tests/support/error_text.h"
#include "tests/support/temp_folder.h"

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

namespace agpnet::tools
{
namespace
{

using test::errorOf;
using test::TempFolder;
using ::testing::HasSubstr;

cv::Mat changed(const DemoSample& sample)
{
    cv::Mat difference, largest;
    cv::absdiff(sample.image, sample.clean, difference);
    cv::reduce(difference.reshape(1, static_cast<int>(difference.total())), largest, 1, cv::REDUCE_MAX);
    return largest.reshape(1, difference.rows);
}

TEST(DemoSample, MasksAreWhereThePictureChanged)
{
    for (const DemoProduct& product : demoProducts())
        for (const std::string& defect : product.defects)
            for (uint64_t seed = 1; seed <= 4; seed++)
            {
                SCOPED_TRACE(product.name + "/" + defect + " " + std::to_string(seed));
                const DemoSample sample = drawDemoSample(product.name, defect, 256, seed);
                ASSERT_EQ(sample.image.size(), cv::Size(256, 256));
                ASSERT_EQ(sample.image.type(), CV_8UC3);
                ASSERT_EQ(sample.mask.type(), CV_8UC1);
                const cv::Mat difference = changed(sample);
                const int area = cv::countNonZero(sample.mask);
                EXPECT_GE(area, 24);
                EXPECT_LT(area, 256 * 256 / 8);
                EXPECT_EQ(cv::countNonZero((difference >= 10) & ~sample.mask), 0);
                EXPECT_GT(cv::countNonZero((difference >= 10) & sample.mask), area * 0.6);
                EXPECT_EQ(cv::countNonZero(sample.mask != 0), cv::countNonZero(sample.mask == 255));
            }
}

TEST(DemoSample, SameSeedSamePictureOtherSeedOther)
{
    for (const DemoProduct& product : demoProducts())
    {
        const DemoSample a = drawDemoSample(product.name, product.defects[0], 128, 5);
        const DemoSample b = drawDemoSample(product.name, product.defects[0], 128, 5);
        const DemoSample good = drawDemoSample(product.name, "good", 128, 5);
        EXPECT_EQ(cv::norm(a.image, b.image, cv::NORM_INF), 0) << product.name;
        EXPECT_EQ(cv::norm(a.clean, good.image, cv::NORM_INF), 0) << product.name;
        EXPECT_EQ(cv::countNonZero(good.mask), 0);
        EXPECT_GT(cv::norm(good.image, drawDemoSample(product.name, "good", 128, 6).image, cv::NORM_L1) / good.image.total(), 3)
            << product.name;
    }
}

TEST(DemoSample, LeavesTheGlobalGeneratorAlone)
{
    const uint64 before = cv::theRNG().state;
    drawDemoSample("metal", "dent", 64, 1);
    EXPECT_EQ(cv::theRNG().state, before);
}

TEST(DemoSample, ErrorsNameTheChoices)
{
    EXPECT_THAT(errorOf([] { drawDemoSample("glass", "good", 256, 1); }), HasSubstr("fabric, metal, wood, tile, board"));
    EXPECT_THAT(errorOf([] { drawDemoSample("wood", "rust", 256, 1); }), HasSubstr("'rust'"));
    EXPECT_THAT(errorOf([] { drawDemoSample("wood", "good", 8, 1); }), HasSubstr("64 to 2048"));
}

TEST(WriteDemoData, GivesDataSetsThatReadBack)
{
    const TempFolder folder;
    DemoOptions options;
    options.side = 96;
    options.train = 3;
    options.testGood = 2;
    options.testDefective = 2;
    size_t last = 0;
    options.progress = [&](size_t done, size_t total)
    {
        EXPECT_EQ(done, ++last);
        EXPECT_LE(done, total);
    };
    const size_t written = writeDemoData(folder / "demo", options);
    EXPECT_EQ(written, last);
    size_t found = 0;
    for (const DemoProduct& product : demoProducts())
    {
        const Dataset training = listTraining(folder.path() / "demo" / product.name);
        const Dataset testing = listTest(folder.path() / "demo" / product.name);
        EXPECT_EQ(training.items.size(), 3u);
        EXPECT_EQ(testing.count(Label::Good), 2u);
        EXPECT_EQ(testing.masks(), 2 * product.defects.size());
        EXPECT_TRUE(training.warnings.empty() && testing.warnings.empty());
        checkFiles(testing);
        for (const Item& item : testing.items)
            EXPECT_TRUE(!item.mask || cv::countNonZero(readMask(*item.mask, readImage(item.path).size())) > 0);
        found += training.items.size() + testing.items.size();
    }
    EXPECT_EQ(found, written);
    EXPECT_THAT(errorOf([&] { writeDemoData(folder / "demo", options); }), HasSubstr("not empty"));

    options.progress = nullptr;
    options.products = {"wood"};
    options.train = 5; // more of them, the first ones unchanged
    writeDemoData(folder / "more", options);
    EXPECT_EQ(test::readBytes(folder / "more/wood/train/good/002.png"), test::readBytes(folder / "demo/wood/train/good/002.png"));
    EXPECT_EQ(datasetHash(listTest(folder / "more/wood")), datasetHash(listTest(folder / "demo/wood")));
    options.seed = 2;
    writeDemoData(folder / "other", options);
    EXPECT_NE(datasetHash(listTest(folder / "other/wood")), datasetHash(listTest(folder / "demo/wood")));
}

} // namespace
} // namespace agpnet::tools
