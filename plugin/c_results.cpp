#include "plugin/c_results.h"

#include "plugin/c_structures.h"

namespace
{

using agpnet::called;
using agpnet::require;

const agpnet::AnomalyResult& resultAt(const agpnet_results* results, size_t index)
{
    agpnet::requirePointer(results, "results");
    require(index < results->found.size(), "index is {}, expected less than the {} images of the results", index, results->found.size());
    return results->found[index];
}

agpnet_image outputAt(const agpnet_results* results, size_t index, std::vector<cv::Mat> agpnet_results::*outputs, const char* name)
{
    resultAt(results, index);
    const std::vector<cv::Mat>& all = results->*outputs;
    if (index >= all.size())
        throw agpnet::Error(fmt::format("there is no {0}, expected that AGPNET_{1} was among the outputs of the call", name,
                                        outputs == &agpnet_results::maps ? "MAP" : "MASK"),
                            agpnet::ErrorKind::State);
    return agpnet::imageOf(all[index]);
}

} // namespace

void agpnet::requireOutputs(uint32_t outputs)
{
    require((outputs & ~uint32_t{AGPNET_MAP | AGPNET_MASK}) == 0, "outputs is {}, expected AGPNET_MAP (1), AGPNET_MASK (2), both or 0",
            outputs);
}

extern "C"
{

    size_t agpnet_results_count(const agpnet_results* results)
    {
        return results ? results->found.size() : 0;
    }

    int agpnet_results_get_result(const agpnet_results* results, size_t index, agpnet_result* result, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            const agpnet::AnomalyResult& found = resultAt(results, index);
            agpnet::give({0, found.score, found.threshold, found.pixelThreshold, found.calibrated, found.drift, found.anomalous ? 1 : 0,
                          found.regions.size(), found.product.c_str(), found.warning.c_str()},
                         result, "result");
        });
    }

    int agpnet_results_get_region(const agpnet_results* results, size_t index, size_t region, agpnet_region* found, char* message,
                                  size_t messageSize)
    {
        static_assert(sizeof(cv::Point) == 2 * sizeof(int32_t));
        return called(message, messageSize, [&] {
            const std::vector<agpnet::AnomalyRegion>& regions = resultAt(results, index).regions;
            require(region < regions.size(), "region is {}, expected less than the {} regions of the image", region, regions.size());
            const agpnet::AnomalyRegion& one = regions[region];
            agpnet::give({0, one.box.x, one.box.y, one.box.width, one.box.height, one.peak.x, one.peak.y, one.score, one.area,
                          reinterpret_cast<const int32_t*>(one.contour.data()), one.contour.size()},
                         found, "found");
        });
    }

    int agpnet_results_get_map(const agpnet_results* results, size_t index, agpnet_image* map, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] { agpnet::give(outputAt(results, index, &agpnet_results::maps, "map"), map, "map"); });
    }

    int agpnet_results_get_mask(const agpnet_results* results, size_t index, agpnet_image* mask, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] { agpnet::give(outputAt(results, index, &agpnet_results::masks, "mask"), mask, "mask"); });
    }

    void agpnet_results_free(agpnet_results* results)
    {
        delete results;
    }

} // extern "C"
