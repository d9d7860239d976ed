#include "common/error.h"
#include "operators/inference.h"
#include "operators/operator_list.h"
#include "operators/preprocess.h"
#include "operators/view_tensor.h"

#include <ATen/ATen.h>

namespace agpnet
{
namespace
{

class Detect final : public Operator
{
public:
    explicit Detect(const Attributes& attributes)
        : model_(attributes.text("model")), precision_(attributes.text("precision")), sensitivity_(attributes.real("sensitivity"))
    {
    }

    std::vector<Shape> outputShapes(const std::vector<Shape>& inputs) const override
    {
        requireInputs("Detect", inputs, 1);
        const Shape& image = inputs[0];
        require(image[1] == 3, "Detect: image has shape {}, expected [N, 3, H, W]", toText(image));
        return {{image[0], 1, image[2], image[3]}, {image[0], 1}, {image[0], 1, image[2], image[3]}};
    }

    void run(const std::vector<stages::View>& in, const std::vector<stages::View>& out, const stages::Device& device) override
    {
        requireHost("Detect", device);
        if (!inference_)
            inference_ = sharedInference(model_, precision_);
        const at::Tensor images = tensorOf(in[0]);
        checkBlob(images, "Detect: image");
        const Inference::Scored result = inference_->run(resized(images, inference_->inputSize()));
        const at::Tensor maps = resized(result.maps, cv::Size(static_cast<int>(images.size(3)), static_cast<int>(images.size(2))));
        tensorOf(out[0]).copy_(maps);
        if (out.size() > 1)
            tensorOf(out[1]).copy_(result.scores.view({-1, 1, 1, 1}));
        if (out.size() > 2)
            tensorOf(out[2]).copy_(maps.gt(inference_->scores().pixelThreshold / sensitivity_));
    }

private:
    std::string model_, precision_;
    double sensitivity_;
    std::shared_ptr<const Inference> inference_;
};

} // namespace

OperatorEntry detectOperator()
{
    OperatorSchema schema{"Detect",
                          "Anomaly map and image score of images by a trained model; the whole path in one operator.",
                          {{"image", "[N,3,H,W]", "RGB, 0 to 1, as blobFromImage(image, 1/255., size, Scalar(), true) makes; resized to the model", false}},
                          {{"map", "[N,1,H,W]", "anomaly map at the image's size, 0 upward", false},
                           {"score", "[N,1]", "image score, taken at the model's input size", false},
                           {"mask", "[N,1,H,W]", "1 where the map exceeds the model's pixel threshold divided by sensitivity, else 0", true}},
                          {requiredText("model", "path of a .agp file"),
                           realAttribute("sensitivity", "divides the thresholds", 1, 1e-6, 1e6),
                           textAttribute("precision", "auto takes bf16 where the CPU has it and the model was found accurate in it", "auto",
                                         {"auto", "fp32", "bf16"})}};
    return {std::move(schema), [](const Attributes& attributes) -> std::unique_ptr<Operator> { return std::make_unique<Detect>(attributes); }};
}

} // namespace agpnet
