/// @file
/// Inspecting images with a trained model.
///
///     cv::Ptr<agpnet::Detector> detector = agpnet::Detector::load("tile.agp");
///     cv::Mat map;
///     agpnet::Result result = detector->detect(frame, map);   // result.score, result.anomalous, result.regions
#pragma once

#include "agpnet/api.hpp"
#include "agpnet/region.hpp"

#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace agpnet
{

/// A connected part of the mask (8 neighbours), in pixels of the image.
struct Region
{
    cv::Rect box;     ///< the smallest that holds it
    cv::Point peak;   ///< where the map is greatest
    double score = 0; ///< the map's value there
    int area = 0;     ///< pixels
    std::vector<cv::Point> contour; ///< the outer border, as cv::findContours() with CHAIN_APPROX_SIMPLE gives it
};

/// What an inspection found, beside map and mask.
struct Result
{
    double score = 0;      ///< image score: maximum or top-1 % mean of a map, by the distance that the model scores by (config: score, score_metric)
    double threshold = 0;  ///< what the score was compared with, sensitivity included
    double pixelThreshold = 0; ///< what the map was compared with, likewise
    double calibrated = 0; ///< the score on a scale of 0 to 1 on which 0.5 is the threshold and a usual normal image has about 0.1; see docs/deciding.md
    bool anomalous = false; ///< the decision: the score is above the threshold
    std::string product;   ///< whose thresholds were taken: setProduct()'s, or the one the image was found to be of; empty where the model has but one
    double drift = -1;     ///< how far the image's features as a whole are from those of normal images: up to 1 within the range of training; -1: not known
    std::vector<Region> regions; ///< greatest peak first; filled when the image is anomalous, or a mask was asked for in a cv::Mat (they are found on the host)
    std::string deviceFailure; ///< why the device of a UMat could not do it and the host did, see Detector::setHostFallback(); else empty
    std::string warning;   ///< where a 16-bit image in a cv::Mat has values that do not fit those of training, a sentence that says so: the score is then of little
                           ///< worth; else empty
};

/// Where map and mask are to be given.
enum MapSize
{
    MAP_IMAGE = 0, ///< at the image's size
    MAP_MODEL = 1  ///< the scale at which the score is taken: the model's input size, or at the scale of its tiles
};

/// The drift check over the last images: do they still look like those that the model was trained on?
struct DriftState
{
    bool known = false;    ///< the model knows the range of its training's features. One of fewer than 8 held-back images does not, nor one of before there was
                           ///< this check: agpnet::calibrate() adds it
    int pictures = 0;      ///< images seen, at most the window
    int window = 0;        ///< see Detector::setDriftWindow()
    double median = 0;     ///< of their Result::drift
    double outside = 0;    ///< share of them above 1; of images like those of training about 0.01
    bool drifting = false; ///< at least 4 images and a quarter of those seen are outside
};

/// A trained model. detect() and drift() may be called from several threads on one Detector; setters may not run beside them.
class AGPNET_EXPORT Detector
{
public:
    virtual ~Detector() = default;

    /// Reads a .agp file. Models are shared: a second load() of an unchanged file costs no memory.
    /// @param path       the model
    /// @param precision  "auto" (what is fastest on the device of that in which training found the model accurate), "fp32", "bf16" or "int8". A CPU without
    ///                   such products, and a model that does not know its inputs' ranges for int8, compute as "fp32"; precision() tells
    /// @param device     where the model computes: "cpu", "cuda" or "cuda:N". For CUDA LibTorch's own libtorch_cuda.so has to lie beside its
    ///                   libtorch_cpu.so, with what it needs; it is loaded then
    /// @throws cv::Exception naming the file and what is wrong with it, or what the device lacks
    static cv::Ptr<Detector> load(const std::string& path, const std::string& precision = "auto", const std::string& device = "cpu");

    /// Inspects an image. A cv::UMat in and a cv::UMat out stay on OpenCV's OpenCL device: the picture (8 or 16 bits) is resized there, and map and mask are made
    /// there; only the model's input and its residual pass to the model and back. Not so with tiles or a region of interest. A cv::cuda::GpuMat, on the device
    /// that the model was loaded on, stays there altogether; what was enqueued on a cv::cuda::Stream other than the default one has to be done. With tiles, a region
    /// of interest or a minimum area, map and mask are put together on the host, and go from there to where they are wanted.
    /// @param image  8-bit, 16-bit (from 0 to the greatest value of the bits that the model was trained with: `bits` of the header's config, 0 means all 16; see
    ///               Result::warning) or float (0 to 1); 1 (grey), 3 (BGR) or 4 (BGRA, alpha ignored) channels; any size from 8x8
    /// @param map    anomaly map, CV_32F, one channel: the distance of features from their reconstruction, 0 upward
    /// @param mask   CV_8U, 255 where the map exceeds the pixel threshold
    /// @throws cv::Exception for an empty image, another type, or values that are not finite
    virtual Result detect(cv::InputArray image, cv::OutputArray map = cv::noArray(), cv::OutputArray mask = cv::noArray(),
                          MapSize size = MAP_IMAGE) const = 0;

    /// Several images in one pass, which is quicker than one by one: vectors of cv::Mat, or of cv::cuda::GpuMat on the model's device. `maps` and `masks` are vectors of
    /// cv::Mat or of cv::cuda::GpuMat, or noArray(). Images that are on the device stay there, as with detect(), where maps or masks are wanted there.
    virtual std::vector<Result> detectBatch(cv::InputArrayOfArrays images, cv::OutputArrayOfArrays maps = cv::noArray(),
                                            cv::OutputArrayOfArrays masks = cv::noArray(), MapSize size = MAP_IMAGE) const = 0;

    /// Covers larger images with overlapping square tiles instead of shrinking them to the model's input: small defects stay visible.
    /// load() sets what the model was trained with, and its thresholds were taken so; another choice needs others.
    /// @param side     of a tile, in pixels of the image: 32 to 16384; 0: the whole image is resized, whatever its size
    /// @param overlap  least share of a tile that it has in common with the next, 0 to 0.9
    virtual void setTiles(int side, double overlap = 0.25) = 0;
    virtual int tileSide() const = 0;       ///< as setTiles() takes it
    virtual double tileOverlap() const = 0; ///< likewise

    /// Where to look: outside, the map is 0, and the score is that of the inside. load() sets what the model was trained with.
    /// @param mask  CV_8UC1, non-zero inside, of any size: it is stretched to each image. noArray(): look everywhere
    /// @throws cv::Exception for another type, and for a mask without a pixel that is not 0
    virtual void setRegionOfInterest(cv::InputArray mask) = 0;

    /// @param polygons  each of 3 points or more; even-odd: one inside another is a hole; pixels that a border touches are inside.
    ///                  None: look everywhere
    /// @param image     size of the image that the points are pixels of; empty: they are shares of its sides, 0 to 1
    virtual void setRegionPolygons(const std::vector<std::vector<cv::Point2f>>& polygons, cv::Size image = cv::Size()) = 0;

    /// The names of the products that the model was trained for, each with thresholds of its own; empty where it has but one.
    virtual std::vector<std::string> products() const = 0;

    /// Takes the thresholds of one product. "", which is what load() sets: each image is judged by those of the product that its features are
    /// nearest to, where the model tells products apart (target `standardised`), else by those of all together.
    /// @throws cv::Exception naming the products there are
    virtual void setProduct(const std::string& name) = 0;
    virtual std::string product() const = 0; ///< the one that was set, or ""

    /// Divides both thresholds: 2 finds defects half as strong, 0.5 only those twice as strong. Default 1; > 0.
    virtual void setSensitivity(double sensitivity) = 0;
    virtual double sensitivity() const = 0; ///< the one that was set

    /// Threads that compute one call on the CPU, the calling one among them. They are this library's own, wait asleep, and are shared by all detectors.
    ///
    /// @param threads  0, the default: as many as LibTorch would use in the calling thread, which is one for each core unless OMP_NUM_THREADS or
    ///                 omp_set_num_threads() say less. At most 256.
    virtual void setThreads(int threads) = 0;
    virtual int threads() const = 0; ///< the one that was set

    /// Thresholds of the image score and of the map in place of the model's, before sensitivity. 0, which is what load() sets: the model's own.
    /// @throws cv::Exception for a negative value, or one that is not finite
    virtual void setThreshold(double threshold) = 0;
    virtual void setPixelThreshold(double threshold) = 0; ///< likewise, of the map
    virtual double threshold() const = 0;      ///< of the image score, before sensitivity: the one that was set, else setProduct()'s, else that of all products together
    virtual double pixelThreshold() const = 0; ///< of the map, likewise

    /// Regions of fewer pixels, at the size that detect() is asked for, are neither listed nor marked in the mask. Default 0. The decision does
    /// not depend on it.
    virtual void setMinimumArea(int pixels) = 0;
    virtual int minimumArea() const = 0; ///< the one that was set

    /// Whether the host inspects an image in a cv::UMat where the OpenCL device fails, for want of memory for instance; Result::deviceFailure then says why. Each
    /// image is tried on the device first. Default true; false: the failure is the exception.
    virtual void setHostFallback(bool allowed) = 0;
    virtual bool hostFallback() const = 0; ///< what was set

    /// Of the last images through this detector, of all threads together.
    virtual DriftState drift() const = 0;

    /// Forgets the images seen, and looks at so many from now on: 4 to 65536; default 32.
    virtual void setDriftWindow(int pictures) = 0;

    virtual cv::Size inputSize() const = 0;    ///< of the model
    virtual std::string precision() const = 0; ///< "fp32", "bf16" or "int8": what it computes in
    virtual std::string device() const = 0;    ///< "cpu" or "cuda:N"
    virtual std::string header() const = 0;    ///< the model file's header: JSON text; `scores` says how the thresholds came to be
};

} // namespace agpnet
