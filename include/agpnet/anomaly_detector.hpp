/// @file
/// Unsupervised visual anomaly detection: inspecting images with a trained model.
///
///     cv::Ptr<agpnet::AnomalyDetector> detector = agpnet::AnomalyDetector::create("tile.agp");
///     cv::Mat map;
///     agpnet::AnomalyResult result = detector->detect(frame, map); // result.score, result.anomalous, result.regions
#pragma once

#include "agpnet/api.hpp"
#include "agpnet/region.hpp"

#include <memory>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace agpnet
{

/// A connected component of the mask (8 neighbours), in pixels of the image.
struct AnomalyRegion
{
    cv::Rect box;     ///< bounding box
    cv::Point peak;   ///< where the map has its maximum
    double score = 0; ///< the map's value there
    int area = 0;     ///< pixels
    std::vector<cv::Point> contour; ///< the outer border, as cv::findContours() with CHAIN_APPROX_SIMPLE returns it
};

/// The result of an inspection, besides map and mask.
struct AnomalyResult
{
    /// Image score: maximum or mean of the top 1 % of a map, by the distance that the model scores by (config: score, score_metric)
    double score = 0;
    double threshold = 0;      ///< threshold that the score was compared with, sensitivity included
    double pixelThreshold = 0; ///< threshold that the map was compared with, sensitivity included
    /// The score on a scale of 0 to 1: 0.5 is the threshold, a usual normal image has about 0.1; see docs/deciding.md.
    double calibrated = 0;
    bool anomalous = false;    ///< the decision: the score is above the threshold
    /// Whose thresholds were used: DetectOptions::setProduct()'s, or the product that the image was found to be of; empty where the model
    /// has one only.
    std::string product;
    /// Distance of the image's features from those of normal images: up to 1 within the range of training; -1: unknown.
    double drift = -1;
    /// Greatest peak first; filled when the image is anomalous, or when a mask was requested in a cv::Mat (the host finds them)
    std::vector<AnomalyRegion> regions;
    std::string deviceFailure; ///< reason why the CPU was used instead of OpenCL, see DetectOptions::setHostFallback(); empty otherwise
    /// A message where a 16-bit image in a cv::Mat has values that do not fit those of training: the score is unreliable; empty otherwise.
    std::string warning;
    std::shared_ptr<const void> reserved; ///< empty. Later versions put further results here, so that this structure keeps its size
};

/// Size of map and mask.
enum MapSize : int
{
    MAP_IMAGE = 0, ///< the image's size
    MAP_MODEL = 1  ///< the scale at which the score is computed: the model's input size, or the scale of its tiles
};

/// The drift check over the last images: do they still look like the training images?
struct DriftState
{
    /// The model knows the range of its training features. A model trained with fewer than 8 held-out images does not; agpnet::calibrate()
    /// adds it.
    bool known = false;
    int pictures = 0;      ///< images seen, at most the window
    int window = 0;        ///< see AnomalyDetector::setDriftWindow()
    double median = 0;     ///< of their AnomalyResult::drift
    double outside = 0;    ///< fraction of them above 1; about 0.01 for images like those of training
    bool drifting = false; ///< at least 4 images, and a quarter of those seen, are outside
};

/// Options of one inspection. Every setter checks its argument, throws cv::Exception naming it, and returns *this:
///
///     detector->detect(frame, map, mask, agpnet::DetectOptions().setTiles(512).setSensitivity(2));
///
/// A copy is independent. One object may be read by several threads at once.
class AGPNET_EXPORT DetectOptions
{
public:
    DetectOptions(); ///< everything as the model was trained

    DetectOptions& setMapSize(MapSize size); ///< size of map and mask; default MAP_IMAGE
    MapSize getMapSize() const;              ///< see setMapSize()

    /// Covers images with overlapping square tiles instead of resizing them to the model's input: small defects stay visible. The model's
    /// thresholds belong to the tiles that it was trained with; other tiles need other thresholds.
    /// @param side     side of a tile in pixels of the image, 32 to 16384; 0: the whole image is resized; -1 (default): as trained
    /// @param overlap  minimum fraction of a tile that it shares with the next one, 0 to 0.9; -1 (default): as trained
    DetectOptions& setTiles(int side, double overlap = -1);
    int getTileSide() const;       ///< see setTiles()
    double getTileOverlap() const; ///< see setTiles()

    /// Restricts the inspection to a region: outside, the map is 0; the score is computed inside. Default: as trained.
    /// @param mask  CV_8UC1, non-zero inside, of any size: it is stretched to each image. noArray(): the whole image
    /// @throws cv::Exception for another type, and for a mask that is 0 everywhere
    DetectOptions& setRegionOfInterest(cv::InputArray mask);

    /// The same with polygons.
    /// @param polygons  3 points or more each; even-odd: a polygon inside another is a hole; pixels that a border touches are inside.
    ///                  Empty: the whole image
    /// @param image     size of the image that the points are pixels of; empty: they are fractions of its sides, 0 to 1
    DetectOptions& setRegionPolygons(const std::vector<std::vector<cv::Point2f>>& polygons, cv::Size image = cv::Size());
    cv::Mat getRegionMask() const;                                  ///< see setRegionOfInterest(); empty if there is none
    std::vector<std::vector<cv::Point2f>> getRegionPolygons() const; ///< see setRegionPolygons(), as fractions of the image's sides

    /// Uses the thresholds of one product. "" (default): each image is judged by the thresholds of the product whose features are nearest,
    /// if the model distinguishes products (target `standardised`), otherwise by those of all products together. detect() throws for a
    /// product that the model does not know.
    DetectOptions& setProduct(const std::string& name);
    std::string getProduct() const; ///< see setProduct()

    /// Divides both thresholds: 2 detects defects half as strong, 0.5 only those twice as strong. > 0; default 1.
    DetectOptions& setSensitivity(double sensitivity);
    double getSensitivity() const; ///< see setSensitivity()

    /// Thresholds of the image score and of the map, before sensitivity. Finite, >= 0; 0 (default): the model's own.
    DetectOptions& setThreshold(double threshold);
    DetectOptions& setPixelThreshold(double threshold); ///< the same for the map
    double getThreshold() const;                        ///< see setThreshold()
    double getPixelThreshold() const;                   ///< see setPixelThreshold()

    /// Minimum area of a region in pixels, at the size of map and mask; smaller regions are neither listed nor marked in the mask. The
    /// decision does not depend on it. Default 0.
    DetectOptions& setMinimumArea(int pixels);
    int getMinimumArea() const; ///< see setMinimumArea()

    /// Threads that compute one call on the CPU, the calling one included. They are the library's own, sleep while they wait, and are
    /// shared by all detectors.
    /// @param threads  at most 256; 0 (default): as many as LibTorch uses in the calling thread: one for each core, unless OMP_NUM_THREADS
    ///                 or omp_set_num_threads() say less
    DetectOptions& setThreads(int threads);
    int getThreads() const; ///< see setThreads()

    /// Whether the CPU inspects an image in a cv::UMat where the OpenCL device fails, for lack of memory for instance;
    /// AnomalyResult::deviceFailure then says why. Each image is tried on the device first. Default true; false: the failure is thrown.
    DetectOptions& setHostFallback(bool allowed);
    bool getHostFallback() const; ///< see setHostFallback()

    struct Impl;
    const Impl& impl() const { return *impl_; } ///< for the library itself

private:
    std::shared_ptr<const Impl> impl_; ///< shared by copies until one is changed
};

/// A trained model that inspects images. All functions may be called from several threads on one object. Implemented by the library alone;
/// later versions add functions after the last one, so that programs need not be compiled again.
class AGPNET_EXPORT AnomalyDetector
{
public:
    virtual ~AnomalyDetector() = default;

    /// Reads a .agp file. Models are shared: a second detector of an unchanged file costs no memory.
    /// @param model      path of the file
    /// @param precision  "auto" (the fastest on the device in which training found the model accurate), "fp32", "bf16" or "int8". A CPU
    ///                   without such products, and a model that does not know its input ranges for int8, compute in "fp32"; see
    ///                   getPrecision()
    /// @param device     where the model computes: "cpu", "cuda" or "cuda:N". For CUDA, LibTorch's libtorch_cuda.so and what it needs must
    ///                   lie beside its libtorch_cpu.so; it is loaded on first use
    /// @param options    options of detect() and detectBatch() without options
    /// @throws cv::Exception naming the file and what is wrong with it, or what the device lacks
    static cv::Ptr<AnomalyDetector> create(const std::string& model, const std::string& precision = "auto",
                                           const std::string& device = "cpu", const DetectOptions& options = DetectOptions());

    /// Inspects an image with the detector's own options.
    ///
    /// A cv::UMat in and a cv::UMat out stay on OpenCV's OpenCL device: the image (8 or 16 bits) is resized there, and map and mask are
    /// made there; only the model's input and its residual pass through the host. With tiles, a region of interest or a minimum area, the
    /// host does it. A cv::cuda::GpuMat, on the device that the model was created on, stays there; work on other cv::cuda::Streams must be
    /// complete before the call. With tiles, a region of interest or a minimum area, map and mask are made on the host and copied to where
    /// they are requested.
    /// @param image  8-bit, 16-bit (0 to the maximum value of the bits that the model was trained with: `bits` of the header's config, 0
    ///               means all 16; see AnomalyResult::warning) or float (0 to 1); 1 (grey), 3 (BGR) or 4 (BGRA, alpha ignored) channels; at
    ///               least 8x8
    /// @param map    anomaly map, CV_32FC1, >= 0: distance of features from their reconstruction
    /// @param mask   CV_8UC1, 255 where the map exceeds the pixel threshold
    /// @throws cv::Exception for an empty image, another type, or values that are not finite
    virtual AnomalyResult detect(cv::InputArray image, cv::OutputArray map = cv::noArray(), cv::OutputArray mask = cv::noArray()) const = 0;

    /// The same with options for this call alone.
    virtual AnomalyResult detect(cv::InputArray image, cv::OutputArray map, cv::OutputArray mask, const DetectOptions& options) const = 0;

    /// Inspects several images in one pass, which is faster than one by one.
    /// @param images  vector of cv::Mat, or of cv::cuda::GpuMat on the model's device
    /// @param maps    vector of cv::Mat or of cv::cuda::GpuMat, or noArray(). Images on the device stay there, as with detect(), if maps or
    ///                masks are requested there
    /// @param masks   the same for masks
    virtual std::vector<AnomalyResult> detectBatch(cv::InputArrayOfArrays images, cv::OutputArrayOfArrays maps = cv::noArray(),
                                                   cv::OutputArrayOfArrays masks = cv::noArray()) const = 0;

    /// The same with options for this call alone.
    virtual std::vector<AnomalyResult> detectBatch(cv::InputArrayOfArrays images, cv::OutputArrayOfArrays maps,
                                                   cv::OutputArrayOfArrays masks, const DetectOptions& options) const = 0;

    /// Replaces the detector's own options; calls that run at the same time use the old or the new ones.
    /// @throws cv::Exception for a product that the model does not know
    virtual void setOptions(const DetectOptions& options) = 0;
    virtual DetectOptions getOptions() const = 0; ///< see setOptions(). Tiles and region are those of training where none were set

    /// Names of the products that the model was trained for, each with its own thresholds; empty where it has one only.
    virtual std::vector<std::string> getProducts() const = 0;

    /// The model's own thresholds of the image score and of the map.
    /// @param product  one of getProducts(); "": all products together
    virtual double getThreshold(const std::string& product = std::string()) const = 0;
    virtual double getPixelThreshold(const std::string& product = std::string()) const = 0; ///< the same for the map

    /// Drift over the last images of this detector, of all threads together.
    virtual DriftState getDrift() const = 0;

    /// Forgets the images seen, and looks at this many from now on: 4 to 65536; default 32.
    virtual void setDriftWindow(int images) = 0;

    virtual cv::Size getInputSize() const = 0;    ///< the model's input size
    virtual std::string getPrecision() const = 0; ///< the type that it computes in: "fp32", "bf16" or "int8"
    virtual std::string getDevice() const = 0;    ///< "cpu" or "cuda:N"
    virtual std::string getHeader() const = 0;    ///< the model file's header, JSON text; `scores` says where the thresholds come from
};

} // namespace agpnet
