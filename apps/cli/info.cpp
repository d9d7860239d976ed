// agpnet info: this build and machine, or one model or gallery.
#include "agpnet/agpnet.hpp"
#include "apps/cli/commands.h"
#include "apps/cli/threshold_notes.h"
#include "common/error.h"

#include <nlohmann/json.hpp>

namespace agpnet::app
{
namespace
{

using nlohmann::json;

void printTuning(const json& tuning)
{
    std::printf("\n");
    for (const json& record : tuning["records"])
        std::printf("tuning    %s: %d in use, %zu ignored%s\n", record["path"].get<std::string>().c_str(), record["used"].get<int>(),
                    record["ignored"].size(),
                    record["ignored"].empty() ? "" : fmt::format(" ({})", record["ignored"][0].get<std::string>()).c_str());
    if (tuning["records"].empty())
        std::printf("tuning    no record; agpnet tune makes one\n");
    std::printf("%-10s %-8s %-8s %-22s %-7s %-28s %s\n", "stage", "kind", "layout", "shape", "api", "chosen", "why");
    for (const json& choice : tuning["decisions"])
    {
        const std::string why = choice["why"].get<std::string>();
        std::printf("%-10s %-8s %-8s %-22s %-7s %-28s %s\n", choice["stage"].get<std::string>().c_str(),
                    choice["kind"].get<std::string>().c_str(), choice["layout"].get<std::string>().c_str(),
                    choice["shape"].get<std::string>().c_str(), choice["api"].get<std::string>().c_str(),
                    choice["variant"].get<std::string>().c_str(),
                    why == "default" ? "default" : fmt::format("{}, {:.2f}x when measured", why, choice["speedup"].get<double>()).c_str());
    }
}

void printBuild(const json& info)
{
    std::printf("agpnet    %s\n", info.at("agpnet").get<std::string>().c_str());
    std::printf("opencv    %s (built for %s), %d threads\n", info["opencv"]["found"].get<std::string>().c_str(),
                info["opencv"]["built_for"].get<std::string>().c_str(), info["opencv"]["threads"].get<int>());
    std::printf("libtorch  %s, %d threads\n", info["libtorch"]["version"].get<std::string>().c_str(),
                info["libtorch"]["threads"].get<int>());
    const auto cpu = [&](const char* what) { return info["cpu"].at(json::json_pointer(what)).get<std::string>(); };
    std::printf("cpu       %s, LibTorch computes with %s\n", cpu("/level").c_str(), cpu("/capability").c_str());
    std::printf("products  auto prefers %s; bf16 computes in %s, int8 in %s\n", cpu("/paths/precision/auto").c_str(),
                cpu("/paths/precision/bf16").c_str(), cpu("/paths/precision/int8").c_str());
    std::printf("attention fp32 %s, bf16 %s, int8 %s; rows %s\n", cpu("/paths/attention/fp32").c_str(),
                cpu("/paths/attention/bf16").c_str(), cpu("/paths/attention/int8").c_str(), cpu("/paths/rows").c_str());
    std::printf("opencl    %s\n\n",
                info["opencl"].contains("device") ? info["opencl"]["device"].get<std::string>().c_str() : "not used by OpenCV here");
    std::printf("%-10s %-7s %-10s %-8s %-8s %s\n", "stage", "api", "schedule", "layout", "kind", "runs here");
    for (const json& row : info["schedules"])
        std::printf("%-10s %-7s %-10s %-8s %-8s %s\n", row["stage"].get<std::string>().c_str(), row["api"].get<std::string>().c_str(),
                    row["name"].get<std::string>().c_str(), row["layout"].get<std::string>().c_str(),
                    row["kind"].get<std::string>().c_str(), row["usable"].get<bool>() ? "yes" : "no");
    printTuning(info.at("tuning"));
}

struct Options
{
    std::string model;
    bool asJson = false, verify = false;
};

/// Whether a model is what was written, and where it comes from.
int verify(const Options& options)
{
    const std::string sum = verifyModel(options.model);
    require(!sum.empty(), "{}: holds no checksum, because the AGPNet that wrote it knew none; training or saving it again adds one",
            options.model);
    const json header = json::parse(fileInformation(options.model));
    json provenance = {{"sha256", sum}};
    if (header.at("kind") == "gallery")
        for (const char* key : {"model", "space"})
            provenance[key] = header.at(key);
    else
    {
        const json record = header.at("training");
        provenance["backbone"] = header.at("backbone").at("hash");
        provenance["seed"] = header.at("config").at("seed");
        for (const char* key : {"data", "finished", "versions"})
            provenance[key] = record.value(key, json());
    }
    if (options.asJson)
        std::printf("%s\n", provenance.dump().c_str());
    else
        std::printf("%s: holds what was written\n%s\n", options.model.c_str(), provenance.dump(2).c_str());
    return exitOk;
}

/// What the file holds; of a model also how it computes on this machine, and notes.
json toldOf(const std::string& path, const json& cpu)
{
    json told = json::parse(fileInformation(path));
    if (told.at("kind") == "gallery")
        return told;
    const bool describes = told.value("method", "agpnet") == "dec";
    const std::string precision =
        describes ? Describer::create(path)->getPrecision() : AnomalyDetector::create(path)->getPrecision();
    told["here"] = {{"cpu", cpu.at("level")}, {"precision", precision}}; // which the file does not hold
    told["notes"] = describes ? std::vector<std::string>() : thresholdNotes(told.at("scores"));
    return told;
}

int info(const Options& options)
{
    if (options.verify)
        return verify(options);
    json told = json::parse(buildInformation());
    if (!options.model.empty())
        told = toldOf(options.model, told.at("cpu"));
    if (options.asJson)
        std::printf("%s\n", told.dump().c_str());
    else if (options.model.empty())
        printBuild(told);
    else
        std::printf("%s\n", told.dump(2).c_str());
    for (const json& note : told.value("notes", json::array()))
        if (!options.asJson)
            std::fprintf(stderr, "agpnet: note: %s\n", note.get<std::string>().c_str());
    return exitOk;
}

} // namespace

void addInfo(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("info", "Show this build and machine, or a model or gallery");
    CLI::Option* model = command->add_option("model", options->model, "A .agp or .agpx file; without one: versions, devices, schedules");
    command->add_flag("--json", options->asJson, "As JSON");
    command->add_flag("--verify", options->verify, "Check the whole file against its SHA-256, and show where the model comes from")
        ->needs(model);
    command->callback([options, &run] { run = [options] { return info(*options); }; });
}

} // namespace agpnet::app
