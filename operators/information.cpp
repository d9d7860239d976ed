#include "agpnet/operators.hpp"
#include "agpnet/tuning.hpp"
#include "agpnet/version.hpp"
#include "common/cpu.h"
#include "halide_generators/runtime/choices.h"
#include "models/attention/attention_bf16.h"
#include "models/agpnet/config.h"
#include "models/dec/config.h"
#include "models/layers/precision.h"
#include "operators/core/opencv_exceptions.h"
#include "operators/registry.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <nlohmann/json.hpp>
#include <opencv2/core/ocl.hpp>
#include <opencv2/core/utility.hpp>
#include <torch/version.h>

namespace agpnet
{

namespace
{

/// What the CPU can do, and which way each part takes because of it. Of the stages "schedules" says it.
nlohmann::json cpuInformation()
{
    const CpuFeatures& has = cpuFeatures();
    constexpr int64_t usualHead = 64; // channels
    return {{"level", levelOf(has)},
            {"capability", at::get_cpu_capability()},
            {"bf16", computeType("auto") == ComputeType::BFloat16},
            {"paths",
             {{"precision",
               {{"auto", eightBitsAreFaster() ? "int8" : nameOf(computeType("auto"))},
                {"bf16", nameOf(computeType("bf16"))},
                {"int8", nameOf(computeType("int8"))}}},
              {"attention",
               {{"fp32", registersOf(has)},
                {"bf16", canAttendBf16(usualHead) ? "avx512-bf16" : "libtorch"},
                {"int8", has.avx512Vnni ? "avx512-vnni"
                         : has.avxVnni  ? "avx2-vnni"
                                        : registersOf(has)}}},
              {"rows", registersOf(has)}}}};
}

} // namespace

std::string version()
{
    return AGPNET_VERSION;
}

std::string describeOperators()
{
    return guarded([] {
        nlohmann::json list = nlohmann::json::array();
        for (const OperatorEntry& entry : operatorList())
            list.push_back(describe(entry.schema));
        return list.dump();
    });
}

std::string defaultConfig()
{
    return defaultConfig("agpnet");
}

std::string defaultConfig(const std::string& method)
{
    return guarded([&] {
        require(method == "agpnet" || method == "dec", "method is '{}', expected agpnet or dec", method);
        return (method == "dec" ? nlohmann::json(dec::Config()) : nlohmann::json(Config())).dump();
    });
}

std::string buildInformation()
{
    return guarded([] {
        using nlohmann::json;
        json schedules = json::array();
        for (const stages::CompiledVariant* variant : stages::allVariants())
            schedules.push_back({{"stage", variant->stage},
                                 {"api", variant->api},
                                 {"name", variant->name},
                                 {"target", variant->target},
                                 {"layout", variant->layout},
                                 {"kind", variant->kind},
                                 {"parameters", variant->parameters},
                                 {"usable", stages::runsHere(*variant, 0)}});
        json opencl = {{"used_by_opencv", cv::ocl::useOpenCL()}};
        if (cv::ocl::useOpenCL())
            opencl["device"] = cv::ocl::Device::getDefault().name();
        const json information = {
            {"agpnet", version()},
            {"opencv", {{"built_for", CV_VERSION}, {"found", cv::getVersionString()}, {"threads", cv::getNumThreads()}}},
            {"libtorch", {{"version", TORCH_VERSION}, {"threads", at::get_num_threads()}}},
            {"cpu", cpuInformation()},
            {"opencl", opencl},
            {"schedules", schedules},
            {"tuning", json::parse(tuningInformation())}};
        return information.dump();
    });
}

} // namespace agpnet
