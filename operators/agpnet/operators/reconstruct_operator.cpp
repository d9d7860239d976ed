#include "common/error.h"
#include "models/device/device.h"
#include "operators/agpnet/inspection/inference.h"
#include "operators/agpnet/operators/operators.h"
#include "operators/image/preprocess.h"
#include "operators/core/view_tensor.h"

namespace agpnet
{

namespace
{

class Reconstruct final : public Operator
{
public:
    explicit Reconstruct(const Attributes& attributes)
        : model_(attributes.text("model")), precision_(attributes.text("precision")), device_(attributes.text("device"))
    {
    }

    std::vector<Shape> outputShapes(const std::vector<Shape>& inputs) const override
    {
        requireInputs("Reconstruct", inputs, 1);
        require(inputs[0][1] == 3 || inputs[0][1] == 6,
                "Reconstruct: image has shape {}, expected [N, 3, H, W], or 6 channels with geometry", toText(inputs[0]));
        const auto header = sharedHeader(model_);
        const DecoderShape shape =
            decoderShape(header->at("config").get<Config>(), header->at("backbone").at("config").get<BackboneConfig>());
        const Shape features = {inputs[0][0], shape.channels, shape.rows, shape.columns};
        return {features, features};
    }

    void run(const std::vector<stages::View>& in, const std::vector<stages::View>& out, const stages::Device& device) override
    {
        const at::Device given = torchDeviceOf("Reconstruct", device), where = device_.empty() ? given : deviceNamed(device_);
        if (!inference_ || inference_->net().device() != where)
            inference_ = sharedInference(model_, precision_, where);
        const at::Tensor images = tensorOf(in[0], given);
        if (given.is_cpu()) // elsewhere it would have to be waited for
            checkBlob(images, "Reconstruct: image");
        const Reconstruction result = inference_->net().reconstruct(resized(images, inference_->inputSize()).to(where));
        tensorOf(out[0], given).copy_(result.clean);
        tensorOf(out[1], given).copy_(result.reconstructed);
    }

private:
    std::string model_, precision_, device_;
    std::shared_ptr<const Inference> inference_;
};

} // namespace

OperatorEntry reconstructOperator()
{
    OperatorSchema schema{
        "Reconstruct",
        "Computes the features of images, and their reconstruction by a model trained on normal images.",
        {{"image", "[N,3,H,W]",
          "RGB, 0 to 1 (6 channels if the model uses geometry), as blobFromImage(image, 1/255., size, Scalar(), true) makes it; resized to "
          "the model's input",
          false}},
        {{"features", "[N,C,h,w]",
          "F_clean, the backbone's features in the form of the model's target: standardized groups of layers, or a normalized sum", false},
         {"reconstructed", "[N,C,h,w]", "their reconstruction by the decoder", false}},
        {requiredText("model", "path of a .agp file"),
         textAttribute("precision",
                       "auto: int8 or bf16 if the device supports it, it is faster, and training found the model accurate in it", "auto",
                       {"auto", "fp32", "bf16", "int8"}),
         deviceAttribute()}};
    return {std::move(schema),
            [](const Attributes& attributes) -> std::unique_ptr<Operator> { return std::make_unique<Reconstruct>(attributes); }};
}

} // namespace agpnet
