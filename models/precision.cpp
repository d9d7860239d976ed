#include "models/precision.h"

#include "common/cpu.h"
#include "common/error.h"
#include "common/stopwatch.h"
#include "models/linear.h"
#include "models/team.h"

#include <algorithm>
#include <limits>

#include <ATen/ops/full.h>
#include <c10/core/InferenceMode.h>

namespace agpnet
{
namespace
{

/// A layer as the backbones have them, and its input. What is computed of them does not matter, and no random number is drawn from the host's.
class Trial
{
public:
    explicit Trial(at::ScalarType type)
        : input_(at::full({tokens, in}, 0.5, type)), layer_(at::full({out, in}, 0.5, at::kFloat), at::Tensor(), type, tokens)
    {
        layer_(input_); // the first call prepares
    }

    void run()
    {
        const Stopwatch watch;
        layer_(input_);
        fastest_ = std::min(fastest_, watch.seconds());
    }

    double fastest() const { return fastest_; }

private:
    static constexpr int64_t tokens = 324, in = 384, out = 1536; // ViT-S/14 at 252 x 252: the wider half of an MLP
    at::Tensor input_;
    Linear layer_;
    double fastest_ = std::numeric_limits<double>::infinity();
};

/// The instructions alone do not tell: AVX-512's bfloat16 products take half of float32's time on a Zen 5, and 1.6 times on a Xeon whose
/// tiles are hidden from a virtual machine.
bool bfloat16IsFaster()
{
    constexpr int rounds = 3;         // the fastest counts, and both take turns: whatever else the machine does
    constexpr double leastGain = 1.1; // for less nobody would give up digits
    const c10::InferenceMode inference;
    const Team::Scope alone(1); // as each thread of an inspection computes
    Trial full(at::kFloat), half(at::kBFloat16);
    for (int round = 0; round < rounds; round++)
    {
        full.run();
        half.run();
    }
    return full.fastest() >= leastGain * half.fastest();
}

} // namespace

ComputeType fastestComputeType()
{
    static const ComputeType fastest = cpuFeatures().avx512Bf16 && bfloat16IsFaster() ? ComputeType::BFloat16 : ComputeType::Float32;
    return fastest;
}

ComputeType computeType(const std::string& precision, at::Device device)
{
    if (precision == "fp32")
        return ComputeType::Float32;
    if (precision == "bf16")
        return device.is_cpu() && !cpuFeatures().avx512Bf16 ? ComputeType::Float32 : ComputeType::BFloat16;
    require(precision == "auto", "precision is '{}', expected auto, fp32 or bf16", precision);
    return device.is_cuda() ? ComputeType::BFloat16 : fastestComputeType();
}

at::ScalarType scalarType(ComputeType compute)
{
    return compute == ComputeType::BFloat16 ? at::kBFloat16 : at::kFloat;
}

} // namespace agpnet
