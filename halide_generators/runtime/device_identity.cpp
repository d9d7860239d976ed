#include "halide_generators/runtime/device_identity.h"

#include "halide_generators/runtime/cuda_driver.h"
#include "halide_generators/runtime/opencl_driver.h"

#include <array>
#include <cpuid.h>
#include <cstring>

namespace agpnet::stages
{
namespace
{

std::string hex(const char* bytes, size_t count)
{
    std::string text;
    for (size_t i = 0; i < count; i++)
        text += fmt::format("{:02x}", static_cast<unsigned char>(bytes[i]));
    return text;
}

std::string trimmed(const std::string& text)
{
    const size_t first = text.find_first_not_of(" \t"), last = text.find_last_not_of(" \t");
    return first == std::string::npos ? std::string() : text.substr(first, last - first + 1);
}

DeviceIdentity identifyCpu()
{
    DeviceIdentity identity;
    std::array<unsigned, 12> brand{};
    std::array<unsigned, 4> r{};
    std::array<unsigned, 3> vendor{};
    if (__get_cpuid(0, &r[0], &r[1], &r[2], &r[3]))
        vendor = {r[1], r[3], r[2]};
    std::string vendorName(reinterpret_cast<const char*>(vendor.data()), sizeof vendor);
    for (unsigned i = 0; i < 3; i++)
        __get_cpuid(0x80000002u + i, &brand[4 * i], &brand[4 * i + 1], &brand[4 * i + 2], &brand[4 * i + 3]);
    const char* brandText = reinterpret_cast<const char*>(brand.data());
    identity.name = trimmed(std::string(brandText, strnlen(brandText, sizeof brand)));
    unsigned family = 0, model = 0;
    if (__get_cpuid(1, &r[0], &r[1], &r[2], &r[3]))
    {
        family = (r[0] >> 8) & 15;
        model = (r[0] >> 4) & 15;
        if (family == 6 || family == 15)
            model += ((r[0] >> 16) & 15) << 4;
        if (family == 15)
            family += (r[0] >> 20) & 255;
    }
    identity.architecture = fmt::format("x86-64 {} family {} model {}", vendorName.c_str(), family, model);
    if (identity.name.empty())
        identity.name = identity.architecture;
    return identity;
}

std::string text(cl_device_id id, cl_device_info what)
{
    const OpenClDriver& driver = OpenClDriver::get();
    size_t bytes = 0;
    if (driver.getDeviceInfo(id, what, 0, nullptr, &bytes) != CL_SUCCESS || bytes == 0 || bytes > 4096)
        return {};
    std::string value(bytes, '\0');
    driver.getDeviceInfo(id, what, bytes, value.data(), nullptr);
    return trimmed(value.c_str());
}

DeviceIdentity identifyOpenCl(const Device& device)
{
    const OpenClDriver& driver = OpenClDriver::get();
    require(driver.problem.empty(), "{}", driver.problem);
    cl_device_id id = nullptr;
    const cl_int status =
        driver.getCommandQueueInfo(static_cast<cl_command_queue>(device.clQueue), CL_QUEUE_DEVICE, sizeof id, &id, nullptr);
    require(status == CL_SUCCESS, "the OpenCL queue does not tell its device (error {})", status);
    DeviceIdentity identity;
    identity.api = Api::OpenCL;
    identity.name = text(id, CL_DEVICE_NAME);
    identity.driver = text(id, CL_DRIVER_VERSION);
    cl_device_type type = 0;
    driver.getDeviceInfo(id, CL_DEVICE_TYPE, sizeof type, &type, nullptr);
    identity.software = (type & CL_DEVICE_TYPE_CPU) != 0;
    constexpr cl_device_info uuidKhr = 0x106A, capabilityMajorNv = 0x4000, capabilityMinorNv = 0x4001;
    char uuid[16];
    if (driver.getDeviceInfo(id, uuidKhr, sizeof uuid, uuid, nullptr) == CL_SUCCESS)
        identity.uuid = hex(uuid, sizeof uuid);
    cl_uint major = 0, minor = 0;
    if (driver.getDeviceInfo(id, capabilityMajorNv, sizeof major, &major, nullptr) == CL_SUCCESS &&
        driver.getDeviceInfo(id, capabilityMinorNv, sizeof minor, &minor, nullptr) == CL_SUCCESS)
        identity.architecture = fmt::format("sm_{}{}", major, minor);
    return identity;
}

DeviceIdentity identifyCuda(int ordinal)
{
    const std::string why = whyNoCuda(ordinal);
    require(why.empty(), "{}", why);
    const CudaDriver& driver = CudaDriver::get();
    DeviceIdentity identity;
    identity.api = Api::Cuda;
    int device = 0, version = 0, major = 0, minor = 0;
    char name[256] = "", uuid[16] = {};
    constexpr int computeMajor = 75, computeMinor = 76; // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
    require(driver.deviceGet(&device, ordinal) == 0 && driver.deviceName(name, sizeof name, device) == 0 &&
                driver.deviceAttribute(&major, computeMajor, device) == 0 && driver.deviceAttribute(&minor, computeMinor, device) == 0,
            "CUDA device {} does not tell what it is", ordinal);
    identity.name = name;
    if (driver.deviceUuid(uuid, device) == 0)
        identity.uuid = hex(uuid, sizeof uuid);
    identity.architecture = fmt::format("sm_{}{}", major, minor);
    if (driver.driverVersion(&version) == 0)
        identity.driver = fmt::format("{}.{}", version / 1000, version % 1000 / 10);
    return identity;
}

} // namespace

DeviceIdentity identify(const Device& device)
{
    static const DeviceIdentity cpu = identifyCpu();
    return device.api == Api::Cpu ? cpu : device.api == Api::OpenCL ? identifyOpenCl(device) : identifyCuda(device.cudaDevice);
}

} // namespace agpnet::stages
