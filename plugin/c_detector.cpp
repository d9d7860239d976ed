#include "plugin/c_detector.h"

#include "plugin/c_options.h"
#include "plugin/c_results.h"
#include "plugin/c_structures.h"

agpnet_detector::agpnet_detector(cv::Ptr<agpnet::AnomalyDetector> of)
    : detector(std::move(of)), header(detector->getHeader()), precision(detector->getPrecision()), device(detector->getDevice()),
      products(detector->getProducts())
{
}

namespace
{

using agpnet::called;
using agpnet::created;
using agpnet::requirePointer;

agpnet::AnomalyDetector& detectorOf(const agpnet_detector* handle)
{
    requirePointer(handle, "detector");
    return *handle->detector;
}

/// A cv::Mat, or a vector of them, if it is among the outputs.
template <typename Mats>
cv::_OutputArray wanted(uint32_t outputs, uint32_t which, Mats& mats)
{
    return outputs & which ? cv::_OutputArray(mats) : cv::_OutputArray();
}

} // namespace

extern "C"
{

    int agpnet_detector_create(const char* model, const agpnet_detector_options* options, agpnet_detector** detector, char* message,
                               size_t messageSize)
    {
        return created(detector, "detector", message, messageSize, [&] {
            requirePointer(model, "model");
            const agpnet_detector_options known = agpnet::receivedOr(options, "options", {});
            return agpnet_detector(agpnet::AnomalyDetector::create(model, agpnet::textOr(known.precision, "auto"),
                                                                   agpnet::textOr(known.device, "cpu"),
                                                                   agpnet::detectOptionsOf(known.detect)));
        });
    }

    void agpnet_detector_free(agpnet_detector* detector)
    {
        delete detector;
    }

    int agpnet_detector_detect(const agpnet_detector* detector, const agpnet_image* image, const agpnet_detect_options* options,
                               uint32_t outputs, agpnet_results** results, char* message, size_t messageSize)
    {
        return created(results, "results", message, messageSize, [&] {
            const agpnet::AnomalyDetector& own = detectorOf(detector);
            agpnet::requireOutputs(outputs);
            const cv::Mat pixels = agpnet::matOf(agpnet::received(image, "image"), "image");
            cv::Mat map, mask;
            const cv::_OutputArray maps = wanted(outputs, AGPNET_MAP, map), masks = wanted(outputs, AGPNET_MASK, mask);
            agpnet_results all;
            all.found.push_back(options ? own.detect(pixels, maps, masks, agpnet::detectOptionsOf(options))
                                        : own.detect(pixels, maps, masks));
            if (outputs & AGPNET_MAP)
                all.maps.push_back(map);
            if (outputs & AGPNET_MASK)
                all.masks.push_back(mask);
            return all;
        });
    }

    int agpnet_detector_detect_batch(const agpnet_detector* detector, const agpnet_image* images, size_t count,
                                     const agpnet_detect_options* options, uint32_t outputs, agpnet_results** results, char* message,
                                     size_t messageSize)
    {
        return created(results, "results", message, messageSize, [&] {
            const agpnet::AnomalyDetector& own = detectorOf(detector);
            agpnet::requireOutputs(outputs);
            const std::vector<cv::Mat> pixels = agpnet::matsOf(images, count, "images");
            agpnet_results all;
            const cv::_OutputArray maps = wanted(outputs, AGPNET_MAP, all.maps), masks = wanted(outputs, AGPNET_MASK, all.masks);
            all.found =
                options ? own.detectBatch(pixels, maps, masks, agpnet::detectOptionsOf(options)) : own.detectBatch(pixels, maps, masks);
            return all;
        });
    }

    int agpnet_detector_set_options(agpnet_detector* detector, const agpnet_detect_options* options, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] { detectorOf(detector).setOptions(agpnet::detectOptionsOf(options)); });
    }

    int agpnet_detector_get_info(const agpnet_detector* detector, agpnet_detector_info* info, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            const cv::Size input = detectorOf(detector).getInputSize();
            agpnet::give({0, detector->header.c_str(), detector->precision.c_str(), detector->device.c_str(), input.height, input.width,
                          detector->products.size()},
                         info, "info");
        });
    }

    const char* agpnet_detector_get_product(const agpnet_detector* detector, size_t index)
    {
        return detector && index < detector->products.size() ? detector->products[index].c_str() : nullptr;
    }

    int agpnet_detector_get_thresholds(const agpnet_detector* detector, const char* product, double* threshold, double* pixelThreshold,
                                       char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            const agpnet::AnomalyDetector& own = detectorOf(detector);
            const double ofScore = own.getThreshold(agpnet::textOr(product, "")),
                         ofMap = own.getPixelThreshold(agpnet::textOr(product, ""));
            if (threshold)
                *threshold = ofScore;
            if (pixelThreshold)
                *pixelThreshold = ofMap;
        });
    }

    int agpnet_detector_get_drift(const agpnet_detector* detector, agpnet_drift* drift, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            const agpnet::DriftState state = detectorOf(detector).getDrift();
            agpnet::give({0, state.known ? 1 : 0, state.pictures, state.window, state.median, state.outside, state.drifting ? 1 : 0}, drift,
                         "drift");
        });
    }

    int agpnet_detector_set_drift_window(agpnet_detector* detector, int32_t images, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] { detectorOf(detector).setDriftWindow(images); });
    }

} // extern "C"
