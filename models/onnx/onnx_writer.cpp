#include "models/onnx/onnx_writer.h"

#include "common/atomic_file.h"
#include "common/error.h"
#include "common/protobuf.h"
#include "models/layers/quantisation.h"

#include <ATen/ATen.h>
#include <cmath>
#include <functional>
#include <numeric>
#include <string_view>

namespace agpnet
{
namespace
{

using Shape = OnnxWriter::Shape;

// Numbers of fields and types are those of onnx.proto.
int typeOf(at::ScalarType type)
{
    constexpr int float32 = 1, uint8 = 2, int8 = 3, int64 = 7;
    return type == at::kLong ? int64 : type == at::kByte ? uint8 : type == at::kChar ? int8 : float32;
}

std::string attribute(const std::string& name, int64_t value)
{
    return ProtobufMessage().bytes(1, name).integer(3, static_cast<uint64_t>(value)).integer(20, 2).text();
}

std::string attribute(const std::string& name, const Shape& values)
{
    ProtobufMessage proto;
    proto.bytes(1, name);
    for (int64_t value : values)
        proto.integer(8, static_cast<uint64_t>(value));
    return proto.integer(20, 7).text();
}

std::string valueInfo(const OnnxValue& value)
{
    ProtobufMessage shape;
    for (int64_t extent : value.shape)
        shape.bytes(1, ProtobufMessage().integer(1, static_cast<uint64_t>(extent)).text());
    const ProtobufMessage tensor = ProtobufMessage().integer(1, static_cast<uint64_t>(typeOf(at::kFloat))).bytes(2, shape.text());
    return ProtobufMessage().bytes(1, value.name).bytes(2, ProtobufMessage().bytes(1, tensor.text()).text()).text();
}

int64_t countOf(const Shape& shape)
{
    return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

int64_t pooled(int64_t size, int64_t kernel, int64_t stride, int64_t padding)
{
    return (size + padding - kernel) / stride + 1;
}

} // namespace

OnnxValue OnnxWriter::input(const std::string& name, const Shape& shape)
{
    const OnnxValue value{name, shape};
    inputs_.push_back(valueInfo(value));
    return value;
}

void OnnxWriter::output(const std::string& name, const OnnxValue& value)
{
    outputs_.push_back(valueInfo({name, value.shape}));
    nodes_.push_back(
        ProtobufMessage().bytes(1, value.name).bytes(2, name).bytes(3, "output/" + name).bytes(4, "Identity").text());
}

void OnnxWriter::note(const std::string& key, const std::string& value)
{
    notes_.push_back(ProtobufMessage().bytes(1, key).bytes(2, value).text());
}

std::vector<OnnxValue> OnnxWriter::node(const std::string& op, const std::vector<std::string>& inputs,
                                        const std::vector<Shape>& outputs, const std::vector<std::string>& attributes)
{
    const std::string kind = part_ + "/" + op;
    const std::string name = fmt::format("{}_{}", kind, counts_[kind]++);
    ProtobufMessage proto;
    std::vector<OnnxValue> values;
    for (const std::string& input : inputs)
        proto.bytes(1, input);
    for (const Shape& shape : outputs)
    {
        values.push_back({outputs.size() == 1 ? name : fmt::format("{}.{}", name, values.size()), shape});
        proto.bytes(2, values.back().name);
    }
    proto.bytes(3, name).bytes(4, op);
    for (const std::string& given : attributes)
        proto.bytes(5, given);
    nodes_.push_back(proto.text());
    return values;
}

OnnxValue OnnxWriter::shared(const at::Tensor& values)
{
    const std::string_view bytes(static_cast<const char*>(values.const_data_ptr()), values.nbytes());
    std::vector<size_t>& alike = known_[std::hash<std::string_view>()(bytes)];
    for (size_t i : alike)
        if (weights_[i].values.scalar_type() == values.scalar_type() && weights_[i].values.equal(values))
            return weights_[i].value;
    alike.push_back(weights_.size());
    return keep(values);
}

OnnxValue OnnxWriter::keep(const at::Tensor& values)
{

    const std::string kind = part_ + "/constant";
    const OnnxValue value{fmt::format("{}_{}", kind, counts_[kind]++), values.sizes().vec()};
    ProtobufMessage header;
    for (int64_t extent : value.shape)
        header.integer(1, static_cast<uint64_t>(extent));
    header.integer(2, static_cast<uint64_t>(typeOf(values.scalar_type()))).bytes(8, value.name).announce(9, values.nbytes());
    weights_.push_back({value, header.text(), values});
    return value;
}

OnnxValue OnnxWriter::constant(const at::Tensor& values)
{
    return shared(values.detach().to(at::kCPU, at::kFloat).contiguous());
}

OnnxValue OnnxWriter::constantToJoin(const at::Tensor& values)
{
    return keep(values.detach().to(at::kCPU, at::kFloat).contiguous());
}

OnnxValue OnnxWriter::scalar(double value)
{
    return shared(at::tensor(value, at::kFloat).squeeze());
}

std::string OnnxWriter::integers(const Shape& values)
{
    return shared(at::tensor(values, at::kLong)).name;
}

OnnxValue OnnxWriter::spread(const at::Tensor& b, const Shape& shape)
{
    return constant(b.expand(shape));
}

OnnxValue OnnxWriter::binary(const std::string& op, const OnnxValue& a, const OnnxValue& b)
{
    return node(op, {a.name, b.name}, {a.shape})[0];
}

OnnxValue OnnxWriter::unary(const std::string& op, const OnnxValue& x)
{
    return node(op, {x.name}, {x.shape})[0];
}

OnnxValue OnnxWriter::gelu(const OnnxValue& x)
{
    return multiply(multiply(x, add(unary("Erf", multiply(x, std::sqrt(0.5))), 1)), 0.5);
}

OnnxValue OnnxWriter::silu(const OnnxValue& x)
{
    return multiply(x, unary("Sigmoid", x));
}

OnnxValue OnnxWriter::reshape(const OnnxValue& x, const Shape& shape)
{
    require(countOf(shape) == countOf(x.shape), "ONNX: {} cannot be seen as [{}]", x.name, fmt::join(shape, ", "));
    return node("Reshape", {x.name, integers(shape)}, {shape})[0];
}

OnnxValue OnnxWriter::transpose(const OnnxValue& x, const Shape& order)
{
    Shape shape;
    for (int64_t axis : order)
        shape.push_back(x.shape.at(static_cast<size_t>(axis)));
    return node("Transpose", {x.name}, {shape}, {attribute("perm", order)})[0];
}

OnnxValue OnnxWriter::slice(const OnnxValue& x, int64_t axis, int64_t begin, int64_t end)
{
    Shape shape = x.shape;
    shape.at(static_cast<size_t>(axis)) = end - begin;
    return shape == x.shape ? x : node("Slice", {x.name, integers({begin}), integers({end}), integers({axis})}, {shape})[0];
}

std::vector<OnnxValue> OnnxWriter::split(const OnnxValue& x, int64_t axis, int64_t parts)
{
    Shape shape = x.shape;
    shape.at(static_cast<size_t>(axis)) /= parts;
    return node("Split", {x.name}, std::vector<Shape>(static_cast<size_t>(parts), shape), {attribute("axis", axis)});
}

OnnxValue OnnxWriter::concatenate(const std::vector<OnnxValue>& values, int64_t axis)
{
    if (values.size() == 1)
        return values[0];
    Shape shape = values.at(0).shape;
    shape.at(static_cast<size_t>(axis)) = 0;
    std::vector<std::string> names;
    for (const OnnxValue& value : values)
    {
        names.push_back(value.name);
        shape[static_cast<size_t>(axis)] += value.shape[static_cast<size_t>(axis)];
    }
    return node("Concat", names, {shape}, {attribute("axis", axis)})[0];
}

OnnxValue OnnxWriter::reduce(const std::string& op, const OnnxValue& x, const Shape& axes)
{
    Shape shape = x.shape;
    for (int64_t axis : axes)
        shape.at(static_cast<size_t>(axis)) = 1;
    return node(op, {x.name}, {shape}, {attribute("axes", axes), attribute("keepdims", 1)})[0];
}

OnnxValue OnnxWriter::softmax(const OnnxValue& x)
{
    return node("Softmax", {x.name}, {x.shape}, {attribute("axis", static_cast<int64_t>(x.shape.size()) - 1)})[0];
}

OnnxValue OnnxWriter::product(const OnnxValue& a, const OnnxValue& b)
{
    Shape shape = a.shape;
    shape.back() = b.shape.back();
    require(a.shape.back() == b.shape.at(b.shape.size() - 2), "ONNX: matrices of [{}] and [{}]", fmt::join(a.shape, ", "),
            fmt::join(b.shape, ", "));
    return node("MatMul", {a.name, b.name}, {shape})[0];
}

OnnxValue OnnxWriter::resized(const OnnxValue& x, const at::Tensor& vertical, const at::Tensor& horizontal)
{
    const OnnxValue wide = product(x, horizontal.t()); // a constant must be the right one of two matrices
    return transpose(product(transpose(wide, {0, 1, 3, 2}), vertical.t()), {0, 1, 3, 2});
}

OnnxValue OnnxWriter::linear(const OnnxValue& x, const at::Tensor& weight, const at::Tensor& bias)
{
    const OnnxValue result = product(x, weight.t());
    return bias.defined() ? add(result, constant(bias)) : result; // [out] behind a product is what every importer knows
}

OnnxValue OnnxWriter::quantised(const OnnxValue& x, double scale, int64_t zero)
{
    const std::string by = scalar(scale).name, from = shared(at::tensor(zero, at::kByte).squeeze()).name;
    const OnnxValue bytes = node("QuantizeLinear", {x.name, by, from}, {x.shape})[0];
    return node("DequantizeLinear", {bytes.name, by, from}, {x.shape})[0];
}

OnnxValue OnnxWriter::quantisedLinear(const OnnxValue& x, const at::Tensor& weight, const at::Tensor& bias)
{
    const QuantisedWeight quantised = quantisedWeight(weight.to(at::kFloat));
    const OnnxValue bytes = shared(quantised.bytes.t().contiguous());
    const OnnxValue scale = constant(quantised.scale), zero = shared(at::zeros(quantised.scale.sizes(), at::kChar));
    const OnnxValue right = node("DequantizeLinear", {bytes.name, scale.name, zero.name}, {bytes.shape}, {attribute("axis", 1)})[0];
    const OnnxValue result = product(x, right);
    return bias.defined() ? add(result, constant(bias)) : result;
}

OnnxValue OnnxWriter::convolution(const OnnxValue& x, const at::Tensor& weight, const at::Tensor& bias, int64_t stride,
                                  const Padding& padding)
{
    const int64_t kernel = weight.size(2);
    std::vector<std::string> inputs = {x.name, constant(weight).name};
    if (bias.defined())
        inputs.push_back(constant(bias).name);
    const Shape shape = {x.shape[0], weight.size(0), pooled(x.shape[2], kernel, stride, padding.top + padding.bottom),
                         pooled(x.shape[3], weight.size(3), stride, padding.left + padding.right)};
    return node("Conv", inputs, {shape},
                {attribute("kernel_shape", Shape{kernel, weight.size(3)}), attribute("strides", Shape{stride, stride}),
                 attribute("pads", Shape{padding.top, padding.left, padding.bottom, padding.right}),
                 attribute("group", x.shape[1] / weight.size(1))})[0];
}

OnnxValue OnnxWriter::maxPool(const OnnxValue& x, int64_t kernel, int64_t stride, int64_t padding)
{
    const Shape shape = {x.shape[0], x.shape[1], pooled(x.shape[2], kernel, stride, 2 * padding),
                         pooled(x.shape[3], kernel, stride, 2 * padding)};
    return node("MaxPool", {x.name}, {shape},
                {attribute("kernel_shape", Shape{kernel, kernel}), attribute("strides", Shape{stride, stride}),
                 attribute("pads", Shape(4, padding))})[0];
}

OnnxValue OnnxWriter::averagePool(const OnnxValue& x, int64_t rows, int64_t columns)
{
    return node("AveragePool", {x.name}, {Shape{x.shape[0], x.shape[1], x.shape[2] / rows, x.shape[3] / columns}},
                {attribute("kernel_shape", Shape{rows, columns}), attribute("strides", Shape{rows, columns})})[0];
}

OnnxValue OnnxWriter::normed(const OnnxValue& x, double eps)
{
    const int64_t last = static_cast<int64_t>(x.shape.size()) - 1;
    const OnnxValue centred = subtract(x, reduce("ReduceMean", x, {last}));
    const OnnxValue variance = reduce("ReduceMean", multiply(centred, centred), {last});
    return divide(centred, unary("Sqrt", add(variance, eps)));
}

void OnnxWriter::write(const std::filesystem::path& path) const
{
    ProtobufMessage begin, end; // parts of the graph before and after the weights
    for (const std::string& node : nodes_)
        begin.bytes(1, node);
    begin.bytes(2, "agpnet");
    for (const std::string& input : inputs_)
        end.bytes(11, input);
    for (const std::string& output : outputs_)
        end.bytes(12, output);

    std::vector<std::string> headers;
    uint64_t size = begin.text().size() + end.text().size();
    for (const Weight& weight : weights_)
    {
        headers.push_back(ProtobufMessage().announce(5, weight.header.size() + weight.values.nbytes()).text() + weight.header);
        size += headers.back().size() + weight.values.nbytes();
    }
    constexpr uint64_t most = uint64_t{2} << 30; // a limit of protobuf
    require(size < most, "{}: the model's {:.1f} GB of weights do not fit into an ONNX file, expected less than 2 GB",
            path.string(), 1e-9 * static_cast<double>(size));

    AtomicFile file(path);
    file.write(ProtobufMessage().integer(1, 8).bytes(2, "agpnet").announce(7, size).text()); // ir_version 8
    file.write(begin.text());
    for (size_t i = 0; i < weights_.size(); i++)
    {
        file.write(headers[i]);
        file.write(weights_[i].values.const_data_ptr(), weights_[i].values.nbytes());
    }
    file.write(end.text());
    ProtobufMessage rest;
    rest.bytes(8, ProtobufMessage().bytes(1, "").integer(2, 13).text()); // opset
    for (const std::string& note : notes_)
        rest.bytes(14, note);
    file.write(rest.text());
    file.commit();
}

} // namespace agpnet
