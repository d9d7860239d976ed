#include "common/error.h"
#include "operators/stages/operators.h"

namespace agpnet
{
namespace
{

class Residual final : public Operator
{
public:
    explicit Residual(const Attributes& attributes)
        : metric_(stages::metricOf(attributes.text("metric")))
    {
    }

    std::vector<Shape> outputShapes(const std::vector<Shape>& inputs) const override
    {
        requireInputs("Residual", inputs, 2);
        require(inputs[0] == inputs[1], "Residual: features have shape {}, their reconstruction {}, expected the same", toText(inputs[0]),
                toText(inputs[1]));
        return {{inputs[0][0], 1, inputs[0][2], inputs[0][3]}};
    }

    void run(const std::vector<stages::View>& in, const std::vector<stages::View>& out, const stages::Device& device) override
    {
        stages::residual(device, in[0], in[1], metric_, out[0]);
    }

private:
    stages::Metric metric_;
};

} // namespace

OperatorEntry residualOperator()
{
    OperatorSchema schema{
        "Residual",
        "Computes the distance between features and their reconstruction at each location: the Euclidean distance over channels (l2), this "
        "distance divided by the square root of the features' norm (scaled), or 1 - cosine similarity (cosine).",
        {{"features", "[N,C,h,w]", "F", false}, {"reconstructed", "[N,C,h,w]", "their reconstruction", false}},
        {{"residual", "[N,1,h,w]", "distance; 0 where both are equal", false}},
        {textAttribute("metric", "kind of distance", stages::nameOf(stages::Metric::L2), stages::metricNames())}};
    return {std::move(schema),
            [](const Attributes& attributes) -> std::unique_ptr<Operator> { return std::make_unique<Residual>(attributes); }};
}

} // namespace agpnet
