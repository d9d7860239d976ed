#include "plugin/c_options.h"

#include "plugin/c_structures.h"

#include <vector>

namespace agpnet
{
namespace
{

std::vector<std::vector<cv::Point2f>> polygonsOf(const agpnet_detect_options& given)
{
    require(given.polygon_count > 0, "options.polygon_count is 0, expected at least one polygon");
    requirePointer(given.polygons, "options.polygons");
    std::vector<std::vector<cv::Point2f>> polygons(given.polygon_count);
    for (size_t i = 0; i < polygons.size(); i++)
    {
        const agpnet_polygon& polygon = given.polygons[i];
        require(polygon.points != nullptr || polygon.count == 0, "options.polygons[{}].points is null", i);
        for (size_t point = 0; point < polygon.count; point++)
            polygons[i].emplace_back(polygon.points[2 * point], polygon.points[2 * point + 1]);
    }
    return polygons;
}

void setRegion(DetectOptions& options, const agpnet_detect_options& given)
{
    switch (given.region)
    {
    case AGPNET_REGION_TRAINED: return;
    case AGPNET_REGION_WHOLE: options.setRegionOfInterest(cv::noArray()); return;
    case AGPNET_REGION_MASK: options.setRegionOfInterest(matOf(received(given.mask, "options.mask"), "options.mask")); return;
    case AGPNET_REGION_POLYGONS: options.setRegionPolygons(polygonsOf(given), {given.polygon_width, given.polygon_height}); return;
    default: fail("options.region is {}, expected {} to {}", given.region, int{AGPNET_REGION_TRAINED}, int{AGPNET_REGION_POLYGONS});
    }
}

} // namespace

DetectOptions detectOptionsOf(const agpnet_detect_options* given)
{
    const agpnet_detect_options known = receivedOr(given, "options", agpnet_detect_options AGPNET_DETECT_OPTIONS_INIT);
    DetectOptions options;
    options.setMapSize(static_cast<MapSize>(known.map_size))
        .setTiles(known.tile_side, known.tile_overlap)
        .setProduct(textOr(known.product, ""))
        .setSensitivity(known.sensitivity)
        .setThreshold(known.threshold)
        .setPixelThreshold(known.pixel_threshold)
        .setMinimumArea(known.minimum_area)
        .setThreads(known.threads);
    setRegion(options, known);
    return options;
}

} // namespace agpnet
