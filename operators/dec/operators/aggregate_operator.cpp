#include "common/error.h"
#include "operators/core/view_tensor.h"
#include "operators/dec/inference.h"
#include "operators/dec/operators/operators.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <optional>

namespace agpnet::dec
{
namespace
{

class Aggregate final : public Operator
{
public:
    explicit Aggregate(const Attributes& attributes) : model_(attributes.text("model")), ring_(attributes.text("order") == "ring") {}

    std::vector<Shape> outputShapes(const std::vector<Shape>& inputs) const override
    {
        requireInputs("Aggregate", inputs, 1);
        const int width = widthOf(model_, *sharedHeader(model_));
        require(inputs[0][1] == width && inputs[0][2] == 1 && inputs[0][3] == 1,
                "Aggregate: embeddings have shape {}, expected [M, {}, 1, 1] for this model", toText(inputs[0]), width);
        return {{1, width}};
    }

    void run(const std::vector<stages::View>& in, const std::vector<stages::View>& out, const stages::Device& device) override
    {
        if (!space_)
            space_ = readModel(model_).space; // without its backbone
        const c10::InferenceMode mode;
        const at::Device given = torchDeviceOf("Aggregate", device);
        const at::Tensor embeddings = tensorOf(in[0], given).flatten(1).to(at::kCPU);
        require(at::isfinite(embeddings).all().item<bool>(), "Aggregate: embeddings hold values that are not finite");
        tensorOf(out[0], given).copy_(space_->describe(embeddings, ring_).view({1, -1, 1, 1}));
    }

private:
    std::string model_;
    bool ring_;
    std::optional<Space> space_;
};

} // namespace

OperatorEntry aggregateOperator()
{
    OperatorSchema schema{
        "Aggregate",
        "Computes the descriptor of an object from the embeddings of its views: Describe without the backbone, for embeddings that come "
        "one "
        "by one or from another engine.",
        {{"embeddings", "[M,D,1,1]", "one for each view, as Describer::embed() or the exported ONNX model gives them", false}},
        {{"descriptor", "[1,D]", "of unit length", false}},
        {requiredText("model", "path of a .agp file of the method dec"), orderAttribute()}};
    return {std::move(schema),
            [](const Attributes& attributes) -> std::unique_ptr<Operator> { return std::make_unique<Aggregate>(attributes); }};
}

} // namespace agpnet::dec
