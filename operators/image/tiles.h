// A large image as overlapping squares: which ones, and how what was found in each becomes one map again.
#pragma once

#include <opencv2/core.hpp>
#include <vector>

namespace agpnet
{

struct Tiling
{
    int side = 0;          ///< side of a tile in pixels of the image; 0: the whole image is one tile
    double overlap = 0.25; ///< least share of a tile that it has in common with the next
};

/// The fewest places along a side so that neighbours overlap by the share at least; evenly `step` apart from 0, the last one shifted
/// inwards to end at the border. {0} where the side is no longer than a tile.
std::vector<int> tileStarts(int length, int tile, double overlap);

/// Rows of tiles from the top, each from the left. Along a side shorter than a tile, tiles are as short. With side 0, one rectangle.
class TileGrid
{
public:
    TileGrid(cv::Size image, const Tiling& tiling);

    size_t size() const { return xs_.size() * ys_.size(); }
    cv::Rect operator[](size_t i) const;

private:
    friend class TileBlend;
    cv::Size image_, tile_;
    std::vector<int> xs_, ys_;
};

/// Sums the maps of a grid's tiles, each weighted by a raised cosine that falls towards the tile's border and never reaches 0, so that
/// a seam cannot show: the weights of all tiles add up to 1 at every pixel.
class TileBlend
{
public:
    /// @param map  size of each tile's map; the blended one has the same scale, but never more pixels than the image
    TileBlend(const TileGrid& grid, cv::Size map);

    cv::Size tileMap() const { return cell_; } ///< the size that add() takes
    void add(size_t tile, const cv::Mat& map); ///< CV_32F; each tile once
    const cv::Mat& blended() const { return canvas_; }

private:
    /// Along one side: where each tile's map begins, and its weights.
    struct Axis
    {
        Axis(const std::vector<int>& starts, int tile, int length, int map);
        int cell, length;
        std::vector<int> starts;
        std::vector<std::vector<float>> weights;
    };
    Axis x_, y_;
    cv::Size cell_;
    cv::Mat canvas_;
};

} // namespace agpnet
