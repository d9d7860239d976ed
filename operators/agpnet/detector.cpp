#include "operators/agpnet/detector.h"

#include "common/error.h"
#include "models/device/device.h"
#include "models/device/team.h"
#include "operators/core/forked.h"
#include "operators/core/opencl_device.h"
#include "operators/core/opencv_exceptions.h"
#include "operators/image/cuda_image.h"

#include <algorithm>
#include <c10/core/InferenceMode.h>

namespace agpnet
{

DetectorImpl::DetectorImpl(std::shared_ptr<const Inference> inference, std::string header, const DetectOptions& options)
    : inference_(std::move(inference)), header_(std::move(header))
{
    DetectorImpl::setOptions(options);
}

std::vector<AnomalyResult> DetectorImpl::inspect(const Call& call, const Sink& maps, const Sink& masks) const
{
    const c10::InferenceMode inference;
    const at::Device device = inference_->net().device();
    const std::vector<Prediction> predictions = inference_->predict(call.frames, call.inspection, call.place);
    maps.makeRoom(predictions.size());
    masks.makeRoom(predictions.size());
    std::vector<AnomalyResult> results;
    for (size_t i = 0; i < predictions.size(); i++)
    {
        AnomalyResult& result = results.emplace_back(decide(*inference_, call.options.thresholds, predictions[i].evidence));
        result.warning = call.frames[i].warning();
        const AnyMap& own = predictions[i].map;
        const AnyMap map =
            maps.resized(own, call.options.mapSize == MAP_MODEL ? sizeOf(own) : call.frames[i].size(), call.inspection.region);
        if (masks.needed() || result.anomalous)
        {
            const AnyMap mask = masks.above(map, result.pixelThreshold);
            if (result.anomalous || std::holds_alternative<cv::Mat>(mask) || !masks.onDevice()) // the host finds regions
            {
                cv::Mat marked = onHost(mask);
                result.regions = regionsOf(onHost(map), marked, call.options.minimumArea);
            }
            masks.give(i, mask, device);
        }
        maps.give(i, map, device);
        if (result.drift >= 0)
            window_.add(result.drift);
    }
    return results;
}

Inference::Place DetectorImpl::placeOf(const Call& call, bool onCuda, bool wantedThere) const
{
    const auto isWhole = [&](const Frame& frame) { return call.options.minimumArea == 0 && call.inspection.isWhole(frame.size()); };
    return onCuda && wantedThere && std::all_of(call.frames.begin(), call.frames.end(), isWhole) ? Inference::Place::Model
                                                                                                 : Inference::Place::Host;
}

AnomalyResult DetectorImpl::detect(cv::InputArray image, cv::OutputArray map, cv::OutputArray mask, const DetectOptions& options) const
{
    return guarded([&] {
        requireThreads();
        const DetectOptions::Impl& asked = options.impl();
        const Team::Scope scope(asked.threads);
        const Sink maps = Sink::ofOne(map), masks = Sink::ofOne(mask);
        Call call{{}, asked, asked.inspection(inference_->config())};
        std::string failure;
        if (image.isUMat() && image.dims() == 2 && !image.empty() && (map.isUMat() || mask.isUMat()) &&
            inference_->net().device().is_cpu() && asked.minimumArea == 0 && call.inspection.isWhole(image.size()) &&
            openClDevice().api == stages::Api::OpenCL)
            try
            {
                return inspect({{Frame(image.getUMat(), "image", inference_->range())}, asked, call.inspection, Inference::Place::OpenCl},
                               maps, masks)[0];
            }
            catch (const std::exception& error)
            {
                if (!asked.hostFallback)
                    throw;
                failure = error.what(); // what is wrong with the image itself, the host will say again
            }
        call.frames = image.isGpuMat() ? framesOf({gpuMatOf(image)}, inference_->net().device(), inference_->range())
                                       : framesOf({image.getMat()}, inference_->range());
        call.place = placeOf(call, image.isGpuMat(), true);
        AnomalyResult result = inspect(call, maps, masks)[0];
        result.deviceFailure = std::move(failure);
        return result;
    });
}

std::vector<AnomalyResult> DetectorImpl::detectBatch(cv::InputArrayOfArrays images, cv::OutputArrayOfArrays maps,
                                                     cv::OutputArrayOfArrays masks, const DetectOptions& options) const
{
    return guarded([&]() -> std::vector<AnomalyResult> {
        requireThreads();
        const DetectOptions::Impl& asked = options.impl();
        const Team::Scope scope(asked.threads);
        const Sink wantedMaps = Sink::ofSeveral(maps), wantedMasks = Sink::ofSeveral(masks);
        Call call{{}, asked, asked.inspection(inference_->config())};
        if (images.isGpuMatVector())
            call.frames = framesOf(gpuMatsOf(images), inference_->net().device(), inference_->range());
        else if (const std::vector<cv::Mat> mats = matsOf(images); !mats.empty())
            call.frames = framesOf(mats, inference_->range());
        if (call.frames.empty())
            return {};
        // what is requested on the host goes there in one copy
        call.place = placeOf(call, images.isGpuMatVector(), wantedMaps.onCuda() || wantedMasks.onCuda());
        return inspect(call, wantedMaps, wantedMasks);
    });
}

AnomalyResult DetectorImpl::detect(cv::InputArray image, cv::OutputArray map, cv::OutputArray mask) const
{
    return detect(image, map, mask, ownOptions());
}

std::vector<AnomalyResult> DetectorImpl::detectBatch(cv::InputArrayOfArrays images, cv::OutputArrayOfArrays maps,
                                                     cv::OutputArrayOfArrays masks) const
{
    return detectBatch(images, maps, masks, ownOptions());
}

DetectOptions DetectorImpl::ownOptions() const
{
    const std::lock_guard lock(mutex_);
    return options_;
}

void DetectorImpl::setOptions(const DetectOptions& options)
{
    guarded([&] {
        inference_->scores(options.impl().thresholds.product); // refuses what is not there
        const std::lock_guard lock(mutex_);
        options_ = options;
    });
}

DetectOptions DetectorImpl::getOptions() const
{
    DetectOptions options = ownOptions();
    const Inspection inspection = options.impl().inspection(inference_->config());
    options.setTiles(inspection.tiling.side, inspection.tiling.overlap);
    return options;
}

std::vector<std::string> DetectorImpl::getProducts() const
{
    std::vector<std::string> names;
    for (const ProductScores& product : inference_->products())
        names.push_back(product.name);
    return names;
}

double DetectorImpl::getThreshold(const std::string& product) const
{
    return guarded([&] { return inference_->scores(product).threshold.value; });
}

double DetectorImpl::getPixelThreshold(const std::string& product) const
{
    return guarded([&] { return inference_->scores(product).pixelThreshold.value; });
}

DriftState DetectorImpl::getDrift() const
{
    DriftState state = window_.state();
    state.known = inference_->drift().features.known();
    return state;
}

void DetectorImpl::setDriftWindow(int images)
{
    guarded([&] { window_.resize(images); });
}

cv::Ptr<AnomalyDetector> AnomalyDetector::create(const std::string& model, const std::string& precision, const std::string& device,
                                                 const DetectOptions& options)
{
    return guarded([&]() -> cv::Ptr<AnomalyDetector> {
        requireThreads();
        const at::Device where = deviceNamed(device);
        return cv::makePtr<DetectorImpl>(sharedInference(model, precision, where), sharedHeader(model)->dump(), options);
    });
}

} // namespace agpnet
