#include "operators/image/tiles.h"

#include <algorithm>
#include <cmath>

namespace agpnet
{

std::vector<int> tileStarts(int length, int tile, double overlap)
{
    std::vector<int> starts = {0};
    if (length <= tile)
        return starts;
    const int step = std::max(1, static_cast<int>(tile * (1 - overlap)));
    for (int start = step; start < length - tile; start += step)
        starts.push_back(start);
    starts.push_back(length - tile);
    return starts;
}

TileGrid::TileGrid(cv::Size image, const Tiling& tiling)
    : image_(image), tile_(tiling.side > 0 ? std::min(tiling.side, image.width) : image.width,
                           tiling.side > 0 ? std::min(tiling.side, image.height) : image.height),
      xs_(tileStarts(image.width, tile_.width, tiling.overlap)), ys_(tileStarts(image.height, tile_.height, tiling.overlap))
{
}

cv::Rect TileGrid::operator[](size_t i) const
{
    return {{xs_[i % xs_.size()], ys_[i / xs_.size()]}, tile_};
}

TileBlend::Axis::Axis(const std::vector<int>& tileStarts, int tile, int imageLength, int map) : cell(std::min(map, tile))
{
    const double scale = static_cast<double>(cell) / tile;
    length = tileStarts.size() == 1 ? cell : std::max(cell, static_cast<int>(std::lround(imageLength * scale)));
    std::vector<float> window(static_cast<size_t>(cell));
    constexpr double least = 1e-3; // as much as single precision divides by without loss
    for (int i = 0; i < cell; i++)
        window[static_cast<size_t>(i)] = static_cast<float>(least + (1 - least) * 0.5 * (1 - std::cos(2 * CV_PI * (i + 0.5) / cell)));
    std::vector<float> sum(static_cast<size_t>(length), 0.f);
    for (const int start : tileStarts)
    {
        starts.push_back(std::min(length - cell, static_cast<int>(std::lround(start * scale))));
        for (int i = 0; i < cell; i++)
            sum[static_cast<size_t>(starts.back() + i)] += window[static_cast<size_t>(i)];
    }
    // The grid is a product of its sides, and so is the sum of all windows: dividing along each side is enough.
    for (const int start : starts)
    {
        weights.emplace_back(window);
        for (int i = 0; i < cell; i++)
            weights.back()[static_cast<size_t>(i)] /= sum[static_cast<size_t>(start + i)];
    }
}

TileBlend::TileBlend(const TileGrid& grid, cv::Size map)
    : x_(grid.xs_, grid.tile_.width, grid.image_.width, map.width), y_(grid.ys_, grid.tile_.height, grid.image_.height, map.height),
      cell_(x_.cell, y_.cell), canvas_(cv::Mat::zeros(y_.length, x_.length, CV_32F))
{
}

void TileBlend::add(size_t tile, const cv::Mat& map)
{
    CV_Assert(map.size() == cell_ && map.type() == CV_32F && tile < x_.starts.size() * y_.starts.size());
    const size_t column = tile % x_.starts.size(), row = tile / x_.starts.size();
    const std::vector<float>& across = x_.weights[column];
    for (int y = 0; y < cell_.height; y++)
    {
        const float* from = map.ptr<float>(y);
        float* to = canvas_.ptr<float>(y_.starts[row] + y) + x_.starts[column];
        const float down = y_.weights[row][static_cast<size_t>(y)];
        for (int x = 0; x < cell_.width; x++)
            to[x] += from[x] * down * across[static_cast<size_t>(x)];
    }
}

} // namespace agpnet
