#include "tuning/call_data.h"

#include "halide_generators/runtime/stage_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace agpnet::tuning
{

using reference::Array;
using stages::View;

namespace
{

constexpr size_t margin = 1024; // elements to both sides of an output that must stay as they are; keeps OpenCL's alignment
constexpr float canary = -12345.678f;

std::vector<unsigned char> bytesOf(const std::vector<float>& values)
{
    std::vector<unsigned char> bytes(values.size() * sizeof(float));
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
}

/// Tokens: the channels of a pixel lie side by side. Planar is as Array has it.
View layOut(const std::array<int, 4>& size, bool tokens)
{
    View view;
    view.size = size;
    const int64_t c = size[1], h = size[2], w = size[3];
    view.stride = tokens ? std::array<int64_t, 4>{c * h * w, 1, w * c, c} : std::array<int64_t, 4>{c * h * w, h * w, w, 1};
    return view;
}

size_t count(const std::array<int, 4>& size)
{
    return static_cast<size_t>(size[0]) * static_cast<size_t>(size[1]) * static_cast<size_t>(size[2]) *
           static_cast<size_t>(size[3]);
}

template <typename F>
void forEach(const View& view, F&& f)
{
    size_t i = 0;
    for (int n = 0; n < view.size[0]; n++)
        for (int c = 0; c < view.size[1]; c++)
            for (int y = 0; y < view.size[2]; y++)
                for (int x = 0; x < view.size[3]; x++)
                    f(i++,
                      static_cast<size_t>(n * view.stride[0] + c * view.stride[1] + y * view.stride[2] + x * view.stride[3]));
}

} // namespace

CallData::CallData(BenchDevice& device, const stages::Workload& workload, uint64_t seed) : device_(device), workload_(workload)
{
    const stages::Stage& stage = stages::stageOf(workload.stage);
    for (const std::string& input : stage.inputs)
    {
        seed++;
        if (input == "image")
            drawImage(seed);
        else if (input.ends_with(":kind"))
            drawRows(shapeOf(input, workload), seed);
        else
            drawInput(shapeOf(input, workload), seed);
    }
    for (const std::string& output : stage.outputs)
        memory_.outputs.push_back(layOut(shapeOf(output, workload), workload.layout == "tokens"));
    outputs_.resize(memory_.outputs.size());
    renewOutputs();
}

void CallData::drawInput(const std::array<int, 4>& size, uint64_t seed)
{
    Array array = reference::random(size[0], size[1], size[2], size[3], seed);
    View view = layOut(size, workload_.layout == "tokens");
    std::vector<float> laid(array.values.size());
    forEach(view, [&](size_t i, size_t at) { laid[at] = array.values[i]; });
    inputs_.push_back(device_.allocate(bytesOf(laid)));
    view.data = inputs_.back()->handle();
    memory_.inputs.push_back(view);
    values_.inputs.push_back(std::move(array));
}

void CallData::drawImage(uint64_t seed)
{
    stages::Picture& image = memory_.image;
    image.depth = stages::depthOf(workload_.kind);
    image.channels = workload_.from[1];
    image.rows = workload_.from[2];
    image.columns = workload_.from[3];
    const auto size = static_cast<size_t>(stages::bytesOf(image.depth));
    const size_t values =
        static_cast<size_t>(image.rows) * static_cast<size_t>(image.columns) * static_cast<size_t>(image.channels);
    image.step = static_cast<int64_t>(size) * image.columns * image.channels;
    std::vector<unsigned char> bytes(size * values);
    reference::Random random(seed);
    for (size_t i = 0; i < values; i++)
    {
        if (image.depth == stages::Depth::Float32)
        {
            const float value = static_cast<float>(random.uniform());
            std::memcpy(&bytes[i * size], &value, size);
            values_.image.push_back(value);
            continue;
        }
        const int most = size == 1 ? 255 : 65535, value = random.below(most + 1);
        for (size_t byte = 0; byte < size; byte++) // little-endian
            bytes[i * size + byte] = static_cast<unsigned char>(value >> (8 * byte));
        values_.image.push_back(static_cast<double>(value) / most);
    }
    inputs_.push_back(device_.allocate(bytes));
    image.data = inputs_.back()->handle();
}

void CallData::drawRows(const std::array<int, 4>& size, uint64_t seed)
{
    reference::StoredRows stored = reference::drawRows(stages::rowTypeOf(workload_.kind), size[0], size[1], 0, seed);
    inputs_.push_back(device_.allocate(stored.bytes));
    memory_.rows = stored.rows;
    memory_.rows.data = inputs_.back()->handle();
    values_.rows = std::move(stored.values);
}

void CallData::renewOutputs()
{
    for (size_t i = 0; i < outputs_.size(); i++)
    {
        View& view = memory_.outputs[i];
        outputs_[i] = device_.allocate(bytesOf(std::vector<float>(count(view.size) + 2 * margin, canary)));
        view.data = outputs_[i]->handle();
        view.offset = margin;
    }
}

bool CallData::read(size_t output, std::vector<float>& values) const
{
    const View& view = memory_.outputs[output];
    const std::vector<unsigned char> bytes = outputs_[output]->read();
    std::vector<float> all(bytes.size() / sizeof(float));
    std::memcpy(all.data(), bytes.data(), bytes.size());
    values.resize(count(view.size));
    const bool whole = stages::typeOf(stages::stageOf(workload_.stage).outputs[output], workload_) == "int32";
    forEach(view, [&](size_t i, size_t at)
            { values[i] = whole ? static_cast<float>(std::bit_cast<int32_t>(all[margin + at])) : all[margin + at]; });
    const auto untouched = [](float value) { return value == canary; };
    return std::all_of(all.begin(), all.begin() + margin, untouched) && std::all_of(all.end() - margin, all.end(), untouched);
}

} // namespace agpnet::tuning
