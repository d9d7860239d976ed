#include "operators/agpnet/detect_options.h"

#include "common/error.h"
#include "models/device/team.h"
#include "operators/core/opencv_exceptions.h"

#include <cmath>

namespace agpnet
{
namespace
{

/// Copies of the options are independent: the one that changes gets values of its own.
template <typename Change>
void changed(std::shared_ptr<const DetectOptions::Impl>& impl, const Change& change)
{
    guarded([&] {
        auto own = std::make_shared<DetectOptions::Impl>(*impl);
        change(*own);
        impl = std::move(own);
    });
}

void requireThreshold(const char* name, double threshold)
{
    require(std::isfinite(threshold) && threshold >= 0, "{} is {}, expected 0 (the model's own) or more", name, threshold);
}

} // namespace

Inspection DetectOptions::Impl::inspection(const Config& config) const
{
    Inspection result = inspectionOf(config);
    if (tileSide >= 0)
        result.tiling.side = tileSide;
    if (tileOverlap >= 0)
        result.tiling.overlap = tileOverlap;
    if (region)
        result.region = *region;
    return result;
}

DetectOptions::DetectOptions() : impl_(std::make_shared<Impl>()) {}

DetectOptions& DetectOptions::setMapSize(MapSize size)
{
    changed(impl_, [&](Impl& own) {
        require(size == MAP_IMAGE || size == MAP_MODEL, "map size is {}, expected MAP_IMAGE (0) or MAP_MODEL (1)", static_cast<int>(size));
        own.mapSize = size;
    });
    return *this;
}

DetectOptions& DetectOptions::setTiles(int side, double overlap)
{
    changed(impl_, [&](Impl& own) {
        requireTiling(side == -1 ? 0 : side, overlap == -1 ? 0 : overlap);
        own.tileSide = side;
        own.tileOverlap = overlap;
    });
    return *this;
}

DetectOptions& DetectOptions::setRegionOfInterest(cv::InputArray mask)
{
    changed(impl_, [&](Impl& own) {
        const cv::Mat given = mask.getMat();
        require(given.empty() || given.type() == CV_8UC1, "region of interest: the mask is of type {}, expected CV_8UC1",
                cv::typeToString(given.type()));
        require(given.empty() || cv::countNonZero(given) > 0,
                "region of interest: the mask of {}x{} is 0 everywhere, expected a pixel that is not", given.cols, given.rows);
        own.region = RegionOfInterest{{}, given.clone()};
    });
    return *this;
}

DetectOptions& DetectOptions::setRegionPolygons(const std::vector<std::vector<cv::Point2f>>& polygons, cv::Size image)
{
    changed(impl_, [&](Impl& own) { own.region = RegionOfInterest{sharesOf(polygons, image), {}}; });
    return *this;
}

DetectOptions& DetectOptions::setProduct(const std::string& name)
{
    changed(impl_, [&](Impl& own) { own.thresholds.product = name; });
    return *this;
}

DetectOptions& DetectOptions::setSensitivity(double sensitivity)
{
    changed(impl_, [&](Impl& own) {
        require(std::isfinite(sensitivity) && sensitivity > 0, "sensitivity is {}, expected more than 0", sensitivity);
        own.thresholds.sensitivity = sensitivity;
    });
    return *this;
}

DetectOptions& DetectOptions::setThreshold(double threshold)
{
    changed(impl_, [&](Impl& own) {
        requireThreshold("threshold", threshold);
        own.thresholds.threshold = threshold;
    });
    return *this;
}

DetectOptions& DetectOptions::setPixelThreshold(double threshold)
{
    changed(impl_, [&](Impl& own) {
        requireThreshold("pixel threshold", threshold);
        own.thresholds.pixelThreshold = threshold;
    });
    return *this;
}

DetectOptions& DetectOptions::setMinimumArea(int pixels)
{
    changed(impl_, [&](Impl& own) {
        require(pixels >= 0, "minimum area is {}, expected 0 or more pixels", pixels);
        own.minimumArea = pixels;
    });
    return *this;
}

DetectOptions& DetectOptions::setThreads(int threads)
{
    changed(impl_, [&](Impl& own) {
        requireThreadCount(threads);
        own.threads = threads;
    });
    return *this;
}

DetectOptions& DetectOptions::setHostFallback(bool allowed)
{
    changed(impl_, [&](Impl& own) { own.hostFallback = allowed; });
    return *this;
}

MapSize DetectOptions::getMapSize() const { return impl_->mapSize; }
int DetectOptions::getTileSide() const { return impl_->tileSide; }
double DetectOptions::getTileOverlap() const { return impl_->tileOverlap; }
cv::Mat DetectOptions::getRegionMask() const { return impl_->region ? impl_->region->mask.clone() : cv::Mat(); }
std::string DetectOptions::getProduct() const { return impl_->thresholds.product; }
double DetectOptions::getSensitivity() const { return impl_->thresholds.sensitivity; }
double DetectOptions::getThreshold() const { return impl_->thresholds.threshold; }
double DetectOptions::getPixelThreshold() const { return impl_->thresholds.pixelThreshold; }
int DetectOptions::getMinimumArea() const { return impl_->minimumArea; }
int DetectOptions::getThreads() const { return impl_->threads; }
bool DetectOptions::getHostFallback() const { return impl_->hostFallback; }

std::vector<std::vector<cv::Point2f>> DetectOptions::getRegionPolygons() const
{
    std::vector<std::vector<cv::Point2f>> polygons;
    if (impl_->region)
        for (const Polygon& polygon : impl_->region->polygons)
        {
            polygons.emplace_back();
            for (const auto& [x, y] : polygon)
                polygons.back().emplace_back(static_cast<float>(x), static_cast<float>(y));
        }
    return polygons;
}

} // namespace agpnet
