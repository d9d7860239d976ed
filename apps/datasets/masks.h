// Ground truth of a picture, and what is odd about it: masks come from many tools, and a wrong one makes figures wrong in silence.
#pragma once

#include "apps/datasets/dataset.h"

#include <opencv2/core.hpp>

namespace agpnet::tools
{

/// 8-bit, one channel, 255 where the file marks a pixel: where a colour channel is above 0; of a mask with transparent pixels only where it
/// is seen, and if it has no colour but black, wherever it is seen. The size must be that of the picture it belongs to.
cv::Mat readMaskFile(const std::filesystem::path& path, cv::Size expected);

/// The item's mask, or the union of those in its folder; empty where it has none.
cv::Mat readMaskOf(const Item& item, cv::Size expected);

/// Looks at masks as they are read, and tells at the end.
class MaskCheck
{
public:
    void add(const Item& item, const cv::Mat& mask);       ///< as readMaskOf() gave it
    void addImage(const Item& item, const cv::Mat& image); ///< which may be a mask itself
    std::vector<std::string> notes() const;                ///< a sentence for each thing that is odd, with names

private:
    std::vector<std::string> blank_, full_, mostly_, likeMasks_;
};

} // namespace agpnet::tools
