#include "tuning/trial.h"

#include "common/error.h"
#include "halide_generators/runtime/choices.h"
#include "halide_generators/reference/reference.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

namespace agpnet::tuning
{

using reference::Array;
using stages::Workload;
using stages::View;

namespace
{

constexpr size_t margin = 1024;    // elements to both sides of an output that must stay as they are; keeps OpenCL's alignment
constexpr float canary = -12345.678f;
constexpr double sigma = 4;        // of a heat map's blur, as operators have it by default
constexpr double turnSeconds = 5e-4; // short, so that on a busy machine some are not interrupted
constexpr size_t enoughBytes = 16 << 20, mostSets = 8;
constexpr int64_t mostElements = 1 << 26;

std::vector<unsigned char> bytesOf(const float* values, size_t count)
{
    std::vector<unsigned char> bytes(count * sizeof(float));
    std::memcpy(bytes.data(), values, bytes.size());
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
    return static_cast<size_t>(size[0]) * static_cast<size_t>(size[1]) * static_cast<size_t>(size[2]) * static_cast<size_t>(size[3]);
}

template <typename F>
void forEach(const View& view, F&& f)
{
    size_t i = 0;
    for (int n = 0; n < view.size[0]; n++)
        for (int c = 0; c < view.size[1]; c++)
            for (int y = 0; y < view.size[2]; y++)
                for (int x = 0; x < view.size[3]; x++)
                    f(i++, static_cast<size_t>(n * view.stride[0] + c * view.stride[1] + y * view.stride[2] + x * view.stride[3]));
}

double errorOf(double found, double expected)
{
    if (std::isnan(found) || std::isnan(expected))
        return std::isnan(found) && std::isnan(expected) ? 0 : INFINITY;
    return std::fabs(found - expected) / std::max(1.0, std::fabs(expected));
}

double median(std::vector<double> values)
{
    const size_t middle = values.size() / 2;
    std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(middle), values.end());
    return values[middle];
}

double deviation(const std::vector<double>& values, double from)
{
    std::vector<double> apart;
    for (double value : values)
        apart.push_back(std::fabs(value - from));
    return median(apart);
}

Timing timingOf(const std::vector<double>& seconds, int calls)
{
    Timing timing;
    timing.minimum = 1e6 * *std::min_element(seconds.begin(), seconds.end());
    timing.median = 1e6 * median(seconds);
    timing.mad = 1e6 * deviation(seconds, median(seconds));
    timing.iterations = static_cast<int>(seconds.size()) * calls;
    return timing;
}

stages::Depth depthOf(const std::string& kind)
{
    return kind == "uint8" ? stages::Depth::UInt8 : kind == "uint16" ? stages::Depth::UInt16 : stages::Depth::Float32;
}

} // namespace

struct Bench::Set
{
    struct Tensor
    {
        View view;
        std::unique_ptr<Memory> memory;
    };

    std::vector<Tensor> inputs, outputs;
    stages::Picture picture;
    std::unique_ptr<Memory> pictureMemory;
    std::vector<Array> arrays;     // the inputs' values
    std::vector<double> pictureValues;

    void input(BenchDevice& device, Array array, bool tokens)
    {
        Tensor tensor{layOut({array.n, array.c, array.h, array.w}, tokens), nullptr};
        std::vector<float> laid(array.values.size());
        forEach(tensor.view, [&](size_t i, size_t at) { laid[at] = array.values[i]; });
        tensor.memory = device.allocate(bytesOf(laid.data(), laid.size()));
        tensor.view.data = tensor.memory->handle();
        inputs.push_back(std::move(tensor));
        arrays.push_back(std::move(array));
    }

    void output(BenchDevice& device, const std::array<int, 4>& size, bool tokens)
    {
        Tensor tensor{layOut(size, tokens), nullptr};
        const std::vector<float> canaries(count(size) + 2 * margin, canary);
        tensor.memory = device.allocate(bytesOf(canaries.data(), canaries.size()));
        tensor.view.data = tensor.memory->handle();
        tensor.view.offset = margin;
        outputs.push_back(std::move(tensor));
    }

    void paint(BenchDevice& device, const Workload& workload, uint64_t seed)
    {
        const int channels = workload.from[1], rows = workload.from[2], columns = workload.from[3];
        picture.depth = depthOf(workload.kind);
        picture.rows = rows;
        picture.columns = columns;
        picture.channels = channels;
        const size_t size = picture.depth == stages::Depth::UInt8 ? 1 : picture.depth == stages::Depth::UInt16 ? 2 : 4;
        const size_t values = static_cast<size_t>(rows) * static_cast<size_t>(columns) * static_cast<size_t>(channels);
        picture.step = static_cast<int64_t>(size) * columns * channels;
        std::vector<unsigned char> bytes(size * values);
        reference::Random random(seed);
        for (size_t i = 0; i < values; i++)
        {
            if (picture.depth == stages::Depth::Float32)
            {
                const float value = static_cast<float>(random.uniform());
                std::memcpy(&bytes[i * size], &value, size);
                pictureValues.push_back(value);
                continue;
            }
            const int most = size == 1 ? 255 : 65535, value = random.below(most + 1);
            for (size_t byte = 0; byte < size; byte++) // little-endian
                bytes[i * size + byte] = static_cast<unsigned char>(value >> (8 * byte));
            pictureValues.push_back(static_cast<double>(value) / most);
        }
        pictureMemory = device.allocate(bytes);
        picture.data = pictureMemory->handle();
    }

    /// Values of an output in the order of an Array; false if anything around them was written.
    bool read(const Tensor& tensor, std::vector<float>& values) const
    {
        const std::vector<unsigned char> bytes = tensor.memory->read();
        std::vector<float> all(bytes.size() / sizeof(float));
        std::memcpy(all.data(), bytes.data(), bytes.size());
        values.resize(count(tensor.view.size));
        forEach(tensor.view, [&](size_t i, size_t at) { values[i] = all[margin + at]; });
        const auto untouched = [](float value) { return value == canary; };
        return std::all_of(all.begin(), all.begin() + margin, untouched) && std::all_of(all.end() - margin, all.end(), untouched);
    }
};

Bench::Bench(BenchDevice& device, Workload workload) : device_(device), workload_(std::move(workload))
{
    const auto& [n, c, h, w] = workload_.from;
    const auto& [height, width] = workload_.to;
    const int64_t elements = static_cast<int64_t>(n) * c * h * w, made = static_cast<int64_t>(n) * std::max(height, 1) * std::max(width, 1);
    require(n <= 65536 && c <= 65536 && elements <= mostElements && made <= mostElements, "{} is too large to be measured",
            stages::shapeText(workload_));
    const std::string& stage = workload_.stage;
    const bool tokens = workload_.layout == "tokens";
    require(stage == "prepare" ? n == 1 && workload_.layout == "any" : stage != "heatmap" || (c == 1 && workload_.layout == "any"),
            "{} {} does not lie as {}", stage, stages::shapeText(workload_), workload_.layout);
    require((stage != "perturb" && stage != "residual") || workload_.layout != "any", "{}: the layout is '{}', expected tokens or planar", stage,
            workload_.layout);
    const size_t bytes = sizeof(float) * static_cast<size_t>(2 * elements + made);
    const size_t setCount = std::clamp<size_t>(enoughBytes / bytes, 2, mostSets);
    for (size_t i = 0; i < setCount; i++)
    {
        auto set = std::make_unique<Set>();
        const auto fresh = [&, batch = n](int channels, int rows, int columns, uint64_t what)
        { return reference::random(batch, channels, rows, columns, 10 * i + what); };
        if (stage == "prepare")
        {
            set->paint(device_, workload_, 10 * i + 1);
            set->output(device_, {1, c == 1 ? 3 : c == 4 ? 3 : c, height, width}, false);
        }
        else if (stage == "perturb")
        {
            set->input(device_, fresh(c, h, w, 1), tokens);
            set->input(device_, fresh(1, height, width, 2), false);
            set->output(device_, workload_.from, tokens);
        }
        else if (stage == "residual")
        {
            set->input(device_, fresh(c, h, w, 1), tokens);
            set->input(device_, fresh(c, h, w, 2), tokens);
            set->output(device_, {n, 1, h, w}, false);
        }
        else
        {
            set->input(device_, fresh(1, h, w, 1), false);
            set->output(device_, {n, 1, height, width}, false);
            set->output(device_, {n, 1, 1, 1}, false);
            set->output(device_, {n, 1, 1, 1}, false);
        }
        sets_.push_back(std::move(set));
    }

    const Set& first = *sets_[0];
    if (stage == "prepare")
        expected_ = {reference::prepare(first.pictureValues, h, w, c, height, width).values};
    else if (stage == "perturb")
        expected_ = {reference::perturb(first.arrays[0], first.arrays[1], {}).values};
    else if (stage == "residual")
        expected_ = {reference::residual(first.arrays[0], first.arrays[1], stages::metricOf(workload_.kind)).values};
    else
        expected_ = {reference::blur(reference::resize(first.arrays[0], height, width), sigma).values};
}

Bench::~Bench() = default;

void Bench::call(const std::string& variant, Set& set)
{
    stages::Device device = device_.device;
    device.variant = variant;
    const auto in = [&](size_t i) -> const View& { return set.inputs[i].view; };
    const auto out = [&](size_t i) -> const View& { return set.outputs[i].view; };
    if (workload_.stage == "prepare")
        stages::prepare(device, set.picture, out(0));
    else if (workload_.stage == "perturb")
        stages::perturb(device, in(0), in(1), {}, out(0));
    else if (workload_.stage == "residual")
        stages::residual(device, in(0), in(1), stages::metricOf(workload_.kind), out(0));
    else
        stages::heatmap(device, in(0), sigma, out(0), out(1), out(2));
}

double Bench::check(const std::string& variant)
{
    Set& set = *sets_[0];
    for (Set::Tensor& output : set.outputs) // so that the schedule before cannot lend its result
    {
        const std::vector<float> canaries(count(output.view.size) + 2 * margin, canary);
        output.memory = device_.allocate(bytesOf(canaries.data(), canaries.size()));
        output.view.data = output.memory->handle();
    }
    call(variant, set);
    device_.finish();
    std::vector<std::vector<float>> found(set.outputs.size());
    for (size_t i = 0; i < found.size(); i++)
        if (!set.read(set.outputs[i], found[i]))
            return INFINITY;
    double worst = 0;
    for (size_t i = 0; i < expected_[0].size(); i++)
        worst = std::max(worst, errorOf(found[0][i], expected_[0][i]));
    if (workload_.stage == "heatmap")
    {
        Array map(workload_.from[0], 1, workload_.to[0], workload_.to[1]);
        map.values = found[0];
        const reference::Scores scores = reference::scores(map);
        for (size_t n = 0; n < scores.maximum.size(); n++)
            worst = std::max({worst, errorOf(found[1][n], scores.maximum[n]), errorOf(found[2][n], scores.top1[n])});
    }
    return worst;
}

double Bench::timed(const std::string& variant, int calls)
{
    using clock = std::chrono::steady_clock;
    const clock::time_point begin = clock::now();
    for (int i = 0; i < calls; i++)
        call(variant, *sets_[next_++ % sets_.size()]);
    device_.finish();
    return std::chrono::duration<double>(clock::now() - begin).count() / calls;
}

Comparison Bench::compare(const std::string& first, const std::string& second, double seconds)
{
    using clock = std::chrono::steady_clock;
    for (const std::string& variant : {first, second}) // kernels are compiled, memory is touched, the clock comes up
        timed(variant, static_cast<int>(sets_.size()));
    const double once = std::min(timed(first, 2), timed(second, 2));
    const int calls = std::clamp(static_cast<int>(turnSeconds / std::max(once, 1e-7)), 1, 100000);
    constexpr size_t fewest = 15, most = 4000;
    std::vector<double> firsts, others;
    const clock::time_point begin = clock::now();
    while (firsts.size() < fewest || (firsts.size() < most && std::chrono::duration<double>(clock::now() - begin).count() < seconds))
    {
        const bool turned = firsts.size() % 2 == 1; // A B, B A: neither always follows the other
        if (turned)
            others.push_back(timed(second, calls));
        firsts.push_back(timed(first, calls));
        if (!turned)
            others.push_back(timed(second, calls));
    }
    Comparison comparison;
    comparison.first = timingOf(firsts, calls);
    comparison.second = timingOf(others, calls);
    // What disturbs makes turns longer, never shorter. So each stretch of the run is judged by its fastest turns, and how much the stretches
    // differ tells the noise.
    const size_t stretches = std::clamp<size_t>(firsts.size() / 5, 3, 9), length = firsts.size() / stretches;
    std::vector<double> ratios;
    for (size_t i = 0; i < stretches; i++)
    {
        const auto fastest = [&](const std::vector<double>& turns)
        {
            const auto from = turns.begin() + static_cast<ptrdiff_t>(i * length);
            return *std::min_element(from, from + static_cast<ptrdiff_t>(length));
        };
        ratios.push_back(fastest(firsts) / fastest(others));
    }
    comparison.speedup = median(ratios);
    // of a median, from the median absolute deviation, as for a normal distribution
    comparison.noise = 1.2533 * 1.4826 * deviation(ratios, comparison.speedup) / std::sqrt(static_cast<double>(stretches));
    return comparison;
}

} // namespace agpnet::tuning
