// Tiles: every pixel is seen, and what was found in each becomes one map without seams.
#include "operators/image/tiles.h"

#include "agpnet/agpnet.hpp"
#include "tests/support/error_text.h"
#include "tests/support/tiny_backbone.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/imgproc.hpp>

namespace agpnet
{
namespace
{

using ::testing::ElementsAreArray;
using test::errorOf;
using test::TempFolder;

struct Starts
{
    int length, tile;
    double overlap;
    std::vector<int> expected;
};

class TileStarts : public ::testing::TestWithParam<Starts>
{
};

TEST_P(TileStarts, AreEvenAndEndAtTheBorder)
{
    EXPECT_THAT(tileStarts(GetParam().length, GetParam().tile, GetParam().overlap), ElementsAreArray(GetParam().expected));
}

INSTANTIATE_TEST_SUITE_P(Table, TileStarts,
                         ::testing::Values(Starts{100, 100, 0.25, {0}}, Starts{60, 100, 0.25, {0}}, Starts{101, 100, 0.25, {0, 1}},
                                           Starts{200, 100, 0, {0, 100}}, Starts{201, 100, 0, {0, 100, 101}},
                                           Starts{200, 100, 0.25, {0, 75, 100}}, Starts{1408, 512, 0.25, {0, 384, 768, 896}},
                                           Starts{256, 128, 0.5, {0, 64, 128}}));

TEST(TileGrid, CoversEveryPixelWithTheOverlapAskedFor)
{
    cv::RNG random(1);
    for (int i = 0; i < 300; i++)
    {
        const cv::Size image(random.uniform(8, 900), random.uniform(8, 900));
        const Tiling tiling{random.uniform(32, 400), random.uniform(0., 0.9)};
        const TileGrid grid(image, tiling);
        cv::Mat seen = cv::Mat::zeros(image, CV_8U);
        for (size_t t = 0; t < grid.size(); t++)
        {
            const cv::Rect tile = grid[t];
            ASSERT_EQ(tile & cv::Rect({0, 0}, image), tile) << image << tile;
            ASSERT_EQ(tile.size(), cv::Size(std::min(tiling.side, image.width), std::min(tiling.side, image.height)));
            seen(tile) = 1;
        }
        ASSERT_EQ(cv::countNonZero(seen), image.area()) << image << " " << tiling.side;
        const std::vector<int> starts = tileStarts(image.width, tiling.side, tiling.overlap);
        for (size_t t = 1; t < starts.size(); t++)
        {
            ASSERT_GT(starts[t], starts[t - 1]);
            ASSERT_GE(starts[t - 1] + tiling.side - starts[t], tiling.side * tiling.overlap - 1e-9) << image.width << " " << tiling.side;
        }
    }
}

TEST(TileBlend, KeepsAConstant)
{
    cv::RNG random(2);
    for (int i = 0; i < 100; i++)
    {
        const TileGrid grid(cv::Size(random.uniform(40, 700), random.uniform(40, 700)), {random.uniform(32, 300), random.uniform(0., 0.9)});
        TileBlend blend(grid, cv::Size(random.uniform(8, 300), random.uniform(8, 300)));
        for (size_t t = 0; t < grid.size(); t++)
            blend.add(t, cv::Mat(blend.tileMap(), CV_32F, cv::Scalar(0.7)));
        double least = 0, most = 0;
        cv::minMaxLoc(blend.blended(), &least, &most);
        ASSERT_NEAR(least, 0.7, 1e-5);
        ASSERT_NEAR(most, 0.7, 1e-5);
    }
}

TEST(TileBlend, KeepsWhatAllTilesAgreeOn)
{
    cv::Mat picture(300, 500, CV_32F);
    cv::RNG(3).fill(picture, cv::RNG::UNIFORM, 0, 1);
    const TileGrid grid(picture.size(), {128, 0.25});
    TileBlend blend(grid, {128, 128});
    for (size_t t = 0; t < grid.size(); t++)
        blend.add(t, picture(grid[t]));
    ASSERT_EQ(blend.blended().size(), picture.size());
    EXPECT_LT(cv::norm(blend.blended(), picture, cv::NORM_INF), 1e-5);
}

TEST(TileBlend, EveryPixelOfATileCounts)
{
    const TileGrid grid({300, 200}, {128, 0.25});
    for (size_t lit = 0; lit < grid.size(); lit++)
    {
        TileBlend blend(grid, {64, 64});
        blend.add(lit, cv::Mat::ones(64, 64, CV_32F));
        EXPECT_EQ(cv::countNonZero(blend.blended() > 0), 64 * 64) << lit;
    }
}

TEST(TileBlend, HasNoStepAtASeam)
{
    // neighbours that disagree as much as they can: the change from one to the other is spread over the overlap
    const TileGrid grid({448, 256}, {256, 0.25});
    ASSERT_EQ(grid.size(), 2u);
    TileBlend blend(grid, {256, 256});
    blend.add(0, cv::Mat::zeros(256, 256, CV_32F));
    blend.add(1, cv::Mat::ones(256, 256, CV_32F));
    const cv::Mat row = blend.blended().row(100);
    for (int x = 1; x < row.cols; x++)
        EXPECT_LT(std::abs(row.at<float>(x) - row.at<float>(x - 1)), 0.06) << x;
    EXPECT_EQ(row.at<float>(0), 0);
    EXPECT_NEAR(row.at<float>(row.cols - 1), 1, 1e-6);
}

TEST(TileBlend, NeverHasMorePixelsThanTheImage)
{
    const TileGrid grid({300, 200}, {64, 0.25});
    EXPECT_EQ(TileBlend(grid, {252, 252}).blended().size(), cv::Size(300, 200));
    EXPECT_EQ(TileBlend(grid, {32, 32}).blended().size(), cv::Size(150, 100));
    EXPECT_EQ(TileBlend(TileGrid({300, 40}, {64, 0.25}), {252, 252}).blended().size(), cv::Size(300, 40));
}

cv::Mat noise(cv::Size size, uint64_t seed)
{
    cv::Mat image(size, CV_8UC3);
    cv::RNG(seed).fill(image, cv::RNG::UNIFORM, 0, 256);
    return image;
}

class TiledModel : public ::testing::Test
{
protected:
    static void SetUpTestSuite()
    {
        folder = new TempFolder;
        const auto trainer = AnomalyTrainer::create(test::writeTinyBackbone(*folder),
                                                    test::tinyConfig(3, R"("score_metric":"scaled","tile":64,"tile_overlap":0.25)"));
        trainer->fit(4, [](size_t i) { return noise({200, 100}, i); });
        trainer->save(*folder / "m.agp");
    }
    static void TearDownTestSuite()
    {
        delete folder;
        folder = nullptr;
    }
    static cv::Ptr<AnomalyDetector> detector() { return AnomalyDetector::create(*folder / "m.agp", "fp32"); }

    static TempFolder* folder;
};
TempFolder* TiledModel::folder = nullptr;

TEST_F(TiledModel, KnowsItsTiles)
{
    EXPECT_EQ(detector()->getOptions().getTileSide(), 64);
    EXPECT_EQ(detector()->getOptions().getTileOverlap(), 0.25);
}

TEST_F(TiledModel, AShiftedImageHasAShiftedMap)
{
    // by one step of the grid: each tile then sees what its neighbour saw
    constexpr int step = 48;
    const cv::Mat wide = noise({64 + 6 * step, 64}, 7);
    const auto model = detector();
    cv::Mat left, right;
    model->detect(wide.colRange(0, 64 + 5 * step), left, cv::noArray(), DetectOptions().setMapSize(MAP_MODEL));
    model->detect(wide.colRange(step, 64 + 6 * step), right, cv::noArray(), DetectOptions().setMapSize(MAP_MODEL));
    const int moved = step * 24 / 64; // tinyConfig's input is 24 wide
    const int border = 24 + 8;        // a tile, and the Gaussian's reach
    ASSERT_EQ(left.size(), right.size());
    const cv::Mat a = left.colRange(border + moved, left.cols - border), b = right.colRange(border, right.cols - border - moved);
    EXPECT_LT(cv::norm(a, b, cv::NORM_INF), 1e-5);
    EXPECT_GT(cv::norm(left.colRange(border, left.cols - border - moved), b, cv::NORM_INF), 1e-3) << "or nothing was compared";
}

TEST_F(TiledModel, AnImageOfOneTileIsInspectedAsEver)
{
    for (const cv::Size size : {cv::Size(64, 64), cv::Size(40, 50), cv::Size(64, 20)})
    {
        const auto model = detector();
        cv::Mat tiled, whole;
        const double score = model->detect(noise(size, 3), tiled).score;
        model->setOptions(model->getOptions().setTiles(0));
        EXPECT_EQ(model->detect(noise(size, 3), whole).score, score) << size;
        EXPECT_EQ(cv::norm(tiled, whole, cv::NORM_INF), 0);
        EXPECT_EQ(tiled.size(), size);
    }
}

TEST_F(TiledModel, TheScoreIsTheMapsMaximum)
{
    for (const cv::Size size : {cv::Size(200, 100), cv::Size(70, 64), cv::Size(300, 30)})
    {
        cv::Mat map, full;
        const double score = detector()->detect(noise(size, 4), map, cv::noArray(), DetectOptions().setMapSize(MAP_MODEL)).score;
        double most = 0;
        cv::minMaxLoc(map, nullptr, &most);
        EXPECT_FLOAT_EQ(static_cast<float>(score), static_cast<float>(most));
        detector()->detect(noise(size, 4), full);
        EXPECT_EQ(full.size(), size);
    }
}

TEST_F(TiledModel, ABatchGivesWhatSingleImagesDo)
{
    const std::vector<cv::Mat> images = {noise({200, 100}, 1), noise({50, 40}, 2), noise({64, 64}, 3), noise({90, 70}, 4)};
    std::vector<cv::Mat> maps;
    const std::vector<AnomalyResult> results = detector()->detectBatch(images, maps);
    for (size_t i = 0; i < images.size(); i++)
    {
        cv::Mat map;
        EXPECT_NEAR(detector()->detect(images[i], map).score, results[i].score, 1e-5);
        EXPECT_LT(cv::norm(map, maps[i], cv::NORM_INF), 1e-5);
    }
}

TEST_F(TiledModel, TopScoreIsThatOfTheBlendedMap)
{
    const auto trainer = AnomalyTrainer::create(test::writeTinyBackbone(*folder),
                                                test::tinyConfig(2, R"("score_metric":"scaled","tile":64,"score":"top1")"));
    trainer->fit(4, [](size_t i) { return noise({200, 100}, i); });
    cv::Mat map;
    const double score =
        trainer->getDetector()->detect(noise({200, 100}, 9), map, cv::noArray(), DetectOptions().setMapSize(MAP_MODEL)).score;
    cv::Mat sorted;
    cv::sort(map.reshape(1, 1), sorted, cv::SORT_EVERY_ROW | cv::SORT_DESCENDING);
    EXPECT_NEAR(score, cv::mean(sorted.colRange(0, std::max(1, sorted.cols / 100)))[0], 1e-5);
}

struct BadTiles
{
    int side;
    double overlap;
    const char* part;
};

TEST_F(TiledModel, RefusesTilesThatCannotBe)
{
    const auto model = detector();
    for (const BadTiles& bad : {BadTiles{-2, 0.25, "'tile' is -2, expected 0 (off) or 32 to 16384"}, BadTiles{31, 0.25, "'tile' is 31"},
                                BadTiles{16385, 0.25, "'tile' is 16385"}, BadTiles{64, 0.95, "'tile_overlap' is 0.95, expected 0 to 0.9"},
                                BadTiles{64, -0.1, "'tile_overlap' is -0.1"}, BadTiles{64, std::nan(""), "'tile_overlap' is nan"}})
        EXPECT_THAT(errorOf<cv::Exception>([&] { model->setOptions(model->getOptions().setTiles(bad.side, bad.overlap)); }),
                    ::testing::HasSubstr(bad.part));
    EXPECT_EQ(model->getOptions().getTileSide(), 64) << "what was refused changes nothing";
}

} // namespace
} // namespace agpnet
