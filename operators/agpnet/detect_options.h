// Values of DetectOptions.
#pragma once

#include "agpnet/anomaly_detector.hpp"
#include "operators/agpnet/inspection/decision.h"

#include <optional>

namespace agpnet
{

struct DetectOptions::Impl
{
    MapSize mapSize = MAP_IMAGE;
    int tileSide = -1;       ///< -1: as trained
    double tileOverlap = -1; ///< -1: as trained
    std::optional<RegionOfInterest> region; ///< none: as trained
    ThresholdOptions thresholds;
    int minimumArea = 0, threads = 0;
    bool hostFallback = true;

    /// Over what the model was trained with.
    Inspection inspection(const Config& config) const;
};

} // namespace agpnet
