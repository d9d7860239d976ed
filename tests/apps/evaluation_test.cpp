#include "apps/evaluation/evaluation.h"

#include "tests/support/temp_folder.h"

namespace agpnet::tools
{
namespace
{

Item item(const std::string& defect)
{
    Item result;
    result.defect = defect;
    result.label = defect == "good" ? Label::Good : Label::Anomalous;
    return result;
}

cv::Mat map(float value)
{
    cv::Mat result(8, 8, CV_32F, cv::Scalar(0.1));
    result(cv::Rect(2, 2, 3, 3)) = value;
    return result;
}

cv::Mat mask()
{
    cv::Mat result(16, 16, CV_8U, cv::Scalar(0)); // of the picture's size, twice the map's
    result(cv::Rect(4, 4, 6, 6)) = 255;
    return result;
}

ClassEvaluation twoKinds(const std::string& name)
{
    ClassEvaluation evaluation(name, {});
    evaluation.add(item("good"), 0.2f, map(0.2f), {}, false, 0.01);
    evaluation.add(item("good"), 0.5f, map(0.5f), {}, true, 0.02);
    evaluation.add(item("crack"), 0.9f, map(0.9f), mask(), true, 0.03);
    evaluation.add(item("spot"), 0.3f, map(0.3f), mask(), false, 0.04);
    evaluation.add(item("spot"), 0.6f, map(0.6f), {}, true, 0.05);
    return evaluation;
}

TEST(ClassEvaluation, FiguresOfClassAndDefects)
{
    ClassEvaluation evaluation = twoKinds("tile");
    const ClassFigures f = evaluation.finish();
    EXPECT_EQ(f.name, "tile");
    EXPECT_EQ(f.good, 2u);
    EXPECT_EQ(f.anomalous, 3u);
    EXPECT_EQ(f.goodCalled, 1u);
    EXPECT_EQ(f.withoutMask, 1u);
    EXPECT_TRUE(f.decided);
    EXPECT_DOUBLE_EQ(*f.image.auroc, 5.0 / 6);
    EXPECT_EQ(f.size, cv::Size(8, 8));
    ASSERT_EQ(f.defects.size(), 2u);
    EXPECT_EQ(f.defects[0].name, "crack");
    EXPECT_DOUBLE_EQ(*f.defects[0].image.auroc, 1);
    EXPECT_EQ(f.defects[1].images, 2u);
    EXPECT_EQ(f.defects[1].called, 1u);
    EXPECT_DOUBLE_EQ(*f.defects[1].image.auroc, 0.75);
    // 9 defect pixels of 0.9 against 2 x 64 + 64 - 9 good ones: all below
    EXPECT_DOUBLE_EQ(*f.defects[0].pixel.auroc, 1);
    EXPECT_EQ(f.defects[0].pixel.positives, 9u);
    EXPECT_EQ(f.defects[0].pixel.negatives, 3u * 64 - 9);
    // 0.3 loses to the 9 good pixels of 0.5
    EXPECT_DOUBLE_EQ(*f.defects[1].pixel.auroc, 1 - 9.0 / (3 * 64 - 9));
    EXPECT_EQ(f.pixel.positives, 18u);
    EXPECT_EQ(f.drawings.auroc.size(), 1000u);
    ASSERT_TRUE(f.latency.has_value());
    EXPECT_DOUBLE_EQ(f.latency->mean, 0.03);
    EXPECT_DOUBLE_EQ(f.latency->p50, 0.03);
    EXPECT_DOUBLE_EQ(f.latency->p99, 0.05);
}

TEST(ClassEvaluation, WithoutDecisionsTimesOrOneSize)
{
    ClassEvaluation evaluation("x", {});
    evaluation.add(item("good"), 0.2f, map(0.2f), {});
    evaluation.add(item("crack"), 0.9f, cv::Mat(4, 4, CV_32F, cv::Scalar(1)), mask());
    const ClassFigures f = evaluation.finish();
    EXPECT_FALSE(f.decided);
    EXPECT_FALSE(f.latency.has_value());
    EXPECT_FALSE(f.size.has_value());
}

TEST(MeanFigures, UnweightedAndOnlyWhereAllClassesHaveThem)
{
    ClassEvaluation good("b", {}), one("a", {});
    for (int i = 0; i < 50; i++)
        good.add(item("good"), 0.1f, map(0.1f), {});
    good.add(item("crack"), 0.9f, map(0.9f), mask());
    ClassEvaluation two = twoKinds("a");
    const MeanFigures mean = meanFigures({two.finish(), good.finish()});
    EXPECT_DOUBLE_EQ(*mean.imageAuroc, (5.0 / 6 + 1) / 2) << "51 images weigh as much as 5";
    ASSERT_TRUE(mean.imageAuroc95.has_value());
    EXPECT_LE(mean.imageAuroc95->high, 1);
    EXPECT_GE(mean.imageAuroc95->low, 0.5);
    ASSERT_EQ(mean.aupro.size(), 2u);
    EXPECT_TRUE(mean.aupro[0].has_value());
    ClassEvaluation again = twoKinds("a");
    one.add(item("good"), 0.1f, map(0.1f), {});
    const MeanFigures none = meanFigures({again.finish(), one.finish()});
    EXPECT_FALSE(none.imageAuroc || none.pixelAuroc || none.aupro[0] || none.imageAuroc95);
}

} // namespace
} // namespace agpnet::tools
