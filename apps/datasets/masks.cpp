#include "apps/datasets/masks.h"

#include "apps/datasets/image_io.h"
#include "common/error.h"

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace agpnet::tools
{
namespace
{

namespace fs = std::filesystem;

/// 255 where the picture is not wholly transparent; empty where all of it is alike.
cv::Mat seenPart(const fs::path& path, cv::Size expected)
{
    cv::Mat stored, alpha;
    try
    {
        stored = cv::imread(path.string(), cv::IMREAD_UNCHANGED);
    }
    catch (const cv::Exception&) // the mask itself was read
    {
    }
    if (stored.channels() != 4 || stored.size() != expected)
        return {};
    cv::extractChannel(stored, alpha, 3);
    const cv::Mat seen = alpha > 0;
    const int pixels = cv::countNonZero(seen);
    return pixels == 0 || pixels == static_cast<int>(seen.total()) ? cv::Mat() : seen;
}

void note(std::vector<std::string>& notes, const std::vector<std::string>& names, const char* what)
{
    if (!names.empty())
        notes.push_back(fmt::format("Masks that {} ({}): {}.", what, names.size(), joinNames(names)));
}

} // namespace

cv::Mat readMaskFile(const fs::path& path, cv::Size expected)
{
    const cv::Mat coloured = readMask(path, expected);
    const cv::Mat seen = seenPart(path, expected);
    if (seen.empty())
        return coloured;
    return cv::countNonZero(coloured) == 0 ? seen : cv::Mat(coloured & seen);
}

cv::Mat readMaskOf(const Item& item, cv::Size expected)
{
    cv::Mat all;
    for (const fs::path& path : maskFiles(item))
    {
        const cv::Mat one = readMaskFile(path, expected);
        all = all.empty() ? one : cv::Mat(all | one);
    }
    return all;
}

void MaskCheck::add(const Item& item, const cv::Mat& mask)
{
    if (mask.empty())
        return;
    const auto marked = static_cast<size_t>(cv::countNonZero(mask));
    if (marked == 0)
        blank_.push_back(item.name);
    else if (marked == mask.total())
        full_.push_back(item.name);
    else if (2 * marked > mask.total())
        mostly_.push_back(item.name);
}

void MaskCheck::addImage(const Item& item, const cv::Mat& image)
{
    if (image.channels() > 4)
        return; // with geometry
    const cv::Mat values = image.reshape(1);
    double least = 0, greatest = 0;
    cv::minMaxLoc(values, &least, &greatest);
    const auto total = static_cast<int>(values.total());
    if (least < greatest && cv::countNonZero(values == least) + cv::countNonZero(values == greatest) == total)
        likeMasks_.push_back(item.name);
}

std::vector<std::string> MaskCheck::notes() const
{
    std::vector<std::string> notes;
    if (!likeMasks_.empty())
        notes.push_back(fmt::format("{} two values only, as masks do, and {} inspected: {}.",
                                    likeMasks_.size() == 1 ? "1 image holds" : fmt::format("{} images hold", likeMasks_.size()),
                                    likeMasks_.size() == 1 ? "was" : "were", joinNames(likeMasks_)));
    note(notes, blank_, "mark no pixel of an anomalous image, so that all of it counts as good");
    note(notes, full_, "mark every pixel, as where a mask is inverted or has lost its colours");
    note(notes, mostly_, "mark more than half of the image, as where black and white are exchanged");
    return notes;
}

} // namespace agpnet::tools
