// AGPNet for inference: frozen backbone, F_clean, decoder. The auxiliary branch lives in training.h and is not needed here.
#pragma once

#include "models/backbones/backbone.h"
#include "models/agpnet/config.h"
#include "models/agpnet/decoder/decoder.h"
#include "models/agpnet/standardizer.h"
#include "models/agpnet/decoder/frozen_decoder.h"
#include "models/layers/precision.h"
#include "models/weights/state_dict.h"

#include <memory>

namespace agpnet
{

/// The config with what it leaves open filled in for this backbone: input size, layers, width of the decoder.
Config completed(Config config, const BackboneProperties& backbone);

/// Refuses a config that the backbone cannot serve.
DecoderShape decoderShape(const Config& config, const BackboneProperties& backbone);

struct Features
{
    at::Tensor tokens; ///< [N, L, C], float32: what the groups of layers give, before they are brought to one scale
    at::Tensor prior;  ///< prior attention [N, L]; undefined unless asked for
};

/// images: [N, 3 or 6, H, W], RGB and perhaps geometry, 0 to 1, at the config's size.
Features extractFeatures(const Extractor& extractor, const Config& config, const at::Tensor& images, bool attention);

Features extractNormalised(const Extractor& extractor, const Config& config, const at::Tensor& normalisedImages, bool attention);

/// Tokens [N, rows·columns, C] seen as [N, C, rows, columns]; no copy.
at::Tensor asGrid(const at::Tensor& tokens, int rows, int columns);

struct Reconstruction
{
    at::Tensor clean;         ///< [N, C, h, w], float32, a view of tokens
    at::Tensor reconstructed; ///< [N, C, h, w], float32, a view of tokens
    at::Tensor product;       ///< product whose scale each image got, [N]; undefined from Training::reconstruct()
};

/// Quantization ranges of the inputs of the layers of both transformers. A convolutional backbone has none.
struct NetRanges
{
    Ranges backbone, decoder;
};

/// Immutable after construction; every method may be called from several threads.
class AgpNet
{
public:
    /// @param ranges  wanted for products of 8 bits
    AgpNet(const Config& config, const Backbone& backbone, const Standardizer& scale, const Decoder& decoder, ComputeType compute,
           at::Device device = at::kCPU, const NetRanges& ranges = {});

    /// images as in extractFeatures, on the model's device, as are the results. Nothing waits for a device.
    Reconstruction reconstruct(const at::Tensor& images) const;

    const Config& config() const { return config_; }
    ComputeType compute() const { return compute_; }
    at::Device device() const { return device_; }
    int rows() const { return decoder_.shape().rows; }
    int columns() const { return decoder_.shape().columns; }
    int channels() const { return decoder_.shape().channels; }
    int64_t products() const { return scale_.products(); } ///< that the scale of features tells apart

private:
    Config config_;
    ComputeType compute_;
    at::Device device_;
    std::unique_ptr<Extractor> extractor_;
    Standardizer scale_;
    FrozenDecoder decoder_;
};

} // namespace agpnet
