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

const std::vector<std::string>& rowTypeNames()
{
    static const std::vector<std::string>& names = stageOf("nearest").kinds;
    return names;
}

/// "int8" has 1 byte, "float32" has 4.
int bytesOfType(const std::string& type)
{
    return std::stoi(type.substr(type.find_first_of("0123456789"))) / 8;
}

/// "Nh11" of "Nh11:int32"
std::string placesOf(const std::string& shape)
{
    return shape.substr(0, shape.find(':'));
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

bool Stage::kindIsType() const
{
    return takesImage() || std::any_of(inputs.begin(), inputs.end(), [](const std::string& shape) { return shape.ends_with(":kind"); });
}

bool Stage::resizes() const
{
    const auto does = [](const std::string& shape)
    { return shape != "image" && placesOf(shape).find_first_of("hw") != std::string::npos; };
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
    const std::string places = placesOf(shape);
    require(places.size() == 4, "the shape of an array of {} is '{}', expected four places", workload.stage, shape);
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
            std::find_if(std::begin(known), std::end(known), [&](const auto& each) { return each.first == places[i]; });
        require(found != std::end(known), "the shape of an array of {} is '{}', expected places of 1, N, C, H, W, h, w or P",
                workload.stage, shape);
        sizes[i] = found->second;
    }
    return sizes;
}

std::string typeOf(const std::string& shape, const Workload& workload)
{
    const size_t colon = shape.find(':');
    if (shape == "image" || (colon != std::string::npos && shape.substr(colon + 1) == "kind"))
        return workload.kind;
    return colon == std::string::npos ? "float32" : shape.substr(colon + 1);
}

Workload workloadOf(const Stage& stage, const std::string& kind, const std::string& layout, const std::array<int, 4>& features,
                    const std::array<int, 2>& image)
{
    const int h = features[2], w = features[3];
    const std::vector<std::string> layouts = stage.measuredLayouts();
    const bool has = std::find(layouts.begin(), layouts.end(), layout) != layouts.end();
    Workload workload{stage.name, kind, has ? layout : layouts.back(), features, {}};
    if (stage.takesImage())
    {
        workload.from = {1, 3, image[0], image[1]};
        workload.to = {h, w};
    }
    else if (const auto first = shapeOf(stage.inputs.front(), workload); first != features)
    {
        workload.from = first;
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
        bytes += elements(shapeOf(input, workload)) * bytesOfType(typeOf(input, workload));
    for (const std::string& output : stage.outputs)
        bytes += elements(shapeOf(output, workload)) * bytesOfType(typeOf(output, workload));
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

RowType rowTypeOf(const std::string& name)
{
    return kindOf<RowType>("the type of the rows", rowTypeNames(), name);
}

const char* nameOf(RowType type)
{
    return rowTypeNames()[static_cast<size_t>(type)].c_str();
}

int bytesOf(RowType type)
{
    return type == RowType::Int8 ? 1 : type == RowType::Float16 ? 2 : 4;
}

} // namespace agpnet::stages
