// Inspecting images with a trained model.
//
//     cv::Ptr<agpnet::Detector> detector = agpnet::Detector::load("tile.agp");
//     cv::Mat map;
//     agpnet::Result result = detector->detect(frame, map);   // result.score, result.anomalous, result.regions
#pragma once

#include "agpnet/export.hpp"

#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace agpnet
{

/// A connected part of the mask (8 neighbours), in pixels of the image.
struct Region
{
    cv::Rect box;
    cv::Point peak;   ///< where the map is greatest
    double score = 0; ///< the map's value there
    int area = 0;     ///< pixels
};

struct Result
{
    double score = 0;      ///< image score: maximum or top-1 % mean of a map, by the distance that the model scores by (config: score, score_metric)
    double threshold = 0;  ///< what the score was compared with, sensitivity included
    bool anomalous = false;
    std::vector<Region> regions; ///< greatest peak first; filled when the image is anomalous, or a mask was asked for that is no UMat (they are found on the host)
};

/// Where map and mask are to be given.
enum MapSize
{
    MAP_IMAGE = 0, ///< at the image's size
    MAP_MODEL = 1  ///< the scale at which the score is taken: the model's input size, or at the scale of its tiles
};

/// Polygons from text, for command lines and attributes: points "x,y" separated by blanks, polygons by semicolons, for instance
/// "0.1,0.1 0.9,0.1 0.5,0.9".
/// @throws cv::Exception naming what is not a point, and a polygon of fewer than 3 points
AGPNET_EXPORT std::vector<std::vector<cv::Point2f>> polygonsFromText(const std::string& text);

/// detect() may be called from several threads on one Detector; setters may not run beside it.
class AGPNET_EXPORT Detector
{
public:
    virtual ~Detector() = default;

    /// Reads a .agp file. Models are shared: a second load() of an unchanged file costs no memory.
    /// @param path       the model
    /// @param precision  "auto" (bfloat16 where the CPU has it and the model was found accurate in it), "fp32" or "bf16"
    /// @throws cv::Exception naming the file and what is wrong with it
    static cv::Ptr<Detector> load(const std::string& path, const std::string& precision = "auto");

    /// A cv::UMat in and a cv::UMat out stay on OpenCV's OpenCL device: the picture (8 or 16 bits) is resized there, and map and mask are made
    /// there; only the model's input and its residual pass to the model and back. Not so with tiles or a region of interest.
    /// @param image  8-bit, 16-bit or float (0 to 1); 1 (grey), 3 (BGR) or 4 (BGRA, alpha ignored) channels; any size from 8x8
    /// @param map    anomaly map, CV_32F, one channel: the distance of features from their reconstruction, 0 upward
    /// @param mask   CV_8U, 255 where the map exceeds the pixel threshold
    /// @throws cv::Exception for an empty image, another type, or values that are not finite
    virtual Result detect(cv::InputArray image, cv::OutputArray map = cv::noArray(), cv::OutputArray mask = cv::noArray(),
                          MapSize size = MAP_IMAGE) const = 0;

    /// Several images in one pass, which is quicker than one by one. `maps` and `masks` are vectors, or noArray().
    virtual std::vector<Result> detectBatch(cv::InputArrayOfArrays images, cv::OutputArrayOfArrays maps = cv::noArray(),
                                            cv::OutputArrayOfArrays masks = cv::noArray(), MapSize size = MAP_IMAGE) const = 0;

    /// Covers larger images with overlapping square tiles instead of shrinking them to the model's input: small defects stay visible.
    /// load() sets what the model was trained with, and its thresholds were taken so; another choice needs others.
    /// @param side     of a tile, in pixels of the image: 32 to 16384; 0: the whole image is resized, whatever its size
    /// @param overlap  least share of a tile that it has in common with the next, 0 to 0.9
    virtual void setTiles(int side, double overlap = 0.25) = 0;
    virtual int tileSide() const = 0;
    virtual double tileOverlap() const = 0;

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

    /// Takes the thresholds of one product. "", which is what load() sets: those of all products together.
    /// @throws cv::Exception naming the products there are
    virtual void setProduct(const std::string& name) = 0;
    virtual std::string product() const = 0;

    /// Divides both thresholds: 2 finds defects half as strong, 0.5 only those twice as strong. Default 1; > 0.
    virtual void setSensitivity(double sensitivity) = 0;
    virtual double sensitivity() const = 0;

    virtual double threshold() const = 0;      ///< of the image score, for the product, before sensitivity
    virtual double pixelThreshold() const = 0; ///< of the map, likewise
    virtual cv::Size inputSize() const = 0;    ///< of the model
    virtual std::string precision() const = 0; ///< "fp32" or "bf16", as chosen
    virtual std::string header() const = 0;    ///< the model file's header: JSON text
};

} // namespace agpnet
