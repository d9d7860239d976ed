// The torch door: the same operators as torch.ops.agpnet.*, from the same schemas.
#include "plugin/torch_adapter.h"

#include "common/error.h"
#include "models/device/stage_device.h"
#include "models/device/tensor_view.h"
#include "operators/core/forked.h"
#include "operators/registry.h"

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <list>
#include <mutex>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace agpnet
{
namespace
{

/// "Residual(Tensor features, Tensor reconstructed, *, str metric="l2") -> Tensor"
std::string torchSchema(const OperatorSchema& schema)
{
    std::string text = schema.name + "(";
    for (const PortSchema& input : schema.inputs)
        text += "Tensor " + input.name + ", ";
    text += "*";
    for (const AttributeSchema& attribute : schema.attributes)
    {
        if (const auto* integer = std::get_if<int64_t>(&attribute.fallback))
            text += fmt::format(", int {}={}", attribute.name, *integer);
        else if (const auto* real = std::get_if<double>(&attribute.fallback))
            text += fmt::format(", float {}={}", attribute.name, *real);
        else if (attribute.required)
            text += fmt::format(", str {}", attribute.name);
        else
            text += fmt::format(", str {}=\"{}\"", attribute.name, std::get<std::string>(attribute.fallback));
    }
    if (schema.outputs.size() == 1)
        return text + ") -> Tensor";
    std::string outputs;
    for (const PortSchema& output : schema.outputs)
        outputs += (outputs.empty() ? "Tensor " : ", Tensor ") + output.name;
    return text + ") -> (" + outputs + ")";
}

const OperatorEntry& entryOf(const c10::OperatorHandle& handle)
{
    const std::string& name = handle.schema().name(); // "agpnet::Residual"
    return findOperator(name.substr(name.rfind(':') + 1));
}

struct Arguments
{
    std::vector<at::Tensor> tensors;
    std::map<std::string, AttributeValue> attributes;
};

Arguments pop(const c10::OperatorHandle& handle, c10::Stack& stack)
{
    const OperatorSchema& schema = entryOf(handle).schema;
    const size_t count = handle.schema().arguments().size();
    const auto values = torch::jit::last(stack, count);
    Arguments arguments;
    for (size_t i = 0; i < schema.inputs.size(); i++)
        arguments.tensors.push_back(values[i].toTensor());
    for (size_t i = 0; i < schema.attributes.size(); i++)
    {
        const c10::IValue& value = values[schema.inputs.size() + i];
        AttributeValue& attribute = arguments.attributes[schema.attributes[i].name];
        if (value.isInt())
            attribute = value.toInt();
        else if (value.isDouble())
            attribute = value.toDouble();
        else
            attribute = value.toStringRef();
    }
    torch::jit::drop(stack, count);
    return arguments;
}

std::vector<Shape> shapesOf(const Arguments& arguments)
{
    std::vector<Shape> shapes;
    for (const at::Tensor& tensor : arguments.tensors)
    {
        for (int64_t extent : tensor.sizes())
            require(extent <= INT32_MAX, "tensor of shape [{}], expected no dimension above {}", fmt::join(tensor.sizes(), ", "),
                    INT32_MAX);
        shapes.emplace_back(tensor.sizes().begin(), tensor.sizes().end());
    }
    return shapes;
}

std::vector<at::Tensor> emptyOutputs(const std::vector<Shape>& shapes, at::Device device)
{
    std::vector<at::Tensor> outputs;
    for (const Shape& shape : shapes)
        outputs.push_back(at::empty(std::vector<int64_t>(shape.begin(), shape.end()), at::TensorOptions(at::kFloat).device(device)));
    return outputs;
}

/// [N, C] as [N, C, 1, 1]
at::Tensor fourDimensional(const at::Tensor& tensor)
{
    return tensor.dim() == 4 ? tensor : tensor.unsqueeze(2).unsqueeze(3);
}

void push(c10::Stack& stack, std::vector<at::Tensor>& outputs)
{
    for (at::Tensor& output : outputs)
        stack.emplace_back(std::move(output));
}

/// Functions have no state of their own, Train has: calls with the same attributes are steps of one training, and the few most
/// recent ones are remembered. The others keep their model here too, so that it is not read for each call.
std::shared_ptr<Operator> instanceOf(const OperatorEntry& entry, const std::map<std::string, AttributeValue>& attributes)
{
    struct Known
    {
        std::string name;
        std::map<std::string, AttributeValue> attributes;
        std::shared_ptr<Operator> instance;
    };
    constexpr size_t remembered = 8;
    static std::mutex mutex;
    static std::list<Known> recent;

    bool stateful = false; // a model makes an instance worth keeping
    for (const AttributeSchema& attribute : entry.schema.attributes)
        stateful |= attribute.name == "model";
    if (!stateful)
        return entry.create(Attributes(entry.schema, attributes));
    const std::lock_guard lock(mutex);
    for (auto it = recent.begin(); it != recent.end(); ++it)
        if (it->name == entry.schema.name && it->attributes == attributes)
        {
            recent.splice(recent.begin(), recent, it);
            return recent.front().instance;
        }
    recent.push_front({entry.schema.name, attributes, entry.create(Attributes(entry.schema, attributes))});
    if (recent.size() > remembered)
        recent.pop_back();
    return recent.front().instance;
}

/// agpnet::Error leaves as c10::Error.
template <typename Function>
void guardedForTorch(Function function)
{
    try
    {
        function();
    }
    catch (const Error& error)
    {
        TORCH_CHECK(false, error.what());
    }
}

/// Where the tensors are, in host memory or on a CUDA device: on the latter enqueued in LibTorch's current stream there.
void run(const c10::OperatorHandle& handle, c10::Stack* stack)
{
    guardedForTorch([&] {
        requireThreads();
        const OperatorEntry& entry = entryOf(handle);
        const Arguments arguments = pop(handle, *stack);
        const at::Device where = arguments.tensors[0].device();
        std::vector<stages::View> in, out;
        for (size_t i = 0; i < arguments.tensors.size(); i++)
        {
            require(arguments.tensors[i].scalar_type() == at::kFloat, "{}: {} is of type {}, expected float32", entry.schema.name,
                    entry.schema.inputs[i].name, c10::toString(arguments.tensors[i].scalar_type()));
            require(arguments.tensors[i].device() == where, "{}: {} is on {}, expected {} as {}", entry.schema.name,
                    entry.schema.inputs[i].name, arguments.tensors[i].device().str(), where.str(), entry.schema.inputs[0].name);
        }
        const c10::DeviceGuard onIt(where);
        const auto instance = instanceOf(entry, arguments.attributes);
        std::vector<at::Tensor> outputs = emptyOutputs(instance->outputShapes(shapesOf(arguments)), where);
        for (const at::Tensor& tensor : arguments.tensors)
            in.push_back(viewOf(fourDimensional(tensor)));
        for (const at::Tensor& tensor : outputs)
            out.push_back(viewOf(fourDimensional(tensor)));
        instance->run(in, out, stageDeviceOf(arguments.tensors[0]));
        push(*stack, outputs);
    });
}

/// Under autocast tensors may come in half precision, as the layer before made them; the operators take float32.
void runInAutocast(const c10::OperatorHandle& handle, c10::Stack* stack)
{
    const c10::impl::ExcludeDispatchKeyGuard below(c10::autocast_dispatch_keyset);
    const size_t count = handle.schema().arguments().size();
    for (size_t i = stack->size() - count; i < stack->size(); i++)
        if (c10::IValue& value = (*stack)[i];
            value.isTensor() && value.toTensor().is_floating_point() && value.toTensor().scalar_type() != at::kDouble)
            value = value.toTensor().to(at::kFloat);
    handle.callBoxed(stack);
}

/// Shapes alone, for torch.compile and exports.
void runOnMeta(const c10::OperatorHandle& handle, c10::Stack* stack)
{
    guardedForTorch([&] {
        const OperatorEntry& entry = entryOf(handle);
        const Arguments arguments = pop(handle, *stack);
        const auto instance = entry.create(Attributes(entry.schema, arguments.attributes));
        std::vector<at::Tensor> outputs = emptyOutputs(instance->outputShapes(shapesOf(arguments)), at::kMeta);
        push(*stack, outputs);
    });
}

// The gradients. Noise is a constant added to x; attention is where the method stops gradients.
std::pair<at::Tensor, at::Tensor> residualGradients(const at::Tensor& f, const at::Tensor& g, const at::Tensor& distance,
                                                     const at::Tensor& gradient, stages::Metric metric)
{
    constexpr double tiny = 1e-12;
    const at::Tensor fNorm = f.norm(2, {1}, true).clamp_min(tiny);
    if (metric == stages::Metric::Cosine)
    {
        const at::Tensor gNorm = g.norm(2, {1}, true).clamp_min(tiny), similarity = 1 - distance;
        return {gradient * (similarity * f / fNorm.square() - g / (fNorm * gNorm)),
                gradient * (similarity * g / gNorm.square() - f / (fNorm * gNorm))};
    }
    if (metric == stages::Metric::L2)
    {
        const at::Tensor towards = gradient * (f - g) / distance.clamp_min(tiny);
        return {towards, -towards};
    }
    // d = |f - g| |f|^-1/2
    const at::Tensor towards = gradient * (f - g) / (distance.clamp_min(tiny) * fNorm);
    return {towards - gradient * distance * f / (2 * fNorm.square()), -towards};
}

class Differentiable : public torch::autograd::Function<Differentiable>
{
public:
    static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& first, const at::Tensor& second,
                              const c10::OperatorHandle* handle, const std::vector<c10::IValue>& attributes)
    {
        const at::AutoDispatchBelowADInplaceOrView below;
        c10::Stack stack = {first, second};
        stack.insert(stack.end(), attributes.begin(), attributes.end());
        handle->callBoxed(stack);
        const at::Tensor output = stack[0].toTensor();
        const bool residual = entryOf(*handle).schema.name == "Residual";
        context->saved_data["residual"] = residual;
        if (residual)
        {
            context->saved_data["metric"] = attributes[0].toStringRef();
            context->save_for_backward({first, second, output});
        }
        return output;
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients)
    {
        if (!context->saved_data["residual"].toBool())
            return {gradients[0], {}, {}, {}};
        const auto saved = context->get_saved_variables();
        auto [first, second] =
            residualGradients(saved[0], saved[1], saved[2], gradients[0], stages::metricOf(context->saved_data["metric"].toStringRef()));
        return {first, second, {}, {}};
    }
};

void runDifferentiable(const c10::OperatorHandle& handle, c10::Stack* stack)
{
    const size_t count = handle.schema().arguments().size();
    const auto values = torch::jit::last(*stack, count);
    const at::Tensor first = values[0].toTensor(), second = values[1].toTensor();
    const std::vector<c10::IValue> attributes(values.begin() + 2, values.end());
    torch::jit::drop(*stack, count);
    stack->emplace_back(Differentiable::apply(first, second, &handle, attributes));
}

std::string registerAll()
{
    try
    {
        // Never freed: the dispatcher holds on to it until the process ends.
        static auto* library = new torch::Library(torch::Library::DEF, "agpnet", std::nullopt, __FILE__, __LINE__);
        for (const OperatorEntry& entry : operatorList())
        {
            const std::string& name = entry.schema.name;
            library->def(torchSchema(entry.schema).c_str());
            for (const c10::DispatchKey key : {c10::DispatchKey::CPU, c10::DispatchKey::CUDA})
                library->impl(name.c_str(), torch::dispatch(key, torch::CppFunction::makeFromBoxedFunction<&run>()));
            for (const c10::DispatchKey key : {c10::DispatchKey::AutocastCPU, c10::DispatchKey::AutocastCUDA})
                library->impl(name.c_str(), torch::dispatch(key, torch::CppFunction::makeFromBoxedFunction<&runInAutocast>()));
            library->impl(name.c_str(), torch::dispatch(c10::DispatchKey::Meta, torch::CppFunction::makeFromBoxedFunction<&runOnMeta>()));
            if (name == "Perturb" || name == "Residual")
                library->impl(name.c_str(), torch::dispatch(c10::DispatchKey::Autograd,
                                                    torch::CppFunction::makeFromBoxedFunction<&runDifferentiable>()));
        }
        return {};
    }
    catch (const c10::Error& error)
    {
        return std::string("the torch operators could not be registered: ") + error.what_without_backtrace();
    }
    catch (const std::exception& error)
    {
        return std::string("the torch operators could not be registered: ") + error.what();
    }
}

} // namespace

const std::string& registerInTorch()
{
    static const std::string outcome = registerAll();
    return outcome;
}

namespace
{

[[maybe_unused]] const bool registeredAtLoad = (registerInTorch(), true);

} // namespace
} // namespace agpnet
