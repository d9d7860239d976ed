#include "tests/devices/fake_device.h"

#include "common/error.h"
#include "models/device/device.h"
#include "tests/devices/fake_graph.h"

// The stages take it for the host: the production's own function is behind another name here, and its file is not linked.
#define stageDeviceOf productionStageDeviceOf
#include "models/device/stage_device.cpp" // NOLINT(bugprone-suspicious-include)
#undef stageDeviceOf

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <atomic>
#include <c10/core/DeviceType.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <cstdlib>
#include <cstring>
#include <set>
#include <torch/library.h>

namespace agpnet
{

stages::Device stageDeviceOf(const at::Tensor& tensor)
{
    return tensor.is_privateuseone() ? stages::Device{} : productionStageDeviceOf(tensor);
}

} // namespace agpnet

namespace agpnet::test
{
namespace
{

constexpr at::DeviceType kind = at::kPrivateUse1;
constexpr c10::DispatchKeySet keys(c10::DispatchKey::PrivateUse1);

std::atomic<int64_t> toDevice, toHost, values;
thread_local bool uncounted = false; // the copies of which this device is made

struct Uncounted
{
    bool before = std::exchange(uncounted, true);
    ~Uncounted() { uncounted = before; }
};

class Memory final : public c10::Allocator
{
public:
    c10::DataPtr allocate(size_t bytes) override
    {
        if (bytes > 0 && capturing())
            return memoryOfGraph(bytes, at::Device(kind, 0));
        void* const data = bytes > 0 ? std::aligned_alloc(64, (bytes + 63) / 64 * 64) : nullptr;
        return {data, data, &std::free, at::Device(kind, 0)};
    }
    c10::DeleterFnPtr raw_deleter() const override { return &std::free; }
    void copy_data(void* to, const void* from, size_t count) const override { std::memcpy(to, from, count); }
};

/// What LibTorch asks of a device beside its kernels.
struct Hooks final : at::PrivateUse1HooksInterface
{
    bool isBuilt() const { return true; } // not virtual in every LibTorch
    bool isAvailable() const { return true; }
    bool hasPrimaryContext(at::DeviceIndex) const override { return true; }
    at::DeviceIndex deviceCount() const override { return 1; }
    at::Device getDeviceFromPtr(void*) const override { return {kind, 0}; }
};

/// One device, one stream, nothing to wait for: the host does at once what it is told.
struct Guard final : c10::impl::DeviceGuardImplInterface
{
    at::DeviceType type() const override { return kind; }
    at::Device exchangeDevice(at::Device) const override { return {kind, 0}; }
    at::Device getDevice() const override { return {kind, 0}; }
    void setDevice(at::Device) const override {}
    void uncheckedSetDevice(at::Device) const noexcept override {}
    at::DeviceIndex deviceCount() const noexcept override { return 1; }
    c10::Stream getStream(at::Device) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, at::Device(kind, 0)); }
    c10::Stream getNewStream(at::Device device, int) const override { return getStream(device); }
    c10::Stream exchangeStream(c10::Stream) const noexcept override { return getStream({kind, 0}); }
    bool queryStream(const c10::Stream&) const override { return true; }
    void synchronizeStream(const c10::Stream&) const override {}
    void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
    void block(void*, const c10::Stream&) const override {}
    bool queryEvent(void*) const override { return true; }
    void destroyEvent(void*, const c10::DeviceIndex) const noexcept override {}
    void synchronizeEvent(void*) const override {}
};

Memory& memory()
{
    static Memory instance;
    return instance;
}

/// The same memory as a tensor on the CPU.
at::Tensor onCpu(const at::Tensor& tensor)
{
    return tensor.is_cpu() ? tensor
                           : at::from_blob(tensor.mutable_data_ptr(), tensor.sizes(), tensor.strides(),
                                           tensor.options().device(at::kCPU).requires_grad(false));
}

at::Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> scalar, std::optional<at::Layout>, std::optional<at::Device>,
                 std::optional<bool>, std::optional<at::MemoryFormat> format)
{
    return at::detail::empty_generic(size, &memory(), keys, c10::dtype_or_default(scalar), format);
}

at::Tensor emptyStrided(at::IntArrayRef size, at::IntArrayRef stride, std::optional<at::ScalarType> scalar, std::optional<at::Layout>,
                        std::optional<at::Device>, std::optional<bool>)
{
    return at::detail::empty_strided_generic(size, stride, &memory(), keys, c10::dtype_or_default(scalar));
}

at::Tensor asStrided(const at::Tensor& self, at::IntArrayRef size, at::IntArrayRef stride, std::optional<int64_t> offset)
{
    return at::native::as_strided_tensorimpl(self, size, stride, offset);
}

at::Tensor view(const at::Tensor& self, at::IntArrayRef size)
{
    return at::native::view(self, size);
}

at::Tensor reshapeAlias(const at::Tensor& self, at::IntArrayRef size, at::IntArrayRef stride)
{
    return at::native::as_strided_tensorimpl(self, size, stride, std::nullopt);
}

const at::Tensor& resize(const at::Tensor& self, at::IntArrayRef size, std::optional<at::MemoryFormat>)
{
    const at::Tensor fresh = at::empty(size, self.options());
    self.unsafeGetTensorImpl()->set_storage_and_dtype(fresh.storage(), fresh.dtype());
    self.unsafeGetTensorImpl()->set_sizes_and_strides(fresh.sizes(), fresh.strides());
    return self;
}

at::Tensor copyFrom(const at::Tensor& self, const at::Tensor& to, bool)
{
    const auto copy = [self, to] { onCpu(to).copy_(onCpu(self)); };
    if (!uncounted)
    {
        if (self.is_cpu() || to.is_cpu())
            refuseWhileCapturing("a copy between device and host");
        toDevice += self.is_cpu();
        toHost += to.is_cpu();
        alsoInReplays(copy);
    }
    copy();
    return to;
}

at::Tensor copyFromAndResize(const at::Tensor& self, const at::Tensor& to)
{
    if (to.sizes() != self.sizes())
        to.resize_(self.sizes());
    return copyFrom(self, to, false);
}

at::Scalar localScalar(const at::Tensor& self)
{
    refuseWhileCapturing("a number is read");
    values += !uncounted;
    return onCpu(self).item();
}

at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias, at::IntArrayRef stride,
                       at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed, at::IntArrayRef outputPadding, int64_t groups)
{
    const Uncounted inside;
    const auto compute =
        [=, strides = stride.vec(), paddings = padding.vec(), dilations = dilation.vec(), outputPaddings = outputPadding.vec()]
    {
        const std::optional<at::Tensor> added = bias && bias->defined() ? std::optional(onCpu(*bias)) : std::nullopt;
        return at::convolution(onCpu(input), onCpu(weight), added, strides, paddings, dilations, transposed, outputPaddings, groups);
    };
    const at::Tensor result = compute().to(input.device());
    alsoInReplays([=] { onCpu(result).copy_(compute()); });
    return result;
}

/// Of results that the CPU's kernels resize, which is how this device is made.
struct Silence final : c10::WarningHandler
{
    void process(const c10::Warning&) override {}
};

/// Everything else: on copies in the CPU's name.
void onCopies(const c10::OperatorHandle& operation, c10::Stack* stack)
{
    static const std::set<std::string> waiting = {"aten::nonzero",    "aten::masked_select", "aten::equal",
                                                  "aten::is_nonzero", "aten::_unique2",      "aten::bincount"};
    if (waiting.contains(operation.schema().name()))
    {
        refuseWhileCapturing("the host waits for a result");
        values++;
    }
    // a CPU tensor among those of a device is an error there, and must be one here
    bool here = false, elsewhere = false;
    const auto look = [&](const at::Tensor& tensor, bool alone) {
        here |= tensor.defined() && tensor.is_privateuseone();
        elsewhere |= tensor.defined() && tensor.is_cpu() && !(alone && tensor.dim() == 0); // a single number may come from the CPU
    };
    for (const c10::IValue& value : torch::jit::last(*stack, operation.schema().arguments().size()))
        if (value.isTensor())
            look(value.toTensor(), true);
        else if (value.isTensorList())
            for (const at::Tensor& tensor : value.toTensorVector())
                look(tensor, false);
    TORCH_CHECK(!(here && elsewhere), operation.schema().name(), ": tensors on the CPU and on the device are mixed");
    const Uncounted inside;
    static Silence silence;
    const c10::WarningUtils::WarningHandlerGuard quiet(&silence);
    const c10::Stack given = torch::jit::last(*stack, operation.schema().arguments().size()).vec();
    at::native::cpu_fallback(operation, stack);
    if (!capturing())
        return;
    const c10::Stack results = torch::jit::last(*stack, operation.schema().returns().size()).vec();
    alsoInReplays([operation, given, results] {
        const Uncounted again;
        c10::Stack found = given;
        at::native::cpu_fallback(operation, &found);
        for (size_t i = 0; i < results.size(); i++)
            if (results[i].isTensor() && !results[i].toTensor().is_same(found[i].toTensor())) // else it was written in place
                onCpu(results[i].toTensor()).copy_(onCpu(found[i].toTensor()));
    });
}

} // namespace

at::Device fakeDevice()
{
    static const bool registered = [] {
        static const Guard guard;
        c10::impl::DeviceGuardImplRegistrar give(kind, &guard);
        c10::SetAllocator(kind, &memory());
        static Hooks hooks;
        at::RegisterPrivateUse1HooksInterface(&hooks);
        c10::register_privateuse1_backend("fake");
        registerFakeGraphs(kind);
        static torch::Library operations(torch::Library::IMPL, "aten", c10::DispatchKey::PrivateUse1, __FILE__, __LINE__);
        operations.impl("empty.memory_format", &empty);
        operations.impl("empty_strided", &emptyStrided);
        operations.impl("as_strided", &asStrided);
        operations.impl("view", &view);
        operations.impl("_reshape_alias", &reshapeAlias);
        operations.impl("resize_", &resize);
        operations.impl("_copy_from", &copyFrom);
        operations.impl("_copy_from_and_resize", &copyFromAndResize);
        operations.impl("_local_scalar_dense", &localScalar);
        operations.impl("convolution_overrideable", &convolution);
        static torch::Library rest(torch::Library::IMPL, "_", c10::DispatchKey::PrivateUse1, __FILE__, __LINE__);
        rest.fallback(torch::CppFunction::makeFromBoxedFunction<&onCopies>());
        return true;
    }();
    (void)registered;
    return {kind, 0};
}

at::Device deviceFor(const std::string& name, std::string& reason)
{
    try
    {
        return name == "fake" ? fakeDevice() : deviceNamed(name);
    }
    catch (const Error& error)
    {
        reason = error.what();
        return at::kCPU;
    }
}

Traffic traffic()
{
    return {toDevice, toHost, values};
}

Traffic operator-(const Traffic& a, const Traffic& b)
{
    return {a.toDevice - b.toDevice, a.toHost - b.toHost, a.values - b.values};
}

} // namespace agpnet::test
