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
        : model_(attributes.text("model")), precision_(attributes.text("precision")), product_(attributes.text("product")),
          sensitivity_(attributes.real("sensitivity")), tile_(static_cast<int>(attributes.integer("tile"))),
          overlap_(attributes.real("tile_overlap")), polygons_(parsedPolygons(attributes.text("roi")))
    {
        require(tile_ <= 0 || tile_ >= leastTile, "Detect: attribute 'tile' is {}, expected -1 (as the model), 0 (off) or at least {}", tile_, leastTile);
        for (const auto& polygon : polygons_)
            for (const cv::Point2f& point : polygon)
                inPixels_ |= point.x > 1 || point.y > 1;
        if (!inPixels_)
            sharesOf(polygons_, {}); // refuses early what can be refused without an image
    }

    std::vector<Shape> outputShapes(const std::vector<Shape>& inputs) const override
    {
        requireInputs("Detect", inputs, 1);
        const Shape& image = inputs[0];
        require(image[1] == 3 || image[1] == 6, "Detect: image has shape {}, expected [N, 3, H, W], or 6 channels with geometry", toText(image));
        return {{image[0], 1, image[2], image[3]}, {image[0], 1}, {image[0], 1, image[2], image[3]}};
    }

    void run(const std::vector<stages::View>& in, const std::vector<stages::View>& out, const stages::Device& device) override
    {
        requireHost("Detect", device);
        if (!inference_)
            inference_ = sharedInference(model_, precision_);
        const at::Tensor images = tensorOf(in[0]);
        checkBlob(images, "Detect: image");
        const double pixelThreshold = inference_->scores(product_).pixelThreshold / sensitivity_;
        const cv::Size size(static_cast<int>(images.size(3)), static_cast<int>(images.size(2)));
        const Inspection inspection = inspectionFor(size);
        std::vector<Frame> frames;
        for (const at::Tensor& image : images.split(1))
            frames.emplace_back(image);
        const std::vector<Inspected> found = inference_->inspect(frames, inspection);
        for (size_t i = 0; i < found.size(); i++)
        {
            const auto n = static_cast<int64_t>(i);
            cv::Mat map = mapAt(found[i].map, size, inspection.region);
            const at::Tensor tensor = at::from_blob(map.data, {1, size.height, size.width}, at::kFloat);
            tensorOf(out[0])[n].copy_(tensor);
            if (out.size() > 1)
                tensorOf(out[1])[n].fill_(found[i].score);
            if (out.size() > 2)
                tensorOf(out[2])[n].copy_(tensor.gt(pixelThreshold));
        }
    }

private:
    static constexpr int leastTile = 32;

    /// The attributes over what the model was trained with.
    Inspection inspectionFor(cv::Size image) const
    {
        Inspection inspection = inspectionOf(inference_->config());
        if (tile_ >= 0)
            inspection.tiling.side = tile_;
        if (overlap_ >= 0)
            inspection.tiling.overlap = overlap_;
        if (!polygons_.empty())
            inspection.region = {sharesOf(polygons_, inPixels_ ? image : cv::Size()), {}};
        return inspection;
    }

    std::string model_, precision_, product_;
    double sensitivity_;
    int tile_;
    double overlap_;
    std::vector<std::vector<cv::Point2f>> polygons_;
    bool inPixels_ = false;
    std::shared_ptr<const Inference> inference_;
};

} // namespace

OperatorEntry detectOperator()
{
    OperatorSchema schema{"Detect",
                          "Anomaly map and image score of images by a trained model; the whole path in one operator.",
                          {{"image", "[N,3,H,W]", "RGB, 0 to 1 (6 channels where the model takes geometry too), as blobFromImage(image, 1/255., size, Scalar(), true) makes; resized to the model, or cut into tiles that are", false}},
                          {{"map", "[N,1,H,W]", "anomaly map at the image's size, 0 upward", false},
                           {"score", "[N,1]", "image score, taken at the model's input size or at the scale of its tiles", false},
                           {"mask", "[N,1,H,W]", "1 where the map exceeds the model's pixel threshold divided by sensitivity, else 0", true}},
                          {requiredText("model", "path of a .agp file"),
                           realAttribute("sensitivity", "divides the thresholds", 1, 1e-6, 1e6),
                           integerAttribute("tile", "side in pixels of the square tiles that cover the image; 0: the whole image is resized; -1: as the model was trained", -1, -1, 16384),
                           realAttribute("tile_overlap", "least share of a tile in common with the next; -1: as the model was trained", -1, -1, 0.9),
                           textAttribute("roi", "region of interest: points x,y separated by blanks, polygons by semicolons; shares of the image's sides, or pixels "
                                                "if one is above 1; empty: as the model was trained"),
                           textAttribute("product", "one of the model's products: its pixel threshold makes the mask; empty: that of all together"),
                           textAttribute("precision", "auto takes bf16 where the CPU has it and the model was found accurate in it", "auto",
                                         {"auto", "fp32", "bf16"})}};
    return {std::move(schema), [](const Attributes& attributes) -> std::unique_ptr<Operator> { return std::make_unique<Detect>(attributes); }};
}

} // namespace agpnet
