// The describer in standard ONNX operators: one view to its embedding, and to the descriptor of an object of which there is no other view.
#include "operators/dec/export/onnx_model.h"

#include "common/error.h"
#include "models/backbones/onnx_normalised.h"
#include "models/dec/file.h"

#include <ATen/ATen.h>

namespace agpnet::dec
{
namespace
{

OnnxValue describeWhitening(OnnxWriter& onnx, const Whitening& whitening, const OnnxValue& embedding)
{
    if (!whitening.mean.defined())
        return embedding;
    onnx.part("whitening");
    const OnnxValue centred = onnx.addConstant(embedding, -whitening.mean);
    return whitening.matrix.defined() ? onnx.product(centred, whitening.matrix) : centred;
}

/// Three layers.
OnnxValue describeMlp(OnnxWriter& onnx, const std::map<std::string, at::Tensor>& learned, const OnnxValue& mean)
{
    OnnxValue x = mean;
    for (const char* layer : {"layer1", "layer2", "layer3"})
    {
        if (x.name != mean.name)
            x = onnx.unary("Relu", x);
        x = onnx.linear(x, learned.at(std::string(layer) + ".weight"), learned.at(std::string(layer) + ".bias"));
    }
    return x;
}

/// Of one view, the chunk is that view three times, and nothing is left to be pooled: a block is one layer. Its norm goes into it.
OnnxValue describeCam(OnnxWriter& onnx, const std::map<std::string, at::Tensor>& learned, const OnnxValue& view)
{
    constexpr double eps = 1e-5; // of the adapter's norms
    OnnxValue x = view;
    for (const std::string block : {"block1.", "block2."})
    {
        const at::Tensor scale = learned.at(block + "norm.weight") * (learned.at(block + "norm.variance") + eps).rsqrt();
        const at::Tensor taps = learned.at(block + "weight"); // [D, 3 D]
        const at::Tensor once = taps.view({taps.size(0), -1, taps.size(0)}).sum(1);
        x = onnx.unary(
            "Relu", onnx.linear(x, once * scale.unsqueeze(1),
                                (learned.at(block + "bias") - learned.at(block + "norm.mean")) * scale + learned.at(block + "norm.bias")));
    }
    return x;
}

/// What is linear with an offset, by what it makes of zero and of unit vectors.
OnnxValue describeLinear(OnnxWriter& onnx, const Adapter& adapter, const OnnxValue& view)
{
    const at::Tensor offset = adapter.ofMeans(at::zeros({1, adapter.width()}));
    const at::Tensor rows = adapter.ofMeans(at::eye(adapter.width())) - offset;
    return onnx.linear(view, rows.t(), offset[0]);
}

/// view: [1, D], white.
OnnxValue describeAdapter(OnnxWriter& onnx, const Adapter& adapter, const OnnxValue& view)
{
    onnx.part("adapter");
    std::map<std::string, at::Tensor> learned;
    for (const auto& [name, tensor] : adapter.state())
        learned.emplace(name, tensor.detach());
    switch (adapter.kind())
    {
    case AdapterKind::Mean:
        return view;
    case AdapterKind::Mlp:
        return describeMlp(onnx, learned, view);
    case AdapterKind::Cam:
        return onnx.add(onnx.multiply(view, adapter.lambda()),
                        onnx.multiply(describeCam(onnx, learned, view), 1 - adapter.lambda()));
    case AdapterKind::CamFromMean:
        return describeLinear(onnx, adapter, view);
    }
    return view;
}

} // namespace

void writeDescriberOnnx(const std::string& onnxPath, const std::string& model, const std::string& precision)
{
    require(precision == "fp32", "precision is '{}', expected fp32 for a model of the method '{}'", precision, method);
    const ModelFile file = readModel(model);
    const auto extractor =
        makeExtractor(file.backbone.config, file.backbone.weights, {.compute = ComputeType::Float32, .prepack = false});
    OnnxWriter onnx;
    const OnnxValue image = onnx.input("image", {1, 3, file.config.height, file.config.width});
    const OnnxValue embedding =
        extractor->describeEmbedding(onnx, describeNormalised(onnx, file.backbone.config, image), file.config.embedding);
    const OnnxValue row =
        describeAdapter(onnx, file.space.adapter, describeWhitening(onnx, file.space.whitening, embedding));
    onnx.part("descriptor");
    const OnnxValue length = onnx.add(onnx.reduce("ReduceL2", row, {1}), 1e-12);
    // of the row's own shape: OpenCV's importer does not spread one value over every row of one
    const OnnxValue lengths = onnx.product(length, at::ones({1, file.space.adapter.width()}));
    onnx.output("embedding", embedding);
    onnx.output("descriptor", onnx.divide(row, lengths));
    onnx.note("agpnet.version", AGPNET_VERSION);
    onnx.note("agpnet.space", file.digest());
    onnx.write(onnxPath);
}

} // namespace agpnet::dec
