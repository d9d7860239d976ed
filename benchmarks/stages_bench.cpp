// Each stage beside the same thing in LibTorch eager and in plain OpenCV, in one process and one run, at two threads or
// --threads=N. --tuning=FILE lets the stages use a tuning record. Ends with the ratios of the fastest repetitions.
#include "halide_generators/runtime/stages.h"
#include "tuning/usable.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <CL/cl.h>
#include <algorithm>
#include <benchmark/benchmark.h>
#include <cstdio>
#include <map>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

using namespace agpnet::stages;

namespace
{

void onTorchThreads(int count, void (*task)(int, void*), void* context)
{
    at::parallel_for(0, count, 1,
                     [&](int64_t begin, int64_t end)
                     {
                         for (int64_t i = begin; i < end; i++)
                             task(static_cast<int>(i), context);
                     });
}

View planar(const at::Tensor& t)
{
    View view;
    view.data = t.data_ptr<float>();
    for (size_t i = 0; i < 4; i++)
    {
        view.size[i] = static_cast<int>(t.size(static_cast<int64_t>(i)));
        view.stride[i] = t.stride(static_cast<int64_t>(i));
    }
    return view;
}

/// [N, side*side, C] as [N, C, side, side] without moving anything.
View tokens(const at::Tensor& t, int64_t side)
{
    return planar(t.view({t.size(0), side, side, t.size(2)}).permute({0, 3, 1, 2}));
}

/// The best CPU device, or one named variant.
Device cpu(const char* variant = "")
{
    Device device;
    device.variant = variant;
    return device;
}

struct Cl
{
    Device device;
    cl_command_queue queue = nullptr;
    cl_context context = nullptr;
    bool there = false;

    Cl()
    {
        cl_platform_id platform = nullptr;
        cl_device_id id = nullptr;
        cl_int status = CL_SUCCESS;
        if (clGetPlatformIDs(1, &platform, nullptr) || clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &id, nullptr))
            return;
        context = clCreateContext(nullptr, 1, &id, nullptr, nullptr, &status);
        queue = clCreateCommandQueue(context, id, 0, &status);
        there = status == CL_SUCCESS;
        device.api = Api::OpenCL;
        device.clContext = context;
        device.clQueue = queue;
    }

    View upload(const View& view) const
    {
        size_t count = 1;
        for (size_t i = 0; i < 4; i++)
            count += static_cast<size_t>((view.size[i] - 1) * view.stride[i]);
        cl_int status = CL_SUCCESS;
        View copy = view;
        copy.data = clCreateBuffer(context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, count * sizeof(float), view.data, &status);
        return copy;
    }
};

at::Tensor eagerPerturb(const at::Tensor& x, const at::Tensor& attention)
{
    const at::Tensor low = attention.amin({1}, true), high = attention.amax({1}, true);
    const at::Tensor amount = (attention - low) / (high - low) * 0.7 + 0.1;
    return x + at::randn_like(x) * amount.unsqueeze(2);
}

at::Tensor eagerImagePerturb(const at::Tensor& x, const at::Tensor& attention)
{
    const at::Tensor flat = attention.flatten(1);
    const at::Tensor low = flat.amin({1}, true), high = flat.amax({1}, true);
    const int64_t kept = flat.size(1) * 2 / 5;
    const at::Tensor mask = at::zeros_like(flat).scatter_(1, std::get<1>(flat.topk(kept, 1)), 1.0);
    const at::Tensor amount = (((flat - low) / (high - low) * 0.7 + 0.1) * mask).view(attention.sizes());
    return x + at::randn_like(x) * at::upsample_nearest2d(amount, {x.size(2), x.size(3)});
}

at::Tensor eagerResidual(const at::Tensor& f, const at::Tensor& g)
{
    return at::linalg_vector_norm(f - g, 2, {2});
}

struct EagerHeatmap
{
    at::Tensor kernel = at::exp(-at::arange(-16, 17).to(at::kFloat).pow(2) / 32);

    EagerHeatmap() { kernel = kernel / kernel.sum(); }

    at::Tensor operator()(const at::Tensor& residual, int64_t side, bool blurred) const
    {
        at::Tensor map = at::upsample_bilinear2d(residual, {side, side}, false);
        if (blurred)
        {
            map = at::reflection_pad2d(map, {16, 16, 16, 16});
            map = at::conv2d(at::conv2d(map, kernel.view({1, 1, 1, 33})), kernel.view({1, 1, 33, 1}));
        }
        const at::Tensor flat = map.flatten(1);
        benchmark::DoNotOptimize(flat.amax({1}).data_ptr());
        benchmark::DoNotOptimize(std::get<0>(flat.topk(flat.size(1) / 100, 1)).mean({1}).data_ptr());
        return map;
    }
};

/// Console output as usual, and the fastest repetition of each name.
class Fastest : public benchmark::ConsoleReporter
{
public:
    std::map<std::string, double> microseconds;

    void ReportRuns(const std::vector<Run>& runs) override
    {
        for (const Run& run : runs)
            if (run.run_type == Run::RT_Iteration && !run.error_occurred)
            {
                const auto [at, isNew] = microseconds.try_emplace(run.run_name.function_name, run.GetAdjustedRealTime());
                at->second = std::min(at->second, run.GetAdjustedRealTime());
            }
    }
};

template <typename F>
void measure(const std::string& name, F&& body)
{
    benchmark::RegisterBenchmark(name.c_str(),
                                 [body](benchmark::State& state)
                                 {
                                     for (auto _ : state)
                                         body();
                                 })
        ->Unit(benchmark::kMicrosecond)
        ->UseRealTime()
        ->MinTime(0.05)
        ->Repetitions(7);
}

} // namespace

int main(int argc, char** argv)
{
    int threads = 2;
    std::vector<char*> arguments;
    for (int i = 0; i < argc; i++)
        if (const std::string argument = argv[i]; argument.compare(0, 9, "--tuning=") == 0)
            setChoices(agpnet::tuning::usableChoices(agpnet::tuning::readRecord(argument.substr(9)), argument.substr(9)).choices);
        else if (std::sscanf(argv[i], "--threads=%d", &threads) != 1)
            arguments.push_back(argv[i]);
    std::string interleaving = "--benchmark_enable_random_interleaving=true"; // so that a noisy moment hits all alike
    arguments.insert(arguments.begin() + 1, interleaving.data());
    int count = static_cast<int>(arguments.size());
    benchmark::Initialize(&count, arguments.data());
    if (benchmark::ReportUnrecognizedArguments(count, arguments.data()))
        return 1;

    at::set_num_threads(threads);
    cv::setNumThreads(threads);
    setParallelFor(onTorchThreads);
    const c10::InferenceMode inference;
    at::manual_seed(1);
    const Cl cl;
    std::vector<std::pair<std::string, Device>> cpus = {{"Halide", cpu()}};
    for (const std::string& name : variantNames(Api::Cpu))
        cpus.emplace_back("Halide " + name, cpu(name.c_str()));

    for (const int64_t n : {1, 8})
    {
        const std::string batch = " x" + std::to_string(n);
        const at::Tensor f = at::randn({n, 324, 384}), g = at::randn({n, 324, 384}), out = at::empty({n, 324, 384});
        const at::Tensor attention = at::rand({n, 324}), small = at::rand({n, 1, 18, 18});
        const at::Tensor image = at::randn({n, 3, 252, 252}), imageOut = at::empty({n, 3, 252, 252});
        const at::Tensor map = at::empty({n, 1, 252, 252}), maximum = at::empty({n, 1, 1, 1}), top1 = at::empty({n, 1, 1, 1});
        const at::Tensor cells = attention.view({n, 1, 18, 18});
        PerturbParams feature, masked;
        masked.ratio = 0.4;
        masked.level = Level::Image;

        for (const auto& [name, device] : cpus)
        {
            const auto named = [&, label = name](const std::string& stage) { return stage + batch + "|" + label; };
            const Device d = device;
            measure(named("perturb tokens 324x384"), [=] { perturb(d, tokens(f, 18), planar(cells), feature, tokens(out, 18)); });
            measure(named("perturb image 3x252x252"),
                    [=] { perturb(d, planar(image), planar(cells), masked, planar(imageOut)); });
            measure(named("residual l2 324x384"), [=] { residual(d, tokens(f, 18), tokens(g, 18), Metric::L2, planar(small)); });
            for (const double sigma : {0.0, 4.0})
                measure(named(fmt::format("heatmap 18 to 252 sigma {:.0f}", sigma)),
                        [=] { heatmap(d, planar(cells), sigma, planar(map), planar(maximum), planar(top1)); });
            measure(named("residual + heatmap sigma 4"),
                    [=]
                    {
                        residual(d, tokens(f, 18), tokens(g, 18), Metric::L2, planar(small));
                        heatmap(d, planar(small), 4, planar(map), planar(maximum), planar(top1));
                    });
        }
        if (cl.there)
        {
            const auto named = [&](const std::string& stage) { return stage + batch + "|Halide OpenCL"; };
            const View a = cl.upload(tokens(f, 18)), b = cl.upload(tokens(g, 18)), to = cl.upload(tokens(out, 18));
            const View c = cl.upload(planar(cells)), s = cl.upload(planar(small)), m = cl.upload(planar(map));
            const View i = cl.upload(planar(image)), o = cl.upload(planar(imageOut));
            const View x = cl.upload(planar(maximum)), t = cl.upload(planar(top1));
            const Device d = cl.device;
            const cl_command_queue queue = cl.queue;
            measure(named("perturb tokens 324x384"), [=] { perturb(d, a, c, feature, to), clFinish(queue); });
            measure(named("perturb image 3x252x252"), [=] { perturb(d, i, c, masked, o), clFinish(queue); });
            measure(named("residual l2 324x384"), [=] { residual(d, a, b, Metric::L2, s), clFinish(queue); });
            for (const double sigma : {0.0, 4.0})
                measure(named(fmt::format("heatmap 18 to 252 sigma {:.0f}", sigma)),
                        [=] { heatmap(d, c, sigma, m, x, t), clFinish(queue); });
        }

        const auto torch = [&](const std::string& stage) { return stage + batch + "|LibTorch"; };
        const EagerHeatmap eagerHeatmap;
        measure(torch("perturb tokens 324x384"), [=] { benchmark::DoNotOptimize(eagerPerturb(f, attention).data_ptr()); });
        measure(torch("perturb image 3x252x252"), [=] { benchmark::DoNotOptimize(eagerImagePerturb(image, cells).data_ptr()); });
        measure(torch("residual l2 324x384"), [=] { benchmark::DoNotOptimize(eagerResidual(f, g).data_ptr()); });
        for (const double sigma : {0.0, 4.0})
            measure(torch(fmt::format("heatmap 18 to 252 sigma {:.0f}", sigma)), [=] { eagerHeatmap(cells, 252, sigma > 0); });
        measure(torch("residual + heatmap sigma 4"), [=] { eagerHeatmap(eagerResidual(f, g).view({n, 1, 18, 18}), 252, true); });

        const auto plain = [&](const std::string& stage) { return stage + batch + "|OpenCV"; };
        measure(plain("perturb tokens 324x384"),
                [=]
                {
                    for (int64_t k = 0; k < n; k++)
                    {
                        cv::Mat amount, noise(324, 384, CV_32F), wide;
                        cv::normalize(cv::Mat(324, 1, CV_32F, attention[k].data_ptr()), amount, 0.1, 0.8, cv::NORM_MINMAX);
                        cv::randn(noise, 0, 1);
                        cv::repeat(amount, 1, 384, wide);
                        cv::Mat to(324, 384, CV_32F, out[k].data_ptr());
                        cv::multiply(noise, wide, noise);
                        cv::add(cv::Mat(324, 384, CV_32F, f[k].data_ptr()), noise, to);
                    }
                });
        measure(plain("residual l2 324x384"),
                [=]
                {
                    for (int64_t k = 0; k < n; k++)
                    {
                        cv::Mat apart, sum;
                        cv::subtract(cv::Mat(324, 384, CV_32F, f[k].data_ptr()), cv::Mat(324, 384, CV_32F, g[k].data_ptr()),
                                     apart);
                        cv::multiply(apart, apart, apart);
                        cv::reduce(apart, sum, 1, cv::REDUCE_SUM);
                        cv::sqrt(sum, sum);
                    }
                });
        for (const double sigma : {0.0, 4.0})
            measure(plain(fmt::format("heatmap 18 to 252 sigma {:.0f}", sigma)),
                    [=]
                    {
                        for (int64_t k = 0; k < n; k++)
                        {
                            cv::Mat large;
                            cv::resize(cv::Mat(18, 18, CV_32F, cells[k].data_ptr()), large, {252, 252}, 0, 0, cv::INTER_LINEAR);
                            if (sigma > 0)
                                cv::GaussianBlur(large, large, {33, 33}, sigma, sigma, cv::BORDER_REFLECT);
                            double high = 0;
                            cv::minMaxLoc(large, nullptr, &high);
                            cv::Mat values = large.clone();
                            float* first = values.ptr<float>();
                            std::nth_element(first, first + 634, first + 252 * 252, std::greater<>());
                            benchmark::DoNotOptimize(cv::mean(cv::Mat(1, 635, CV_32F, first)));
                        }
                    });
    }

    for (const cv::Size size : {cv::Size(640, 480), cv::Size(2048, 2048)})
    {
        const std::string stage = fmt::format("prepare {}x{} to 252", size.width, size.height);
        cv::Mat image(size, CV_8UC3);
        cv::randu(image, 0, 256);
        const at::Tensor to = at::empty({1, 3, 252, 252});
        Picture picture;
        picture.data = image.data;
        picture.rows = image.rows;
        picture.columns = image.cols;
        picture.channels = 3;
        picture.step = static_cast<int64_t>(image.step[0]);
        for (const auto& [name, device] : cpus)
            measure(stage + "|" + name, [=, d = device, keep = image] { prepare(d, picture, planar(to)); });
        const auto split = [to](const cv::Mat& pixels)
        {
            std::vector<cv::Mat> planes;
            for (int64_t c = 2; c >= 0; c--)
                planes.emplace_back(252, 252, CV_32F, to[0][c].data_ptr());
            cv::split(pixels, planes);
        };
        measure(stage + "|OpenCV",
                [=]
                {
                    cv::Mat exact, small;
                    image.convertTo(exact, CV_32F, 1 / 255.);
                    cv::resize(exact, small, {252, 252}, 0, 0, cv::INTER_AREA);
                    split(small);
                });
        measure(stage + "|OpenCV, 8-bit", // rounds to a 255th on the way
                [=]
                {
                    cv::Mat exact, small;
                    cv::resize(image, small, {252, 252}, 0, 0, cv::INTER_AREA);
                    small.convertTo(exact, CV_32F, 1 / 255.);
                    split(exact);
                });
        measure(stage + "|LibTorch",
                [=]
                {
                    const at::Tensor pixels = at::from_blob(image.data, {1, image.rows, image.cols, 3}, at::kByte);
                    benchmark::DoNotOptimize(
                        at::adaptive_avg_pool2d(pixels.flip(3).permute({0, 3, 1, 2}).to(at::kFloat) / 255, {252, 252}).data_ptr());
                });
    }

    Fastest fastest;
    benchmark::RunSpecifiedBenchmarks(&fastest);

    std::map<std::string, std::map<std::string, double>> table;
    for (const auto& [name, time] : fastest.microseconds)
    {
        const size_t bar = name.find('|');
        table[name.substr(0, bar)][name.substr(bar + 1)] = time;
    }
    std::printf("\n%d threads, fastest of the repetitions, microseconds; ratio: the other's time over Halide's\n", threads);
    for (const auto& [stage, times] : table)
    {
        const auto ours = times.find("Halide");
        for (const auto& [who, time] : times)
            if (ours == times.end() || who == "Halide")
                std::printf("%-34s %-16s %9.1f\n", stage.c_str(), who.c_str(), time);
            else
                std::printf("%-34s %-16s %9.1f %7.2f\n", stage.c_str(), who.c_str(), time, time / ours->second);
    }
    return 0;
}
