#include "agpnet/anomaly_trainer.hpp"
#include "common/error.h"
#include "models/device/device.h"
#include "operators/agpnet/operators/operators.h"
#include "operators/agpnet/trainer.h"
#include "operators/core/view_tensor.h"

#include <nlohmann/json.hpp>

namespace agpnet
{
namespace
{

/// The state lives as long as the operator; it begins with the first batch, so that building a graph costs nothing.
class Train final : public Operator
{
public:
    explicit Train(const Attributes& attributes)
        : backbone_(attributes.text("backbone")), model_(attributes.text("model")), device_(attributes.text("device"))
    {
        config_ = configFromTextOrFile(attributes.text("config"));
        if (const int64_t steps = attributes.integer("steps"); steps > 0)
            config_.steps = static_cast<int>(steps);
        validate(config_);
    }

    std::vector<Shape> outputShapes(const std::vector<Shape>& inputs) const override
    {
        requireInputs("Train", inputs, 1);
        require(inputs[0][1] == 3 || inputs[0][1] == 6, "Train: images have shape {}, expected [N, 3, H, W], or 6 channels with geometry",
                toText(inputs[0]));
        return {{1, 1}};
    }

    void run(const std::vector<stages::View>& in, const std::vector<stages::View>& out, const stages::Device& device) override
    {
        const at::Device given = torchDeviceOf("Train", device);
        if (!trainer_)
            trainer_ =
                std::make_unique<TrainerImpl>(Training(config_, readBackbone(backbone_), device_.empty() ? given : deviceNamed(device_)));
        tensorOf(out[0], given).fill_(trainer_->stepTensor(tensorOf(in[0], given), "Train: images"));
        if (trainer_->getStepsDone() == trainer_->getSteps())
            trainer_->saveModel(model_, true);
    }

private:
    std::string backbone_, model_, device_;
    Config config_;
    std::unique_ptr<TrainerImpl> trainer_;
};

} // namespace

OperatorEntry trainOperator()
{
    OperatorSchema schema{
        "Train",
        "Does one optimization step on a batch of images of normal parts. The operator holds the state of the training. After the last "
        "step it writes the model, with thresholds from the last images.",
        {{"images", "[N,3,H,W]",
          "RGB, 0 to 1 (6 channels if the model uses geometry), as blobFromImages(images, 1/255., size, Scalar(), true) makes it from 8 "
          "bits (for 12 bits, divide by 4095); resized to the model's input, without tiles and augmentation",
          false}},
        {{"loss", "[1,1]", "loss of this step", false}},
        {requiredText("model", "path of the .agp file to write"),
         requiredText("backbone", "path of the frozen backbone: safetensors, or a .pth state dict"),
         textAttribute("config", "JSON text, or the path of a JSON file; absent keys have their defaults"),
         integerAttribute("steps", "total number of steps; 0: as in the config", 0, 0, 1e7), deviceAttribute()}};
    return {std::move(schema),
            [](const Attributes& attributes) -> std::unique_ptr<Operator> { return std::make_unique<Train>(attributes); }};
}

} // namespace agpnet
