// A device to measure on, with memory of its own: "cpu", "opencl:0", "cuda:0".
#pragma once

#include "halide_generators/runtime/stages.h"

#include <memory>
#include <string>
#include <vector>

namespace agpnet::tuning
{

/// Memory that ends with the object.
class Memory
{
public:
    virtual ~Memory() = default;
    virtual void* handle() = 0; ///< as stages::View::data
    virtual std::vector<unsigned char> read() const = 0;
};

class BenchDevice
{
public:
    /// An Error names the device and why it cannot be used. OpenCL devices are counted over all platforms.
    static std::unique_ptr<BenchDevice> open(const std::string& name);

    virtual ~BenchDevice() = default;
    virtual std::unique_ptr<Memory> allocate(const std::vector<unsigned char>& content) = 0;
    virtual void finish() {} ///< waits until all work is done

    stages::Device device;
};

} // namespace agpnet::tuning
