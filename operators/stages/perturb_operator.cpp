#include "common/error.h"
#include "operators/stages/operators.h"

namespace agpnet
{
namespace
{

class Perturb final : public Operator
{
public:
    explicit Perturb(const Attributes& attributes)
    {
        params_.level = attributes.text("level") == "image" ? stages::Level::Image : stages::Level::Feature;
        params_.alpha = static_cast<float>(attributes.real("alpha"));
        params_.beta = static_cast<float>(attributes.real("beta"));
        params_.ratio = attributes.real("ratio");
        params_.seed = static_cast<uint64_t>(attributes.integer("seed"));
        params_.step = static_cast<uint32_t>(attributes.integer("step"));
    }

    std::vector<Shape> outputShapes(const std::vector<Shape>& inputs) const override
    {
        requireInputs("Perturb", inputs, 2);
        require(inputs[1][0] == inputs[0][0] && inputs[1][1] == 1,
                "Perturb: attention has shape {}, expected [{}, 1, h, w] for x of shape {}", toText(inputs[1]), inputs[0][0],
                toText(inputs[0]));
        return {inputs[0]};
    }

    void run(const std::vector<stages::View>& in, const std::vector<stages::View>& out, const stages::Device& device) override
    {
        stages::perturb(device, in[0], in[1], params_, out[0]);
    }

private:
    stages::PerturbParams params_;
};

} // namespace

OperatorEntry perturbOperator()
{
    OperatorSchema schema{
        "Perturb",
        "Adds attention-weighted Gaussian noise: out = x + E (alpha minmax(attention) + beta), E standard normal. One seed and step "
        "give the same noise on every device.",
        {{"x", "[N,C,H,W]", "features or images", false},
         {"attention", "[N,1,h,w]",
          "strength of the additional noise; each image is scaled to 0..1, each pixel takes the value of its grid cell", false}},
        {{"out", "[N,C,H,W]", "x with noise", false}},
        {textAttribute("level", "image: only the fraction of grid cells with the most attention gets noise; feature: all cells", "feature",
                       {"feature", "image"}),
         realAttribute("alpha", "strength of the noise that the attention adds, reached at its maximum, in units of x", 1, 0, 1e6),
         realAttribute("beta", "strength of the noise everywhere, in units of x", 0.1, 0, 1e6),
         realAttribute("ratio", "level image: the fraction of grid cells that gets noise", 1, 0, 1),
         integerAttribute("seed", "seed of the noise", 0, 0, 9.2e18),
         integerAttribute("step", "training step; each step has different noise", 0, 0, 4294967295.0)}};
    return {std::move(schema),
            [](const Attributes& attributes) -> std::unique_ptr<Operator> { return std::make_unique<Perturb>(attributes); }};
}

} // namespace agpnet
