// agpnet evaluate for models of the method dec: how well objects of a class, or the very same object, are found.
#pragma once

#include <cstdint>
#include <string>

namespace agpnet::app
{

struct ObjectEvaluation
{
    std::string model, data, split, protocol, out, precision = "auto", device = "cpu";
    int drawings = 1000;
    uint64_t seed = 0;
    bool asJson = false;
};

int evaluateObjects(const ObjectEvaluation& options);

} // namespace agpnet::app
