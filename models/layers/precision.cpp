#include "models/layers/precision.h"

#include "common/cpu.h"
#include "common/error.h"
#include "models/layers/linear.h"
#include "models/device/team.h"

#include <algorithm>
#include <ctime>
#include <limits>

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

namespace agpnet
{
namespace
{

/// That it has computed, not that have passed: what else the machine does must not decide, or one seed would not always give one model.
double secondsOfThread()
{
    timespec time = {};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// A layer as the backbones have them, and its input. What is computed of them does not matter, and no random number is drawn from the
/// host's.
class Trial
{
public:
    explicit Trial(ComputeType compute)
        : input_(compute == ComputeType::Int8 ? at::full({tokens, in}, 1, at::kByte) : at::full({tokens, in}, 0.5, scalarType(compute))),
          layer_(compute == ComputeType::Int8 ? Linear(weight(), at::zeros({out}), Quantisation{}, {}, tokens)
                                              : Linear(weight(), {}, scalarType(compute), tokens))
    {
        layer_(input_); // the first call prepares
    }

    void run()
    {
        const double begin = secondsOfThread();
        layer_(input_);
        fastest_ = std::min(fastest_, secondsOfThread() - begin);
    }

    double fastest() const { return fastest_; }

private:
    static constexpr int64_t tokens = 324, in = 384, out = 1536; // ViT-S/14 at 252 x 252: the wider half of an MLP
    static at::Tensor weight() { return at::full({out, in}, 0.5, at::kFloat); }

    at::Tensor input_;
    Linear layer_;
    double fastest_ = std::numeric_limits<double>::infinity();
};

/// The instructions alone do not tell: AVX-512's bfloat16 products take half of float32's time on a Zen 5, and 1.6 times on a Xeon whose
/// tiles are hidden from a virtual machine.
bool isFaster(ComputeType tried, ComputeType than)
{
    constexpr int rounds = 5;         // the fastest counts, and both take turns
    constexpr double leastGain = 1.1; // for less nobody would give up digits
    const c10::InferenceMode inference;
    const Team::Scope alone(1); // as each thread of an inspection computes
    Trial usual(than), other(tried);
    for (int round = 0; round < rounds; round++)
    {
        usual.run();
        other.run();
    }
    return usual.fastest() >= leastGain * other.fastest();
}

} // namespace

ComputeType fastestComputeType()
{
    static const ComputeType fastest =
        cpuFeatures().avx512Bf16 && isFaster(ComputeType::BFloat16, ComputeType::Float32) ? ComputeType::BFloat16 : ComputeType::Float32;
    return fastest;
}

bool eightBitsAreFaster()
{
    static const bool faster = Linear::canQuantise() && isFaster(ComputeType::Int8, fastestComputeType());
    return faster;
}

ComputeType computeType(const std::string& precision, at::Device device)
{
    if (precision == "fp32")
        return ComputeType::Float32;
    if (precision == "bf16")
        return device.is_cpu() && !cpuFeatures().avx512Bf16 ? ComputeType::Float32 : ComputeType::BFloat16;
    if (precision == "int8")
        return device.is_cpu() && Linear::canQuantise() ? ComputeType::Int8 : ComputeType::Float32;
    require(precision == "auto", "precision is '{}', expected auto, fp32, bf16 or int8", precision);
    return device.is_cuda() ? ComputeType::BFloat16 : fastestComputeType();
}

at::ScalarType scalarType(ComputeType compute)
{
    return compute == ComputeType::BFloat16 ? at::kBFloat16 : at::kFloat;
}

const char* nameOf(ComputeType compute)
{
    return compute == ComputeType::BFloat16 ? "bf16" : compute == ComputeType::Int8 ? "int8" : "fp32";
}

} // namespace agpnet
