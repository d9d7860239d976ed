#include "halide_generators/runtime/opencl_driver.h"

#include <dlfcn.h>

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

OpenClDriver loaded()
{
    OpenClDriver driver;
    void*& library = driver.library;
    for (const char* name : {"libOpenCL.so.1", "libOpenCL.so"})
        if (!library)
            library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        driver.problem = "no OpenCL loader (libOpenCL.so.1) on this machine";
    else if (!load(library, driver.getPlatformIds, "clGetPlatformIDs") ||
             !load(library, driver.getPlatformInfo, "clGetPlatformInfo") ||
             !load(library, driver.getDeviceIds, "clGetDeviceIDs") ||
             !load(library, driver.getDeviceInfo, "clGetDeviceInfo") ||
             !load(library, driver.createContext, "clCreateContext") ||
             !load(library, driver.retainContext, "clRetainContext") ||
             !load(library, driver.createCommandQueue, "clCreateCommandQueue") ||
             !load(library, driver.getCommandQueueInfo, "clGetCommandQueueInfo") ||
             !load(library, driver.finish, "clFinish") ||
             !load(library, driver.createBuffer, "clCreateBuffer") ||
             !load(library, driver.enqueueReadBuffer, "clEnqueueReadBuffer") ||
             !load(library, driver.getMemObjectInfo, "clGetMemObjectInfo") ||
             !load(library, driver.createSubBuffer, "clCreateSubBuffer") ||
             !load(library, driver.releaseMemObject, "clReleaseMemObject") ||
             !load(library, driver.releaseCommandQueue, "clReleaseCommandQueue") ||
             !load(library, driver.releaseContext, "clReleaseContext"))
        driver.problem = "the OpenCL loader lacks an entry point";
    else if (cl_uint count = 0; driver.getPlatformIds(0, nullptr, &count) != CL_SUCCESS || count == 0)
        driver.problem = "OpenCL finds no platform on this machine";
    return driver;
}

} // namespace

const OpenClDriver& OpenClDriver::get()
{
    static const OpenClDriver driver = loaded();
    return driver;
}

} // namespace agpnet::stages
