#include "common/error.h"
#include "models/device/device.h"
#include "operators/core/view_tensor.h"
#include "operators/dec/inference.h"
#include "operators/dec/operators/operators.h"
#include "operators/image/preprocess.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

namespace agpnet::dec
{
namespace
{

class Describe final : public Operator
{
public:
    explicit Describe(const Attributes& attributes)
        : model_(attributes.text("model")), precision_(attributes.text("precision")), device_(attributes.text("device")),
          ring_(attributes.text("order") == "ring")
    {
    }

    std::vector<Shape> outputShapes(const std::vector<Shape>& inputs) const override
    {
        requireInputs("Describe", inputs, 1);
        require(inputs[0][1] == 3, "Describe: views have shape {}, expected [M, 3, H, W]", toText(inputs[0]));
        return {{1, widthOf(model_, *sharedHeader(model_))}};
    }

    void run(const std::vector<stages::View>& in, const std::vector<stages::View>& out, const stages::Device& device) override
    {
        const at::Device given = torchDeviceOf("Describe", device), where = device_.empty() ? given : deviceNamed(device_);
        if (!inference_ || inference_->network().device() != where)
            inference_ = sharedInference(model_, precision_, where);
        const c10::InferenceMode mode;
        const at::Tensor views = tensorOf(in[0], given);
        if (given.is_cpu()) // elsewhere it would have to be waited for
            checkBlob(views, "Describe: views");
        std::vector<Frame> frames;
        for (const at::Tensor& view : views.split(1))
            frames.emplace_back(view);
        const at::Tensor descriptor = inference_->network().space().describe(inference_->embed(frames), ring_);
        tensorOf(out[0], given).copy_(descriptor.view({1, -1, 1, 1}));
    }

private:
    std::string model_, precision_, device_;
    bool ring_;
    std::shared_ptr<const Inference> inference_;
};

} // namespace

OperatorEntry describeOperator()
{
    OperatorSchema schema{
        "Describe",
        "Computes one descriptor of all views of one object with a trained model of the method dec. Equal things have descriptors that "
        "point "
        "in nearly the same direction.",
        {{"views", "[M,3,H,W]",
          "views of one object: RGB, 0 to 1, as blobFromImages(views, 1/255., size, Scalar(), true) makes them from 8 bits; resized to the "
          "model's input",
          false}},
        {{"descriptor", "[1,D]", "of unit length", false}},
        {requiredText("model", "path of a .agp file of the method dec"), orderAttribute(),
         textAttribute("precision", "auto: fp32 on a CPU, bf16 on a CUDA device", "auto", {"auto", "fp32", "bf16"}), deviceAttribute()}};
    return {std::move(schema),
            [](const Attributes& attributes) -> std::unique_ptr<Operator> { return std::make_unique<Describe>(attributes); }};
}

} // namespace agpnet::dec
