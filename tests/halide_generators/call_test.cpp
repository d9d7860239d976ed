// The call layer itself: what it refuses, what it picks, how it shares work.
#include "device.h"
#include "tests/support/error_text.h"

#include "halide_generators/runtime/stage_table.h"

#include <atomic>
#include <set>
#include <thread>

using namespace agpnet::stages;
using reference::Array;
using agpnet::test::errorOf;

namespace
{

View over(Array& array)
{
    View view;
    view.data = array.values.data();
    view.size = {array.n, array.c, array.h, array.w};
    view.stride = {int64_t{array.c} * array.h * array.w, int64_t{array.h} * array.w, array.w, 1};
    return view;
}

TEST(Calls, RefuseWithASentence)
{
    Array x(1, 3, 4, 4), a(1, 1, 4, 4), other(1, 3, 4, 5), two(2, 1, 4, 4);
    const Device cpu;
    EXPECT_EQ(errorOf([&] { perturb(cpu, over(x), over(a), {}, over(other)); }),
              "perturb: out has size [1,3,4,5]; expected [1,3,4,4]");
    EXPECT_EQ(errorOf([&] { perturb(cpu, over(x), over(two), {}, over(x)); }),
              "perturb: attention has size [2,1,4,4]; expected [1,1,4,4]");
    PerturbParams params;
    params.ratio = 1.5;
    EXPECT_EQ(errorOf([&] { perturb(cpu, over(x), over(a), params, over(x)); }), "perturb: ratio is 1.5; expected 0 to 1");
    EXPECT_EQ(errorOf([&] { residual(cpu, over(x), over(other), Metric::L2, over(a)); }),
              "residual: g has size [1,3,4,5]; expected [1,3,4,4]");
    Array map(1, 1, 8, 8), score(1, 1, 1, 1);
    EXPECT_EQ(errorOf([&] { heatmap(cpu, over(a), -1, over(map), over(score), over(score)); }),
              "heatmap: sigma is -1; expected 0 to 256");
    EXPECT_EQ(errorOf([&] { heatmap(cpu, over(a), 1, over(map), over(two), over(score)); }),
              "heatmap: maximum has size [2,1,4,4]; expected [1,1,1,1]");
    View empty = over(x);
    empty.data = nullptr;
    EXPECT_EQ(errorOf([&] { perturb(cpu, empty, over(a), {}, over(x)); }), "perturb: x has no memory");
    View none = over(x);
    none.size[3] = 0;
    EXPECT_EQ(errorOf([&] { perturb(cpu, none, over(a), {}, over(x)); }),
              "perturb: x has size [1,3,4,0]; every dimension must be at least 1");
    View flat = over(x);
    flat.stride[3] = 0;
    EXPECT_EQ(errorOf([&] { perturb(cpu, over(x), over(a), {}, flat); }),
              "perturb: out has stride 0 in dimension 3; expected a positive one");
}

TEST(Calls, UnknownVariantIsNamed)
{
    Array x(1, 3, 4, 4), a(1, 1, 4, 4);
    Device cpu;
    cpu.variant = "abacus";
    EXPECT_EQ(errorOf([&] { residual(cpu, over(x), over(x), Metric::L2, over(a)); }),
              "residual: there is no variant \"abacus\" for cpu");
}

TEST(Calls, OpenClNeedsContextAndQueue)
{
    Array x(1, 3, 4, 4), a(1, 1, 4, 4);
    Device device;
    device.api = Api::OpenCL;
    EXPECT_EQ(errorOf([&] { residual(device, over(x), over(x), Metric::L2, over(a)); }),
              "residual: OpenCL needs a context and a queue");
}

TEST(Calls, MissingCudaIsNamed)
{
    std::string reason;
    if (openPlace("cuda", reason))
        GTEST_SKIP() << "there is a CUDA device";
    Array x(1, 3, 4, 4), a(1, 1, 4, 4);
    Device device;
    device.api = Api::Cuda;
    EXPECT_NE(errorOf([&] { residual(device, over(x), over(x), Metric::L2, over(a)); }).find("CUDA"), std::string::npos);
}

TEST(Calls, EveryStageHasEveryApiAndABaseline)
{
    std::set<std::string> seen;
    for (const Variant& variant : variants())
    {
        seen.insert(fmt::format("{}{} {} {}", variant.stage, variant.kind, static_cast<int>(variant.api), variant.layout));
        EXPECT_TRUE(variant.usable || variant.name != "baseline");
    }
    ASSERT_GE(stageTable().size(), 4u);
    for (const Stage& stage : stageTable())
        for (const std::string& kind : stage.kinds.empty() ? std::vector<std::string>{""} : stage.kinds)
            for (Api api : {Api::Cpu, Api::OpenCL, Api::Cuda})
                EXPECT_TRUE(seen.count(fmt::format("{}{} {} any", stage.name, kind, static_cast<int>(api)))) << stage.name << " " << kind;
}

std::atomic<int> tasksRun{0};

void onThreads(int count, void (*task)(int, void*), void* context)
{
    std::atomic<int> next{0};
    const auto work = [&]
    {
        for (int i = next++; i < count; i = next++)
        {
            task(i, context);
            tasksRun++;
        }
    };
    std::thread other(work);
    work();
    other.join();
}

TEST(Calls, HostThreadsGiveTheSame)
{
    const Array x = reference::random(2, 384, 18, 18, 1), attention = reference::random(2, 1, 18, 18, 2);
    const Array large = reference::random(4, 1, 18, 18, 3);
    const Array queries = reference::random(9, 40, 1, 1, 4), none(0, 1, 1, 1);
    const reference::StoredRows rows = reference::drawRows(RowType::Float32, 30000, 40, 0, 5);
    for (const std::string& name : placeNames())
    {
        std::string reason;
        const auto place = openPlace(name, reason);
        if (!place || place->device.api != Api::Cpu)
            continue;
        for (Order order : allOrders)
        {
            const Array alone = runPerturb(*place, x, attention, {}, order);
            const Array distance = runResidual(*place, x, alone, Metric::L2, order);
            const Heat heat = runHeatmap(*place, large, 4, 252, 252, order);
            const reference::Neighbours neighbours = runNearest(*place, queries, rows, none, 100, order);
            setParallelFor(onThreads);
            tasksRun = 0;
            EXPECT_EQ(difference(runPerturb(*place, x, attention, {}, order), alone), 0) << name;
            EXPECT_GT(tasksRun, 1) << "the work was not shared";
            EXPECT_EQ(difference(runResidual(*place, x, alone, Metric::L2, order), distance), 0) << name;
            const Heat other = runHeatmap(*place, large, 4, 252, 252, order);
            const reference::Neighbours shared = runNearest(*place, queries, rows, none, 100, order);
            setParallelFor(nullptr);
            EXPECT_EQ(shared.rows.values, neighbours.rows.values) << name;
            EXPECT_EQ(shared.similarities.values, neighbours.similarities.values) << name;
            EXPECT_EQ(difference(other.map, heat.map), 0) << name;
            EXPECT_EQ(difference(other.top1, heat.top1), 0) << name;
        }
    }
}

TEST(Calls, SideBySide)
{
    const Array f = reference::random(1, 64, 9, 9, 4), g = reference::random(1, 64, 9, 9, 5);
    for (const std::string& name : placeNames())
    {
        std::string reason;
        const auto place = openPlace(name, reason);
        if (!place || place->device.api == Api::Cuda)
            continue;
        constexpr int count = 4;
        std::vector<std::thread> threads;
        std::atomic<int> missing{count}; // the first calls of the process, where this test is alone in it
        std::atomic<int> wrong{0};
        for (int t = 0; t < count; t++)
            threads.emplace_back(
                [&]
                {
                    missing--;
                    while (missing > 0)
                        std::this_thread::yield();
                    for (int i = 0; i < 20; i++)
                        if (difference(runResidual(*place, f, g, Metric::L2), reference::residual(f, g, Metric::L2)) > 1e-5)
                            wrong++;
                });
        for (std::thread& thread : threads)
            thread.join();
        EXPECT_EQ(wrong, 0) << name;
    }
}

TEST(Calls, MisalignedOpenClOffsetIsAnError)
{
    std::string reason;
    const auto place = openPlace("opencl", reason);
    if (!place)
        GTEST_SKIP() << reason;
    const auto f = place->make(reference::random(1, 4, 3, 3, 6)), out = place->make(1, 1, 3, 3);
    View moved = f->view;
    moved.offset += 1;
    const std::string message = errorOf([&] { residual(place->device, moved, f->view, Metric::L2, out->view); });
    EXPECT_NE(message.find("cannot address"), std::string::npos) << message;
    moved.offset = 1 << 20;
    EXPECT_NE(errorOf([&] { residual(place->device, moved, f->view, Metric::L2, out->view); }).find("its OpenCL buffer has"),
              std::string::npos);
}

} // namespace
