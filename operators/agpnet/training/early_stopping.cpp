#include "operators/agpnet/training/early_stopping.h"

#include "common/error.h"
#include "operators/agpnet/inspection/inference.h"
#include "operators/image/preprocess.h"
#include "operators/agpnet/training/synthetic.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>
#include <opencv2/core.hpp>

namespace agpnet
{
namespace
{

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

DefectCheck::DefectCheck(const Training& training, size_t count, const std::function<Frame(size_t)>& image, const Tiling& tiling)
{
    const Config& config = training.config();
    const cv::Size input(config.width, config.height);
    const ViewPairs pairs = viewPairs(count, image, tiling, input, config.seed);
    require(!pairs.defective.empty(), "early stopping draws defects into pictures, which wants an input of at least 16x16, found {}x{}",
            input.height, input.width);
    std::vector<at::Tensor> tokens[2];
    for (size_t i = 0; i < count; i++)
    {
        // one by one, as training takes its features: a resumed start finds the same bits
        tokens[0].push_back(training.features(pairs.normal[i]).tokens);
        tokens[1].push_back(training.features(pairs.defective[i]).tokens);
    }
    normal_.tokens = at::cat(tokens[0]);
    defective_.tokens = at::cat(tokens[1]);
    masks_ = at::cat(pairs.masks).to(training.device());
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
