// Each stage on a CUDA device at batch 1, 8 and 32: time and the bandwidth it reaches, beside that of a copy on the device in the same run.
#include "halide_generators/runtime/stage_table.h"
#include "tests/halide_generators/device.h"

#include <chrono>
#include <cstdio>
#include <dlfcn.h>
#include <functional>

using namespace agpnet::stages;

namespace
{

struct Driver
{
    int (*synchronise)() = nullptr;
    int (*copy)(uint64_t, uint64_t, size_t) = nullptr;
    int (*name)(char*, int, int) = nullptr;

    Driver()
    {
        void* library = dlopen("libcuda.so.1", RTLD_NOW);
        const auto load = [&](auto& function, const char* symbol) {
            function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, symbol));
        };
        load(synchronise, "cuCtxSynchronize");
        load(copy, "cuMemcpyDtoD_v2");
        load(name, "cuDeviceGetName");
    }
};

/// Seconds of one call among many that are enqueued one after another: the fastest of several rounds.
double timed(const Driver& driver, const std::function<void()>& call)
{
    constexpr int calls = 50, rounds = 20;
    call(); // compiles the kernels
    driver.synchronise();
    double best = 1e9;
    for (int round = 0; round < rounds; round++)
    {
        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < calls; i++)
            call();
        driver.synchronise();
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / calls);
    }
    return best;
}

} // namespace

int main()
{
    std::string reason;
    const std::unique_ptr<Place> place = openPlace("cuda", reason);
    if (!place)
        return std::printf("%s\n", reason.c_str()), 1;
    const Driver driver;
    char name[256] = "";
    driver.name(name, sizeof name, 0);

    constexpr int channels = 384, grid = 18, side = 252;
    constexpr size_t copied = size_t{256} << 20;
    const auto from = place->make(1, 1, 1, static_cast<int>(copied / 4)), to = place->make(1, 1, 1, static_cast<int>(copied / 4));
    const double copySeconds = timed(driver, [&] {
        driver.copy(reinterpret_cast<uint64_t>(to->view.data), reinterpret_cast<uint64_t>(from->view.data), copied);
    });
    const double copyBandwidth = 2.0 * copied / copySeconds;
    std::printf(
        "%s: a copy on the device reaches %.0f GB/s\n\n| stage | batch | µs | GB/s | share of the copy's |\n|---|---|---|---|---|\n", name,
        copyBandwidth / 1e9);
    const auto row = [&](const char* stage, int batch, double bytes, const std::function<void()>& call) {
        const double seconds = timed(driver, call);
        std::printf("| %s | %d | %.1f | %.0f | %.2f |\n", stage, batch, seconds * 1e6, bytes / seconds / 1e9,
                    bytes / seconds / copyBandwidth);
        std::fflush(stdout);
    };
    for (const int n : {1, 8, 32})
    {
        const Workload noise{"perturb", "", "tokens", {n, channels, grid, grid}, {grid, grid}},
            heat{"heatmap", "", "any", {n, 1, grid, grid}, {side, side}};
        const auto f = place->make(reference::random(n, channels, grid, grid, 1, 0, 1), Order::Tokens),
                   g = place->make(reference::random(n, channels, grid, grid, 2, 0, 1), Order::Tokens),
                   out = place->make(n, channels, grid, grid, Order::Tokens);
        const auto attention = place->make(reference::random(n, 1, grid, grid, 3, 0, 1)), distance = place->make(n, 1, grid, grid);
        const auto map = place->make(n, 1, side, side), maximum = place->make(n, 1, 1, 1), top1 = place->make(n, 1, 1, 1);
        PerturbParams params;
        row("perturb, tokens of 384", n, bytesMoved(noise), [&] { perturb(place->device, f->view, attention->view, params, out->view); });
        for (const std::string& metric : metricNames())
            row(("residual " + metric).c_str(), n, bytesMoved({"residual", metric, "tokens", noise.from, {}}),
                [&] { residual(place->device, f->view, g->view, metricOf(metric), distance->view); });
        for (const double sigma : {0.0, 4.0})
            row(sigma > 0 ? "heatmap, sigma 4" : "heatmap, sigma 0", n, bytesMoved(heat),
                [&] { heatmap(place->device, distance->view, sigma, map->view, maximum->view, top1->view); });
    }
    constexpr int rows = 2048;
    const auto picture = place->make(1, 1, rows, rows * 3 / 4), input = place->make(1, 3, side, side); // 2048 x 2048 of three bytes
    Picture image;
    image.data = picture->view.data;
    image.offset = picture->view.offset * sizeof(float);
    image.rows = image.columns = rows;
    image.channels = 3;
    image.step = rows * 3;
    row("prepare, 2048 x 2048 of 8 bits", 1, bytesMoved({"prepare", "uint8", "any", {1, 3, rows, rows}, {side, side}}),
        [&] { prepare(place->device, image, input->view); });
}
