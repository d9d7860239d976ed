// Anomaly maps on disk, so that any tool's maps can be measured the same way, and ours by any other:
//     DIR/<defect>/<stem>.tiff     one channel of 32-bit floats; or .png, grey, 8 or 16 bits
//     DIR/test/<defect>/<stem>...  is looked at where the first is not there
//     DIR/scores.csv               perhaps: columns name,score with <defect>/<stem>; else a map's maximum is its score
//     DIR/scores.K-of-N.csv        in its place, from N processes that each had a share of the pictures
// <defect> and <stem> are the picture's; the defect is "good" for good ones.
#pragma once

#include "apps/datasets/dataset.h"

#include <map>
#include <opencv2/core.hpp>

namespace agpnet::tools
{

/// One process's part of the pictures: of each `count`, one.
struct Share
{
    size_t index = 1, count = 1; ///< index from 1

    static Share parse(const std::string& text); ///< "2/8"; Error for anything else
    bool has(size_t picture) const { return picture % count == index - 1; }
};

/// "<defect>/<stem>"
std::string mapName(const Item& item);

/// Error where two pictures would have one map.
void requireMapNames(const Dataset& dataset);

class MapFolder
{
public:
    /// Error naming the first few maps, or scores, that are not there, and their number.
    MapFolder(const std::filesystem::path& folder, const Dataset& dataset);

    cv::Mat read(const Item& item); ///< CV_32FC1. Error for a file of another kind than the others: scales would not compare
    float score(const Item& item, const cv::Mat& map) const;
    bool hasScores() const { return !scores_.empty(); }

private:
    std::filesystem::path folder_;
    std::map<std::string, std::filesystem::path> files_;
    std::map<std::string, float> scores_;
    std::string kind_;
};

class MapFolderWriter
{
public:
    explicit MapFolderWriter(std::filesystem::path folder, Share share = {}); ///< the folder is made
    void add(const Item& item, const cv::Mat& map, float score);
    void finish(); ///< writes scores.csv, or that of the share

private:
    std::filesystem::path folder_;
    Share share_;
    std::string scores_ = "name,score\n";
};

} // namespace agpnet::tools
