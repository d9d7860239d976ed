// Shared parts of convolutional backbones: convolutions with their batch norm folded in, one token grid, and what stands for attention.
#pragma once

#include "models/backbones/backbone.h"
#include "models/weights/named_weights.h"
#include "models/device/team.h"

#include <optional>

namespace agpnet
{

enum class Activation
{
    None,
    Relu,
    Relu6,
    Silu
};

struct Convolution
{
    at::Tensor weight; ///< square, odd kernel
    at::Tensor bias;
    int64_t stride = 1;
    /// As TensorFlow pads: the output is the input's size divided by the stride, rounded up; of an odd number of rows to add, the
    /// end gets one more. Otherwise half the kernel on each side.
    bool samePadding = false;

    at::Tensor operator()(const at::Tensor& input, Activation activation) const;
    OnnxValue describe(OnnxWriter& onnx, const OnnxValue& input, Activation activation) const; ///< the same as ONNX nodes

private:
    /// Padding at the top, left, bottom and right.
    OnnxWriter::Padding padding(int64_t rows, int64_t columns) const;
};

/// Makes convolutions out of weights that have been read by the functions below.
struct ConvolutionMaker
{
    const StateDict& weights;
    const ExtractorOptions& options;
    double eps = 1e-5; ///< epsilon of the batch norms
    bool samePadding = false;

    /// `name`.weight, with the batch norm `norm` folded into it: one multiplication and one addition less for each output.
    Convolution folded(const std::string& name, const std::string& norm, int64_t stride = 1) const;
    Convolution plain(const std::string& name) const; ///< with `name`.bias
};

/// Reads `from`.weight into `to`.weight, of any channels and a square, odd kernel; or of just that shape.
at::Tensor takeConvolution(NamedWeights& source, StateDict& ours, const std::string& to, const std::string& from);
at::Tensor takeConvolution(NamedWeights& source, StateDict& ours, const std::string& to, const std::string& from,
                           std::initializer_list<int64_t> shape);

/// The four vectors of a batch norm.
void takeNorm(NamedWeights& source, StateDict& ours, const std::string& to, const std::string& from, int64_t channels);

/// A convolutional network of a stem and stages. The layers that can be asked for are the stages' outputs.
///
/// Ours: all layers are brought to the grid of the given stride, finer ones by averaging, coarser ones bilinearly. There is no
/// attention, so activation energy stands for it: of each layer the mean over channels of the squares, on the grid, stretched to
/// 0..1 in each image; then the mean over layers.
class Cnn : public Extractor
{
public:
    std::vector<OnnxValue> describe(OnnxWriter& onnx, const OnnxValue& image, const std::vector<int>& layers) const final;

protected:
    Cnn(BackboneProperties properties, const ExtractorOptions& options);

    virtual at::Tensor stem(const at::Tensor& image) const = 0;
    virtual at::Tensor stage(size_t index, const at::Tensor& input) const = 0; ///< from 0; leaves its input as it is

    /// The same as ONNX nodes.
    virtual OnnxValue describeStem(OnnxWriter& onnx, const OnnxValue& image) const = 0;
    virtual OnnxValue describeStage(OnnxWriter& onnx, size_t index, const OnnxValue& input) const = 0;

private:
    Output run(const at::Tensor& image, const std::vector<int>& layers, bool attention, AttentionAggregate aggregate) const final;

    at::Device device_;
    at::ScalarType type_;
    std::optional<BriefWaiting> briefWaiting_; ///< on the CPU: between two calls nothing spins
};

} // namespace agpnet
