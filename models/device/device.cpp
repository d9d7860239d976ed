#include "models/device/device.h"

#include "common/error.h"

#include <ATen/Context.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <charconv>
#include <dlfcn.h>
#include <filesystem>

namespace agpnet
{
namespace
{

/// In a Python with torch it is there already; libagpnet.so itself is linked to the CPU's part alone, so that it needs no other.
void loadCuda(const std::string& name)
{
    if (c10::impl::hasDeviceGuardImpl(at::kCUDA))
        return;
    Dl_info cpu{};
    dladdr(reinterpret_cast<const void*>(&at::globalContext), &cpu);
    const std::string path = std::filesystem::path(cpu.dli_fname ? cpu.dli_fname : "").replace_filename("libtorch_cuda.so").string();
    const void* const loaded = dlopen(path.c_str(), RTLD_NOW | RTLD_NODELETE);
    const char* const why = loaded ? nullptr : dlerror();
    require(loaded && c10::impl::hasDeviceGuardImpl(at::kCUDA), "device is '{}', but this LibTorch has no CUDA: {}", name,
            why ? why : path + " does not register it");
}

} // namespace

at::Device deviceNamed(const std::string& name)
{
    return withErrorsOf(ErrorKind::Device, [&]() -> at::Device {
        if (name == "cpu")
            return at::kCPU;
        const std::string prefix = "cuda";
        int ordinal = 0;
        bool known = name == prefix;
        if (name.starts_with(prefix + ":"))
        {
            const char* const end = name.data() + name.size();
            const auto [stop, error] = std::from_chars(name.data() + prefix.size() + 1, end, ordinal);
            known = error == std::errc() && stop == end && ordinal >= 0;
        }
        require(known, "device is '{}', expected cpu, cuda or cuda:N", name);
        loadCuda(name);
        const int count = c10::impl::getDeviceGuardImpl(at::kCUDA)->deviceCount();
        require(ordinal < count, "device is '{}', but LibTorch finds {} CUDA devices", name, count == 0 ? "no" : std::to_string(count));
        return {at::kCUDA, static_cast<at::DeviceIndex>(ordinal)};
    });
}

} // namespace agpnet
