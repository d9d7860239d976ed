#include "models/device/stage_device.h"

#include "common/error.h"

#include <ATen/ops/empty.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <mutex>
#include <unordered_map>

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
    require(stream.id() == 0, "this LibTorch does not give the handle of CUDA stream {}; use the default stream, or LibTorch 2.11 or later",
            stream.id());
    return nullptr; // the default stream
}

/// LibTorch's own memory, which its allocator orders by stream and keeps for graphs.
class StageMemory
{
public:
    static const stages::CudaAllocator& get()
    {
        static const stages::CudaAllocator memory = {allocate, release};
        return memory;
    }

private:
    struct Taken
    {
        std::mutex mutex;
        std::unordered_map<void*, at::Tensor> tensors;
    };
    static Taken& taken()
    {
        static auto* const instance = new Taken; // never destroyed: calls may come while the process ends
        return *instance;
    }

    static void* allocate(size_t bytes, int device, void*)
    {
        try
        {
            const at::Tensor tensor = at::empty({static_cast<int64_t>(bytes)},
                                                at::TensorOptions(at::kByte).device(at::kCUDA, static_cast<at::DeviceIndex>(device)));
            const std::lock_guard lock(taken().mutex);
            taken().tensors.emplace(tensor.mutable_data_ptr(), tensor);
            return tensor.mutable_data_ptr();
        }
        catch (const std::exception&) // the stage says that there was none
        {
            return nullptr;
        }
    }

    static void release(void* memory, int, void*)
    {
        at::Tensor last; // goes after the lock
        const std::lock_guard lock(taken().mutex);
        if (auto entry = taken().tensors.extract(memory))
            last = std::move(entry.mapped());
    }
};

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
    device.cudaAllocator = &StageMemory::get();
    return device;
}

} // namespace agpnet
