// What each CUDA schedule asks of a GPU's memory, counted without one: the driver is the fake one
// (tests/halide_generators/fake_cuda.h), which runs the kernels on the CPU. A stage cannot be faster than its memory allows: where
// `least` is far below `touched`, what lies between its kernels is written and read again; where `touched` is far below `moved`,
// much depends on the caches; where `asked` is far below `moved`, neighbouring threads do not touch neighbours. With the argument
// --kernels each launch has a row too.
#include "tests/halide_generators/device.h"
#include "tests/halide_generators/fake_cuda.h"

#include <algorithm>
#include <cstdio>
#include <functional>

using namespace agpnet::stages;

extern "C" fake_cuda::Get fakeCudaRecord;

namespace
{

struct Sizes
{
    int batch = 1;
    double least = 0;   ///< bytes: inputs read once, outputs written once
    double results = 0; ///< numbers
};

bool kernels = false;

void print(const std::string& name, int batch, size_t launches, double threads, const ptx::Work& work, const Sizes& sizes)
{
    const auto number = [](uint64_t value) { return static_cast<double>(value); };
    fmt::print("| {} | {} | {} | {:.0f} | {:.2f} | {:.2f} | {:.2f} | {:.2f} | {:.2f} | {:.2f} | {:.2f} | {:.2f} |\n", name, batch,
               launches, threads, sizes.least / 1e6, number(work.asked) / 1e6, number(work.moved) / 1e6,
               number(work.touched) / 1e6, number(work.moved) / std::max(number(work.asked), 1.0),
               number(work.moved) / sizes.least, number(work.touched) / sizes.least,
               number(work.warpInstructions) / sizes.results);
}

/// One row of the table.
void measure(const Variant& variant, const Sizes& sizes, const std::function<void()>& call)
{
    fake_cuda::Record& record = *fakeCudaRecord();
    record.launches.clear();
    call();
    double threads = 0;
    ptx::Work sum;
    for (const fake_cuda::Launch& launch : record.launches)
    {
        double each = 1;
        for (const auto& shape : {launch.grid, launch.block})
            for (const unsigned size : shape)
                each *= size;
        threads += each;
        sum.warpInstructions += launch.work.warpInstructions;
        sum.asked += launch.work.asked;
        sum.moved += launch.work.moved;
        sum.touched += launch.work.touched;
        if (kernels)
            print(launch.kernel, sizes.batch, 1, each, launch.work, sizes);
    }
    print(fmt::format("{}{}{} {} {}", variant.stage, variant.kind.empty() ? "" : " ", variant.kind, variant.layout, variant.name),
          sizes.batch, record.launches.size(), threads, sum, sizes);
    std::fflush(stdout);
}

} // namespace

int main(int argc, char** argv)
{
    kernels = argc == 2 && std::string(argv[1]) == "--kernels";
    std::string reason;
    const std::unique_ptr<Place> place = openPlace("cuda", reason);
    if (!place)
        return std::printf("%s\n", reason.c_str()), 1;
    constexpr int channels = 384, grid = 18, side = 252, picture = 640;
    std::printf("%d channels, %d x %d to %d x %d; prepare: %d x %d of 3 channels. In MB: least, inputs read once and outputs "
                "written once; asked by threads; moved in sectors of 32 bytes, by "
                "instructions of warps; touched, each sector once a launch.\n\n"
                "| schedule | batch | launches | threads | least | asked | moved | touched | moved / asked | moved / least | "
                "touched / least | warp instructions a result |\n"
                "|---|---|---|---|---|---|---|---|---|---|---|---|\n",
                channels, grid, grid, side, side, picture, picture);
    for (const Variant& variant : variants())
    {
        if (variant.api != Api::Cuda)
            continue;
        place->device.variant = variant.name;
        if (variant.stage == "prepare")
        {
            const Drawn drawn(variant.kind == "uint8"    ? Depth::UInt8
                              : variant.kind == "uint16" ? Depth::UInt16
                                                         : Depth::Float32,
                              picture, picture, 3, 0, 1);
            measure(variant, {1, static_cast<double>(drawn.bytes.size()) + 12.0 * side * side, 3.0 * side * side},
                    [&] { runPrepare(*place, drawn, side, side); });
            continue;
        }
        const Order order = variant.layout == "tokens" ? Order::Tokens : Order::Planar;
        for (const int n : {8, 32})
        {
            const double tokens = 1.0 * n * channels * grid * grid, cells = 1.0 * n * grid * grid, pixels = 1.0 * n * side * side;
            if (variant.stage == "heatmap")
            {
                const reference::Array residual = reference::random(n, 1, grid, grid, 1, 0, 1);
                measure(variant, {n, 4 * (cells + pixels), pixels}, [&] { runHeatmap(*place, residual, 4, side, side); });
                continue;
            }
            const reference::Array f = reference::random(n, channels, grid, grid, 1, 0, 1),
                                   g = reference::random(n, channels, grid, grid, 2, 0, 1),
                                   attention = reference::random(n, 1, grid, grid, 3, 0, 1);
            if (variant.stage == "perturb")
                measure(variant, {n, 4 * (2 * tokens + cells), tokens}, [&] { runPerturb(*place, f, attention, {}, order); });
            else
                measure(variant, {n, 4 * (2 * tokens + cells), cells},
                        [&] { runResidual(*place, f, g, metricOf(variant.kind), order); });
        }
    }
}
