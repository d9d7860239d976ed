#include "agpnet/operators.hpp"
#include "agpnet/version.hpp"
#include "models/agpnet.h"
#include "operators/guard.h"
#include "operators/operator.h"

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

const char* apiName(stages::Api api)
{
    return api == stages::Api::OpenCL ? "opencl" : api == stages::Api::Cuda ? "cuda" : "cpu";
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
    return guarded([] { return nlohmann::json(Config()).dump(); });
}

std::string buildInformation()
{
    return guarded([] {
        using nlohmann::json;
        json schedules = json::array();
        for (const stages::Variant& variant : stages::variants())
            schedules.push_back({{"stage", variant.stage},
                                 {"api", apiName(variant.api)},
                                 {"name", variant.name},
                                 {"target", variant.target},
                                 {"layout", variant.layout},
                                 {"kind", variant.kind},
                                 {"usable", variant.usable}});
        json opencl = {{"used_by_opencv", cv::ocl::useOpenCL()}};
        if (cv::ocl::useOpenCL())
            opencl["device"] = cv::ocl::Device::getDefault().name();
        const json information = {
            {"agpnet", version()},
            {"opencv", {{"built_for", CV_VERSION}, {"found", cv::getVersionString()}, {"threads", cv::getNumThreads()}}},
            {"libtorch", {{"version", TORCH_VERSION}, {"threads", at::get_num_threads()}}},
            {"cpu", {{"capability", at::get_cpu_capability()}, {"bf16", computeType("auto") == ComputeType::BFloat16}}},
            {"opencl", opencl},
            {"schedules", schedules}};
        return information.dump();
    });
}

} // namespace agpnet
