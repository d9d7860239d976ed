// Who a device is, so that what was measured on one is used on the same, or on its like.
#pragma once

#include "halide_generators/runtime/stages.h"

#include <string>

namespace agpnet::stages
{

struct DeviceIdentity
{
    Api api = Api::Cpu;
    std::string name;
    std::string uuid;         ///< 32 hexadecimal digits, or empty where the driver tells none
    std::string architecture; ///< what schedules may be shared within; empty: only the device itself
    std::string driver;
    bool software = false; ///< an OpenCL "device" that is the CPU: its ranking says nothing about a GPU

    bool operator==(const DeviceIdentity&) const = default;
};

/// Of the device that a call with this runs on. An Error where there is none.
DeviceIdentity identify(const Device& device);

} // namespace agpnet::stages
