#include "tuning/trial.h"

#include "common/error.h"
#include "halide_generators/runtime/stage_table.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace agpnet::tuning
{

using reference::Array;
using stages::Workload;

namespace
{

constexpr double turnSeconds = 5e-4; // short, so that on a busy machine some are not interrupted
constexpr size_t enoughBytes = 16 << 20, mostSets = 8;
constexpr int64_t mostElements = 1 << 26;

/// Of the array that the workload's first four numbers are.
int64_t elementsIn(const Workload& workload)
{
    const auto& [n, c, h, w] = workload.from;
    return static_cast<int64_t>(n) * c * h * w;
}

int64_t elementsOut(const Workload& workload)
{
    return static_cast<int64_t>(workload.from[0]) * std::max(workload.to[0], 1) * std::max(workload.to[1], 1);
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

/// An Error for a workload that is none of its stage's, or too large.
void requireMeasurable(const Workload& workload)
{
    const auto& [n, c, h, w] = workload.from;
    require(n <= 65536 && c <= 65536 && elementsIn(workload) <= mostElements && elementsOut(workload) <= mostElements,
            "{} is too large to be measured", stages::shapeText(workload));
    const stages::Stage& stage = stages::stageOf(workload.stage);
    const std::vector<std::string> layouts = stage.measuredLayouts();
    require(std::find(layouts.begin(), layouts.end(), workload.layout) != layouts.end(), "{}: the layout is '{}', expected {}", stage.name,
            workload.layout, fmt::join(layouts, " or "));
    require(stages::shapeOf(stage.inputs.front(), workload) == workload.from, "{} {} does not lie as {}", stage.name,
            stages::shapeText(workload), stage.inputs.front());
}

} // namespace

Bench::Bench(BenchDevice& device, Workload workload)
    : device_(device), workload_(std::move(workload)), check_(reference::checkOf(workload_.stage))
{
    requireMeasurable(workload_);
    const size_t bytes = sizeof(float) * static_cast<size_t>(2 * elementsIn(workload_) + elementsOut(workload_));
    const size_t setCount = std::clamp<size_t>(enoughBytes / bytes, 2, mostSets);
    for (size_t i = 0; i < setCount; i++)
        sets_.emplace_back(device_, workload_, 10 * i);
    expected_ = check_.expected(workload_, sets_.front().values());
}

void Bench::call(const std::string& variant, const CallData& data)
{
    stages::Device device = device_.device;
    device.variant = variant;
    check_.call(device, workload_, data.memory());
}

double Bench::check(const std::string& variant)
{
    CallData& data = sets_.front();
    data.renewOutputs(); // so that the schedule before cannot lend its result
    call(variant, data);
    device_.finish();
    std::vector<std::vector<float>> found(data.memory().outputs.size());
    for (size_t i = 0; i < found.size(); i++)
        if (!data.read(i, found[i]))
            return INFINITY;
    double worst = 0;
    for (size_t i = 0; i < expected_.values.size(); i++)
        worst = std::max(worst, errorOf(found[0][i], expected_.values[i]));
    if (!check_.derived)
        return worst;
    std::vector<Array> arrays;
    for (size_t i = 0; i < found.size(); i++)
    {
        const auto& [n, c, h, w] = data.memory().outputs[i].size;
        arrays.emplace_back(n, c, h, w).values = found[i];
    }
    const std::vector<std::vector<double>> others = check_.derived(workload_, data.values(), arrays);
    for (size_t i = 0; i < others.size(); i++)
        for (size_t k = 0; k < others[i].size(); k++)
            worst = std::max(worst, errorOf(found[i + 1][k], others[i][k]));
    return worst;
}

double Bench::timed(const std::string& variant, int calls)
{
    using clock = std::chrono::steady_clock;
    const clock::time_point begin = clock::now();
    for (int i = 0; i < calls; i++)
        call(variant, sets_[next_++ % sets_.size()]);
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
    // What disturbs makes turns longer, never shorter. So each stretch of the run is judged by its fastest turns, and how much the
    // stretches differ tells the noise.
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
