#include "tuning/bench_device.h"

#include "common/error.h"
#include "halide_generators/runtime/cuda_driver.h"
#include "halide_generators/runtime/opencl_driver.h"

#include <cstdio>
#include <new>

namespace agpnet::tuning
{

using stages::CudaDriver;
using stages::OpenClDriver;

namespace
{

class HostMemory final : public Memory
{
public:
    explicit HostMemory(const std::vector<unsigned char>& content) : size_(content.size())
    {
        bytes_ = static_cast<unsigned char*>(::operator new(size_, alignment));
        std::copy(content.begin(), content.end(), bytes_);
    }
    ~HostMemory() override { ::operator delete(bytes_, alignment); }
    void* handle() override { return bytes_; }
    std::vector<unsigned char> read() const override { return {bytes_, bytes_ + size_}; }

private:
    static constexpr std::align_val_t alignment{64}; // as cv::Mat has it
    size_t size_;
    unsigned char* bytes_;
};

class HostDevice final : public BenchDevice
{
public:
    std::unique_ptr<Memory> allocate(const std::vector<unsigned char>& content) override { return std::make_unique<HostMemory>(content); }
};

void checkCl(cl_int status, const char* what)
{
    require(status == CL_SUCCESS, "OpenCL: {} fails with error {}", what, status);
}

class ClMemory final : public Memory
{
public:
    ClMemory(const stages::Device& device, const std::vector<unsigned char>& content)
        : queue_(static_cast<cl_command_queue>(device.clQueue)), size_(content.size())
    {
        cl_int status = CL_SUCCESS;
        memory_ = OpenClDriver::get().createBuffer(static_cast<cl_context>(device.clContext), CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR,
                                                   size_, const_cast<unsigned char*>(content.data()), &status);
        checkCl(status, "clCreateBuffer");
    }
    ~ClMemory() override { OpenClDriver::get().releaseMemObject(memory_); }
    void* handle() override { return memory_; }
    std::vector<unsigned char> read() const override
    {
        std::vector<unsigned char> bytes(size_);
        checkCl(OpenClDriver::get().enqueueReadBuffer(queue_, memory_, CL_TRUE, 0, size_, bytes.data(), 0, nullptr, nullptr),
                "reading a buffer");
        return bytes;
    }

private:
    cl_command_queue queue_;
    size_t size_;
    cl_mem memory_ = nullptr;
};

class ClDevice final : public BenchDevice
{
public:
    explicit ClDevice(unsigned ordinal)
    {
        const OpenClDriver& driver = OpenClDriver::get();
        require(driver.problem.empty(), "{}", driver.problem);
        cl_uint platformCount = 0;
        checkCl(driver.getPlatformIds(0, nullptr, &platformCount), "clGetPlatformIDs");
        std::vector<cl_platform_id> platforms(platformCount);
        checkCl(driver.getPlatformIds(platformCount, platforms.data(), nullptr), "clGetPlatformIDs");
        std::vector<cl_device_id> devices;
        for (cl_platform_id platform : platforms)
        {
            cl_uint count = 0;
            if (driver.getDeviceIds(platform, CL_DEVICE_TYPE_ALL, 0, nullptr, &count) != CL_SUCCESS || count == 0)
                continue;
            std::vector<cl_device_id> ids(count);
            checkCl(driver.getDeviceIds(platform, CL_DEVICE_TYPE_ALL, count, ids.data(), nullptr), "clGetDeviceIDs");
            devices.insert(devices.end(), ids.begin(), ids.end());
        }
        require(ordinal < devices.size(), "OpenCL device {} is not there; there are {}", ordinal, devices.size());
        cl_int status = CL_SUCCESS;
        device.api = stages::Api::OpenCL;
        const cl_context context = driver.createContext(nullptr, 1, &devices[ordinal], nullptr, nullptr, &status);
        checkCl(status, "clCreateContext");
        device.clQueue = driver.createCommandQueue(context, devices[ordinal], 0, &status);
        driver.releaseContext(context); // the queue keeps it
        checkCl(status, "clCreateCommandQueue");
        device.clContext = context;
    }
    ~ClDevice() override { OpenClDriver::get().releaseCommandQueue(static_cast<cl_command_queue>(device.clQueue)); }
    std::unique_ptr<Memory> allocate(const std::vector<unsigned char>& content) override
    {
        return std::make_unique<ClMemory>(device, content);
    }
    void finish() override { checkCl(OpenClDriver::get().finish(static_cast<cl_command_queue>(device.clQueue)), "clFinish"); }
};

void checkCuda(int status, const char* what)
{
    require(status == 0, "CUDA: {} fails with error {}", what, status);
}

class CudaMemory final : public Memory
{
public:
    explicit CudaMemory(const std::vector<unsigned char>& content) : size_(content.size())
    {
        checkCuda(CudaDriver::get().allocate(&memory_, size_), "cuMemAlloc");
        checkCuda(CudaDriver::get().upload(memory_, content.data(), size_), "cuMemcpyHtoD");
    }
    ~CudaMemory() override { CudaDriver::get().release(memory_); }
    void* handle() override { return reinterpret_cast<void*>(memory_); }
    std::vector<unsigned char> read() const override
    {
        std::vector<unsigned char> bytes(size_);
        checkCuda(CudaDriver::get().download(bytes.data(), memory_, size_), "cuMemcpyDtoH");
        return bytes;
    }

private:
    size_t size_;
    uint64_t memory_ = 0;
};

class CudaDevice final : public BenchDevice
{
public:
    explicit CudaDevice(unsigned ordinal)
    {
        const std::string why = stages::whyNoCuda(static_cast<int>(ordinal));
        require(why.empty(), "{}", why);
        device.api = stages::Api::Cuda;
        device.cudaDevice = static_cast<int>(ordinal);
        void* context = stages::primaryContext(device.cudaDevice);
        require(context != nullptr, "CUDA device {} has no context", ordinal);
        checkCuda(CudaDriver::get().setCurrent(context), "cuCtxSetCurrent");
    }
    std::unique_ptr<Memory> allocate(const std::vector<unsigned char>& content) override { return std::make_unique<CudaMemory>(content); }
    void finish() override { checkCuda(CudaDriver::get().synchronize(), "cuCtxSynchronize"); }
};

} // namespace

std::unique_ptr<BenchDevice> BenchDevice::open(const std::string& name)
{
    if (name == "cpu")
        return std::make_unique<HostDevice>();
    unsigned ordinal = 0;
    int read = 0;
    const auto is = [&](const char* format)
    { return std::sscanf(name.c_str(), format, &ordinal, &read) == 1 && static_cast<size_t>(read) == name.size(); };
    if (name == "opencl" || is("opencl:%3u%n"))
        return std::make_unique<ClDevice>(ordinal);
    if (name == "cuda" || is("cuda:%3u%n"))
        return std::make_unique<CudaDevice>(ordinal);
    fail("the device is '{}', expected cpu, opencl:N or cuda:N", name);
}

} // namespace agpnet::tuning
