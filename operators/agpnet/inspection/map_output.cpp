#include "operators/agpnet/inspection/map_output.h"

#include <ATen/ATen.h>
#include <opencv2/core/cuda.hpp>
#include <vector>

namespace agpnet
{
namespace
{

/// As gpuMatsOf(): OpenCV's own getGpuMatVecRef() refuses where it was built without CUDA.
template <typename Kind>
Kind& objectOf(cv::OutputArray array)
{
    return *static_cast<Kind*>(array.getObj());
}

} // namespace

void MapOutput::makeRoom(size_t count) const
{
    if (arrays_.isGpuMatVector())
        objectOf<std::vector<cv::cuda::GpuMat>>(arrays_).resize(count);
    else if (several_ && needed())
        arrays_.create(static_cast<int>(count), 1, 0);
}

void MapOutput::set(size_t i, const cv::Mat& map, at::Device cuda) const
{
    if (!needed())
        return;
    if (onCuda())
    {
        const at::Tensor tensor = at::from_blob(map.data, {1, 1, map.rows, map.cols}, {0, 0, static_cast<int64_t>(map.step1()), 1},
                                                map.depth() == CV_8U ? at::kByte : at::kFloat);
        setOnCuda(i, tensor, cuda);
    }
    else if (several_)
    {
        arrays_.create(map.size(), map.type(), static_cast<int>(i));
        cv::Mat to = arrays_.getMat(static_cast<int>(i));
        map.copyTo(to);
    }
    else
        map.copyTo(arrays_);
}

void MapOutput::set(size_t i, const at::Tensor& map) const
{
    if (!needed())
        return;
    if (onCuda())
        return setOnCuda(i, map, map.device());
    const at::Tensor host = map.to(at::kCPU).contiguous();
    set(i, cv::Mat(static_cast<int>(map.size(2)), static_cast<int>(map.size(3)), map.scalar_type() == at::kByte ? CV_8U : CV_32F, host.mutable_data_ptr()), at::kCPU);
}

void MapOutput::setOnCuda(size_t i, const at::Tensor& map, at::Device device) const
{
    cv::cuda::GpuMat& to = several_ ? objectOf<std::vector<cv::cuda::GpuMat>>(arrays_).at(i) : objectOf<cv::cuda::GpuMat>(arrays_);
    const int rows = static_cast<int>(map.size(2)), columns = static_cast<int>(map.size(3)), type = map.scalar_type() == at::kByte ? CV_8UC1 : CV_32FC1;
    if (to.size() != cv::Size(columns, rows) || to.type() != type)
        to.create(rows, columns, type);
    at::from_blob(to.data, map.sizes(), {0, 0, static_cast<int64_t>(to.step / map.element_size()), 1}, map.options().device(device)).copy_(map);
}

} // namespace agpnet
