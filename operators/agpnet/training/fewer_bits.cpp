#include "operators/agpnet/training/fewer_bits.h"

#include "common/cpu.h"
#include "models/agpnet/anomaly_map.h"
#include "operators/agpnet/training/synthetic.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>
#include <cmath>
#include <numeric>
#include <optional>

namespace agpnet
{
namespace
{

/// Of each view.
std::vector<double> scoresOf(const AgpNet& net, const std::vector<at::Tensor>& views)
{
    std::vector<double> scores;
    for (const at::Tensor& view : views) // one by one: what is kept of a batch would be large
        scores.push_back(anomalyMaps(net, view.to(net.device())).scores.item<double>());
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

/// Standard deviation; of fewer than `least` values nothing can be said.
std::optional<double> deviation(const std::vector<double>& values)
{
    constexpr size_t least = 4;
    if (values.size() < least)
        return std::nullopt;
    const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
    double squares = 0;
    for (const double value : values)
        squares += (value - mean) * (value - mean);
    return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

/// How widely `found` is strewn about `exact`, over how widely the first `normals` of these are strewn; negative where nothing can be said
/// of that.
double noise(const std::vector<double>& found, const std::vector<double>& exact, size_t normals)
{
    const auto logarithm = [](double score) { return std::log(std::max(1e-12, score)); };
    std::vector<double> differences, own;
    for (size_t i = 0; i < exact.size(); i++)
    {
        differences.push_back(logarithm(found[i]) - logarithm(exact[i]));
        if (i < normals)
            own.push_back(logarithm(exact[i]));
    }
    const std::optional<double> strewn = deviation(differences), usual = deviation(own);
    return strewn && usual && *usual > 0 ? *strewn / *usual : -1;
}

} // namespace

FewerBits measuredFewerBits(const Training& training, size_t count, const std::function<Frame(size_t)>& image, const Tiling& tiling)
{
    const c10::InferenceMode inference;
    const Config& config = training.config();
    const ViewPairs pairs = viewPairs(count, image, tiling, {config.width, config.height}, config.seed);
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
    const std::vector<double> found = scoresOf(training.model(ComputeType::Int8, result.ranges()), views);
    result.int8Error = difference(found, exact);
    result.int8Noise = noise(found, exact, pairs.normal.size());
    return result;
}

} // namespace agpnet
