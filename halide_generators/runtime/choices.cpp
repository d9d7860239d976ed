#include "halide_generators/runtime/choices.h"

#include "common/cpu.h"
#include "halide_generators/runtime/cuda_driver.h"
#include "halide_generators/runtime/opencl_driver.h"
#include "halide_generators/runtime/stage_table.h"

#include <algorithm>
#include <mutex>
#include <shared_mutex>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace agpnet::stages
{
namespace
{

bool cpuRuns(std::string_view target)
{
    const auto wants = [&](std::string_view feature) { return target.find(feature) != std::string_view::npos; };
    if (wants("avx512_skylake") && !cpuFeatures().avx512)
        return false;
    if ((wants("avx2") || wants("avx512")) && !cpuFeatures().avx2)
        return false;
    // Every other AVX-512 kind of Halide's is a later processor than the tables here name; claim none of them.
    for (const char* unknown : {"avx512_cannonlake", "avx512_sapphirerapids", "avx512_knl", "avx512_zen", "avx10"})
        if (wants(unknown))
            return false;
    return true;
}

bool sameDevice(const DeviceIdentity& a, const DeviceIdentity& b)
{
    return a.api == b.api && a.software == b.software && a.name == b.name;
}

bool sameArchitecture(const DeviceIdentity& a, const DeviceIdentity& b)
{
    return a.api == b.api && !a.software && !b.software && !a.architecture.empty() && a.architecture == b.architecture;
}

/// What a decision depends on, and nothing else does.
struct Key
{
    Api api;
    const void* device; // OpenCL: the cl_device_id; CUDA: the device's number
    Workload workload;

    bool operator==(const Key&) const = default;
};

struct Hash
{
    size_t operator()(const Key& key) const
    {
        size_t hash = 0;
        const auto add = [&](size_t value) { hash = (hash ^ value) * 0x9E3779B97F4A7C15u; };
        add(static_cast<size_t>(key.api));
        add(reinterpret_cast<size_t>(key.device));
        for (const std::string* text : {&key.workload.stage, &key.workload.kind, &key.workload.layout})
            add(std::hash<std::string>()(*text));
        for (int side : key.workload.from)
            add(static_cast<size_t>(side));
        for (int side : key.workload.to)
            add(static_cast<size_t>(side));
        return hash;
    }
};

/// What the stages consult, and what they found there.
struct Table
{
    std::shared_mutex mutex;
    bool loaded = false;
    void (*loader)() = nullptr;
    std::vector<Choice> choices;
    std::unordered_map<Key, const CompiledVariant*, Hash> decided;

    static Table& get()
    {
        static Table* const table = new Table; // stages may be called until the process ends
        return *table;
    }
};

void append(std::vector<const CompiledVariant*>& all, std::span<const CompiledVariant> variants)
{
    for (const CompiledVariant& variant : variants)
        all.push_back(&variant);
}

std::vector<const CompiledVariant*>& compiled()
{
    static std::vector<const CompiledVariant*>* const all = []
    {
        auto* made = new std::vector<const CompiledVariant*>; // stages may be called until the process ends
        append(*made, compiledVariants);
        return made;
    }();
    return *all;
}

std::vector<const CompiledVariant*>& addedVariants()
{
    static std::vector<const CompiledVariant*> variants;
    return variants;
}

constexpr size_t mostDecided = 4096; // then it is begun anew, so that a stream of ever new shapes does not fill the memory

void loadOnce(Table& table)
{
    static std::once_flag once;
    std::call_once(once,
                   [&]
                   {
                       void (*load)() = nullptr;
                       {
                           const std::shared_lock lock(table.mutex);
                           if (!table.loaded)
                               load = table.loader;
                       }
                       if (load)
                           load();
                   });
}

const void* deviceKey(const Device& device)
{
    if (device.api == Api::Cuda)
        return reinterpret_cast<const void*>(static_cast<size_t>(device.cudaDevice));
    cl_device_id id = nullptr;
    if (device.api == Api::OpenCL)
        OpenClDriver::get().getCommandQueueInfo(static_cast<cl_command_queue>(device.clQueue), CL_QUEUE_DEVICE, sizeof id, &id, nullptr);
    return id;
}

bool speaksOf(const Choice& choice, Api api, const Workload& workload)
{
    const Workload& known = choice.workload;
    return choice.device.api == api && known.stage == workload.stage && known.kind == workload.kind && known.layout == workload.layout;
}

/// The pipeline that a choice names, if it is compiled in as it was measured.
const CompiledVariant* variantOf(const Choice& choice, const Workload& workload, int cudaDevice)
{
    const CompiledVariant* variant = firstVariant(choice.device.api, workload, choice.variant, cudaDevice);
    return variant && variant->parameters == choice.parameters ? variant : nullptr;
}

} // namespace

const char* nameOf(Why why)
{
    switch (why)
    {
    case Why::Caller: return "caller";
    case Why::Exact: return "exact";
    case Why::Nearest: return "nearest";
    case Why::Architecture: return "architecture";
    default: return "default";
    }
}

bool runsHere(const CompiledVariant& row, int cudaDevice)
{
    if (std::string_view(row.api) == "opencl")
        return OpenClDriver::get().problem.empty();
    if (std::string_view(row.api) == "cuda")
        return whyNoCuda(cudaDevice).empty();
    return cpuRuns(row.target);
}

bool fits(const CompiledVariant& row, const Workload& workload)
{
    const std::string_view layout = row.layout;
    return layout == "any" || (layout == workload.layout && workload.from[1] % row.multiple == 0);
}

const std::vector<const CompiledVariant*>& allVariants()
{
    return compiled();
}

void addStages(std::span<const CompiledStage> stages, std::span<const CompiledVariant> variants)
{
    addToStageTable(stages);
    append(compiled(), variants);
}

void addVariant(const CompiledVariant& variant)
{
    addedVariants().push_back(&variant);
}

const CompiledVariant* firstVariant(Api api, const Workload& workload, const std::string& name, int cudaDevice)
{
    const std::string_view apiText = nameOf(api);
    const auto is = [&](const CompiledVariant& row)
    {
        return row.stage == workload.stage && row.kind == workload.kind && row.api == apiText && (name.empty() || row.name == name) &&
               fits(row, workload) && runsHere(row, cudaDevice);
    };
    for (const auto* variants : {&allVariants(), &std::as_const(addedVariants())})
        if (const auto found =
                std::find_if(variants->begin(), variants->end(), [&](const CompiledVariant* variant) { return is(*variant); });
            found != variants->end())
            return *found;
    return nullptr;
}

Pick pick(const std::vector<Choice>& choices, const Workload& workload, const DeviceIdentity& device, int cudaDevice)
{
    // Among equally near ones of a kind the earlier wins, but the very same card before another of its name.
    Pick best;
    double bestDistance = 0;
    bool bestIsCard = false;
    for (const Choice& choice : choices)
    {
        if (!speaksOf(choice, device.api, workload))
            continue;
        const double apart = distance(choice.workload, workload);
        if (!(apart <= farthest))
            continue;
        Why why = Why::Default;
        if (sameDevice(choice.device, device))
            why = choice.workload == workload ? Why::Exact : Why::Nearest;
        else if (sameArchitecture(choice.device, device))
            why = Why::Architecture;
        else
            continue;
        const bool card = !device.uuid.empty() && choice.device.uuid == device.uuid;
        const bool better = !best.choice || why < best.why ||
                            (why == best.why && (apart < bestDistance || (apart == bestDistance && card && !bestIsCard)));
        if (!better)
            continue;
        if (const CompiledVariant* row = variantOf(choice, workload, cudaDevice))
        {
            best = {row, why, &choice};
            bestDistance = apart;
            bestIsCard = card;
        }
    }
    if (!best.row)
        best.row = firstVariant(device.api, workload, {}, cudaDevice);
    return best;
}

bool compiledIn(const Choice& choice)
{
    const std::vector<const CompiledVariant*>& all = allVariants();
    return std::any_of(all.begin(), all.end(),
                       [&](const CompiledVariant* each)
                       {
                           return each->stage == choice.workload.stage && each->kind == choice.workload.kind &&
                                  std::string_view(each->api) == nameOf(choice.device.api) && each->name == choice.variant &&
                                  each->parameters == choice.parameters && fits(*each, choice.workload);
                       });
}

void setChoices(std::vector<Choice> choices)
{
    std::erase_if(choices, [](const Choice& choice) { return !compiledIn(choice); });
    Table& table = Table::get();
    const std::unique_lock lock(table.mutex);
    table.choices = std::move(choices);
    table.decided.clear();
    table.loaded = true;
}

void setChoicesLoader(void (*load)())
{
    Table& table = Table::get();
    const std::unique_lock lock(table.mutex);
    table.loader = load;
}

std::vector<Choice> currentChoices()
{
    Table& table = Table::get();
    loadOnce(table);
    const std::shared_lock lock(table.mutex);
    return table.choices;
}

std::vector<Workload> seenWorkloads(Api api)
{
    Table& table = Table::get();
    const std::shared_lock lock(table.mutex);
    std::vector<Workload> workloads;
    for (const auto& [key, row] : table.decided)
        if (key.api == api)
            workloads.push_back(key.workload);
    return workloads;
}

Decision decide(const Device& device, const Workload& workload)
{
    if (!device.variant.empty())
    {
        const CompiledVariant* row = firstVariant(device.api, workload, device.variant, device.cudaDevice);
        return {device.variant, row ? row->parameters : "", "", Why::Caller, 1};
    }
    const std::vector<Choice> choices = currentChoices();
    const Pick picked = pick(choices, workload, identify(device), device.cudaDevice);
    require(picked.row != nullptr, "{}: no pipeline is compiled for {} that runs on this machine", workload.stage, nameOf(device.api));
    return {picked.row->name, picked.row->parameters, picked.choice ? picked.choice->origin : "", picked.why,
            picked.choice ? picked.choice->speedup : 1};
}

const CompiledVariant& chosenVariant(const Device& device, const Workload& workload)
{
    const char* stage = workload.stage.c_str();
    if (!device.variant.empty())
    {
        if (const CompiledVariant* row = firstVariant(device.api, workload, device.variant, device.cudaDevice))
            return *row;
        for (const CompiledVariant* each : allVariants())
            if (each->stage == workload.stage && each->kind == workload.kind && std::string_view(each->api) == nameOf(device.api) &&
                each->name == device.variant)
                fail("{}: variant \"{}\" for {} does not run on this machine or with these buffers", stage, device.variant,
                     nameOf(device.api));
        fail("{}: there is no variant \"{}\" for {}", stage, device.variant, nameOf(device.api));
    }
    Table& table = Table::get();
    loadOnce(table);
    const Key key{device.api, deviceKey(device), workload};
    {
        const std::shared_lock lock(table.mutex);
        if (const auto found = table.decided.find(key); found != table.decided.end())
            return *found->second;
    }
    const std::unique_lock lock(table.mutex);
    const CompiledVariant* row = table.choices.empty() ? firstVariant(device.api, workload, {}, device.cudaDevice)
                                                  : pick(table.choices, workload, identify(device), device.cudaDevice).row;
    require(row != nullptr, "{}: no pipeline is compiled for {} that runs on this machine", stage, nameOf(device.api));
    if (table.decided.size() >= mostDecided)
        table.decided.clear();
    table.decided.emplace(key, row);
    return *row;
}

} // namespace agpnet::stages
