#include "halide_generators/runtime/runtime_hooks.h"

#include "common/error.h"
#include "halide_generators/runtime/cuda_driver.h"
#include "halide_generators/runtime/opencl_driver.h"

#include <HalideRuntime.h>
#include <HalideRuntimeCuda.h>
#include <HalideRuntimeOpenCL.h>
#include <dlfcn.h>
#include <map>
#include <mutex>
#include <set>
#include <tuple>

using agpnet::stages::Call;

namespace
{

std::atomic<agpnet::stages::ParallelFor> hostParallelFor{nullptr};

} // namespace

namespace agpnet::stages
{

void setParallelFor(ParallelFor parallelFor)
{
    hostParallelFor.store(parallelFor);
}

ParallelFor currentParallelFor()
{
    return hostParallelFor.load();
}

void readyOpenCl(const Device& device)
{
    static const std::string problem = [&]
    {
        Call call(device, nullptr);
        halide_opencl_finalize_kernels(&call, nullptr); // gives back no kernel, but looks up what Halide calls
        return call.message;
    }();
    require(problem.empty(), "OpenCL cannot be used: {}", problem);

    static std::mutex mutex;
    static std::set<void*> kept;
    const std::lock_guard lock(mutex);
    if (kept.insert(device.clContext).second)
        OpenClDriver::get().retainContext(static_cast<cl_context>(device.clContext));
}

namespace
{

/// What was given back, by device, stream and size.
struct KeptMemory
{
    std::mutex mutex;
    std::multimap<std::tuple<int, void*, size_t>, uint64_t> free;

    static KeptMemory& get()
    {
        static auto* const instance = new KeptMemory; // never destroyed: calls may come while the process ends
        return *instance;
    }
};

uint64_t allocateOn(const Device& device, size_t bytes)
{
    if (device.cudaAllocator)
        return reinterpret_cast<uint64_t>(device.cudaAllocator->allocate(bytes, device.cudaDevice, device.cudaStream));
    KeptMemory& kept = KeptMemory::get();
    const std::lock_guard lock(kept.mutex);
    if (const auto known = kept.free.find({device.cudaDevice, device.cudaStream, bytes}); known != kept.free.end())
        return kept.free.extract(known).mapped();
    uint64_t memory = 0; // Halide has made the context current
    return CudaDriver::get().allocate(&memory, bytes) == 0 ? memory : 0;
}

void releaseOn(const Device& device, uint64_t memory, size_t bytes)
{
    if (device.cudaAllocator)
        return device.cudaAllocator->release(reinterpret_cast<void*>(memory), device.cudaDevice, device.cudaStream);
    KeptMemory& kept = KeptMemory::get();
    const std::lock_guard lock(kept.mutex);
    kept.free.emplace(std::tuple(device.cudaDevice, device.cudaStream, bytes), memory);
}

} // namespace
} // namespace agpnet::stages

// Seen from schedules that a program loads (agpnet-trial); the plugin's list of exported symbols keeps them inside.
#pragma GCC visibility push(default)
extern "C"
{

    struct CUctx_st;
    struct CUstream_st;

    void halide_error(void* userContext, const char* message)
    {
        Call* call = static_cast<Call*>(userContext);
        if (!call || call->failed.test_and_set()) // tasks may fail side by side
            return;
        call->message = message;
        while (!call->message.empty() && call->message.back() == '\n')
            call->message.pop_back();
    }

    void halide_print(void*, const char*) {}

    int halide_do_par_for(void* userContext, halide_task_t task, int first, int size, uint8_t* closure)
    {
        struct Loop
        {
            void* userContext;
            halide_task_t task;
            int first;
            uint8_t* closure;
            std::atomic<int> status{0};

            void run(int i)
            {
                if (status.load(std::memory_order_relaxed) != 0)
                    return;
                if (const int result = task(userContext, first + i, closure))
                    status = result;
            }
        } loop{userContext, task, first, closure};

        const Call* call = static_cast<const Call*>(userContext);
        if (call && call->parallelFor && size > 1)
            call->parallelFor(
                size, [](int i, void* at) { static_cast<Loop*>(at)->run(i); }, &loop);
        else
            for (int i = 0; i < size; i++)
                loop.run(i);
        return loop.status;
    }

    /// Halide's own looks for libOpenCL.so, a name that only comes with the headers.
    void* halide_opencl_get_symbol(void*, const char* name)
    {
        void* const library = agpnet::stages::OpenClDriver::get().library;
        return library ? dlsym(library, name) : nullptr;
    }

    int halide_acquire_cl_context(void* userContext, cl_context* context, cl_command_queue* queue, bool)
    {
        const Call* call = static_cast<const Call*>(userContext);
        *context = call ? static_cast<cl_context>(call->device.clContext) : nullptr;
        *queue = call ? static_cast<cl_command_queue>(call->device.clQueue) : nullptr;
        return *context && *queue ? 0 : -1;
    }

    int halide_release_cl_context(void*)
    {
        return 0;
    }

    /// Halide's own looks for libcuda.so, a name that drivers in containers do without.
    void* halide_cuda_get_symbol(void*, const char* name)
    {
        void* const library = agpnet::stages::CudaDriver::get().library;
        return library ? dlsym(library, name) : nullptr;
    }

    int halide_cuda_acquire_context(void* userContext, CUctx_st** context, bool)
    {
        const Call* call = static_cast<const Call*>(userContext);
        *context = call ? static_cast<CUctx_st*>(agpnet::stages::primaryContext(call->device.cudaDevice)) : nullptr;
        return *context ? 0 : -1;
    }

    // Halide's own keeps what is freed for later too, but gives the oldest back to CUDA by and by, which waits for the device, and cannot
    // be captured in a graph.
    int halide_cuda_device_malloc(void* userContext, halide_buffer_t* buffer)
    {
        Call* call = static_cast<Call*>(userContext);
        if (buffer->device != 0)
            return 0;
        if (!call)
            return halide_error_code_device_malloc_failed;
        buffer->device = agpnet::stages::allocateOn(call->device, buffer->size_in_bytes());
        if (buffer->device == 0)
        {
            halide_error(userContext, "no memory left on the CUDA device");
            return halide_error_code_device_malloc_failed;
        }
        buffer->device_interface = halide_cuda_device_interface();
        return 0;
    }

    int halide_cuda_device_free(void* userContext, halide_buffer_t* buffer)
    {
        if (const Call* call = static_cast<const Call*>(userContext); call && buffer->device != 0)
            agpnet::stages::releaseOn(call->device, buffer->device, buffer->size_in_bytes());
        buffer->device = 0;
        buffer->device_interface = nullptr;
        return 0;
    }

    int halide_cuda_release_context(void*)
    {
        return 0;
    }

    int halide_cuda_get_stream(void* userContext, CUctx_st*, CUstream_st** stream)
    {
        const Call* call = static_cast<const Call*>(userContext);
        *stream = call ? static_cast<CUstream_st*>(call->device.cudaStream) : nullptr;
        return 0;
    }

} // extern "C"
#pragma GCC visibility pop
