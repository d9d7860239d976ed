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
    double score = 0;      ///< image score: the map's maximum or top-1 % mean, as the model was trained for
    double threshold = 0;  ///< what the score was compared with, sensitivity included
    bool anomalous = false;
    std::vector<Region> regions; ///< greatest peak first; filled when a mask was asked for, or the image is anomalous
};

/// Where map and mask are to be given.
enum MapSize
{
    MAP_IMAGE = 0, ///< at the image's size
    MAP_MODEL = 1  ///< at the model's input size, where the score is taken
};

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

    /// @param image  8-bit, 16-bit or float (0 to 1); 1 (grey), 3 (BGR) or 4 (BGRA, alpha ignored) channels; any size from 8x8
    /// @param map    anomaly map, CV_32F, one channel: the distance of features from their reconstruction, 0 upward
    /// @param mask   CV_8U, 255 where the map exceeds the pixel threshold
    /// @throws cv::Exception for an empty image, another type, or values that are not finite
    virtual Result detect(cv::InputArray image, cv::OutputArray map = cv::noArray(), cv::OutputArray mask = cv::noArray(),
                          MapSize size = MAP_IMAGE) const = 0;

    /// Several images in one pass, which is quicker than one by one. `maps` and `masks` are vectors, or noArray().
    virtual std::vector<Result> detectBatch(cv::InputArrayOfArrays images, cv::OutputArrayOfArrays maps = cv::noArray(),
                                            cv::OutputArrayOfArrays masks = cv::noArray(), MapSize size = MAP_IMAGE) const = 0;

    /// Divides both thresholds: 2 finds defects half as strong, 0.5 only those twice as strong. Default 1; > 0.
    virtual void setSensitivity(double sensitivity) = 0;
    virtual double sensitivity() const = 0;

    virtual double threshold() const = 0;      ///< of the image score, before sensitivity
    virtual double pixelThreshold() const = 0; ///< of the map, before sensitivity
    virtual cv::Size inputSize() const = 0;    ///< of the model
    virtual std::string precision() const = 0; ///< "fp32" or "bf16", as chosen
    virtual std::string header() const = 0;    ///< the model file's header: JSON text
};

} // namespace agpnet
