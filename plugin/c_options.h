#pragma once

#include "agpnet/anomaly_detector.hpp"
#include "agpnet/c_api.h"

namespace agpnet
{

/// The options of an inspection that a C caller gives; null: the defaults.
DetectOptions detectOptionsOf(const agpnet_detect_options* given);

} // namespace agpnet
