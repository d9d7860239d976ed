// How near each stage on the CPU comes to copying the bytes that it has to move, in one run: its bandwidth beside that of a copy of as many
// bytes in as much memory, by the same two threads. Where it stays below, what bounds it: an element takes as long where all of it lies in
// a core's own cache (a quarter of a megabyte), so that the time is not spent on memory.
#include "halide_generators/runtime/stages.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>

using namespace agpnet::stages;

namespace
{

void onTorchThreads(int count, void (*task)(int, void*), void* context)
{
    at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++)
            task(static_cast<int>(i), context);
    });
}

View viewOf(const at::Tensor& tensor)
{
    View view;
    view.data = tensor.data_ptr();
    for (size_t i = 0; i < 4; i++)
    {
        view.size[i] = static_cast<int>(tensor.size(static_cast<int64_t>(i)));
        view.stride[i] = tensor.stride(static_cast<int64_t>(i));
    }
    return view;
}

double now()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Seconds of a call: the fastest of many rounds.
double timed(const std::function<void()>& call)
{
    call();
    double best = 1e9;
    for (int round = 0; round < 40; round++)
    {
        int calls = 0;
        const double start = now();
        while (now() < start + 0.005 || calls == 0)
        {
            call();
            calls++;
        }
        best = std::min(best, (now() - start) / calls);
    }
    return best;
}

/// Of reading and writing: `bytes` in all.
double copied(int64_t bytes)
{
    const at::Tensor from = at::ones({bytes / 2}, at::kByte), to = at::empty({bytes / 2}, at::kByte);
    uint8_t* target = to.mutable_data_ptr<uint8_t>();
    const uint8_t* source = from.const_data_ptr<uint8_t>();
    const auto part = [=](int64_t begin, int64_t end) { std::memcpy(target + begin, source + begin, static_cast<size_t>(end - begin)); };
    return static_cast<double>(bytes) / timed([&] { at::parallel_for(0, bytes / 2, 1 << 15, part); });
}

/// A stage on so many images of so many cells a side, as a call; `bytes`: what it must read and write; `elements`: what its work grows
/// with.
struct Work
{
    std::function<void()> call;
    int64_t bytes, elements;
};

constexpr int64_t channels = 384;

at::Tensor tokens(int64_t n, int64_t side)
{
    return at::randn({n, side, side, channels}).permute({0, 3, 1, 2});
}

Work perturbing(int64_t n, int64_t side)
{
    const at::Tensor x = tokens(n, side), out = at::empty_like(x), cells = at::rand({n, 1, side, side});
    return {[=] { perturb({}, viewOf(x), viewOf(cells), {}, viewOf(out)); }, static_cast<int64_t>(2 * x.nbytes() + cells.nbytes()),
            x.numel()};
}

Work distance(Metric metric, int64_t n, int64_t side)
{
    const at::Tensor f = tokens(n, side), g = tokens(n, side), out = at::empty({n, 1, side, side});
    return {[=] { residual({}, viewOf(f), viewOf(g), metric, viewOf(out)); }, static_cast<int64_t>(2 * f.nbytes() + out.nbytes()),
            f.numel()};
}

Work heating(double sigma, int64_t n, int64_t side, int64_t to)
{
    const at::Tensor cells = at::rand({n, 1, side, side}), map = at::empty({n, 1, to, to}), maximum = at::empty({n, 1, 1, 1}),
                     top1 = at::empty({n, 1, 1, 1});
    return {[=] { heatmap({}, viewOf(cells), sigma, viewOf(map), viewOf(maximum), viewOf(top1)); },
            static_cast<int64_t>(cells.nbytes() + map.nbytes()), map.numel()};
}

Work preparing(int side, int64_t to)
{
    const at::Tensor pixels = at::randint(256, {side, side, 3}, at::kByte), out = at::empty({1, 3, to, to});
    Picture picture;
    picture.data = pixels.data_ptr();
    picture.rows = picture.columns = side;
    picture.channels = 3;
    picture.step = 3 * side;
    return {[=, keep = pixels] { prepare({}, picture, viewOf(out)); }, static_cast<int64_t>(pixels.nbytes() + out.nbytes()),
            pixels.numel()};
}

void row(const char* name, const Work& whole, const Work& small)
{
    at::set_num_threads(2);
    setParallelFor(onTorchThreads);
    const double seconds = timed(whole.call), share = static_cast<double>(whole.bytes) / seconds / copied(whole.bytes);
    at::set_num_threads(1);
    setParallelFor(nullptr);
    const double here = timed(whole.call) / static_cast<double>(whole.elements),
                 near = timed(small.call) / static_cast<double>(small.elements);
    std::printf("| %s | %.0f | %.1f | %.2f | %.3f | %.3f |\n", name, seconds * 1e6, static_cast<double>(whole.bytes) / seconds / 1e9, share,
                here * 1e9, near * 1e9);
    std::fflush(stdout);
}

} // namespace

int main()
{
    at::manual_seed(1);
    at::set_num_threads(2);
    std::printf("a copy of 4, 16 and 256 MiB read and written by two threads: %.0f, %.0f and %.0f GB/s\n\n", copied(4 << 20) / 1e9,
                copied(16 << 20) / 1e9, copied(256 << 20) / 1e9);
    std::printf("| stage, 8 images | µs | GB/s | share of the copy's | one thread, ns an element | in the core's own cache "
                "|\n|---|---|---|---|---|---|\n");
    row("perturb, 384 channels of 18x18", perturbing(8, 18), perturbing(1, 9));
    row("residual l2", distance(Metric::L2, 8, 18), distance(Metric::L2, 1, 9));
    row("residual scaled", distance(Metric::Scaled, 8, 18), distance(Metric::Scaled, 1, 9));
    row("residual cosine", distance(Metric::Cosine, 8, 18), distance(Metric::Cosine, 1, 9));
    row("heatmap 18x18 to 252x252, sigma 0", heating(0, 8, 18, 252), heating(0, 1, 18, 252));
    row("heatmap, sigma 4", heating(4, 8, 18, 252), heating(4, 1, 18, 252));
    row("prepare, 640x640 of 8 bits to 252x252, 1 image", preparing(640, 252), preparing(280, 110));
}
