#include "agpnet/anomaly_calibration.hpp"
#include "plugin/c_structures.h"

#include <stdexcept>

namespace
{

using agpnet::requirePointer;

/// A copy: the caller may use its memory again for the next image.
agpnet::CalibrationImage read(const agpnet_calibration_set& set, size_t i)
{
    agpnet_image image{}, mask{};
    image.size = mask.size = sizeof image;
    int32_t anomalous = 0;
    if (set.read(set.context, i, &image, &anomalous, &mask) == 0)
        throw std::runtime_error(
            fmt::format("image {} of set '{}' was not read: the function read returned 0", i, agpnet::textOr(set.product, "")));
    return {agpnet::matOf(image, "image").clone(), anomalous != 0, mask.data ? agpnet::matOf(mask, "mask").clone() : cv::Mat()};
}

} // namespace

extern "C" int agpnet_calibrate(const char* model, const agpnet_calibration_set* sets, size_t count,
                                const agpnet_calibration_options* options, const char* out, int32_t* finished, char* message,
                                size_t messageSize)
{
    return agpnet::called(message, messageSize, [&] {
        requirePointer(model, "model");
        requirePointer(out, "out");
        const agpnet_calibration_options known =
            agpnet::receivedOr(options, "options", agpnet_calibration_options AGPNET_CALIBRATION_OPTIONS_INIT);
        const std::vector<agpnet_calibration_set> given = agpnet::receivedArray(sets, count, "sets");
        std::vector<agpnet::CalibrationSet> products;
        for (const agpnet_calibration_set& set : given)
        {
            requirePointer(reinterpret_cast<const void*>(set.read), "sets.read");
            agpnet::CalibrationSet& product = products.emplace_back();
            product.product = agpnet::textOr(set.product, "");
            product.count = set.count;
            product.image = [&set](size_t i) { return read(set, i); };
        }
        agpnet::CalibrationOptions own;
        own.rule = static_cast<agpnet::ThresholdRule>(known.rule);
        own.falseAlarms = known.false_alarms;
        own.missCost = known.miss_cost;
        if (known.progress)
            own.keepGoing = [&](size_t done, size_t total) { return known.progress(known.context, done, total) != 0; };
        const bool done = agpnet::calibrate(model, products, own, out);
        if (finished)
            *finished = done ? 1 : 0;
    });
}
