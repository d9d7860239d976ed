#include "tests/devices/fake_graph.h"

#include "halide_generators/runtime/stages.h"
#include "models/device/device_graph.h"

#include <atomic>
#include <c10/util/Exception.h>
#include <cstdlib>
#include <memory>
#include <vector>

#if __has_include(<ATen/core/GraphImplInterface.h>)
#define AGPNET_PRETEND_GRAPHS
#endif

namespace agpnet::test
{
namespace
{

std::atomic<int64_t> captured, replayed;

struct Recording
{
    std::vector<std::function<void()>> done;
    std::vector<std::unique_ptr<void, decltype(&std::free)>> memory;
};
thread_local Recording* current = nullptr;

#ifdef AGPNET_PRETEND_GRAPHS
class Graph final : public at::GraphImplInterface
{
public:
    explicit Graph(const at::GraphImplArgs&) {}

    void capture_begin(at::MempoolId_t, at::GraphCaptureMode) override
    {
        TORCH_CHECK(!current, "a graph is captured within another");
        current = &recording_;
    }
    void capture_end() override
    {
        current = nullptr;
        captured++;
    }
    void replay() override
    {
        for (const auto& again : recording_.done)
            again();
        replayed++;
    }
    void instantiate() override {}
    void reset() override { recording_ = {}; }
    at::MempoolId_t pool() const override { return {0, 0}; }
    void enable_debug_mode() override {}
    void debug_dump(const std::string&) override {}

private:
    Recording recording_;
};
#endif

} // namespace

bool graphsOf([[maybe_unused]] c10::DeviceType kind)
{
#ifdef AGPNET_GRAPHS
    return DeviceGraph::possible(kind);
#else
    return false;
#endif
}

Graphs graphs()
{
    return {captured, replayed};
}

void registerFakeGraphs([[maybe_unused]] c10::DeviceType kind)
{
#ifdef AGPNET_PRETEND_GRAPHS
    at::GraphImplRegistry()->Register(c10::DeviceTypeName(kind, false),
                                      [](at::GraphImplArgs args) -> std::unique_ptr<at::GraphImplInterface>
                                      { return std::make_unique<Graph>(args); });
#endif
}

bool capturing()
{
    return current != nullptr;
}

void alsoInReplays(std::function<void()> again)
{
    if (current)
        current->done.push_back(std::move(again));
}

void refuseWhileCapturing(const char* what)
{
    TORCH_CHECK(!current, what, " while a graph is captured");
}

c10::DataPtr memoryOfGraph(size_t bytes, c10::Device device)
{
    void* const memory = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    current->memory.emplace_back(memory, &std::free);
    return {memory, memory, [](void*) {}, device};
}

} // namespace agpnet::test

// The stages work on plain memory, past LibTorch: the linker leads calls of them through here (--wrap).
namespace agpnet::stages
{

#define AGPNET_RESIDUAL "_ZN6agpnet6stages8residualERKNS0_6DeviceERKNS0_4ViewES6_NS0_6MetricES6_"
#define AGPNET_HEATMAP "_ZN6agpnet6stages7heatmapERKNS0_6DeviceERKNS0_4ViewEdS6_S6_S6_"

void residualItself(const Device& device, const View& f, const View& g, Metric metric, const View& out) asm("__real_" AGPNET_RESIDUAL);
void heatmapItself(const Device& device, const View& residual, double sigma, const View& map, const View& maximum,
                   const View& top1) asm("__real_" AGPNET_HEATMAP);

void residualRemembered(const Device& device, const View& f, const View& g, Metric metric, const View& out) asm("__wrap_" AGPNET_RESIDUAL);
void residualRemembered(const Device& device, const View& f, const View& g, Metric metric, const View& out)
{
    residualItself(device, f, g, metric, out);
    test::alsoInReplays([=] { residualItself(device, f, g, metric, out); });
}

void heatmapRemembered(const Device& device, const View& residual, double sigma, const View& map, const View& maximum,
                       const View& top1) asm("__wrap_" AGPNET_HEATMAP);
void heatmapRemembered(const Device& device, const View& residual, double sigma, const View& map, const View& maximum, const View& top1)
{
    heatmapItself(device, residual, sigma, map, maximum, top1);
    test::alsoInReplays([=] { heatmapItself(device, residual, sigma, map, maximum, top1); });
}

} // namespace agpnet::stages
