#include "operators/early_stopping.h"

#include "operators/inference.h"
#include "operators/preprocess.h"
#include "operators/synthetic.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>
#include <opencv2/core.hpp>

namespace agpnet
{
namespace
{

constexpr size_t patience = 4;    // checks
constexpr double leastGain = 1e-3;

/// [1, C, h, w] → CV_32FC(C), and back; both own what they hold.
cv::Mat pictureOf(const at::Tensor& image)
{
    const at::Tensor rows = image[0].permute({1, 2, 0}).contiguous();
    return cv::Mat(static_cast<int>(rows.size(0)), static_cast<int>(rows.size(1)), CV_32FC(static_cast<int>(rows.size(2))),
                   rows.mutable_data_ptr()).clone();
}

at::Tensor tensorOf(const cv::Mat& picture)
{
    return at::from_blob(picture.data, {1, picture.rows, picture.cols, picture.channels()}, at::kFloat).permute({0, 3, 1, 2}).contiguous();
}

/// Chance that one of `high` is greater than one of `low`, a tie counting half.
double areaUnderCurve(const at::Tensor& high, const at::Tensor& low)
{
    if (high.numel() == 0 || low.numel() == 0)
        return 0.5;
    const at::Tensor sorted = std::get<0>(at::sort(low.flatten()));
    const at::Tensor below = at::searchsorted(sorted, high.flatten().contiguous(), false, false);
    const at::Tensor notAbove = at::searchsorted(sorted, high.flatten().contiguous(), false, true);
    return (below + notAbove).to(at::kDouble).mean().item<double>() / 2 / static_cast<double>(low.numel());
}

} // namespace

bool noLongerRises(const std::vector<double>& checks)
{
    if (checks.size() <= patience)
        return false;
    const auto recent = checks.end() - static_cast<std::ptrdiff_t>(patience);
    return *std::max_element(recent, checks.end()) < *std::max_element(checks.begin(), recent) + leastGain;
}

DefectCheck::DefectCheck(const Training& training, size_t count, const std::function<Frame(size_t)>& image, const Tiling& tiling)
{
    const Config& config = training.config();
    const cv::Size input(config.width, config.height);
    std::vector<at::Tensor> views, tokens[2], masks;
    for (size_t i = 0; i < count; i++)
    {
        const Frame whole = image(i);
        const TileGrid grid(whole.size(), tiling);
        views.push_back(whole.at(grid[i % grid.size()], input));
    }
    for (size_t i = 0; i < count; i++)
    {
        const SyntheticDefect defect = withDefect(pictureOf(views[i]), pictureOf(views[(i + 1) % count]), config.seed, i);
        // one by one, as training takes its features: a resumed start finds the same bits
        tokens[0].push_back(training.features(views[i]).tokens);
        tokens[1].push_back(training.features(tensorOf(defect.image)).tokens);
        masks.push_back(at::from_blob(defect.mask.data, {1, 1, input.height, input.width}, at::kByte).ne(0));
    }
    normal_.tokens = at::cat(tokens[0]);
    defective_.tokens = at::cat(tokens[1]);
    masks_ = at::cat(masks).to(training.device());
}

double DefectCheck::separation(const Training& training) const
{
    c10::InferenceMode inference;
    const AnomalyMaps normal = anomalyMaps(training.config(), training.reconstruct(normal_));
    const AnomalyMaps defective = anomalyMaps(training.config(), training.reconstruct(defective_));
    // a pixel in four tells as much, the map is smooth
    const auto thinned = [](const at::Tensor& maps) { return maps.slice(2, 0, std::nullopt, 2).slice(3, 0, std::nullopt, 2); };
    const at::Tensor maps = thinned(defective.maps), masks = thinned(masks_);
    return (areaUnderCurve(defective.scores, normal.scores) + areaUnderCurve(maps.masked_select(masks), maps.masked_select(~masks))) / 2;
}

} // namespace agpnet
