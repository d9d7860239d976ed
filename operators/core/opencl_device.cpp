#include "operators/core/opencl_device.h"

#include <opencv2/core/ocl.hpp>

namespace agpnet
{

stages::Device openClDevice()
{
    stages::Device device;
    if (!cv::ocl::useOpenCL())
        return device;
    const cv::ocl::OpenCLExecutionContext& context = cv::ocl::OpenCLExecutionContext::getCurrent();
    if (context.empty())
        return device;
    device.api = stages::Api::OpenCL;
    device.clContext = context.getContext().ptr();
    device.clQueue = context.getQueue().ptr();
    return device;
}

cv::UMat aligned(const cv::UMat& array)
{
    const size_t alignment = static_cast<size_t>(cv::ocl::Device::getDefault().memBaseAddrAlign()) / 8;
    if (alignment == 0 || array.offset % alignment == 0)
        return array;
    cv::UMat copy;
    if (array.dims <= 2)
        array.copyTo(copy);
    else // OpenCV copies no sub-matrix of four dimensions on the device
        array.getMat(cv::ACCESS_READ).clone().copyTo(copy);
    return copy;
}

} // namespace agpnet
