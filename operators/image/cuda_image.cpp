#include "operators/image/cuda_image.h"

#include "models/device/stage_device.h"
#include "models/device/tensor_view.h"
#include "operators/image/opencl_image.h"

#include <ATen/ATen.h>

namespace agpnet
{

at::Tensor preparedOnCuda(const cv::cuda::GpuMat& image, at::Device device, cv::Size size)
{
    stages::Picture picture = pictureOf(image);
    picture.data = image.data;
    at::Tensor input = at::empty({1, picture.channels == 6 ? 6 : 3, size.height, size.width}, at::TensorOptions(at::kFloat).device(device));
    stages::prepare(stageDeviceOf(input), picture, viewOf(input));
    return input;
}

at::Tensor floatsOf(const cv::cuda::GpuMat& image, at::Device device)
{
    return at::from_blob(image.data, {1, image.rows, image.cols, image.channels()},
                         {0, static_cast<int64_t>(image.step / sizeof(float)), image.channels(), 1},
                         at::TensorOptions(at::kFloat).device(device));
}

const cv::cuda::GpuMat& gpuMatOf(cv::InputArray array)
{
    return *static_cast<const cv::cuda::GpuMat*>(array.getObj()); // getGpuMat() refuses where OpenCV was built without CUDA
}

const std::vector<cv::cuda::GpuMat>& gpuMatsOf(cv::InputArrayOfArrays arrays)
{
    return *static_cast<const std::vector<cv::cuda::GpuMat>*>(arrays.getObj());
}

} // namespace agpnet
