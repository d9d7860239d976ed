// An ONNX file of standard operators in the making. It is written tensor by tensor: never a second time in memory.
//
// One file is meant for ONNX Runtime, OpenVINO and OpenCV's own importer, whose version 4.6 is the narrowest: opset 13, batch and
// sizes fixed, no Clip, Max or TopK, and of operands of other shapes only those that the functions below name.
#pragma once

#include <ATen/core/Tensor.h>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace agpnet
{

/// float32, of a known shape.
struct OnnxValue
{
    std::string name;
    std::vector<int64_t> shape;
};

class OnnxWriter
{
public:
    using Shape = std::vector<int64_t>;

    OnnxValue input(const std::string& name, const Shape& shape);
    void output(const std::string& name, const OnnxValue& value);
    void note(const std::string& key, const std::string& value); ///< into the file's metadata

    /// Names of nodes from here on begin with it.
    void part(std::string name) { part_ = std::move(name); }

    OnnxValue constant(const at::Tensor& values); ///< made float32
    /// a constant for concatenate(): OpenCV's importer accepts one constant in only one of them.
    OnnxValue constantToJoin(const at::Tensor& values);

    /// b: of a's shape, or with extents of 1 at the end of it (a constant: of its whole shape, or of one element).
    OnnxValue add(const OnnxValue& a, const OnnxValue& b) { return binary("Add", a, b); }
    OnnxValue subtract(const OnnxValue& a, const OnnxValue& b) { return binary("Sub", a, b); }
    OnnxValue multiply(const OnnxValue& a, const OnnxValue& b) { return binary("Mul", a, b); }
    OnnxValue divide(const OnnxValue& a, const OnnxValue& b) { return binary("Div", a, b); }
    OnnxValue add(const OnnxValue& a, double b) { return binary("Add", a, scalar(b)); }
    OnnxValue multiply(const OnnxValue& a, double b) { return binary("Mul", a, scalar(b)); }
    OnnxValue addConstant(const OnnxValue& a, const at::Tensor& b)
    {
        return add(a, spread(b, a.shape));
    } ///< b is spread to a's shape
    /// b: [last axis]; not for OpenCV's importer.
    OnnxValue addChannels(const OnnxValue& a, const at::Tensor& b) { return add(a, constant(b)); }
    OnnxValue multiplyChannels(const OnnxValue& a, const at::Tensor& b) { return multiply(a, constant(b)); }
    OnnxValue multiplyConstant(const OnnxValue& a, const at::Tensor& b) { return multiply(a, spread(b, a.shape)); }

    OnnxValue unary(const std::string& op, const OnnxValue& x); ///< Erf, Relu, Sigmoid, Sign, Sqrt
    OnnxValue gelu(const OnnxValue& x);                         ///< the exact one
    OnnxValue silu(const OnnxValue& x);

    OnnxValue reshape(const OnnxValue& x, const Shape& shape);
    OnnxValue transpose(const OnnxValue& x, const Shape& order);
    OnnxValue slice(const OnnxValue& x, int64_t axis, int64_t begin, int64_t end);
    std::vector<OnnxValue> split(const OnnxValue& x, int64_t axis, int64_t parts);
    OnnxValue concatenate(const std::vector<OnnxValue>& values, int64_t axis);

    /// Mean, norm, maximum or minimum over axes, which stay with an extent of 1.
    OnnxValue reduce(const std::string& op, const OnnxValue& x,
                     const Shape& axes);   ///< ReduceMean, ReduceL2, ReduceMax, ReduceMin
    OnnxValue softmax(const OnnxValue& x); ///< over the last axis

    OnnxValue product(const OnnxValue& a, const OnnxValue& b); ///< product of matrices in the last two axes
    OnnxValue product(const OnnxValue& a, const at::Tensor& matrix) { return product(a, constant(matrix)); }

    /// x: [N, C, h, w]; `vertical` [H, h] and `horizontal` [W, w] say what each new row and column takes of the old ones.
    OnnxValue resized(const OnnxValue& x, const at::Tensor& vertical, const at::Tensor& horizontal);

    /// weight: [out, in]; bias: [out], or undefined.
    OnnxValue linear(const OnnxValue& x, const at::Tensor& weight, const at::Tensor& bias);

    /// x rounded to bytes and back: QuantizeLinear and DequantizeLinear.
    OnnxValue quantised(const OnnxValue& x, double scale, int64_t zero);

    /// linear() of a quantised x, with the weight as bytes that have a scale for each output. Engines make products of 8 bits of it;
    /// OpenCV's importer does not take it.
    OnnxValue quantisedLinear(const OnnxValue& x, const at::Tensor& weight, const at::Tensor& bias);

    struct Padding
    {
        int64_t top, left, bottom, right;
    };
    OnnxValue convolution(const OnnxValue& x, const at::Tensor& weight, const at::Tensor& bias, int64_t stride,
                          const Padding& padding);
    OnnxValue maxPool(const OnnxValue& x, int64_t kernel, int64_t stride, int64_t padding);
    OnnxValue averagePool(const OnnxValue& x, int64_t rows, int64_t columns); ///< windows of that size side by side

    /// Each row of the last axis to mean 0 and variance 1.
    OnnxValue normed(const OnnxValue& x, double eps);

    void write(const std::filesystem::path& path) const;

private:
    std::vector<OnnxValue> node(const std::string& op, const std::vector<std::string>& inputs, const std::vector<Shape>& outputs,
                                const std::vector<std::string>& attributes = {});
    OnnxValue binary(const std::string& op, const OnnxValue& a, const OnnxValue& b);
    OnnxValue scalar(double value);
    OnnxValue spread(const at::Tensor& b, const Shape& shape);
    std::string integers(const Shape& values); ///< the name of a constant of int64
    OnnxValue keep(const at::Tensor& values);
    OnnxValue shared(const at::Tensor& values); ///< stores equal values once

    struct Weight
    {
        OnnxValue value;
        std::string header; ///< a TensorProto up to its bytes
        at::Tensor values;
    };

    std::string part_;
    std::map<std::string, int> counts_;
    std::map<size_t, std::vector<size_t>> known_; ///< weights by the hash of their bytes
    std::vector<std::string> nodes_, inputs_, outputs_, notes_;
    std::vector<Weight> weights_;
};

} // namespace agpnet
