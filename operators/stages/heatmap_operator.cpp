#include "common/error.h"
#include "operators/stages/operators.h"

namespace agpnet
{
namespace
{

class Heatmap final : public Operator
{
public:
    explicit Heatmap(const Attributes& attributes)
        : height_(static_cast<int>(attributes.integer("height"))), width_(static_cast<int>(attributes.integer("width"))),
          sigma_(attributes.real("sigma")), top1_(attributes.text("score") == "top1")
    {
    }

    std::vector<Shape> outputShapes(const std::vector<Shape>& inputs) const override
    {
        requireInputs("Heatmap", inputs, 1);
        require(inputs[0][1] == 1, "Heatmap: the residual has shape {}, expected one channel", toText(inputs[0]));
        return {{inputs[0][0], 1, height_, width_}, {inputs[0][0], 1}};
    }

    void run(const std::vector<stages::View>& in, const std::vector<stages::View>& out, const stages::Device& device) override
    {
        // the stage gives both scores; the other one has nowhere to go
        std::vector<float> other(static_cast<size_t>(in[0].size[0]));
        const stages::View unused{other.data(), 0, {in[0].size[0], 1, 1, 1}, {1, 1, 1, 1}};
        stages::heatmap(device, in[0], sigma_, out[0], top1_ ? unused : out[1], top1_ ? out[1] : unused);
    }

private:
    int height_, width_;
    double sigma_;
    bool top1_;
};

} // namespace

OperatorEntry heatmapOperator()
{
    OperatorSchema schema{
        "Heatmap",
        "Computes the anomaly map and the image score from a residual: bilinear upsampling with half-pixel centres, a Gaussian filter "
        "(radius 4 sigma, edge pixels repeated), then the maximum of the map or the mean of its highest 1 % of pixels.",
        {{"residual", "[N,1,h,w]", "distance at each location", false}},
        {{"map", "[N,1,H,W]", "anomaly map", false}, {"score", "[N,1]", "image score", false}},
        {integerAttribute("height", "height of the map in pixels", 252, 1, 16384),
         integerAttribute("width", "width of the map in pixels", 252, 1, 16384),
         realAttribute("sigma", "sigma of the Gaussian filter, in pixels of the map; 0: no filter", 4, 0, 256),
         textAttribute("score", "max: maximum of the map; top1: mean of its highest 1 %", "max", {"max", "top1"})}};
    return {std::move(schema),
            [](const Attributes& attributes) -> std::unique_ptr<Operator> { return std::make_unique<Heatmap>(attributes); }};
}

} // namespace agpnet
