#include "halide_generators/runtime_hooks.h"

#include "halide_generators/opencl_driver.h"

#include <HalideRuntime.h>
#include <HalideRuntimeCuda.h>
#include <HalideRuntimeOpenCL.h>
#include <dlfcn.h>
#include <map>
#include <mutex>
#include <set>

using agpnet::stages::Call;

namespace
{

std::atomic<agpnet::stages::ParallelFor> hostParallelFor{nullptr};

/// The few driver entries needed for a device's primary context, the one LibTorch and the CUDA runtime use.
struct CudaDriver
{
    int (*init)(unsigned) = nullptr;
    int (*deviceCount)(int*) = nullptr;
    int (*deviceGet)(int*, int) = nullptr;
    int (*primaryRetain)(void**, int) = nullptr;
    std::string problem;

    static const CudaDriver& get()
    {
        static const CudaDriver driver;
        return driver;
    }

private:
    CudaDriver()
    {
        void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
        if (!library)
        {
            problem = "no CUDA driver (libcuda.so.1) on this machine";
            return;
        }
        load(library, init, "cuInit");
        load(library, deviceCount, "cuDeviceGetCount");
        load(library, deviceGet, "cuDeviceGet");
        load(library, primaryRetain, "cuDevicePrimaryCtxRetain");
        if (!init || !deviceCount || !deviceGet || !primaryRetain)
            problem = "the CUDA driver lacks an entry point";
        else if (const int status = init(0))
            problem = fmt::format("the CUDA driver does not start (cuInit: {})", status);
    }

    template <typename F>
    static void load(void* library, F& function, const char* name)
    {
        function = reinterpret_cast<F>(dlsym(library, name));
    }
};

/// One reference per device, held until the process ends, as the CUDA runtime itself does.
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

void keepContext(void* clContext)
{
    static std::mutex mutex;
    static std::set<void*> kept;
    const std::lock_guard lock(mutex);
    if (kept.insert(clContext).second)
        OpenClDriver::get().retainContext(static_cast<cl_context>(clContext));
}

} // namespace agpnet::stages

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

    int halide_cuda_acquire_context(void* userContext, CUctx_st** context, bool)
    {
        const Call* call = static_cast<const Call*>(userContext);
        *context = call ? static_cast<CUctx_st*>(primaryContext(call->device.cudaDevice)) : nullptr;
        return *context ? 0 : -1;
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
