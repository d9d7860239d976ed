#include "halide_generators/runtime/workload.h"

#include <cmath>

namespace agpnet::stages
{

const char* nameOf(Api api)
{
    return api == Api::Cpu ? "cpu" : api == Api::OpenCL ? "opencl" : "cuda";
}

Api apiOf(const std::string& name)
{
    for (Api api : {Api::Cpu, Api::OpenCL, Api::Cuda})
        if (name == nameOf(api))
            return api;
    fail("api is '{}', expected cpu, opencl or cuda", name);
}

std::string shapeText(const Workload& workload)
{
    std::string text = fmt::format("{}", fmt::join(workload.from, "x"));
    if (workload.to[0] > 0)
        text += fmt::format("->{}", fmt::join(workload.to, "x"));
    return text;
}

double distance(const Workload& a, const Workload& b)
{
    double sum = 0;
    for (size_t i = 0; i < a.from.size(); i++)
        sum += std::fabs(std::log2(static_cast<double>(a.from[i]) / b.from[i]));
    for (size_t i = 0; i < a.to.size(); i++)
        if (a.to[i] != b.to[i])
            sum += std::fabs(std::log2(static_cast<double>(a.to[i]) / b.to[i]));
    return sum;
}

} // namespace agpnet::stages
