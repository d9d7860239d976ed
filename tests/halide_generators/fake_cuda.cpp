#include "fake_cuda.h"

#include "common/error.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

using fake_cuda::Record;

namespace
{

// never destroyed: Halide unloads its code when the process ends
Record& record = *new Record;
std::vector<void*>& contexts = *new std::vector<void*>; // of the one thread that calls
ptx::GlobalMemory& memory = *new ptx::GlobalMemory;
// of modules, parsed when first run
std::map<size_t, std::map<std::string, ptx::Kernel>>& programs = *new std::map<size_t, std::map<std::string, ptx::Kernel>>;

/// Module and name.
using Function = std::pair<size_t, std::string>;
std::map<Function, Function>& functions = *new std::map<Function, Function>; // to themselves: a handle is an address

int noted(const char* name)
{
    record.others.emplace_back(name);
    return 0;
}

/// A module's handle is its number in the record, from 1.
void* handleOf(size_t module)
{
    return reinterpret_cast<void*>(module);
}

ptx::Work compute(const Function& function, const ptx::Shape& shape, void** values)
{
    auto it = programs.find(function.first);
    if (it == programs.end())
        it = programs.emplace(function.first, ptx::parse(record.modules.at(function.first - 1))).first;
    const auto kernel = it->second.find(function.second);
    agpnet::require(kernel != it->second.end(), "the module has no kernel {}", function.second);
    std::vector<unsigned char> arguments(kernel->second.parameterBytes);
    for (const auto& [begins, bytes] : kernel->second.parameters)
        std::memcpy(&arguments[begins], *values++, bytes);
    return ptx::run(kernel->second, shape, arguments, memory);
}

} // namespace

#pragma GCC visibility push(default)
extern "C"
{

    Record* fakeCudaRecord()
    {
        return &record;
    }

    int cuInit(unsigned) { return 0; }
    int cuDriverGetVersion(int* version) { return *version = 13000, 0; }
    int cuDeviceGetCount(int* count) { return *count = 2, 0; }
    int cuDeviceGet(int* device, int ordinal) { return *device = ordinal, 0; }
    int cuDeviceGetName(char* name, int size, int) { return std::strncpy(name, "fake", static_cast<size_t>(size)), 0; }
    int cuDeviceGetUuid(char* uuid, int device) { return std::memset(uuid, device + 1, 16), 0; }
    int cuDeviceTotalMem_v2(size_t* bytes, int) { return *bytes = size_t{8} << 30, 0; }
    int cuDeviceGetAttribute(int* value, int attribute, int)
    {
        const std::map<int, int> values = {{1, 1024},  {2, 1024},  {3, 1024}, {4, 64},   {5, 2147483647}, {6, 65535},
                                           {7, 65535}, {8, 49152}, {10, 32},  {16, 100}, {75, 9},         {76, 0}};
        const auto it = values.find(attribute); // threads, grids, shared memory, warp, multiprocessors, compute capability
        return *value = it == values.end() ? 0 : it->second, 0;
    }
    int cuDevicePrimaryCtxRetain(void** context, int device) { return *context = fake_cuda::contextOf(device), 0; }
    int cuCtxCreate_v2(void** context, unsigned, int) { return *context = nullptr, noted("cuCtxCreate"); }
    int cuCtxDestroy_v2(void*) { return noted("cuCtxDestroy"); }
    int cuCtxGetApiVersion(void*, unsigned* version) { return *version = 3020, 0; }
    int cuCtxGetDevice(int* device) { return *device = contexts.empty() || contexts.back() == fake_cuda::contextOf(0) ? 0 : 1, 0; }
    int cuCtxPushCurrent_v2(void* context) { return contexts.push_back(context), record.depth = contexts.size(), 0; }
    int cuCtxPopCurrent_v2(void** context)
    {
        *context = contexts.empty() ? nullptr : contexts.back();
        if (!contexts.empty())
            contexts.pop_back();
        return record.depth = contexts.size(), 0;
    }
    int cuCtxSetCurrent(void* context) { return contexts.assign(1, context), record.depth = 1, 0; }
    int cuCtxSynchronize() { return noted("cuCtxSynchronize"); }
    int cuStreamSynchronize(void*) { return noted("cuStreamSynchronize"); }
    int cuProfilerStop() { return 0; }

    int cuModuleLoadData(void** module, const char* text)
    {
        record.modules.emplace_back(text);
        *module = handleOf(record.modules.size());
        return noted("cuModuleLoadData");
    }
    int cuModuleLoadDataEx(void** module, const char* text, unsigned, int*, void**) { return cuModuleLoadData(module, text); }
    int cuModuleUnload(void*) { return noted("cuModuleUnload"); }
    int cuModuleGetFunction(void** function, void* module, const char* name)
    {
        const Function wanted(reinterpret_cast<size_t>(module), name);
        *function = &functions.emplace(wanted, wanted).first->second;
        return 0;
    }

    int cuMemAlloc_v2(uint64_t* pointer, size_t bytes)
    {
        constexpr size_t alignment = 256; // CUDA's
        void* const taken = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
        if (record.compute)
            std::memset(taken, 0xFF, bytes); // NaN: what a kernel reads before it is written shows
        *pointer = reinterpret_cast<uint64_t>(taken);
        memory.add(*pointer, bytes);
        return noted("cuMemAlloc");
    }
    int cuMemFree_v2(uint64_t pointer)
    {
        memory.remove(pointer);
        std::free(reinterpret_cast<void*>(pointer));
        return noted("cuMemFree");
    }
    int cuMemcpyHtoD_v2(uint64_t to, const void* from, size_t bytes)
    {
        return std::memcpy(reinterpret_cast<void*>(to), from, bytes), noted("cuMemcpyHtoD");
    }
    int cuMemcpyDtoH_v2(void* to, uint64_t from, size_t bytes)
    {
        return std::memcpy(to, reinterpret_cast<void*>(from), bytes), noted("cuMemcpyDtoH");
    }
    int cuMemcpyDtoD_v2(uint64_t to, uint64_t from, size_t bytes)
    {
        return std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes), noted("cuMemcpyDtoD");
    }
    int cuMemcpyHtoDAsync_v2(uint64_t to, const void* from, size_t bytes, void*) { return cuMemcpyHtoD_v2(to, from, bytes); }
    int cuMemcpyDtoHAsync_v2(void* to, uint64_t from, size_t bytes, void*) { return cuMemcpyDtoH_v2(to, from, bytes); }
    int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void*) { return cuMemcpyDtoD_v2(to, from, bytes); }
    int cuMemcpy3D_v2(const void*) { return noted("cuMemcpy3D"); }
    int cuPointerGetAttribute(void* value, int, uint64_t) { return *static_cast<void**>(value) = nullptr, 0; }

    int cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                       void* stream, void** values, void**)
    {
        const Function& what = *static_cast<const Function*>(function);
        record.launches.push_back(
            {what.second, {gx, gy, gz}, {bx, by, bz}, shared, stream, contexts.empty() ? nullptr : contexts.back(), {}});
        if (!record.compute)
            return 0;
        try
        {
            record.launches.back().work = compute(what, {{gx, gy, gz}, {bx, by, bz}, shared}, values);
            return 0;
        }
        catch (const std::exception& error)
        {
            record.fault = error.what();
            std::fprintf(stderr, "the fake GPU: %s\n", error.what()); // what called only hears the number
            return 999; // CUDA_ERROR_UNKNOWN
        }
    }

} // extern "C"
#pragma GCC visibility pop
