#include "common/error.h"
#include "operators/stages/operators.h"

namespace agpnet
{
namespace
{

class Nearest final : public Operator
{
public:
    explicit Nearest(const Attributes& attributes) : k_(static_cast<int>(attributes.integer("k"))) {}

    std::vector<Shape> outputShapes(const std::vector<Shape>& inputs) const override
    {
        std::vector<Shape> four = inputs;
        for (Shape& shape : four)
            if (shape.size() == 2)
                shape.insert(shape.end(), {1, 1});
        requireInputs("Nearest", four, 2);
        constexpr const char* names[] = {"queries", "gallery"};
        for (size_t i = 0; i < 2; i++)
            require(four[i][2] == 1 && four[i][3] == 1, "Nearest: {} has shape {}, expected [N, C] or [N, C, 1, 1]", names[i],
                    toText(four[i]));
        require(four[0][1] == four[1][1], "Nearest: queries has shape {}, gallery {}, expected as many channels", toText(four[0]),
                toText(four[1]));
        require(k_ <= four[1][0], "Nearest: 'k' is {}, expected at most the {} rows of the gallery", k_, four[1][0]);
        return {{four[0][0], k_, 1, 1}, {four[0][0], k_, 1, 1}};
    }

    void run(const std::vector<stages::View>& in, const std::vector<stages::View>& out, const stages::Device& device) override
    {
        const stages::View& gallery = in[1];
        require(gallery.size[1] == 1 || gallery.stride[1] == 1,
                "Nearest: the values of a row of the gallery lie {} apart, expected side by side", gallery.stride[1]);
        const stages::Rows rows{gallery.data,    gallery.offset * sizeof(float), gallery.size[0],
                                gallery.size[1], stages::RowType::Float32,       gallery.stride[0]};
        stages::nearest(device, in[0], rows, {}, out[1], out[0], stages::Numbers::Float32);
    }

private:
    int k_;
};

} // namespace

OperatorEntry nearestOperator()
{
    OperatorSchema schema{
        "Nearest",
        "Finds the rows of a gallery with the largest dot products with each query, exactly. The most similar row comes first; of equally "
        "similar rows the one with the smaller number. With rows and queries of length 1 the dot product is the cosine similarity.",
        {{"queries", "[Q,D] or [Q,D,1,1]", "descriptors to search for", false},
         {"gallery", "[K,D] or [K,D,1,1]", "descriptors to search in, at most 2^24", false}},
        {{"indices", "[Q,k,1,1]", "numbers of the rows, from 0, as float32", false}, {"similarities", "[Q,k,1,1]", "dot products", false}},
        {integerAttribute("k", "how many rows to find for each query; at most K", 1, 1, stages::mostNearest)}};
    return {std::move(schema),
            [](const Attributes& attributes) -> std::unique_ptr<Operator> { return std::make_unique<Nearest>(attributes); }};
}

} // namespace agpnet
