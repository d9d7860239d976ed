#include "operators/fewer_bits.h"

#include "common/cpu.h"
#include "models/anomaly_map.h"
#include "operators/synthetic.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>
#include <cmath>

namespace agpnet
{
namespace
{

/// Of each view.
std::vector<double> scoresOf(const AgpNet& net, const std::vector<at::Tensor>& views)
{
    std::vector<double> scores;
    for (const at::Tensor& view : views) // one by one: what is kept of a batch would be large
        scores.push_back(findingsIn(net, view.to(net.device())).maps.scores.item<double>());
    return scores;
}

/// The greatest, relative.
double difference(const std::vector<double>& found, const std::vector<double>& exact)
{
    double most = 0;
    for (size_t i = 0; i < exact.size(); i++)
        most = std::max(most, std::abs(found[i] - exact[i]) / std::max(1e-12, std::abs(exact[i])));
    return most;
}

} // namespace

FewerBits measuredFewerBits(const Training& training, size_t count, const std::function<Frame(size_t)>& image, const Tiling& tiling)
{
    constexpr size_t mostPictures = 16;
    const c10::InferenceMode inference;
    const Config& config = training.config();
    const ViewPairs pairs = viewPairs(std::min(count, mostPictures), image, tiling, {config.width, config.height}, config.seed);
    std::vector<at::Tensor> views = pairs.normal;
    views.insert(views.end(), pairs.defective.begin(), pairs.defective.end());

    const auto backbone = std::make_shared<RangeRecorder>(), decoder = std::make_shared<RangeRecorder>();
    const std::vector<double> exact = scoresOf(training.model(ComputeType::Float32, {{nullptr, backbone}, {nullptr, decoder}}), views);
    FewerBits result;
    // wherever the device has such products, faster or not: the model may go to another
    if (training.device().is_cuda() || cpuFeatures().avx512Bf16)
        result.bf16Error = difference(scoresOf(training.model(ComputeType::BFloat16), views), exact);
    if (backbone->ranges().empty()) // a convolutional network
        return result;
    result.backbone = backbone->ranges();
    result.decoder = decoder->ranges();
    result.int8Error = difference(scoresOf(training.model(ComputeType::Int8, result.ranges()), views), exact);
    return result;
}

} // namespace agpnet
