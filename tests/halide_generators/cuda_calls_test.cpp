// What every CUDA schedule asks of the driver, with one that writes it down: work on the given stream in the device's primary context, and,
// after the first call, nothing else. With the argument --ptx FOLDER it also writes the code that was loaded there, for an assembler to
// look at.
#include "device.h"
#include "fake_cuda.h"
#include "halide_generators/runtime/stage_table.h"
#include "tests/support/error_text.h"

#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <map>
#include <tuple>

using namespace agpnet::stages;
using agpnet::test::errorOf;
using reference::Array;

namespace
{

std::string ptxFolder;

fake_cuda::Record& record()
{
    static fake_cuda::Get* const get = reinterpret_cast<fake_cuda::Get*>(dlsym(dlopen("libcuda.so.1", RTLD_NOW), "fakeCudaRecord"));
    if (!get)
        throw std::runtime_error("libcuda.so.1 is not the fake one; the tests set LD_LIBRARY_PATH");
    return *get();
}

class CudaCalls : public ::testing::Test
{
protected:
    void SetUp() override { record().compute = false; } // the calls are the same, and problems are large here
};

struct Shapes
{
    int n, c, h, w, height, width;
};

/// Calls one stage's schedule on memory of `place`.
std::function<void()> callOf(const Variant& variant, Place& place, const Shapes& shapes)
{
    const auto& [n, c, h, w, height, width] = shapes;
    const Workload workload = workloadOf(stageOf(variant.stage), variant.kind, variant.layout, {n, c, h, w}, {height, width});
    const auto arrays = std::make_shared<CallArrays>(place, workload, false);
    return [=, &place] { reference::checkOf(workload.stage).call(place.device, workload, arrays->memory); };
}

TEST_F(CudaCalls, OnlyLaunchesOnTheGivenStreamAfterTheFirst)
{
    std::string reason;
    const auto place = openPlace("cuda", reason);
    ASSERT_TRUE(place) << reason;
    int seen = 0;
    for (const Variant& variant : variants())
        if (variant.api == Api::Cuda)
            for (const Shapes& shapes :
                 {Shapes{1, 384, 18, 18, 252, 252}, Shapes{8, 384, 18, 18, 252, 252}, Shapes{1, 768, 37, 37, 518, 518},
                  Shapes{2, 1536, 32, 48, 1000, 1500}, Shapes{1, 384, 1, 1, 8, 8}, Shapes{32, 384, 12, 12, 168, 168}})
            {
                const std::string what = fmt::format("{} {} {} {}, {} images of {} channels at {}x{}", variant.stage, variant.kind,
                                                     variant.layout, variant.name, shapes.n, shapes.c, shapes.h, shapes.w);
                SCOPED_TRACE(what);
                place->device.variant = variant.name;
                const auto call = callOf(variant, *place, shapes);
                for (const int device : {0, 1})
                {
                    place->device.cudaDevice = device;
                    place->device.cudaStream = reinterpret_cast<void*>(static_cast<uintptr_t>(0x57EA00 + device));
                    call(); // code is loaded, memory for what lies between two kernels is taken
                    record().launches.clear();
                    record().others.clear();
                    const size_t depth = record().depth;
                    call();
                    EXPECT_THAT(record().others, ::testing::IsEmpty());
                    EXPECT_EQ(record().depth, depth);
                    EXPECT_FALSE(record().launches.empty());
                    for (const fake_cuda::Launch& launch : record().launches)
                    {
                        EXPECT_EQ(launch.stream, place->device.cudaStream) << launch.kernel;
                        EXPECT_EQ(launch.context, fake_cuda::contextOf(device)) << launch.kernel;
                        // what every device of compute capability 5 and later allows
                        const auto& [x, y, z] = launch.block;
                        EXPECT_TRUE(x > 0 && y > 0 && z > 0 && x <= 1024 && y <= 1024 && z <= 64 && x * y * z <= 1024)
                            << launch.kernel << ": a block of " << x << " x " << y << " x " << z;
                        EXPECT_TRUE(launch.grid[0] > 0 && launch.grid[0] <= 2147483647u && launch.grid[1] > 0 && launch.grid[1] <= 65535 &&
                                    launch.grid[2] > 0 && launch.grid[2] <= 65535)
                            << launch.kernel << ": a grid of " << launch.grid[0] << " x " << launch.grid[1] << " x " << launch.grid[2];
                        EXPECT_LE(launch.sharedBytes, 48u * 1024) << launch.kernel;
                    }
                    seen++;
                }
            }
    EXPECT_GT(seen, 100);
    if (!ptxFolder.empty())
        for (size_t i = 0; i < record().modules.size(); i++)
            std::ofstream(std::filesystem::path(ptxFolder) / fmt::format("module{}.ptx", i)) << record().modules[i];
}

/// A program's own allocator of device memory.
struct OwnMemory
{
    static inline std::map<void*, std::tuple<size_t, int, void*>> taken;
    static inline int calls = 0;
    static inline bool empty = false;

    static void* allocate(size_t bytes, int device, void* stream)
    {
        calls++;
        if (empty)
            return nullptr;
        void* const memory = std::malloc(bytes);
        taken[memory] = {bytes, device, stream};
        return memory;
    }
    static void release(void* memory, int device, void* stream)
    {
        EXPECT_EQ(std::get<1>(taken.at(memory)), device);
        EXPECT_EQ(std::get<2>(taken.at(memory)), stream);
        taken.erase(memory);
        std::free(memory);
    }
};

TEST_F(CudaCalls, MemoryBetweenKernelsIsTheProgramsOwn)
{
    constexpr CudaAllocator memory = {OwnMemory::allocate, OwnMemory::release};
    std::string reason;
    const auto place = openPlace("cuda", reason);
    ASSERT_TRUE(place) << reason;
    place->device.cudaAllocator = &memory;
    place->device.cudaDevice = 1;
    place->device.cudaStream = reinterpret_cast<void*>(uintptr_t{0x57EA02});
    for (const Variant& variant : variants())
        if (variant.api == Api::Cuda)
        {
            SCOPED_TRACE(fmt::format("{} {} {} {}", variant.stage, variant.kind, variant.layout, variant.name));
            place->device.variant = variant.name;
            const auto call = callOf(variant, *place, {2, 384, 17, 19, 250, 260});
            record().others.clear();
            call();
            EXPECT_THAT(record().others, ::testing::Not(::testing::Contains("cuMemAlloc")));
            EXPECT_TRUE(OwnMemory::taken.empty()) << "not given back";
        }
    EXPECT_GT(OwnMemory::calls, 0);
    const auto cells = place->make(1, 1, 18, 18), map = place->make(1, 1, 252, 252), maximum = place->make(1, 1, 1, 1),
               top1 = place->make(1, 1, 1, 1);
    place->device.variant.clear();
    OwnMemory::empty = true;
    const std::string said = errorOf([&] { heatmap(place->device, cells->view, 4, map->view, maximum->view, top1->view); });
    OwnMemory::empty = false;
    EXPECT_THAT(said, ::testing::HasSubstr("no memory left on the CUDA device"));
    EXPECT_TRUE(OwnMemory::taken.empty());
}

TEST_F(CudaCalls, AContextIsTheDevicesOwn)
{
    std::string reason;
    const auto place = openPlace("cuda", reason);
    ASSERT_TRUE(place) << reason;
    const auto f = place->make(1, 64, 3, 3, Order::Tokens), out = place->make(1, 1, 3, 3);
    for (const int device : {0, 1, 0, 1, 1})
    {
        place->device.cudaDevice = device;
        record().launches.clear();
        residual(place->device, f->view, f->view, Metric::L2, out->view);
        ASSERT_FALSE(record().launches.empty());
        EXPECT_EQ(record().launches.back().context, fake_cuda::contextOf(device));
    }
    EXPECT_THAT(record().others, ::testing::Not(::testing::Contains("cuCtxCreate")));
    place->device.cudaDevice = 2;
    EXPECT_THROW(residual(place->device, f->view, f->view, Metric::L2, out->view), agpnet::Error);
}

} // namespace

int main(int argc, char** argv)
{
    ::testing::InitGoogleTest(&argc, argv);
    if (argc == 3 && std::string(argv[1]) == "--ptx")
        ptxFolder = argv[2];
    return RUN_ALL_TESTS();
}
