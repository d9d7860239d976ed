// Whole inference beside the bare backbone and decoder, batch 1 and 8, and training steps beside their parts. Real weights where the
// default backbone is fetched, else the run says that it cannot.
#include "models/agpnet/network.h"
#include "models/attention/attention.h"
#include "models/agpnet/file.h"
#include "models/agpnet/training.h"
#include "operators/agpnet/inspection/inference.h"
#include "operators/image/preprocess.h"

#include <ATen/ATen.h>
#include <benchmark/benchmark.h>
#include <c10/core/InferenceMode.h>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <opencv2/core.hpp>
#include <tuple>

namespace
{

using namespace agpnet;

std::map<std::string, double> fastest; // milliseconds per image, by what was run

template <typename Function>
void timed(benchmark::State& state, const std::string& name, int64_t images, Function function)
{
    function(); // first use compiles kernels
    for (auto _ : state)
    {
        const auto start = std::chrono::steady_clock::now();
        function();
        const double ms =
            std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count() / static_cast<double>(images);
        state.SetIterationTime(ms * static_cast<double>(images) / 1e3);
        double& best = fastest.try_emplace(name, ms).first->second;
        best = std::min(best, ms);
    }
}

struct Setting
{
    Backbone backbone;
    ModelFile model;
};

Setting setting(const std::string& path)
{
    Setting s;
    s.backbone = readBackbone(path);
    Config config;
    config.cacheMiB = 256;
    s.model.config = completed(config, s.backbone.config);
    s.model.backbone = s.backbone;
    s.model.decoder = Decoder(decoderShape(s.model.config, s.backbone.config), 0).parameters();
    s.model.fewerBits.bf16Error = 0;
    return s;
}

void addBenchmarks(const Setting& s)
{
    const Config& config = s.model.config;
    const ComputeType compute = computeType("auto");
    const auto add = [](const std::string& name, auto function) {
        benchmark::RegisterBenchmark(name.c_str(), function)->UseManualTime()->Unit(benchmark::kMillisecond)->MinTime(1.5);
    };
    const auto inference = std::make_shared<Inference>(s.model, "auto");
    // what a LibTorch program would write: eager layers in the same precision
    const auto eager =
        std::shared_ptr<Extractor>(makeExtractor(s.backbone.config, s.backbone.weights, {.compute = compute, .prepack = false}));
    NamedTensors weights = Decoder(decoderShape(config, s.backbone.config), 0).parameters();
    for (auto& [name, tensor] : weights)
        tensor = tensor.dim() == 2 ? tensor.to(scalarType(compute)) : tensor;
    const auto decoder = std::make_shared<Decoder>(decoderShape(config, s.backbone.config), weights);
    for (const int64_t n : {int64_t{1}, int64_t{8}})
    {
        const at::Tensor images = at::rand({n, 3, config.height, config.width});
        cv::Mat picture(config.height, config.width, CV_8UC3);
        cv::randu(picture, 0, 256);
        const std::vector<cv::Mat> pictures(static_cast<size_t>(n), picture);
        const std::string batch = "batch " + std::to_string(n);
        add("whole inference from pictures/" + batch, [=](benchmark::State& state) {
            timed(state, "whole " + batch, n, [&] { inference->maps(imagesToBatch(pictures, inference->inputSize())); });
        });
        add("backbone and decoder alone/" + batch, [=](benchmark::State& state) {
            timed(state, "model " + batch, n, [&] { inference->net().reconstruct(images); });
        });
        add("backbone and decoder, plain eager/" + batch, [=](benchmark::State& state) {
            timed(state, "eager " + batch, n, [&] {
                const c10::InferenceMode mode;
                decoder->forward(extractFeatures(*eager, config, images, false).tokens, scalarType(compute));
            });
        });
        const auto reconstruction = std::make_shared<Reconstruction>(inference->net().reconstruct(images));
        add("residual and heatmap/" + batch, [=](benchmark::State& state) {
            timed(state, "stages " + batch, n, [&] {
                const c10::InferenceMode mode;
                anomalyMaps(config, *reconstruction);
            });
        });
    }
}

/// Six heads of 64 channels over 325 tokens, in half precision: as we run them, and as LibTorch can.
void addAttentionBenchmarks()
{
    const auto add = [](const std::string& name, auto function) {
        benchmark::RegisterBenchmark(("attention/" + name).c_str(), [=](benchmark::State& state) {
            const c10::InferenceMode mode;
            timed(state, "attention, " + name, 1, function);
        })->UseManualTime()->Unit(benchmark::kMillisecond)->MinTime(0.5);
    };
    const at::Tensor qkv = at::randn({1, 325, 3, 6, 64}).to(at::kBFloat16), parts = qkv.permute({2, 0, 3, 1, 4});
    const auto joined = [](const at::Tensor& heads) { return heads.transpose(1, 2).reshape({1, 325, 384}); };
    add("ours", [=] { attend(qkv); });
    add("scaled_dot_product_attention", [=] { joined(at::scaled_dot_product_attention(parts[0], parts[1], parts[2])); });
    add("two products and a softmax", [=] {
        const at::Tensor packed = parts.contiguous();
        joined(at::matmul(at::softmax(at::matmul(packed[0] / 8, packed[1].transpose(-2, -1)), -1), packed[2]));
    });
}

/// One training step beside what it cannot do without: its backbone's forward pass where it has one, and its decoder's forward and
/// backward pass, each alone in LibTorch at the same precision.
void addTrainingBenchmarks(const Setting& s)
{
    constexpr int64_t batch = 8;
    Config config = s.model.config;
    config.steps = 1'000'000;
    const auto add = [](const std::string& name, auto function) {
        benchmark::RegisterBenchmark(("training, batch 8/" + name).c_str(), [=](benchmark::State& state) {
            timed(state, name, batch, function);
        })->UseManualTime()->Unit(benchmark::kMillisecond)->MinTime(3);
    };
    const at::Tensor images = at::rand({batch, 3, config.height, config.width});
    const auto training = std::make_shared<Training>(config, s.backbone);
    const Features features = training->features(images);
    config.imageNoise = true;
    const auto withImages = std::make_shared<Training>(config, s.backbone);
    const auto backbone = std::shared_ptr<Extractor>(
        makeExtractor(s.backbone.config, s.backbone.weights, {.compute = computeType(textOf(config.precision))}));
    add("step, features kept", [=] { training->step(features, {}); });
    add("step, features computed", [=] { training->step(images); });
    add("step, noise on images too, features kept", [=] { withImages->step(features, images); });
    add("backbone", [=] {
        const c10::InferenceMode mode;
        extractFeatures(*backbone, config, images, false);
    });
    const auto decoder = std::make_shared<Decoder>(decoderShape(config, s.backbone.config), 0);
    for (const auto& [name, tensor] : decoder->parameters())
        tensor.set_requires_grad(true);
    const at::Tensor once = at::randn({batch, features.tokens.size(1), features.tokens.size(2)}), twice = at::cat({once, once});
    const at::ScalarType compute = scalarType(computeType(textOf(config.precision)));
    for (const auto& [name, tokens] : {std::pair("decoder", once), std::pair("decoder, two branches", twice)})
        add(name, [=] {
            for (const auto& [parameter, tensor] : decoder->parameters())
                tensor.mutable_grad().reset();
            at::mse_loss(decoder->forward(tokens, compute), tokens).backward();
        });
}

void printTrainingRatios()
{
    const std::tuple<const char*, const char*, const char*> rows[] = {
        {"step, features kept", "", "decoder"},
        {"step, features computed", "backbone", "decoder"},
        {"step, noise on images too, features kept", "backbone", "decoder, two branches"},
    };
    for (const auto& [step, backbone, decoder] : rows)
        if (fastest.count(step) && fastest.count(decoder) && (*backbone == 0 || fastest.count(backbone)))
            std::printf("%s: %.3f of %s%s%s\n", step, fastest[step] / (fastest[decoder] + (*backbone ? fastest[backbone] : 0)), backbone,
                        *backbone ? " + " : "", decoder);
}

} // namespace

int main(int argc, char** argv)
{
    const char* path = argc > 1 && argv[1][0] != '-' ? argv[1] : AGPNET_DEFAULT_BACKBONE;
    if (!std::filesystem::exists(path))
        return std::fprintf(stderr, "%s is not there: ./scripts/fetch-backbone focus-vits14\n", path), 1;
    benchmark::Initialize(&argc, argv);
    const Setting s = setting(path);
    addBenchmarks(s);
    addTrainingBenchmarks(s);
    addAttentionBenchmarks();
    benchmark::RunSpecifiedBenchmarks();
    std::printf("\nfastest, ms per image:\n");
    for (const auto& [name, ms] : fastest)
        std::printf("  %-42s %8.3f\n", name.c_str(), ms);
    for (const char* batch : {"batch 1", "batch 8"})
    {
        const auto at = [&](const char* what) { return fastest[std::string(what) + " " + batch]; };
        if (at("whole") > 0) // unless --benchmark_filter left it out
            std::printf("%s: whole / model %.3f, whole / plain eager %.3f, stages %.2f %% of the whole\n", batch, at("whole") / at("model"),
                        at("whole") / at("eager"), 100 * at("stages") / at("whole"));
    }
    for (const char* other : {"attention, scaled_dot_product_attention", "attention, two products and a softmax"})
        if (fastest.count("attention, ours") && fastest.count(other))
            std::printf("attention: %.2f of %s\n", fastest["attention, ours"] / fastest[other], other + sizeof("attention, ") - 1);
    printTrainingRatios();
}
