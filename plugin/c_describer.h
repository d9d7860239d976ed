// What the handle agpnet_describer holds.
#pragma once

#include "agpnet/c_api.h"
#include "agpnet/describer.hpp"

#include <string>

struct agpnet_describer
{
    explicit agpnet_describer(cv::Ptr<agpnet::Describer> of);

    cv::Ptr<agpnet::Describer> describer;
    std::string header, space, precision, device; ///< the caller gets pointers to these texts
};
