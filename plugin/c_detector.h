// What the handle agpnet_detector holds.
#pragma once

#include "agpnet/anomaly_detector.hpp"
#include "agpnet/c_api.h"

#include <string>
#include <vector>

struct agpnet_detector
{
    explicit agpnet_detector(cv::Ptr<agpnet::AnomalyDetector> of);

    cv::Ptr<agpnet::AnomalyDetector> detector;
    std::string header, precision, device; ///< the caller gets pointers to these texts
    std::vector<std::string> products;
};
