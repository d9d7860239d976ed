#include "device.h"

#ifdef AGPNET_TEST_OPENCV
#include <opencv2/imgproc.hpp>
#endif

using namespace agpnet::stages;
using reference::Array;

namespace
{

class Heatmap : public EveryPlace
{
protected:
    void expectScores(const Heat& heat, const std::string& what)
    {
        const reference::Scores expected = reference::scores(heat.map);
        for (size_t n = 0; n < expected.maximum.size(); n++)
        {
            EXPECT_EQ(heat.maximum.values[n], static_cast<float>(expected.maximum[n])) << what;
            EXPECT_NEAR(heat.top1.values[n], expected.top1[n], 1e-6 * std::max(1.0, std::fabs(expected.top1[n]))) << what;
        }
    }
};

struct Shape
{
    int n, h, w, height, width;
};

TEST_P(Heatmap, EqualsReference)
{
    const Shape shapes[] = {{1, 1, 1, 1, 1},  {1, 1, 1, 7, 5},      {1, 18, 18, 252, 252}, {3, 5, 7, 33, 31},
                            {2, 9, 3, 4, 2},  {1, 40, 50, 7, 9},    {1, 16, 16, 16, 16},   {2, 7, 300, 20, 301},
                            {1, 2, 2, 70, 1}, {1, 17, 18, 129, 65}, {1, 100, 90, 9, 200}};
    for (const Shape& s : shapes)
        for (double sigma : {0.0, 0.1, 1.0, 4.0, 11.5})
            for (Order order : allOrders)
            {
                const Array residual = reference::random(s.n, 1, s.h, s.w, 1, 0, 3);
                const Heat heat = runHeatmap(*place, residual, sigma, s.height, s.width, order);
                const std::string what =
                    fmt::format("{}x{}x{} to {}x{}, sigma {}, {}", s.n, s.h, s.w, s.height, s.width, sigma, nameOf(order));
                ASSERT_LT(difference(heat.map, reference::blur(reference::resize(residual, s.height, s.width), sigma)), 1e-5)
                    << what;
                expectScores(heat, what);
                ASSERT_FALSE(HasFailure());
            }
}

#ifdef AGPNET_TEST_OPENCV
TEST_P(Heatmap, EqualsOpenCv)
{
    const Array residual = reference::random(1, 1, 18, 18, 2, 0, 3);
    const cv::Mat small(18, 18, CV_32F, const_cast<float*>(residual.values.data()));
    cv::Mat large;
    cv::resize(small, large, cv::Size(250, 252), 0, 0, cv::INTER_LINEAR);
    for (double sigma : {0.0, 4.0})
    {
        cv::Mat expected = large;
        if (sigma > 0)
            cv::GaussianBlur(large, expected, cv::Size(33, 33), sigma, sigma, cv::BORDER_REFLECT);
        const Heat heat = runHeatmap(*place, residual, sigma, 252, 250);
        EXPECT_LT(cv::norm(cv::Mat(252, 250, CV_32F, const_cast<float*>(heat.map.values.data())), expected, cv::NORM_INF), 1e-5)
            << sigma;
    }
}
#endif

TEST_P(Heatmap, GaussianImpulse)
{
    Array impulse(1, 1, 64, 64);
    impulse.at(0, 0, 20, 30) = 1;
    Heat heat = runHeatmap(*place, impulse, 4, 64, 64);
    EXPECT_NEAR(heat.map.at(0, 0, 20, 30), .00994788798, 1e-8);
    EXPECT_NEAR(heat.map.at(0, 0, 20, 34), .00603369906, 1e-8);
    impulse = Array(1, 1, 64, 64);
    impulse.at(0, 0, 0, 0) = 1;
    heat = runHeatmap(*place, impulse, 4, 64, 64);
    EXPECT_NEAR(heat.map.at(0, 0, 0, 0), .0385767112, 2e-8);
    EXPECT_NEAR(heat.map.at(0, 0, 0, 1), .0362748594, 2e-8);
    EXPECT_NEAR(heat.map.at(0, 0, 1, 1), .0341103578, 2e-8);
}

TEST_P(Heatmap, GoldenScores)
{
    Array map(4, 1, 16, 16);
    for (int n = 0; n < 4; n++)
        for (int y = 0; y < 16; y++)
            for (int x = 0; x < 16; x++)
            {
                const bool defect = (n == 1 && y >= 2 && y <= 4 && x >= 2 && x <= 4) ||
                                    (n == 1 && y >= 5 && y <= 8 && x >= 5 && x <= 8) || (n == 2 && y == 0 && x == 15) ||
                                    (n == 2 && y >= 9 && y <= 14 && x >= 3 && x <= 4);
                map.at(n, 0, y, x) =
                    static_cast<float>((37 * n + 17 * y + 29 * x + 7 * x * y) % 64) / 64.0f + (defect ? 0.375f : 0.0f);
            }
    const Heat heat = runHeatmap(*place, map, 0, 16, 16);
    EXPECT_EQ(difference(heat.map, map), 0);
    EXPECT_EQ(heat.maximum.values, (std::vector<float>{0.984375f, 1.34375f, 1.328125f, 0.984375f}));
    EXPECT_EQ(heat.top1.values, (std::vector<float>{0.984375f, 1.328125f, 1.28125f, 0.984375f}));
}

TEST_P(Heatmap, ScoresOfTiesSignsAndExtremes)
{
    for (int kind = 0; kind < 6; kind++)
    {
        Array map = reference::random(2, 1, 61, 67, static_cast<uint64_t>(kind) + 10, -1, 1);
        for (float& value : map.values)
            if (kind == 0)
                value = 0.25f;
            else if (kind == 1)
                value = std::floor(value * 3) / 3;
            else if (kind == 2)
                value = -5 + value;
            else if (kind == 3)
                value = value > 0.99f ? 0.0f : -0.0f;
            else if (kind == 4)
                value *= 1e30f;
            else
                value *= 1e-30f;
        const Heat heat = runHeatmap(*place, map, 0, 61, 67);
        EXPECT_EQ(difference(heat.map, map), 0) << kind;
        expectScores(heat, "kind " + std::to_string(kind));
    }
}

TEST_P(Heatmap, ConstantStaysConstant)
{
    Array flat(1, 1, 5, 9);
    std::fill(flat.values.begin(), flat.values.end(), 0.7f);
    for (double sigma : {0.0, 4.0, 60.0})
    {
        const Heat heat = runHeatmap(*place, flat, sigma, 41, 30);
        for (float value : heat.map.values)
            ASSERT_NEAR(value, 0.7f, 1e-6);
        EXPECT_NEAR(heat.maximum.values[0], 0.7, 1e-6);
        EXPECT_NEAR(heat.top1.values[0], 0.7, 1e-6);
    }
}

TEST_P(Heatmap, MirrorsAndTransposes)
{
    const Array residual = reference::random(1, 1, 7, 11, 20, 0, 1);
    Array turned(1, 1, 11, 7);
    for (int y = 0; y < 7; y++)
        for (int x = 0; x < 11; x++)
            turned.at(0, 0, 10 - x, 6 - y) = residual.at(0, 0, y, x);
    const Array map = runHeatmap(*place, residual, 2, 50, 70).map, other = runHeatmap(*place, turned, 2, 70, 50).map;
    for (int y = 0; y < 50; y++)
        for (int x = 0; x < 70; x++)
            ASSERT_NEAR(map.at(0, 0, y, x), other.at(0, 0, 69 - x, 49 - y), 1e-5);
}

TEST_P(Heatmap, NaNSpreadsAndEnds)
{
    Array residual = reference::random(2, 1, 6, 6, 21, 0, 1);
    residual.at(0, 0, 3, 3) = NAN;
    for (double sigma : {0.0, 4.0})
    {
        const Heat heat = runHeatmap(*place, residual, sigma, 40, 40);
        EXPECT_TRUE(std::isnan(heat.map.at(0, 0, 23, 23)));
        EXPECT_TRUE(std::isnan(heat.maximum.values[0]));
        EXPECT_TRUE(std::isnan(heat.top1.values[0]));
        EXPECT_FALSE(std::isnan(heat.maximum.values[1]));
        EXPECT_FALSE(std::isnan(heat.top1.values[1]));
    }
}

AGPNET_EVERY_PLACE(Heatmap);

} // namespace
