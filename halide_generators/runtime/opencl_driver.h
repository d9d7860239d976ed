// The few OpenCL entries that the call layer needs itself, looked up when first asked for: a machine without an OpenCL loader runs all the
// rest.
#pragma once

#include <CL/cl.h>
#include <string>

namespace agpnet::stages
{

struct OpenClDriver
{
    void* library = nullptr;
    decltype(&clGetPlatformIDs) getPlatformIds = nullptr;
    decltype(&clGetPlatformInfo) getPlatformInfo = nullptr;
    decltype(&clGetDeviceIDs) getDeviceIds = nullptr;
    decltype(&clGetDeviceInfo) getDeviceInfo = nullptr;
    decltype(&clCreateContext) createContext = nullptr;
    decltype(&clRetainContext) retainContext = nullptr;
    decltype(&clCreateCommandQueue) createCommandQueue = nullptr;
    decltype(&clGetCommandQueueInfo) getCommandQueueInfo = nullptr;
    decltype(&clFinish) finish = nullptr;
    decltype(&clCreateBuffer) createBuffer = nullptr;
    decltype(&clEnqueueReadBuffer) enqueueReadBuffer = nullptr;
    decltype(&clGetMemObjectInfo) getMemObjectInfo = nullptr;
    decltype(&clCreateSubBuffer) createSubBuffer = nullptr;
    decltype(&clReleaseMemObject) releaseMemObject = nullptr;
    decltype(&clReleaseCommandQueue) releaseCommandQueue = nullptr;
    decltype(&clReleaseContext) releaseContext = nullptr;
    std::string problem; ///< why it cannot be used; empty: it can

    static const OpenClDriver& get(); ///< loaded once, and kept until the process ends
};

} // namespace agpnet::stages
