#include "models/stage_device.h"

#include "common/error.h"

#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace agpnet
{
namespace
{

/// CUDA's own handle, without CUDA's headers or libraries: the host's LibTorch has them, or there are no such tensors.
template <typename Stream>
void* handleOf(const Stream& stream)
{
    if constexpr (requires { stream.native_handle(); })
        return stream.native_handle();
    require(stream.id() == 0, "this LibTorch does not tell the handle of CUDA stream {}; use the default stream, or LibTorch 2.11 or later", stream.id());
    return nullptr; // the default stream
}

} // namespace

stages::Device stageDeviceOf(const at::Tensor& tensor)
{
    stages::Device device;
    if (tensor.is_cpu())
        return device;
    require(tensor.is_cuda(), "a stage takes tensors on the CPU or on a CUDA device, found one on {}", tensor.device().str());
    device.api = stages::Api::Cuda;
    device.cudaDevice = tensor.get_device();
    device.cudaStream = handleOf(c10::impl::VirtualGuardImpl(at::kCUDA).getStream(tensor.device()));
    return device;
}

} // namespace agpnet
