#include "common/cpu.h"
#include "models/layers/linear.h"
#include "models/layers/precision.h"
#include "support.h"

#include <thread>
#include <vector>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>

namespace agpnet::test
{
namespace
{

using ::testing::HasSubstr;

TEST(Precision, IsWhatTheCpuCan)
{
    EXPECT_EQ(computeType("fp32"), ComputeType::Float32);
    EXPECT_EQ(computeType("bf16"), cpuFeatures().avx512Bf16 ? ComputeType::BFloat16 : ComputeType::Float32);
    if (!cpuFeatures().avx512Bf16)
    {
        EXPECT_EQ(computeType("auto"), ComputeType::Float32);
    }
    EXPECT_EQ(computeType("int8"), Linear::canQuantise() ? ComputeType::Int8 : ComputeType::Float32);
    EXPECT_TRUE(cpuFeatures().vnni() || !Linear::canQuantise());
    EXPECT_TRUE(Linear::canQuantise() || !eightBitsAreFaster());
    EXPECT_THAT(errorOf([] { computeType("fp16"); }), HasSubstr("precision is 'fp16', expected auto, fp32, bf16 or int8"));
}

TEST(Precision, OfACudaDeviceIsNotTheCpus)
{
    for (const char* const precision : {"fp32", "int8"})
        EXPECT_EQ(computeType(precision, at::kCUDA), ComputeType::Float32) << precision;
    for (const char* const precision : {"bf16", "auto"})
        EXPECT_EQ(computeType(precision, at::kCUDA), ComputeType::BFloat16) << precision;
}

TEST(Precision, IsMeasuredOnceForAllThreads)
{
    const at::Generator& shared = at::detail::getDefaultCPUGenerator();
    const at::Tensor before = shared.get_state();
    std::vector<ComputeType> found(4);
    std::vector<std::thread> threads;
    for (ComputeType& one : found)
        threads.emplace_back([&one] { one = computeType("auto"); });
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(found, std::vector<ComputeType>(found.size(), computeType("auto")));
    EXPECT_TRUE(shared.get_state().equal(before)); // the host's random numbers are its own
}

/// On every CPU, with weights laid out or, where LibTorch refuses that, as they are.
TEST(Precision, LayersComputeInEachTypeOnEveryCpu)
{
    const at::Generator generator = at::detail::createCPUGenerator(1);
    const at::Tensor x = at::randn({65, 48}, generator), weight = at::randn({33, 48}, generator), bias = at::randn({33}, generator);
    const at::Tensor expected = at::linear(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble));
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16})
    {
        const at::Tensor found = Linear(weight, bias, type, 65)(x.to(type));
        ASSERT_EQ(found.scalar_type(), type);
        EXPECT_LT(((found.to(at::kDouble) - expected).norm() / expected.norm()).item<double>(), type == at::kFloat ? 1e-5 : 6e-3);
    }
}

} // namespace
} // namespace agpnet::test
