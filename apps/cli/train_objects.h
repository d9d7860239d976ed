// agpnet train --method dec: a model that describes objects.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace agpnet::app
{

struct ObjectTraining
{
    std::string data, out, backbone, config, preset, size, device = "cpu";
    std::string names, bridge, textEncoder; ///< virtual names, and both sides of their space
    std::optional<uint64_t> seed;
    bool reference = false, asJson = false;
};

int trainObjects(const ObjectTraining& options);

} // namespace agpnet::app
