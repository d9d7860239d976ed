// Pictures like those of an inspection line, drawn from a seed: something to train and test on where no data is at hand.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace agpnet::tools
{

struct DemoProduct
{
    std::string name;
    std::vector<std::string> defects;
};

/// What can be drawn: woven fabric, brushed metal, wood, terrazzo tile, printed board.
const std::vector<DemoProduct>& demoProducts();

struct DemoSample
{
    cv::Mat image; ///< 8-bit BGR
    cv::Mat clean; ///< the same piece, light and noise without the defect; equal to image for a good one
    cv::Mat mask;  ///< 0 or 255: where the two differ by 10 grey levels or more, small gaps closed
};

/// `defect` is one of the product's, or "good". The same number draws the same piece.
DemoSample drawDemoSample(const std::string& product, const std::string& defect, int side, uint64_t seed);

struct DemoOptions
{
    std::vector<std::string> products; ///< all of them where empty
    int side = 256;                    ///< pixels
    int train = 60;                    ///< good pictures to train on, each product
    int testGood = 16;
    int testDefective = 8; ///< for each kind of defect
    uint64_t seed = 1;
    std::function<void(size_t done, size_t total)> progress; ///< called after each picture, if set
};

/// Writes `folder`/<product>/train/good, test/<kind> and ground_truth/<defect> as PNG, and gives the number of pictures.
/// A picture depends on seed, product, kind and its number only: asking for more keeps those there were. Error where a
/// product's folder exists and is not empty.
size_t writeDemoData(const std::filesystem::path& folder, const DemoOptions& options = {});

} // namespace agpnet::tools
