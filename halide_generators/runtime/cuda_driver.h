// The few entries of the CUDA driver that are needed without a CUDA toolkit, looked up when first asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace agpnet::stages
{

struct CudaDriver
{
    int (*init)(unsigned) = nullptr;
    int (*driverVersion)(int*) = nullptr;
    int (*deviceCount)(int*) = nullptr;
    int (*deviceGet)(int*, int) = nullptr;
    int (*deviceName)(char*, int, int) = nullptr;
    int (*deviceUuid)(char*, int) = nullptr; ///< 16 bytes
    int (*deviceAttribute)(int*, int, int) = nullptr;
    int (*primaryRetain)(void**, int) = nullptr;
    int (*setCurrent)(void*) = nullptr;
    int (*synchronize)() = nullptr;
    int (*allocate)(uint64_t*, size_t) = nullptr;
    int (*release)(uint64_t) = nullptr;
    int (*upload)(uint64_t, const void*, size_t) = nullptr;
    int (*download)(void*, uint64_t, size_t) = nullptr;
    void* library = nullptr; ///< for entries not listed here
    std::string problem; ///< why it cannot be used; empty: it can

    static const CudaDriver& get(); ///< loaded once, and kept until the process ends
};

/// Empty if the CUDA driver is there and has the device, else why not.
std::string whyNoCuda(int device);

/// The context that LibTorch and the CUDA runtime use: one reference per device, held until the process ends, as the CUDA runtime itself
/// does. Null where there is none.
void* primaryContext(int device);

} // namespace agpnet::stages
