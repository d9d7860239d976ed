// The whole inference in standard ONNX operators, with the weights in the file: for engines that know nothing of AGPNet.
#include "operators/agpnet/export/onnx_model.h"

#include "models/agpnet/file.h"
#include "models/backbones/onnx_normalised.h"
#include "operators/agpnet/inspection/inference.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>

namespace agpnet
{
namespace
{

constexpr double tiny = 1e-12;

/// image [1, 3 or 6, H, W], 0 to 1 → [1, L, C]: extractFeatures().
OnnxValue describeFeatures(OnnxWriter& onnx, const Config& config, const Extractor& extractor, const OnnxValue& image)
{
    const std::vector<int> layers = allLayers(config.layers);
    std::vector<OnnxValue> groups;
    for (int64_t channel = 0; channel < image.shape[1]; channel += 3) // the backbone sees geometry as one more image
    {
        onnx.part("normalise");
        std::vector<OnnxValue> tokens = extractor.describe(
            onnx, describeNormalised(onnx, extractor.properties(), onnx.slice(image, 1, channel, channel + 3)), layers);
        onnx.part("features");
        if (config.target == Target::LayerNorm)
            for (OnnxValue& layer : tokens)
                layer = onnx.normed(layer, 1e-6);
        for (const std::vector<int>& group : config.layers)
        {
            const auto of = [&](int layer)
            { return tokens[static_cast<size_t>(std::lower_bound(layers.begin(), layers.end(), layer) - layers.begin())]; };
            OnnxValue sum = of(group[0]);
            for (size_t i = 1; i < group.size(); i++)
                sum = onnx.add(sum, of(group[i]));
            groups.push_back(sum);
        }
    }
    return onnx.concatenate(groups, 2);
}

/// [1, L, C] twice → [1, L, 1]. The least divisor is that of the stage: (1e-12)^1/2 where it takes the root, and 1e-12.
OnnxValue describeResidual(OnnxWriter& onnx, stages::Metric metric, const OnnxValue& f, const OnnxValue& g)
{
    onnx.part(std::string("residual/") + stages::nameOf(metric));
    const auto norm = [&](const OnnxValue& x) { return onnx.reduce("ReduceL2", x, {2}); };
    if (metric == stages::Metric::Cosine)
    {
        const OnnxValue dot = onnx.multiply(onnx.reduce("ReduceMean", onnx.multiply(f, g), {2}), static_cast<double>(f.shape[2]));
        const OnnxValue similarity = onnx.divide(dot, onnx.add(onnx.multiply(norm(f), norm(g)), tiny));
        return onnx.add(onnx.multiply(similarity, -1), 1);
    }
    const OnnxValue distance = norm(onnx.subtract(f, g));
    return metric == stages::Metric::L2 ? distance : onnx.divide(distance, onnx.unary("Sqrt", onnx.add(norm(f), tiny)));
}

/// [out, in]: what each place of the map takes of the residual along one axis, resized bilinearly with half-pixel centres and
/// then blurred with the border mirrored: the stage Heatmap.
at::Tensor smoothing(int64_t in, int64_t out, double sigma)
{
    const auto radius = static_cast<int64_t>(4 * sigma + 0.5);
    at::Tensor matrix = at::zeros({out, in}, at::kDouble);
    auto weights = matrix.accessor<double, 2>();
    double taps = 0;
    for (int64_t offset = -radius; offset <= radius; offset++)
    {
        const double tap = radius == 0 ? 1 : std::exp(-static_cast<double>(offset * offset) / (2 * sigma * sigma));
        taps += tap;
        for (int64_t i = 0; i < out; i++)
        {
            const int64_t folded = ((i + offset) % (2 * out) + 2 * out) % (2 * out);
            const int64_t from = folded < out ? folded : 2 * out - 1 - folded;
            const double place =
                std::clamp((static_cast<double>(from) + 0.5) * static_cast<double>(in) / static_cast<double>(out) - 0.5, 0.0,
                           static_cast<double>(in - 1));
            const auto first = static_cast<int64_t>(place);
            const double second = place - static_cast<double>(first);
            weights[i][first] += tap * (1 - second);
            if (second > 0)
                weights[i][first + 1] += tap * second;
        }
    }
    return matrix / taps;
}

/// The mean of the `top` highest values of a map. TopK is not everywhere, so: for any t below the greatest value,
/// t + sum(max(value - t, 0)) / top is no less than that mean, and equal to it where t is the top-th value. Halving finds that t;
/// where it stops a little beside it, the error is smaller still.
OnnxValue describeTopMean(OnnxWriter& onnx, const OnnxValue& map, int64_t top)
{
    constexpr int rounds = 16;
    const double all = static_cast<double>(map.shape[2] * map.shape[3]);
    const OnnxWriter::Shape plane = {2, 3};
    const OnnxValue greatest = onnx.reduce("ReduceMax", map, plane);
    OnnxValue t = onnx.multiply(greatest, 0.5);
    for (int i = 0; i < rounds; i++)
    {
        const OnnxValue share = onnx.reduce("ReduceMean", onnx.unary("Relu", onnx.unary("Sign", onnx.subtract(map, t))), plane);
        const OnnxValue up =
            onnx.unary("Sign", onnx.add(share, -(static_cast<double>(top) + 0.5) / all)); // 1 where more than `top` are greater
        t = onnx.add(t, onnx.multiply(onnx.multiply(up, greatest), std::ldexp(1.0, -i - 2)));
    }
    const OnnxValue beyond = onnx.reduce("ReduceMean", onnx.unary("Relu", onnx.subtract(map, t)), plane);
    return onnx.add(t, onnx.multiply(beyond, all / static_cast<double>(top)));
}

} // namespace

void writeAnomalyOnnx(const std::string& onnxPath, const std::string& model, const std::string& precision)
{
    const ModelFile file = readModel(model);
    NetRanges ranges;
    if (precision == "int8")
    {
        require(!file.fewerBits.backbone.empty(),
                "{}: the model does not know the ranges of its layers' inputs, which int8 needs: its backbone is no transformer, or it was "
                "trained before there were such; expected a model trained by this version",
                model);
        ranges = file.fewerBits.ranges();
    }
    const Config& config = file.config;
    require(config.tile == 0,
            "{}: the model uses tiles, which a graph of standard operators does not; expected a model of whole images, or a graph of one "
            "Detect",
            model);
    const DecoderShape shape = decoderShape(config, file.backbone.config);
    const auto extractor = makeExtractor(file.backbone.config, file.backbone.weights,
                                         {.compute = ComputeType::Float32, .prepack = false, .ranges = ranges.backbone});

    OnnxWriter onnx;
    const OnnxValue image = onnx.input("image", {1, inputChannels(config), config.height, config.width});
    const OnnxValue clean = file.scale.describe(onnx, describeFeatures(onnx, config, *extractor, image));
    const OnnxValue reconstructed = Decoder(shape, file.decoder).describe(onnx, clean, ranges.decoder.known.get());

    at::Tensor inside;
    int64_t pixels = int64_t{config.height} * config.width;
    if (!config.roi.empty())
    {
        const cv::Mat region = RegionOfInterest{config.roi, {}}.at({config.width, config.height});
        inside = at::from_blob(region.data, {1, 1, config.height, config.width}, at::kByte).ne(0).to(at::kFloat);
        pixels = cv::countNonZero(region);
    }
    const at::Tensor vertical = smoothing(shape.rows, config.height, config.sigma),
                     horizontal = smoothing(shape.columns, config.width, config.sigma);
    const auto mapBy = [&](stages::Metric metric)
    {
        const OnnxValue residual =
            onnx.reshape(describeResidual(onnx, metric, clean, reconstructed), {1, 1, shape.rows, shape.columns});
        onnx.part(std::string("map/") + stages::nameOf(metric));
        const OnnxValue map = onnx.resized(residual, vertical, horizontal);
        return inside.defined() ? onnx.multiplyConstant(map, inside) : map;
    };
    const OnnxValue map = mapBy(config.metric);
    const OnnxValue scored = config.scoreMetric == config.metric ? map : mapBy(config.scoreMetric);
    onnx.part("score");
    const OnnxValue score = config.score == ImageScore::Top1 ? describeTopMean(onnx, scored, std::max<int64_t>(1, pixels / 100))
                                                   : onnx.reduce("ReduceMax", scored, {2, 3});
    onnx.output("map", map);
    onnx.output("score", onnx.reshape(score, {1, 1}));
    onnx.note("agpnet.version", AGPNET_VERSION);
    onnx.note("agpnet.threshold", fmt::format("{}", file.scores.threshold.value));
    onnx.note("agpnet.pixel_threshold", fmt::format("{}", file.scores.pixelThreshold.value));
    for (const ProductScores& product : file.products)
    {
        onnx.note("agpnet.threshold." + product.name, fmt::format("{}", product.scores.threshold.value));
        onnx.note("agpnet.pixel_threshold." + product.name, fmt::format("{}", product.scores.pixelThreshold.value));
    }
    onnx.write(onnxPath);
}

} // namespace agpnet
