// agpnet watch with a gallery: which object is held before the camera?
#pragma once

#include "apps/cli/frame_source.h"

#include <string>

namespace agpnet::app
{

struct ObjectWatch
{
    std::string gallery, source, out, model, precision, device;
    double fps = 0, reject = 0.01;
    int frames = 0; ///< after which to stop; 0: none
    Patience patience;
};

int watchObjects(const ObjectWatch& options);

} // namespace agpnet::app
