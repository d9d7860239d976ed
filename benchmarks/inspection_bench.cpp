// A whole inspection where its networks are: latency and throughput at batch 1, 8 and 32, what of it the stages take, and a step of
// training. ViT-S/14 of random weights at 252x252, the decoder that training makes by itself.
//     inspection_bench [DEVICE] [SECONDS for each figure] [LARGEST batch]      by default cuda, 2, 32
#include "common/error.h"
#include "models/agpnet/anomaly_map.h"
#include "models/device/device.h"
#include "models/device/captured_graph.h"
#include "models/agpnet/training.h"
#include "tests/support/tiny_backbone.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <chrono>
#include <cstdio>
#include <functional>
#include <torch/version.h>
#include <vector>

using namespace agpnet;

namespace
{

class Bench
{
public:
    Bench(at::Device device, double seconds) : device_(device), seconds_(seconds) {}

    void wait() const
    {
        if (!device_.is_cpu())
            c10::impl::VirtualGuardImpl(device_.type()).getStream(device_).synchronize();
    }

    struct Latency
    {
        double median, p99;
    };
    /// Of one call and of waiting for it.
    Latency latency(const std::function<void()>& call) const
    {
        warm(call);
        std::vector<double> times;
        for (const double end = now() + seconds_; now() < end || times.empty();)
        {
            const double start = now();
            call();
            wait();
            times.push_back(now() - start);
        }
        std::sort(times.begin(), times.end());
        return {times[times.size() / 2], times[times.size() * 99 / 100]};
    }

    /// Of one call among many that are enqueued one after another.
    double throughput(const std::function<void()>& call) const
    {
        warm(call);
        int calls = 0;
        const double start = now();
        for (int burst = 1; now() < start + seconds_ || calls == 0; burst = 8)
        {
            for (int i = 0; i < burst; i++)
                call();
            wait();
            calls += burst;
        }
        return (now() - start) / calls;
    }

private:
    static double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
    void warm(const std::function<void()>& call) const
    {
        const double start = now();
        for (int i = 0; i < 3 && (i == 0 || now() < start + seconds_); i++)
            call();
        wait();
    }

    at::Device device_;
    double seconds_;
};

void inspections(const Bench& bench, const Training& trained, at::Device device, const std::vector<int64_t>& batches)
{
    const c10::InferenceMode inference;
    std::printf("| precision | batch | way | median ms | p99 ms | images/s | of it networks | residual | heatmap "
                "|\n|---|---|---|---|---|---|---|---|---|\n");
    for (const ComputeType compute : {ComputeType::BFloat16, ComputeType::Float32})
        for (const int64_t batch : batches)
        {
            const AgpNet net(trained.config(), trained.backbone(), trained.scale(), trained.decoder(), compute, device);
            const Config& config = net.config();
            const at::Tensor images = at::rand({batch, 3, config.height, config.width}).to(device);
            const auto whole = [&] { anomalyMaps(net, images); };
            const char* const precision = compute == ComputeType::BFloat16 ? "bf16" : "fp32";
            const Bench::Latency eager = bench.latency(whole);
            const double each = bench.throughput(whole);
            const Reconstruction made = net.reconstruct(images);
            const at::Tensor residual = residualOf(config.metric, made);
            const double networks = bench.throughput([&] { net.reconstruct(images); }),
                         residuals = bench.throughput([&] { residualOf(config.metric, made); }),
                         heatmaps = bench.throughput([&] { heatmapOf(config, residual, config.height, config.width, config.sigma); });
            std::printf("| %s | %d | call by call | %.2f | %.2f | %.0f | %.2f | %.3f | %.3f |\n", precision, static_cast<int>(batch),
                        eager.median * 1e3, eager.p99 * 1e3, static_cast<double>(batch) / each, networks / each, residuals / each,
                        heatmaps / each);
            std::fflush(stdout);
            if (device.is_cpu() || batch > CapturedGraph::largestBatch)
                continue;
            const CapturedGraph replay([&](const at::Tensor& given) -> std::vector<at::Tensor> {
                const AnomalyMaps maps = anomalyMaps(net, given);
                return {maps.maps, maps.scores, maps.evidence};
            });
            const Bench::Latency replayed = bench.latency([&] { replay(images); });
            std::printf("| %s | %d | replayed, as by Detector | %.2f | %.2f | %.0f | | | |\n", precision, static_cast<int>(batch),
                        replayed.median * 1e3, replayed.p99 * 1e3, static_cast<double>(batch) / bench.throughput([&] { replay(images); }));
            std::fflush(stdout);
        }
}

void steps(const Bench& bench, const Config& config, const Backbone& backbone, at::Device device, const std::vector<int64_t>& batches)
{
    std::printf("\n| training, batch | features of it, ms | a step on kept features, ms |\n|---|---|---|\n");
    for (const int64_t batch : batches)
    {
        Training training(config, backbone, device);
        const at::Tensor images = at::rand({batch, 3, training.config().height, training.config().width}).to(device);
        const double backbones = bench.throughput([&] { training.features(images); });
        const Features features = training.features(images);
        std::printf("| %d | %.1f | %.1f |\n", static_cast<int>(batch), backbones * 1e3,
                    bench.throughput([&] { training.step(features, images); }) * 1e3);
        std::fflush(stdout);
    }
}

} // namespace

int main(int argc, char** argv)
try
{
    const at::Device device = deviceNamed(argc > 1 ? argv[1] : "cuda");
    const Bench bench(device, argc > 2 ? std::atof(argv[2]) : 2);
    const test::TempFolder folder;
    const std::string file = folder / "vit-s14.safetensors";
    writeSafetensors(file, test::randomTransformer(1, 384, 1536, 12, 18, 14));
    const Backbone backbone = readBackbone(file);
    Config config;
    config.steps = 1000000;
    Training trained(config, backbone, device);
    trained.step(at::rand({2, 3, trained.config().height, trained.config().width}));
    std::printf("%s, LibTorch %s, %dx%d, %d tokens of %d channels, decoder of %d blocks, %d wide; random weights\n\n", device.str().c_str(),
                TORCH_VERSION, trained.config().height, trained.config().width,
                trained.decoder().shape().rows * trained.decoder().shape().columns, trained.decoder().shape().channels,
                trained.decoder().shape().depth, trained.decoder().shape().width);
    std::vector<int64_t> batches = {1, 8, 32};
    std::erase_if(batches, [largest = argc > 3 ? std::atoi(argv[3]) : 32](int64_t batch) { return batch > largest; });
    inspections(bench, trained, device, batches);
    steps(bench, config, backbone, device, batches);
}
catch (const Error& error)
{
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
