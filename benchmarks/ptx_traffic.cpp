// What each CUDA schedule asks of a GPU's memory, counted without one: the driver is the fake one
// (tests/halide_generators/fake_cuda.h), which runs the kernels on the CPU. A stage cannot be faster than its memory allows:
// where `least` is far below `touched`, what lies between its kernels is written and read again; where `touched` is far below
// `moved`, much depends on the caches; where `asked` is far below `moved`, neighbouring threads do not touch neighbours. With the
// argument
// --kernels each launch has a row too.
#include "halide_generators/runtime/stage_table.h"
#include "tests/halide_generators/fake_cuda.h"
#include "tuning/call_data.h"

#include <algorithm>
#include <cstdio>

using namespace agpnet::stages;

extern "C" fake_cuda::Get fakeCudaRecord;

namespace
{

bool kernels = false;

void print(const std::string& name, size_t launches, double threads, const ptx::Work& work, const Workload& workload)
{
    const auto number = [](uint64_t value) { return static_cast<double>(value); };
    const double least = bytesMoved(workload);
    fmt::print("| {} | {} | {} | {:.0f} | {:.2f} | {:.2f} | {:.2f} | {:.2f} | {:.2f} | {:.2f} | {:.2f} | {:.2f} |\n", name,
               workload.from[0], launches, threads, least / 1e6, number(work.asked) / 1e6, number(work.moved) / 1e6,
               number(work.touched) / 1e6, number(work.moved) / std::max(number(work.asked), 1.0), number(work.moved) / least,
               number(work.touched) / least, number(work.warpInstructions) / resultsOf(workload));
}

/// One row of the table.
void measure(agpnet::tuning::BenchDevice& device, const Variant& variant, const Workload& workload)
{
    const agpnet::tuning::CallData data(device, workload, 0);
    fake_cuda::Record& record = *fakeCudaRecord();
    record.launches.clear();
    device.device.variant = variant.name;
    reference::checkOf(workload.stage).call(device.device, workload, data.memory());
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
            print(launch.kernel, 1, each, launch.work, workload);
    }
    print(fmt::format("{}{}{} {} {}", variant.stage, variant.kind.empty() ? "" : " ", variant.kind, variant.layout, variant.name),
          record.launches.size(), threads, sum, workload);
    std::fflush(stdout);
}

} // namespace

int main(int argc, char** argv)
try
{
    kernels = argc == 2 && std::string(argv[1]) == "--kernels";
    const auto device = agpnet::tuning::BenchDevice::open("cuda");
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
        const Stage& stage = stageOf(variant.stage);
        if (stage.takesImage())
            measure(*device, variant, workloadOf(stage, variant.kind, variant.layout, {1, 3, side, side}, {picture, picture}));
        else
            for (const int n : {8, 32})
                measure(*device, variant,
                        workloadOf(stage, variant.kind, variant.layout, {n, channels, grid, grid}, {side, side}));
    }
}
catch (const std::exception& error)
{
    std::printf("%s\n", error.what());
    return 1;
}
