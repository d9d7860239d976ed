#include "tuning/steps.h"

#include "common/error.h"
#include "halide_generators/runtime/choices.h"
#include "halide_generators/runtime/stage_table.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace agpnet::tuning
{

using nlohmann::json;

BenchDevice& Steps::opened(const std::string& name)
{
    if (!device_ || deviceName_ != name)
    {
        bench_.reset();
        device_ = BenchDevice::open(name);
        deviceName_ = name;
    }
    return *device_;
}

Bench& Steps::bench(const std::string& device, const stages::Workload& workload)
{
    BenchDevice& at = opened(device);
    if (!bench_ || !(workload_ == workload))
    {
        bench_.reset();
        bench_ = std::make_unique<Bench>(at, workload);
        workload_ = workload;
    }
    return *bench_;
}

json Steps::answered(const json& request)
{
    const std::string what = request.at("do").get<std::string>(), device = request.at("device").get<std::string>();
    if (what == "device")
    {
        json hashes = json::object();
        for (const stages::Stage& stage : stages::stageTable())
            hashes[stage.name] = stage.hash;
        return {{"device", toJson(stages::identify(opened(device).device))},
                {"halide", stages::halideVersion},
                {"plugin", AGPNET_VERSION},
                {"generators", hashes}};
    }
    const stages::Workload workload = workloadFromJson(request.at("problem"));
    if (what == "candidates")
    {
        const stages::Device& on = opened(device).device;
        json list = json::array();
        std::set<std::string> seen;
        // the first is the default, and the first variant of a name is the one that the name stands for
        for (const stages::CompiledVariant* variant : stages::allVariants())
            if (seen.count(variant->name) == 0 && stages::firstVariant(on.api, workload, variant->name, on.cudaDevice) == variant)
            {
                list.push_back({{"variant", variant->name}, {"parameters", variant->parameters}, {"target", variant->target}});
                seen.insert(variant->name);
            }
        return {{"candidates", list}};
    }
    const std::string variant = request.at("variant").get<std::string>();
    if (what == "check")
    {
        const double error = bench(device, workload).check(variant);
        if (error <= tolerance)
            return {{"status", nameOf(Status::Ok)}, {"max_error", error}};
        return {{"status", nameOf(Status::Mismatch)},
                {"message", std::isinf(error) ? std::string("it writes where it must not, or not a number")
                                              : fmt::format("an error of {:.2g}, at most {:.2g} is accepted", error, tolerance)}};
    }
    require(what == "compare", "the request is '{}', expected device, candidates, check or compare", what);
    const Comparison result =
        bench(device, workload)
            .compare(request.at("against").get<std::string>(), variant, std::clamp(request.at("seconds").get<double>(), 0.0, 60.0));
    return {{"speedup", result.speedup}, {"noise", result.noise}, {"timing", toJson(result.second)}, {"default", toJson(result.first)}};
}

std::string Steps::answer(const std::string& request)
{
    try
    {
        return answered(json::parse(request)).dump();
    }
    catch (const Error& error)
    {
        return json{{"error", error.what()}}.dump(-1, ' ', false, json::error_handler_t::replace);
    }
    catch (const json::exception& error)
    {
        return json{{"error", fmt::format("the request is not understood: {}", error.what())}}.dump(-1, ' ', false,
                                                                                                    json::error_handler_t::replace);
    }
}

} // namespace agpnet::tuning
