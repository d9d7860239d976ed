// What the handle agpnet_results holds.
#pragma once

#include "agpnet/anomaly_detector.hpp"
#include "agpnet/c_api.h"

#include <string>
#include <vector>

struct agpnet_results
{
    std::vector<agpnet::AnomalyResult> found;
    std::vector<cv::Mat> maps, masks; ///< empty if they were not requested
    std::string error;                ///< of a frame of a stream
};

namespace agpnet
{

/// AGPNET_MAP and AGPNET_MASK: are there others among them?
void requireOutputs(uint32_t outputs);

} // namespace agpnet
