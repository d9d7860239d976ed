#include "operators/agpnet/detector.h"

#include "common/error.h"
#include "models/device/device.h"
#include "models/device/team.h"
#include "operators/core/forked.h"
#include "operators/image/cuda_image.h"
#include "operators/core/opencv_exceptions.h"
#include "operators/image/opencl_image.h"
#include "operators/image/preprocess.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace agpnet
{
namespace
{

/// Those that are too small are taken out of the mask.
std::vector<Region> regionsOf(const cv::Mat& map, cv::Mat& mask, int minimumArea)
{
    cv::Mat labels, statistics, centroids;
    const int count = cv::connectedComponentsWithStats(mask, labels, statistics, centroids, 8, CV_32S);
    std::vector<Region> regions;
    for (int i = 1; i < count; i++) // 0 is the background
    {
        Region region;
        region.box = {statistics.at<int>(i, cv::CC_STAT_LEFT), statistics.at<int>(i, cv::CC_STAT_TOP),
                      statistics.at<int>(i, cv::CC_STAT_WIDTH), statistics.at<int>(i, cv::CC_STAT_HEIGHT)};
        region.area = statistics.at<int>(i, cv::CC_STAT_AREA);
        const cv::Mat own = labels(region.box) == i;
        if (region.area < minimumArea)
        {
            mask(region.box).setTo(0, own);
            continue;
        }
        cv::Point peak;
        cv::minMaxLoc(map(region.box), nullptr, &region.score, nullptr, &peak, own);
        region.peak = peak + region.box.tl();
        std::vector<std::vector<cv::Point>> contours; // one: what is connected has one outer border
        cv::findContours(own, contours, cv::RETR_EXTERNAL, cv::CHAIN_APPROX_SIMPLE, region.box.tl());
        region.contour = std::move(contours.at(0));
        regions.push_back(std::move(region));
    }
    std::stable_sort(regions.begin(), regions.end(), [](const Region& a, const Region& b) { return a.score > b.score; });
    return regions;
}

void requireThreshold(const char* name, double threshold)
{
    require(std::isfinite(threshold) && threshold >= 0, "{} is {}, expected 0 (the model's own) or more", name, threshold);
}

} // namespace

DetectorImpl::DetectorImpl(std::shared_ptr<const Inference> inference, std::string header)
    : inference_(std::move(inference)), header_(std::move(header)), inspection_(inspectionOf(inference_->config()))
{
}

Result DetectorImpl::decided(const Evidence& evidence) const
{
    Result result;
    const ScoreStatistics& normal = inference_->scores(product_, evidence.product, &result.product);
    result.score = evidence.score;
    result.threshold = (threshold_ > 0 ? threshold_ : normal.threshold.value) / sensitivity_;
    result.anomalous = evidence.score > result.threshold;
    result.calibrated = calibrated(evidence.score, result.threshold, steepnessFor(normal.median, normal.threshold.value));
    result.pixelThreshold = (pixelThreshold_ > 0 ? pixelThreshold_ : normal.pixelThreshold.value) / sensitivity_;
    result.drift = inference_->outOfRange(evidence.product, evidence.features);
    return result;
}

void DetectorImpl::remember(const Result& result) const
{
    if (result.drift >= 0)
        window_.add(result.drift);
}

Result DetectorImpl::detectOnDevice(const stages::Device& openCl, const cv::UMat& image, cv::OutputArray map, cv::OutputArray mask, MapSize size) const
{
    const Inference::OnDevice found = inference_->inspect(openCl, Frame(image, "image", inference_->range()));
    Result result = decided(found);
    // made in the caller's own memory where that is on the device
    const auto into = [](cv::OutputArray target, const auto& make) {
        if (target.isUMat())
        {
            make(target);
            return target.getUMat();
        }
        cv::UMat own;
        make(own);
        if (target.needed())
            own.copyTo(target);
        return own;
    };
    const cv::UMat shown = into(map, [&](cv::OutputArray target) {
        if (size == MAP_MODEL)
            found.map.copyTo(target);
        else // as mapAt()
            cv::resize(found.map, target, image.size(), 0, 0,
                       image.cols < found.map.cols && image.rows < found.map.rows ? cv::INTER_AREA : cv::INTER_LINEAR);
    });
    if (!mask.needed() && !result.anomalous)
        return result;
    const cv::UMat marked = into(mask, [&](cv::OutputArray target) { cv::compare(shown, result.pixelThreshold, target, cv::CMP_GT); });
    if (result.anomalous)
    {
        cv::Mat read = marked.getMat(cv::ACCESS_READ);
        result.regions = regionsOf(shown.getMat(cv::ACCESS_READ), read, 0);
    }
    return result;
}

std::vector<Result> DetectorImpl::detectOnCuda(const std::vector<Frame>& images, const MapOutput& maps, const MapOutput& masks, MapSize size) const
{
    const c10::InferenceMode inference;
    std::vector<at::Tensor> inputs;
    for (const Frame& image : images)
        inputs.push_back(image.at(inputSize()));
    const auto [found, decidedBy] = inference_->find(inputs.size() == 1 ? inputs[0] : at::cat(inputs));
    const std::vector<Evidence> evidences = onHost(decidedBy);
    maps.makeRoom(images.size());
    masks.makeRoom(images.size());
    std::vector<Result> results;
    for (const Evidence& evidence : evidences)
    {
        const size_t i = results.size();
        Result& result = results.emplace_back(decided(evidence));
        const at::Tensor own = found.maps.narrow(0, static_cast<int64_t>(i), 1);
        const at::Tensor shown = size == MAP_MODEL ? own : resized(own, images[i].size());
        maps.set(i, shown);
        if (!masks.needed() && !result.anomalous)
            continue;
        const at::Tensor marked = shown.gt(result.pixelThreshold).to(at::kByte).mul(255);
        masks.set(i, marked);
        if (result.anomalous || (masks.needed() && !masks.onCuda()))
        {
            cv::Mat hostMap, hostMask; // regions are found on the host
            MapOutput::ofOne(hostMap).set(0, shown);
            MapOutput::ofOne(hostMask).set(0, marked);
            result.regions = regionsOf(hostMap, hostMask, 0);
        }
    }
    return results;
}

bool DetectorImpl::inOnePiece(cv::Size image) const
{
    return inspection_.region.empty() && minimumArea_ == 0 && TileGrid(image, inspection_.tiling).size() <= 1;
}

std::vector<DetectorImpl::Image> DetectorImpl::run(const std::vector<Frame>& images, bool wantMask, MapSize size) const
{
    const std::vector<Inspected> found = inference_->inspect(images, inspection_);
    std::vector<Image> results(images.size());
    for (size_t i = 0; i < images.size(); i++)
    {
        Image& image = results[i];
        image.map = size == MAP_IMAGE ? mapAt(found[i].map, images[i].size(), inspection_.region) : found[i].map;
        image.result = decided(found[i]);
        image.result.warning = images[i].warning();
        remember(image.result);
        if (wantMask || image.result.anomalous)
        {
            cv::compare(image.map, image.result.pixelThreshold, image.mask, cv::CMP_GT);
            image.result.regions = regionsOf(image.map, image.mask, minimumArea_);
        }
    }
    return results;
}

Result DetectorImpl::detect(cv::InputArray image, cv::OutputArray map, cv::OutputArray mask, MapSize size) const
{
    return guarded([&] {
        requireThreads();
        const Team::Scope scope(threads_);
        const AgpNet& net = inference_->net();
        std::string failure;
        if (image.isUMat() && image.dims() == 2 && !image.empty() && (map.isUMat() || mask.isUMat()))
        {
            const stages::Device device = openClDevice();
            if (device.api == stages::Api::OpenCL && net.device().is_cpu() && inOnePiece(image.size()))
                try
                {
                    const Result result = detectOnDevice(device, image.getUMat(), map, mask, size);
                    remember(result);
                    return result;
                }
                catch (const std::exception& error)
                {
                    if (!hostFallback_)
                        throw;
                    failure = error.what(); // what is wrong with the image itself, the host will say again
                }
        }
        const std::vector<Frame> frames = image.isGpuMat() ? framesOf({gpuMatOf(image)}, net.device(), inference_->range())
                                                            : framesOf({image.getMat()}, inference_->range());
        const MapOutput maps = MapOutput::ofOne(map), masks = MapOutput::ofOne(mask);
        if (image.isGpuMat() && inOnePiece(frames[0].size()))
        {
            const Result result = detectOnCuda(frames, maps, masks, size)[0];
            remember(result);
            return result;
        }
        Image found = run(frames, mask.needed(), size)[0];
        found.result.deviceFailure = std::move(failure);
        maps.set(0, found.map, net.device());
        masks.set(0, found.mask, net.device());
        return found.result;
    });
}

std::vector<Result> DetectorImpl::detectBatch(cv::InputArrayOfArrays images, cv::OutputArrayOfArrays maps, cv::OutputArrayOfArrays masks,
                                              MapSize size) const
{
    return guarded([&] {
        requireThreads();
        const Team::Scope scope(threads_);
        const at::Device device = inference_->net().device();
        std::vector<Frame> frames;
        if (images.isGpuMatVector())
            frames = framesOf(gpuMatsOf(images), device, inference_->range());
        else if (const std::vector<cv::Mat> mats = matsOf(images); !mats.empty())
            frames = framesOf(mats, inference_->range());
        std::vector<Result> results;
        if (frames.empty())
            return results;
        const MapOutput wantedMaps = MapOutput::ofSeveral(maps), wantedMasks = MapOutput::ofSeveral(masks);
        // what is wanted on the host goes there in one copy, with run()
        if (images.isGpuMatVector() && (wantedMaps.onCuda() || wantedMasks.onCuda()) &&
            std::all_of(frames.begin(), frames.end(), [&](const Frame& frame) { return inOnePiece(frame.size()); }))
        {
            results = detectOnCuda(frames, wantedMaps, wantedMasks, size);
            std::for_each(results.begin(), results.end(), [&](const Result& result) { remember(result); });
            return results;
        }
        std::vector<Image> found = run(frames, masks.needed(), size);
        wantedMaps.makeRoom(found.size());
        wantedMasks.makeRoom(found.size());
        for (Image& image : found)
        {
            wantedMaps.set(results.size(), image.map, device);
            wantedMasks.set(results.size(), image.mask, device);
            results.push_back(std::move(image.result));
        }
        return results;
    });
}

void DetectorImpl::setTiles(int side, double overlap)
{
    guarded([&] {
        requireTiling(side, overlap);
        inspection_.tiling = {side, overlap};
    });
}

void DetectorImpl::setRegionOfInterest(cv::InputArray mask)
{
    guarded([&] {
        const cv::Mat given = mask.getMat();
        require(given.empty() || given.type() == CV_8UC1, "region of interest: the mask is of type {}, expected CV_8UC1",
                cv::typeToString(given.type()));
        require(given.empty() || cv::countNonZero(given) > 0, "region of interest: the mask of {}x{} is 0 everywhere, expected a pixel that is not",
                given.cols, given.rows);
        inspection_.region = {{}, given.clone()};
    });
}

void DetectorImpl::setRegionPolygons(const std::vector<std::vector<cv::Point2f>>& polygons, cv::Size image)
{
    guarded([&] { inspection_.region = {sharesOf(polygons, image), {}}; });
}

std::vector<std::string> DetectorImpl::products() const
{
    std::vector<std::string> names;
    for (const ProductScores& product : inference_->products())
        names.push_back(product.name);
    return names;
}

void DetectorImpl::setProduct(const std::string& name)
{
    guarded([&] {
        inference_->scores(name); // refuses what is not there
        product_ = name;
    });
}

void DetectorImpl::setSensitivity(double sensitivity)
{
    guarded([&] {
        require(std::isfinite(sensitivity) && sensitivity > 0, "sensitivity is {}, expected more than 0", sensitivity);
        sensitivity_ = sensitivity;
    });
}

void DetectorImpl::setThreads(int threads)
{
    guarded([&] {
        requireThreadCount(threads);
        threads_ = threads;
    });
}

void DetectorImpl::setThreshold(double threshold)
{
    guarded([&] {
        requireThreshold("threshold", threshold);
        threshold_ = threshold;
    });
}

void DetectorImpl::setPixelThreshold(double threshold)
{
    guarded([&] {
        requireThreshold("pixel threshold", threshold);
        pixelThreshold_ = threshold;
    });
}

void DetectorImpl::setMinimumArea(int pixels)
{
    guarded([&] {
        require(pixels >= 0, "minimum area is {}, expected 0 or more pixels", pixels);
        minimumArea_ = pixels;
    });
}

DriftState DetectorImpl::drift() const
{
    DriftState state = window_.state();
    state.known = inference_->drift().features.known();
    return state;
}

void DetectorImpl::setDriftWindow(int pictures)
{
    guarded([&] { window_.resize(pictures); });
}

cv::Ptr<Detector> Detector::load(const std::string& path, const std::string& precision, const std::string& device)
{
    return guarded([&]() -> cv::Ptr<Detector> {
        requireThreads();
        const at::Device where = deviceNamed(device);
        return cv::makePtr<DetectorImpl>(sharedInference(path, precision, where), sharedHeader(path)->dump());
    });
}

} // namespace agpnet
