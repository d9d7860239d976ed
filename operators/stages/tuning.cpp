// Where tuning records come from, and what is said about them.
#include "agpnet/tuning.hpp"

#include "common/error.h"
#include "halide_generators/runtime/choices.h"
#include "operators/core/opencv_exceptions.h"
#include "operators/core/opencl_device.h"
#include "tuning/workloads.h"
#include "tuning/steps.h"
#include "tuning/usable.h"

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <mutex>
#include <opencv2/core/utils/logger.hpp>

namespace agpnet
{
namespace
{

namespace fs = std::filesystem;
using nlohmann::json;

struct Source
{
    std::string path;
    size_t used = 0;
    std::vector<std::string> ignored;
};

struct Loaded
{
    std::mutex mutex;
    std::vector<Source> sources;
    bool asked = false; ///< by the program, which then holds

    static Loaded& get()
    {
        static Loaded* const loaded = new Loaded; // stages may be called until the process ends
        return *loaded;
    }
};

/// The record itself, or the records of a folder in the order of their names.
std::vector<fs::path> recordsAt(const fs::path& path)
{
    std::error_code error;
    if (!fs::is_directory(path, error))
        return {path};
    std::vector<fs::path> files;
    for (const fs::directory_entry& file : fs::directory_iterator(path, error))
        if (file.path().extension() == ".json")
            files.push_back(file.path());
    std::sort(files.begin(), files.end());
    return files;
}

void read(const fs::path& path, std::vector<Source>& sources, std::vector<stages::Choice>& choices)
{
    const tuning::Usable usable = tuning::usableChoices(tuning::readRecord(path), path.string());
    sources.push_back({path.string(), usable.choices.size(), usable.ignored});
    choices.insert(choices.end(), usable.choices.begin(), usable.choices.end());
    if (!usable.ignored.empty())
        CV_LOG_WARNING(nullptr, "agpnet: of the tuning record " << path.string() << " " << usable.ignored.size() << " of "
                                                                << usable.ignored.size() + usable.choices.size()
                                                                << " measurements are ignored: " << usable.ignored.front());
}

void use(std::vector<Source> sources, std::vector<stages::Choice> choices, bool asked)
{
    Loaded& loaded = Loaded::get();
    const std::lock_guard lock(loaded.mutex);
    if (loaded.asked && !asked)
        return;
    loaded.asked = asked;
    stages::setChoices(std::move(choices));
    loaded.sources = std::move(sources);
}

fs::path folderOfLibrary()
{
    Dl_info info{};
    if (::dladdr(reinterpret_cast<const void*>(&folderOfLibrary), &info) == 0 || !info.dli_fname)
        return {};
    return fs::path(info.dli_fname).parent_path();
}

std::vector<fs::path> usualPlaces()
{
    const auto variable = [](const char* name)
    {
        const char* value = std::getenv(name);
        return fs::path(value ? value : "");
    };
    if (const fs::path named = variable("AGPNET_TUNING"); !named.empty())
        return named == "off" ? std::vector<fs::path>() : std::vector{named};
    std::vector<fs::path> places;
    if (const fs::path cache = variable("XDG_CACHE_HOME"); cache.is_absolute())
        places.push_back(cache / "agpnet" / "tuning");
    else if (const fs::path home = variable("HOME"); home.is_absolute())
        places.push_back(home / ".cache" / "agpnet" / "tuning");
    if (const fs::path library = folderOfLibrary(); !library.empty())
        for (const char* prefix : {"..", "../.."}) // relative to lib, and to lib/x86_64-linux-gnu
            places.push_back(library / prefix / "share" / "agpnet" / "tuning");
    return places;
}

/// Never throws: a program runs as well without any record.
void loadUsual()
{
    try
    {
        std::vector<Source> sources;
        std::vector<stages::Choice> choices;
        const char* value = std::getenv("AGPNET_TUNING");
        const bool named = value && *value;
        for (const fs::path& place : usualPlaces())
        {
            std::error_code error;
            if (!named && !fs::is_directory(place, error))
                continue;
            for (const fs::path& path : recordsAt(place))
                try
                {
                    read(path, sources, choices);
                }
                catch (const Error& why)
                {
                    sources.push_back({path.string(), 0, {why.what()}});
                    CV_LOG_WARNING(nullptr, "agpnet: a tuning record is ignored: " << why.what());
                }
        }
        use(std::move(sources), std::move(choices), false);
    }
    catch (const std::exception& error)
    {
        CV_LOG_WARNING(nullptr, "agpnet: tuning records are ignored: " << error.what());
    }
}

[[maybe_unused]] const bool installed = (stages::setChoicesLoader(&loadUsual), true);

json decisionsOf(const stages::Device& device, const std::vector<stages::Choice>& choices)
{
    std::vector<stages::Workload> workloads;
    const auto add = [&](const stages::Workload& workload)
    {
        if (std::find(workloads.begin(), workloads.end(), workload) == workloads.end())
            workloads.push_back(workload);
    };
    for (const stages::Choice& choice : choices)
        add(choice.workload);
    for (const stages::Workload& workload : tuning::usualWorkloads())
        add(workload);
    std::vector<stages::Workload> seen = stages::seenWorkloads(device.api);
    std::erase_if(seen, [](const stages::Workload& workload) { return workload.from[0] == 0; }); // a heat map without a blur
    std::sort(seen.begin(), seen.end(), [](const auto& a, const auto& b) { return tuning::toJson(a) < tuning::toJson(b); });
    for (const stages::Workload& workload : seen)
        add(workload);
    json decisions = json::array();
    for (const stages::Workload& workload : workloads)
    {
        const stages::Decision decision = stages::decide(device, workload);
        json object = tuning::toJson(workload);
        object["api"] = stages::nameOf(device.api);
        object["seen"] = std::find(seen.begin(), seen.end(), workload) != seen.end();
        object["variant"] = decision.variant;
        object["parameters"] = tuning::parametersToJson(decision.parameters);
        object["why"] = stages::nameOf(decision.why);
        object["speedup"] = decision.speedup;
        object["record"] = decision.origin;
        decisions.push_back(object);
    }
    return decisions;
}

} // namespace

void loadTuning(const std::string& path)
{
    guarded([&] {
        std::vector<Source> sources;
        std::vector<stages::Choice> choices;
        const std::vector<fs::path> files = recordsAt(path);
        require(!files.empty(), "{}: there is no tuning record in this folder", path);
        withErrorsOf(ErrorKind::File, [&] {
            for (const fs::path& file : files)
                read(file, sources, choices);
        });
        use(std::move(sources), std::move(choices), true);
    });
}

void clearTuning()
{
    guarded([] { use({}, {}, true); });
}

std::string tuningInformation()
{
    return guarded([] {
        const std::vector<stages::Choice> choices = stages::currentChoices(); // reads the records if no call has yet
        json records = json::array(), said = json::array();
        {
            Loaded& loaded = Loaded::get();
            const std::lock_guard lock(loaded.mutex);
            for (const Source& source : loaded.sources)
                records.push_back({{"path", source.path}, {"used", source.used}, {"ignored", source.ignored}});
        }
        for (const stages::Choice& choice : choices)
        {
            json object = tuning::toJson(choice.workload);
            object["device"] = tuning::toJson(choice.device);
            object["variant"] = choice.variant;
            object["speedup"] = choice.speedup;
            object["record"] = choice.origin;
            said.push_back(object);
        }
        json decisions = decisionsOf({}, choices);
        if (const stages::Device device = openClDevice(); device.api == stages::Api::OpenCL)
            for (const json& decision : decisionsOf(device, choices))
                decisions.push_back(decision);
        return json{{"records", records}, {"choices", said}, {"decisions", decisions}}.dump();
    });
}

std::string tuningStep(const std::string& request)
{
    static std::mutex mutex;
    static tuning::Steps* const steps = new tuning::Steps; // its device's memory must not outlive the driver: never released
    return guarded([&] {
        const std::lock_guard lock(mutex);
        return steps->answer(request);
    });
}

} // namespace agpnet
