#include "halide_generators/runtime/cuda_driver.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <map>
#include <mutex>

namespace agpnet::stages
{
namespace
{

template <typename Function>
bool load(void* library, Function& function, const char* name)
{
    function = reinterpret_cast<Function>(dlsym(library, name));
    return function != nullptr;
}

CudaDriver loaded()
{
    CudaDriver driver;
    void* const library = driver.library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        driver.problem = "no CUDA driver (libcuda.so.1) on this machine";
    else if (!load(library, driver.init, "cuInit") || !load(library, driver.driverVersion, "cuDriverGetVersion") ||
             !load(library, driver.deviceCount, "cuDeviceGetCount") || !load(library, driver.deviceGet, "cuDeviceGet") ||
             !load(library, driver.deviceName, "cuDeviceGetName") || !load(library, driver.deviceUuid, "cuDeviceGetUuid") ||
             !load(library, driver.deviceAttribute, "cuDeviceGetAttribute") ||
             !load(library, driver.primaryRetain, "cuDevicePrimaryCtxRetain") || !load(library, driver.setCurrent, "cuCtxSetCurrent") ||
             !load(library, driver.synchronize, "cuCtxSynchronize") || !load(library, driver.allocate, "cuMemAlloc_v2") ||
             !load(library, driver.release, "cuMemFree_v2") || !load(library, driver.upload, "cuMemcpyHtoD_v2") ||
             !load(library, driver.download, "cuMemcpyDtoH_v2"))
        driver.problem = "the CUDA driver lacks an entry point";
    else if (const int status = driver.init(0))
        driver.problem = fmt::format("the CUDA driver does not start (cuInit: {})", status);
    return driver;
}

} // namespace

const CudaDriver& CudaDriver::get()
{
    static const CudaDriver driver = loaded();
    return driver;
}

std::string whyNoCuda(int device)
{
    const CudaDriver& driver = CudaDriver::get();
    if (!driver.problem.empty())
        return driver.problem;
    int count = 0;
    if (driver.deviceCount(&count) != 0 || device < 0 || device >= count)
        return fmt::format("CUDA device {} is not there; the driver has {}", device, count);
    return {};
}

void* primaryContext(int device)
{
    static std::mutex mutex;
    static std::map<int, void*> contexts;
    const CudaDriver& driver = CudaDriver::get();
    if (!driver.problem.empty())
        return nullptr;
    const std::lock_guard lock(mutex);
    void*& context = contexts[device];
    int handle = 0;
    if (!context && (driver.deviceGet(&handle, device) != 0 || driver.primaryRetain(&context, handle) != 0))
        context = nullptr;
    return context;
}

} // namespace agpnet::stages
