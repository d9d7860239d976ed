// A device that there is everywhere: LibTorch knows it by its place for devices of others, its memory is the host's and the host computes,
// but tensors there and on the CPU must not be mixed, as with a GPU. What passes between it and the host is counted. It shows on a machine
// without a GPU where tensors are on the wrong side, and where a program would wait for its device. It says nothing of a GPU's kernels.
#pragma once

#include <c10/core/Device.h>
#include <cstdint>
#include <string>

namespace agpnet::test
{

/// Makes it known to LibTorch and to models/device/stage_device.h, once in a process.
at::Device fakeDevice();

/// The one called "fake", or deviceNamed(); the CPU, and why, where there is none.
at::Device deviceFor(const std::string& name, std::string& reason);

struct Traffic
{
    int64_t toDevice = 0; ///< copies of tensors
    int64_t toHost = 0;   ///< likewise: the program waits
    int64_t values = 0;   ///< numbers read, and results whose size depends on values: it waits, too
};

Traffic traffic(); ///< so far
Traffic operator-(const Traffic& a, const Traffic& b);

} // namespace agpnet::test
