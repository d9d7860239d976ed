#include "halide_generators/runtime/stage_table.h"

#include <algorithm>
#include <sstream>
#include <utility>

namespace agpnet::stages
{
namespace
{

std::vector<std::string> wordsOf(const char* text)
{
    std::istringstream in(text);
    std::vector<std::string> words;
    for (std::string word; in >> word;)
        words.push_back(word);
    return words;
}

void append(std::deque<Stage>& table, std::span<const CompiledStage> stages)
{
    for (const CompiledStage& stage : stages)
        table.push_back({stage.name, wordsOf(stage.kinds), stage.kindParameter, wordsOf(stage.layouts), wordsOf(stage.inputs),
                         wordsOf(stage.outputs), stage.hash});
}

std::deque<Stage>& table()
{
    static std::deque<Stage>* const all = []
    {
        auto* made = new std::deque<Stage>; // stages may be called until the process ends
        append(*made, compiledStages);
        return made;
    }();
    return *all;
}

/// The value of an enumeration whose numbers are the places of names among the kinds of a stage.
template <typename Kind>
Kind kindOf(const char* what, const std::vector<std::string>& names, const std::string& name)
{
    const auto found = std::find(names.begin(), names.end(), name);
    require(found != names.end(), "{} is '{}', expected one of {}", what, name, fmt::join(names, ", "));
    return static_cast<Kind>(found - names.begin());
}

const std::vector<std::string>& depthNames()
{
    static const std::vector<std::string>& names = stageOf("prepare").kinds;
    return names;
}

double elements(const std::array<int, 4>& shape)
{
    return static_cast<double>(shape[0]) * shape[1] * shape[2] * shape[3];
}

} // namespace

bool Stage::takesImage() const
{
    return inputs.front() == "image";
}

bool Stage::resizes() const
{
    const auto does = [](const std::string& shape) { return shape != "image" && shape.find_first_of("hw") != std::string::npos; };
    return std::any_of(inputs.begin(), inputs.end(), does) || std::any_of(outputs.begin(), outputs.end(), does);
}

std::vector<std::string> Stage::measuredLayouts() const
{
    return layouts.empty() ? std::vector<std::string>{"any"} : layouts;
}

std::vector<std::string> Stage::generatorArguments(const std::string& layout, const std::string& kind) const
{
    std::vector<std::string> arguments;
    if (!layouts.empty())
        arguments.push_back("layout=" + layout);
    if (!kinds.empty())
        arguments.push_back(kindParameter + "=" + kind);
    return arguments;
}

const std::deque<Stage>& stageTable()
{
    return table();
}

const Stage* findStage(const std::string& name)
{
    const std::deque<Stage>& all = stageTable();
    const auto found = std::find_if(all.begin(), all.end(), [&](const Stage& stage) { return stage.name == name; });
    return found == all.end() ? nullptr : &*found;
}

const Stage& stageOf(const std::string& name)
{
    const Stage* const stage = findStage(name);
    require(stage != nullptr, "the stage is '{}', expected one of {}", name, fmt::join(stageNames(), ", "));
    return *stage;
}

std::vector<std::string> stageNames()
{
    std::vector<std::string> names;
    for (const Stage& stage : stageTable())
        names.push_back(stage.name);
    return names;
}

std::vector<std::string> kindNames()
{
    std::vector<std::string> names;
    for (const Stage& stage : stageTable())
        names.insert(names.end(), stage.kinds.begin(), stage.kinds.end());
    return names;
}

std::array<int, 4> shapeOf(const std::string& shape, const Workload& workload)
{
    const auto& [n, c, h, w] = workload.from;
    if (shape == "image")
        return {1, c, h, w};
    require(shape.size() == 4, "the shape of an array of {} is '{}', expected four places", workload.stage, shape);
    const std::pair<char, int> known[] = {{'1', 1},
                                          {'N', n},
                                          {'C', c},
                                          {'H', h},
                                          {'W', w},
                                          {'h', workload.to[0]},
                                          {'w', workload.to[1]},
                                          {'P', c == 6 ? 6 : 3}}; // colours, and geometry where the image has it
    std::array<int, 4> sizes{};
    for (size_t i = 0; i < sizes.size(); i++)
    {
        const auto found =
            std::find_if(std::begin(known), std::end(known), [&](const auto& each) { return each.first == shape[i]; });
        require(found != std::end(known), "the shape of an array of {} is '{}', expected places of 1, N, C, H, W, h, w or P",
                workload.stage, shape);
        sizes[i] = found->second;
    }
    return sizes;
}

Workload workloadOf(const Stage& stage, const std::string& kind, const std::string& layout, const std::array<int, 4>& features,
                    const std::array<int, 2>& image)
{
    const auto& [n, c, h, w] = features;
    const std::vector<std::string> layouts = stage.measuredLayouts();
    const bool has = std::find(layouts.begin(), layouts.end(), layout) != layouts.end();
    Workload workload{stage.name, kind, has ? layout : layouts.back(), features, {}};
    if (stage.takesImage())
    {
        workload.from = {1, 3, image[0], image[1]};
        workload.to = {h, w};
    }
    else if (shapeOf(stage.inputs.front(), workload) != features)
    {
        workload.from = {n, 1, h, w};
        workload.to = image;
    }
    else if (stage.resizes())
        workload.to = {h, w};
    return workload;
}

double bytesMoved(const Workload& workload)
{
    const Stage& stage = stageOf(workload.stage);
    double bytes = 0;
    for (const std::string& input : stage.inputs)
        bytes += elements(shapeOf(input, workload)) * (input == "image" ? bytesOf(depthOf(workload.kind)) : 4);
    for (const std::string& output : stage.outputs)
        bytes += 4 * elements(shapeOf(output, workload));
    return bytes;
}

double resultsOf(const Workload& workload)
{
    return elements(shapeOf(stageOf(workload.stage).outputs.front(), workload));
}

void addToStageTable(std::span<const CompiledStage> stages)
{
    for (const CompiledStage& stage : stages)
        require(findStage(stage.name) == nullptr, "the stage '{}' is added, but there is one of this name", stage.name);
    append(table(), stages);
}

const std::vector<std::string>& metricNames()
{
    static const std::vector<std::string>& names = stageOf("residual").kinds;
    return names;
}

Metric metricOf(const std::string& name)
{
    return kindOf<Metric>("metric", metricNames(), name);
}

const char* nameOf(Metric metric)
{
    return metricNames()[static_cast<size_t>(metric)].c_str();
}

Depth depthOf(const std::string& name)
{
    return kindOf<Depth>("the type of the pixels", depthNames(), name);
}

const char* nameOf(Depth depth)
{
    return depthNames()[static_cast<size_t>(depth)].c_str();
}

int bytesOf(Depth depth)
{
    return depth == Depth::UInt8 ? 1 : depth == Depth::UInt16 ? 2 : 4;
}

} // namespace agpnet::stages
