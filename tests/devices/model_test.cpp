// Networks, stages and training on a device give what they give on the CPU, and nothing waits or passes through the host that need not. On
// the fake device always, on a GPU where there is one.
#include "models/agpnet/anomaly_map.h"
#include "models/device/device.h"
#include "models/device/device_graph.h"
#include "models/agpnet/training.h"
#include "tests/devices/each_device.h"
#include "tests/support/error_text.h"
#include "tests/support/tiny_backbone.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <gtest/gtest.h>

namespace agpnet
{
namespace
{

at::Tensor images(int64_t n, uint64_t seed)
{
    at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
    return at::empty({n, 3, 32, 24}, at::kFloat).uniform_(0, 1, generator);
}

void expectNear(const at::Tensor& found, const at::Tensor& expected, double tolerance, const std::string& what)
{
    ASSERT_EQ(found.sizes(), expected.sizes()) << what;
    const double scale = std::max(1.0, expected.abs().max().item<double>());
    EXPECT_LE((found.cpu().to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>(), tolerance * scale) << what;
}

class EachDevice : public test::OnEachDevice
{
protected:
    Training training(int steps, at::Device device, const std::string& more = R"("precision":"fp32")") const
    {
        return Training(configFromTextOrFile(test::tinyConfig(steps, more)), readBackbone(backbone_), device);
    }

    test::TempFolder folder_;
    std::string backbone_ = test::writeTinyBackbone(folder_);
    // TensorFloat-32 is off unless somebody turns it on: float32 is float32
};

const std::vector<std::string> configs = {R"("precision":"fp32")", R"("precision":"fp32","score_metric":"scaled")",
                                          R"("precision":"fp32","score":"top1","sigma":0)", R"("precision":"fp32","target":"layernorm")",
                                          R"("precision":"fp32","layers":[[1,2],[3]])"};

TEST_P(EachDevice, MapsAndScoresAreThoseOfTheCpu)
{
    for (const std::string& more : configs)
    {
        std::string config = test::tinyConfig(2, more);
        if (more.find("layers") != std::string::npos) // a key twice is refused
            config.erase(config.find(R"("layers":[1,3],)"), std::string(R"("layers":[1,3],)").size());
        Training trained(configFromTextOrFile(config), readBackbone(backbone_));
        trained.step(images(4, 1));
        trained.step(images(4, 2));
        const AgpNet cpu = trained.model(ComputeType::Float32);
        const AgpNet net(trained.config(), trained.backbone(), trained.scale(), trained.decoder(), ComputeType::Float32, device_);
        const AnomalyMaps expected = anomalyMaps(cpu.config(), cpu.reconstruct(images(3, 7)));
        const AnomalyMaps found = anomalyMaps(net.config(), net.reconstruct(images(3, 7).to(device_)));
        EXPECT_EQ(found.maps.device(), device_);
        expectNear(found.maps, expected.maps, 1e-4, more);
        expectNear(found.scoredMaps, expected.scoredMaps, 1e-4, more);
        expectNear(found.scores, expected.scores, 1e-4, more);
    }
}

TEST_P(EachDevice, HalfPrecisionStaysNear)
{
    Training trained = training(2, at::kCPU);
    trained.step(images(4, 1));
    trained.step(images(4, 2));
    const AgpNet cpu = trained.model(ComputeType::Float32);
    const AgpNet net(trained.config(), trained.backbone(), trained.scale(), trained.decoder(), ComputeType::BFloat16, device_);
    expectNear(anomalyMaps(net.config(), net.reconstruct(images(3, 7).to(device_))).scores,
               anomalyMaps(cpu.config(), cpu.reconstruct(images(3, 7))).scores, 5e-2, "");
}

TEST_P(EachDevice, InspectionPassesNothingThroughTheHost)
{
    if (!isFake())
        GTEST_SKIP() << "traffic is counted on the fake device";
    Training trained = training(2, at::kCPU);
    trained.step(images(4, 1));
    const AgpNet net(trained.config(), trained.backbone(), trained.scale(), trained.decoder(), ComputeType::Float32, device_);
    const at::Tensor batch = images(3, 7).to(device_);
    anomalyMaps(net.config(), net.reconstruct(batch));
    const test::Traffic before = test::traffic();
    const AnomalyMaps found = anomalyMaps(net.config(), net.reconstruct(batch));
    const test::Traffic passed = test::traffic() - before;
    EXPECT_EQ(passed.toDevice, 0);
    EXPECT_EQ(passed.toHost, 0);
    EXPECT_EQ(passed.values, 0);
    found.scores.cpu(); // the counter counts
    EXPECT_EQ((test::traffic() - before).toHost, 1);
}

TEST_P(EachDevice, TrainingGoesAsOnTheCpu)
{
    for (const char* more :
         {R"("precision":"fp32")", R"("precision":"fp32","noise":"uniform","image_noise":true)", R"("precision":"fp32","image_noise":true)",
          R"("precision":"fp32","noise":"none","loss":"cosine")", R"("precision":"fp32","gradient_clip":0.01)"})
    {
        constexpr int steps = 5;
        Training cpu = training(steps, at::kCPU, more), there = training(steps, device_, more);
        for (int i = 0; i < steps; i++)
        {
            const at::Tensor batch = images(4, static_cast<uint64_t>(i));
            const double expected = cpu.step(batch);
            EXPECT_NEAR(there.step(batch), expected, 2e-4 * expected) << more << ", step " << i;
        }
        const auto expected = cpu.state(), found = there.state();
        ASSERT_EQ(found.size(), expected.size());
        for (size_t i = 0; i < found.size(); i++)
        {
            EXPECT_TRUE(found[i].second.is_cpu());
            // a step of AdamW is about the learning rate, whatever its gradient: tiny ones may point elsewhere
            expectNear(found[i].second, expected[i].second, 2e-3, found[i].first);
        }
    }
}

TEST_P(EachDevice, AStateGoesOnElsewhere)
{
    constexpr int steps = 6;
    Training cpu = training(steps, at::kCPU), there = training(steps, device_);
    for (int i = 0; i < 3; i++)
        cpu.step(images(4, static_cast<uint64_t>(i)));
    there.restore(cpu.state());
    for (int i = 3; i < steps; i++)
    {
        const double expected = cpu.step(images(4, static_cast<uint64_t>(i)));
        EXPECT_NEAR(there.step(images(4, static_cast<uint64_t>(i))), expected, 2e-4 * expected) << i;
    }
}

TEST_P(EachDevice, AStepWaitsForTheLossAndTheGradientsNormAlone)
{
    if (!isFake())
        GTEST_SKIP() << "traffic is counted on the fake device";
    Training run = training(4, device_, R"("precision":"fp32","image_noise":true)");
    const at::Tensor batch = images(4, 1).to(device_);
    run.step(batch);
    const test::Traffic before = test::traffic();
    run.step(batch);
    const test::Traffic passed = test::traffic() - before;
    EXPECT_EQ(passed.toDevice, 0);
    EXPECT_EQ(passed.toHost, 0);
    EXPECT_EQ(passed.values, 2);
}

TEST_P(EachDevice, OneSeedGivesTheSameWeights)
{
    const Training cpu = training(1, at::kCPU), there = training(1, device_);
    for (size_t i = 0; i < cpu.decoder().parameters().size(); i++)
        EXPECT_TRUE(there.decoder().parameters()[i].second.detach().cpu().equal(cpu.decoder().parameters()[i].second.detach()));
}

#ifdef AGPNET_GRAPHS
TEST_P(EachDevice, AWholeInspectionIsOneGraph)
{
    if (!DeviceGraph::possible(device_.type()))
        GTEST_SKIP() << "this LibTorch has no graphs of it";
    Training trained = training(2, at::kCPU);
    trained.step(images(4, 1));
    const c10::InferenceMode inference;
    const AgpNet net(trained.config(), trained.backbone(), trained.scale(), trained.decoder(), ComputeType::Float32, device_);
    const c10::impl::VirtualGuardImpl guard(device_.type());
    const c10::StreamGuard own(guard.getNewStream(device_)); // capture wants a stream other than the default one
    const at::Tensor input = images(2, 7).to(device_);
    for (int i = 0; i < 3; i++) // kernels are loaded, workspaces made
        anomalyMaps(net.config(), net.reconstruct(input));
    DeviceGraph graph(device_.type());
    graph.begin();
    const AnomalyMaps captured = anomalyMaps(net.config(), net.reconstruct(input));
    graph.end();
    for (uint64_t seed : {7, 8, 9})
    {
        input.copy_(images(2, seed));
        graph.replay();
        const AnomalyMaps expected = anomalyMaps(net.config(), net.reconstruct(images(2, seed).to(device_)));
        expectNear(captured.maps, expected.maps.cpu(), 1e-5, "maps");
        expectNear(captured.scores, expected.scores.cpu(), 1e-5, "scores");
    }
}
#endif

AGPNET_EACH_DEVICE(EachDevice);

TEST(DeviceNamed, RefusesWhatIsNone)
{
    for (const char* name : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cpu:0", "CUDA", "cuda:99999999999999999999"})
        EXPECT_EQ(test::errorOf([&] { deviceNamed(name); }), std::string("device is '") + name + "', expected cpu, cuda or cuda:N");
    EXPECT_EQ(deviceNamed("cpu"), at::Device(at::kCPU));
}

TEST(DeviceNamed, SaysWhyThereIsNoCuda)
{
    EXPECT_THAT(
        test::errorOf([] { deviceNamed("cuda:63"); }), // more than a machine with CUDA has
        ::testing::AllOf(::testing::HasSubstr("device is 'cuda:63', but"),
                         ::testing::AnyOf(::testing::HasSubstr("this LibTorch has no CUDA: "), ::testing::HasSubstr("CUDA devices"))));
}

} // namespace
} // namespace agpnet
