#include "common/error.h"
#include "models/device/device.h"
#include "models/device/team.h"
#include "operators/agpnet/inspection/decision.h"
#include "operators/agpnet/operators/operators.h"
#include "operators/core/view_tensor.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

namespace agpnet
{
namespace
{

class Detect final : public Operator
{
public:
    explicit Detect(const Attributes& attributes)
        : model_(attributes.text("model")), precision_(attributes.text("precision")),
          thresholds_{attributes.text("product"), attributes.real("sensitivity"), attributes.real("threshold"),
                      attributes.real("pixel_threshold")},
          tile_(static_cast<int>(attributes.integer("tile"))), overlap_(attributes.real("tile_overlap")),
          threads_(static_cast<int>(attributes.integer("threads"))), device_(attributes.text("device")),
          polygons_(parsedPolygons(attributes.text("roi")))
    {
        require(tile_ <= 0 || tile_ >= leastTile, "Detect: attribute 'tile' is {}, expected -1 (as the model), 0 (off) or at least {}",
                tile_, leastTile);
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
        require(image[1] == 3 || image[1] == 6, "Detect: image has shape {}, expected [N, 3, H, W], or 6 channels with geometry",
                toText(image));
        return {{image[0], 1, image[2], image[3]}, {image[0], 1}, {image[0], 1, image[2], image[3]}, {image[0], 1}};
    }

    void run(const std::vector<stages::View>& in, const std::vector<stages::View>& out, const stages::Device& device) override
    {
        const c10::InferenceMode inference;
        const Team::Scope scope(threads_);
        const at::Device given = torchDeviceOf("Detect", device), where = device_.empty() ? given : deviceNamed(device_);
        if (!inference_ || inference_->net().device() != where)
        {
            inference_ = sharedInference(model_, precision_, where);
            limits_ = limitsOn(where);
        }
        const at::Tensor images = tensorOf(in[0], given);
        if (given.is_cpu()) // elsewhere it would have to be waited for
            checkBlob(images, "Detect: image");
        const cv::Size size(static_cast<int>(images.size(3)), static_cast<int>(images.size(2)));
        const Inspection inspection = inspectionFor(size);
        require(given.is_cpu() || inspection.isWhole(size),
                "Detect: tiles and regions of interest take images in host memory, found images on {}", given.str());
        give(inspection.isWhole(size) ? predictWhole(images, size) : predictEach(images, size, inspection), out, given);
    }

private:
    static constexpr int leastTile = 32;

    /// Predicts all images, on the model's device or, with tiles or a region, on the host.
    struct Batch
    {
        at::Tensor maps;   ///< [N, 1, H, W] at the images' size
        at::Tensor scores; ///< [N, 1, 1, 1]
        at::Tensor products; ///< [N]
    };

    /// With images where the model is, nothing passes through the host, and nothing waits.
    Batch predictWhole(const at::Tensor& images, cv::Size size) const
    {
        const Reconstruction reconstruction =
            inference_->net().reconstruct(resized(images, inference_->inputSize()).to(inference_->net().device()));
        const AnomalyMaps found = anomalyMaps(inference_->config(), reconstruction);
        return {resized(found.maps, size), found.scores.view({-1, 1, 1, 1}), reconstruction.product};
    }

    Batch predictEach(const at::Tensor& images, cv::Size size, const Inspection& inspection) const
    {
        std::vector<Frame> frames;
        for (const at::Tensor& image : images.split(1))
            frames.emplace_back(image);
        Batch batch{at::empty({images.size(0), 1, size.height, size.width}), at::empty({images.size(0), 1, 1, 1}),
                    at::empty({images.size(0)}, at::kLong)};
        int64_t n = 0;
        for (const Prediction& prediction : inference_->predict(frames, inspection))
        {
            cv::Mat map = mapAt(onHost(prediction.map), size, inspection.region);
            batch.maps[n].copy_(at::from_blob(map.data, {1, size.height, size.width}, at::kFloat));
            batch.scores[n].fill_(prediction.evidence.score);
            batch.products[n++].fill_(prediction.evidence.product);
        }
        return batch;
    }

    /// limitsOf() each product that an image may be found to be of: [products], float32.
    struct LimitsOfProducts
    {
        at::Tensor threshold, pixelThreshold, steepness;
    };

    LimitsOfProducts limitsOn(at::Device where) const
    {
        std::vector<float> threshold, pixelThreshold, steepness;
        for (int64_t product = 0; product < inference_->net().products(); product++)
        {
            const Limits limits = limitsOf(*inference_, thresholds_, product);
            threshold.push_back(static_cast<float>(limits.threshold));
            pixelThreshold.push_back(static_cast<float>(limits.pixelThreshold));
            steepness.push_back(static_cast<float>(limits.steepness));
        }
        return {at::tensor(threshold).to(where), at::tensor(pixelThreshold).to(where), at::tensor(steepness).to(where)};
    }

    void give(const Batch& batch, const std::vector<stages::View>& out, at::Device given) const
    {
        const auto limit = [&](const at::Tensor& ofProducts) {
            return ofProducts.to(batch.maps.device()).index_select(0, batch.products).view({-1, 1, 1, 1});
        };
        tensorOf(out[0], given).copy_(batch.maps);
        if (out.size() > 1)
            tensorOf(out[1], given).copy_(batch.scores);
        if (out.size() > 2)
            tensorOf(out[2], given).copy_(batch.maps.gt(limit(limits_.pixelThreshold)));
        if (out.size() > 3)
            tensorOf(out[3], given).copy_(calibrated(batch.scores, limit(limits_.threshold), limit(limits_.steepness)));
    }

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

    std::string model_, precision_;
    ThresholdOptions thresholds_;
    int tile_;
    double overlap_;
    int threads_;
    std::string device_;
    std::vector<std::vector<cv::Point2f>> polygons_;
    bool inPixels_ = false;
    std::shared_ptr<const Inference> inference_;
    LimitsOfProducts limits_; ///< as the attributes and inference_ say
};

} // namespace

OperatorEntry detectOperator()
{
    OperatorSchema schema{
        "Detect",
        "Computes anomaly map and score of images with a trained model: the whole inspection in one operator.",
        {{"image", "[N,3,H,W]",
          "RGB, 0 to 1 (6 channels if the model uses geometry), as blobFromImage(image, 1/255., size, Scalar(), true) makes it from 8 bits "
          "(for 12 bits, divide by 4095). The image, or each of its tiles, is resized to the model's input",
          false}},
        {{"map", "[N,1,H,W]", "anomaly map at the image's size, >= 0", false},
         {"score", "[N,1]", "image score, computed at the model's input size or at the scale of its tiles", false},
         {"mask", "[N,1,H,W]", "1 where the map exceeds the pixel threshold divided by sensitivity, else 0", true},
         {"calibrated", "[N,1]", "the score on a scale of 0 to 1; 0.5 is the threshold divided by sensitivity", true}},
        {requiredText("model", "path of a .agp file"), realAttribute("sensitivity", "divides the thresholds", 1, 1e-6, 1e6),
         realAttribute("threshold", "threshold of the image score, which is 0.5 in calibrated; 0: the model's own", 0, 0, 1e12),
         realAttribute("pixel_threshold", "threshold of the map, which gives the mask; 0: the model's own", 0, 0, 1e12),
         integerAttribute(
             "tile", "side in pixels of the square tiles that cover the image; 0: the whole image is resized; -1: as the model was trained",
             -1, -1, 16384),
         realAttribute("tile_overlap", "minimum overlap of neighbouring tiles, as a fraction of a tile; -1: as the model was trained", -1,
                       -1, 0.9),
         textAttribute(
             "roi", "region of interest: points x,y separated by blanks, polygons by semicolons; fractions of the image's sides, or pixels "
                    "if one is above 1; empty: as the model was trained"),
         textAttribute("product", "product of the model whose thresholds are used; empty: the product that each image resembles"),
         textAttribute("precision",
                       "auto: int8 or bf16 if the device supports it, it is faster, and training found the model accurate in it", "auto",
                       {"auto", "fp32", "bf16", "int8"}),
         integerAttribute("threads", "number of threads on the CPU; 0: one for each core, unless OMP_NUM_THREADS limits them", 0, 0,
                          Team::most),
         deviceAttribute()}};
    return {std::move(schema),
            [](const Attributes& attributes) -> std::unique_ptr<Operator> { return std::make_unique<Detect>(attributes); }};
}

} // namespace agpnet
