#include "models/backbones/cnn.h"

#include "common/error.h"
#include "models/device/team.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/hardtanh.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/upsample_bilinear2d.h>

namespace agpnet
{

namespace
{

at::ScalarType typeOf(const ExtractorOptions& options)
{
    return options.compute == ComputeType::BFloat16 ? at::kBFloat16 : at::kFloat;
}

/// [N, C, h, w] → [N, C, rows, columns]
at::Tensor onGrid(const at::Tensor& x, int64_t rows, int64_t columns)
{
    if (x.size(2) == rows && x.size(3) == columns)
        return x;
    if (x.size(2) >= rows && x.size(3) >= columns)
        return at::adaptive_avg_pool2d(x, {rows, columns});
    return at::upsample_bilinear2d(x, {rows, columns}, false);
}

/// [out, in]: what onGrid() takes of each input, along one axis.
at::Tensor bilinear(int64_t in, int64_t out)
{
    return at::upsample_bilinear2d(at::eye(in).view({1, in, in, 1}), {out, 1}, false)[0].permute({1, 0, 2}).reshape({out, in});
}

} // namespace

OnnxWriter::Padding Convolution::padding(int64_t rows, int64_t columns) const
{
    const int64_t kernel = weight.size(2), around = kernel / 2;
    if (!samePadding || stride == 1) // with a stride of 1 both are the same
        return {around, around, around, around};
    const auto missing = [&](int64_t size) { return std::max<int64_t>(0, ((size + stride - 1) / stride - 1) * stride + kernel - size); };
    const int64_t below = missing(rows), beside = missing(columns);
    return {below / 2, beside / 2, below - below / 2, beside - beside / 2};
}

OnnxValue Convolution::describe(OnnxWriter& onnx, const OnnxValue& input, Activation activation) const
{
    const OnnxValue result = onnx.convolution(input, weight, bias, stride, padding(input.shape[2], input.shape[3]));
    switch (activation)
    {
    case Activation::None:
        return result;
    case Activation::Relu:
        return onnx.unary("Relu", result);
    case Activation::Relu6: // without Clip: 6 - relu(6 - relu(x))
        return onnx.add(onnx.multiply(onnx.unary("Relu", onnx.add(onnx.multiply(onnx.unary("Relu", result), -1), 6)), -1), 6);
    case Activation::Silu:
        return onnx.silu(result);
    }
    return result;
}

at::Tensor Convolution::operator()(const at::Tensor& input, Activation activation) const
{
    const int64_t groups = input.size(1) / weight.size(1);
    const auto [top, left, bottom, right] = padding(input.size(2), input.size(3));
    const bool even = top == bottom && left == right;
    const at::Tensor padded = even ? input : at::constant_pad_nd(input, {left, right, top, bottom});
    at::Tensor result = at::conv2d(padded, weight, bias, {stride, stride}, {even ? top : 0, even ? left : 0}, {1, 1}, groups);
    switch (activation)
    {
    case Activation::None:
        return result;
    case Activation::Relu:
        return at::relu_(result);
    case Activation::Relu6:
        return at::hardtanh_(result, 0, 6);
    case Activation::Silu:
        return at::silu_(result);
    }
    return result;
}

Convolution ConvolutionMaker::folded(const std::string& name, const std::string& norm, int64_t stride) const
{
    const auto vector = [&](const char* part) { return weights.at(norm + "." + part).detach().to(at::kDouble); };
    const at::Tensor variance = vector("running_var");
    require(variance.min().item<double>() >= 0, "{}.running_var: holds {}, expected no number below 0", norm,
            variance.min().item<double>());
    const at::Tensor scale = vector("weight") / (variance + eps).sqrt();
    const at::Tensor weight = weights.at(name + ".weight").detach().to(at::kDouble) * scale.view({-1, 1, 1, 1});
    const at::Tensor bias = vector("bias") - vector("running_mean") * scale;
    Convolution result;
    // channels last is what oneDNN's convolutions are fastest with, and what tokens are
    result.weight = weight.to(options.device, typeOf(options)).contiguous(at::MemoryFormat::ChannelsLast);
    result.bias = bias.to(options.device, typeOf(options)).contiguous();
    result.stride = stride;
    result.samePadding = samePadding;
    return result;
}

Convolution ConvolutionMaker::plain(const std::string& name) const
{
    Convolution result;
    // clone: never a view into a mapped file, whose pages may have to be read again
    result.weight = weights.at(name + ".weight").detach().to(options.device, typeOf(options)).clone();
    result.bias = weights.at(name + ".bias").detach().to(options.device, typeOf(options)).clone();
    return result;
}

at::Tensor takeConvolution(NamedWeights& source, StateDict& ours, const std::string& to, const std::string& from)
{
    const at::Tensor weight = source.get(from + ".weight", 4);
    require(weight.size(2) == weight.size(3) && weight.size(2) % 2 == 1, "{}{}.weight: has shape {}, expected a square, odd kernel",
            source.prefix(), from, shapeText(weight));
    return ours[to + ".weight"] = weight;
}

at::Tensor takeConvolution(NamedWeights& source, StateDict& ours, const std::string& to, const std::string& from,
                           std::initializer_list<int64_t> shape)
{
    return ours[to + ".weight"] = source.get(from + ".weight", shape);
}

void takeNorm(NamedWeights& source, StateDict& ours, const std::string& to, const std::string& from, int64_t channels)
{
    for (const char* part : {".weight", ".bias", ".running_mean", ".running_var"})
        ours[to + part] = source.get(from + part, {channels});
}

Cnn::Cnn(BackboneProperties properties, const ExtractorOptions& options)
    : Extractor(std::move(properties)), device_(options.device), type_(typeOf(options))
{
    if (device_.is_cpu())
        briefWaiting_.emplace();
}

Cnn::Output Cnn::run(const at::Tensor& image, const std::vector<int>& layers, bool attention, AttentionAggregate /*none*/) const
{
    const OpenMpThreads threads; // only LibTorch can divide a convolution
    const int64_t batch = image.size(0);
    const int64_t rows = image.size(2) / properties().stride;
    const int64_t columns = image.size(3) / properties().stride;
    Output output;
    at::Tensor x = stem(image.to(device_, type_).contiguous(at::MemoryFormat::ChannelsLast));
    size_t next = 0;
    for (int i = 0; i < layers.back(); i++)
    {
        x = stage(static_cast<size_t>(i), x);
        if (i + 1 != layers[next])
            continue;
        next++;
        const at::Tensor layer = x.to(at::kFloat);
        output.tokens.push_back(onGrid(layer, rows, columns).permute({0, 2, 3, 1}).reshape({batch, rows * columns, -1}).contiguous());
        if (attention)
        {
            const at::Tensor energy = onGrid(layer.square().mean(1, true), rows, columns).reshape({batch, rows * columns});
            const at::Tensor low = energy.amin(1, true);
            const at::Tensor seen = (energy - low) / (energy.amax(1, true) - low).clamp_min(1e-20);
            output.attention = output.attention.defined() ? output.attention + seen : seen;
        }
    }
    if (attention)
        output.attention.div_(static_cast<double>(layers.size()));
    return output;
}

std::vector<OnnxValue> Cnn::describe(OnnxWriter& onnx, const OnnxValue& image, const std::vector<int>& layers) const
{
    require(type_ == at::kFloat, "a backbone is described in float32");
    const int64_t rows = image.shape[2] / properties().stride, columns = image.shape[3] / properties().stride;
    onnx.part("backbone/stem");
    OnnxValue x = describeStem(onnx, image);
    std::vector<OnnxValue> kept;
    for (int i = 0; i < layers.back(); i++)
    {
        onnx.part(fmt::format("backbone/stage{}", i + 1));
        x = describeStage(onnx, static_cast<size_t>(i), x);
        if (i + 1 != layers[kept.size()])
            continue;
        OnnxValue grid = x;
        const int64_t h = x.shape[2], w = x.shape[3];
        if (h >= rows && w >= columns)
        {
            require(h % rows == 0 && w % columns == 0,
                    "a layer of {}x{} is no multiple of the grid of {}x{}, which averaging in ONNX needs", h, w, rows, columns);
            grid = h == rows && w == columns ? x : onnx.averagePool(x, h / rows, w / columns);
        }
        else
            grid = onnx.resized(x, bilinear(h, rows), bilinear(w, columns));
        kept.push_back(onnx.transpose(onnx.reshape(grid, {1, x.shape[1], rows * columns}), {0, 2, 1}));
    }
    return kept;
}

} // namespace agpnet
