// The backbone for the program: an interface, a handful of properties, and a list of families that make one from weights.
// How to add a family: CONTRIBUTING.md.
#pragma once

#include "models/onnx/onnx_writer.h"
#include "models/layers/precision.h"
#include "models/layers/quantisation.h"
#include "models/weights/mapped_file.h"
#include "models/weights/state_dict.h"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>
#include <nlohmann/json.hpp>

namespace agpnet
{

/// Attention that is the prior of a transformer. A convolutional network has none; see Cnn.
enum class AttentionAggregate
{
    ClassToken, ///< attention of the class token to each patch
    MeanQuery   ///< mean attention of all patches to each patch
};

/// What one image becomes as a whole, for retrieval. All after the backbone's final norm, where it has one.
enum class Embedding
{
    ClassToken, ///< the class token; of CLIP, projected to the space of its texts
    Patches,    ///< the mean of the patch tokens; of a convolutional network, the mean of its last layer
    Both        ///< one behind the other, each of unit length
};

struct ExtractorOptions
{
    ComputeType compute = ComputeType::Float32;
    /// Lay weights out for oneDNN once, where the backbone and this LibTorch can. Costs a copy of the weights.
    bool prepack = true;
    at::Device device = at::kCPU;
    int64_t depth = 0; ///< number of blocks of a transformer that are used, from the first; 0: all. The others cost no memory
    /// Quantization ranges of a transformer's blocks, for Int8 in forward() and describe(). Other networks compute in float32.
    Ranges ranges = {};
    /// Called now and then: the weights read so far have been copied.
    std::function<void()> copied = [] {};
};

/// Properties of a backbone that follow without its weights.
struct BackboneProperties
{
    int64_t stride = 0;            ///< the image's sides are multiples of it; the token grid is the image's size divided by it
    std::vector<int64_t> channels; ///< channels of each layer that can be requested, from the first to the last
    std::array<double, 3> mean = {0.485, 0.456, 0.406}; ///< the image is (pixel / 255 - mean) / std; by default as on ImageNet
    std::array<double, 3> std = {0.229, 0.224, 0.225};
    std::vector<int> defaultLayers; ///< 1-based, rising: what to ask for where nobody says
    int64_t classWidth = 0; ///< width of Embedding::ClassToken; 0: there is none

    int64_t embeddingWidth(Embedding kind) const; ///< refuses what the backbone lacks, and says what it has
    int depth() const { return static_cast<int>(channels.size()); }
};

/// A frozen feature extractor. Calls from several threads at once are fine.
class Extractor
{
public:
    struct Output
    {
        std::vector<at::Tensor> tokens; ///< per requested layer [N, L, channels of that layer], float32, all on one grid
        at::Tensor attention;           ///< [N, L], float32, not negative; undefined unless asked for
        at::Tensor classToken;          ///< [N, C] after the last requested layer, float32; undefined without a class token
    };

    virtual ~Extractor() = default;
    Extractor(const Extractor&) = delete;
    Extractor& operator=(const Extractor&) = delete;

    /// image: [N, 3, H, W], normalised, H and W multiples of the stride. layers: 1-based, rising. Nothing after the last of them
    /// is computed. The results carry no gradient, but may enter a computation that does.
    Output forward(const at::Tensor& image, const std::vector<int>& layers, bool attention = false,
                   AttentionAggregate aggregate = AttentionAggregate::ClassToken) const;

    /// Writes the computation of forward() for one image [1, 3, H, W] as nodes of an ONNX graph. Returns for each layer the tokens [1, L,
    /// channels]. Only of an extractor in float32 that is not laid out for oneDNN. A family that has no such description refuses.
    virtual std::vector<OnnxValue> describe(OnnxWriter& onnx, const OnnxValue& image, const std::vector<int>& layers) const;

    /// One vector an image, [N, properties().embeddingWidth(kind)], float32; as forward() otherwise. Needs all layers.
    at::Tensor embed(const at::Tensor& image, Embedding kind) const;

    /// Writes embed() for one image as nodes of an ONNX graph: [1, width].
    virtual OnnxValue describeEmbedding(OnnxWriter& onnx, const OnnxValue& image, Embedding kind) const;

    const BackboneProperties& properties() const { return properties_; }

protected:
    explicit Extractor(BackboneProperties properties);

private:
    /// forward() has checked what is given, and checks the shapes of what is returned. No gradient is recorded around it.
    virtual Output run(const at::Tensor& image, const std::vector<int>& layers, bool attention,
                       AttentionAggregate aggregate) const = 0;

    /// What embed() makes of the last layer's output. `kind` is ClassToken or Patches.
    virtual at::Tensor toEmbedding(const Output& last, Embedding kind) const;

    void checkImage(const at::Tensor& image) const;

    BackboneProperties properties_;
};

/// One way of making extractors.
struct BackboneFamily
{
    std::string name; ///< name in the model file

    /// Ends of tensors' names, at a dot, by which weights of this family are told.
    std::vector<std::string> keyNames;

    /// The configuration that names and shapes tell, and the weights in the family's own names. An Error names the tensor that is
    /// missing, misshapen or of another architecture. `file` is the stem of the file's name, or empty: the last resort for what
    /// weights do not say.
    std::pair<nlohmann::json, StateDict> (*recognise)(const StateDict& weights, const std::string& file) = nullptr;

    /// Error where a field of the configuration is missing, unknown or senseless.
    BackboneProperties (*properties)(const nlohmann::json& config) = nullptr;

    /// Error where the weights are not those that the configuration describes.
    std::unique_ptr<Extractor> (*make)(const nlohmann::json& config, const StateDict& weights,
                                       const ExtractorOptions& options) = nullptr;
};

/// A family of which Config is the configuration, with JSON and a propertiesOf(), and Network the extractor made from it.
template <typename Config, typename Network>
BackboneFamily familyOf(std::string name, std::vector<std::string> keyNames, decltype(BackboneFamily::recognise) recognise)
{
    BackboneFamily family;
    family.name = std::move(name);
    family.keyNames = std::move(keyNames);
    family.recognise = recognise;
    family.properties = [](const nlohmann::json& config) { return propertiesOf(config.get<Config>()); };
    family.make = [](const nlohmann::json& config, const StateDict& weights,
                     const ExtractorOptions& options) -> std::unique_ptr<Extractor>
    { return std::make_unique<Network>(config.get<Config>(), weights, options); };
    return family;
}

/// Adds a family to those of this library (vit, resnet, efficientnet). Its name must be new.
void addBackboneFamily(BackboneFamily family);

/// Identity of a backbone: the family, what the family needs to make it again from its weights, and the properties that follow.
struct BackboneConfig : BackboneProperties
{
    std::string family;
    nlohmann::json details;
};

/// One object: the details and "architecture", the family's name. Without it (as files had it before there were several): "vit".
void to_json(nlohmann::json& json, const BackboneConfig& config);
void from_json(const nlohmann::json& json, BackboneConfig& config);

/// Asks the first family that has one of the names among its key names; see BackboneFamily::recognise.
std::pair<BackboneConfig, StateDict> recogniseBackbone(const StateDict& weights, const std::string& file = {});

/// A frozen feature extractor and where it came from.
struct Backbone
{
    std::string name;   ///< for people: the file's stem
    std::string path;   ///< file that it was read from; empty if it was embedded
    std::string hash;   ///< backboneHash(weights): its identity
    StateDict weights;  ///< weights, with the family's own names
    BackboneConfig config;
    Bytes mapped; ///< the file that the weights look into, where nothing was written to it; else empty
};

/// Names of the weights behind the last block, which only embeddings need: [C], [C] and [C, classWidth].
constexpr char finalNormWeight[] = "norm.weight", finalNormBias[] = "norm.bias", classProjection[] = "projection";

/// stateDictHash() of all but those: model files of earlier versions name a backbone by it.
std::string backboneHash(StateDict weights);

/// An Error names the file, and the tensor that is missing, misshapen or of another architecture.
Backbone readBackbone(const std::string& path);

/// images in 0 to 1 → what the backbone expects, on their own device.
at::Tensor normalised(const BackboneProperties& backbone, const at::Tensor& images);

std::unique_ptr<Extractor> makeExtractor(const BackboneConfig& config, const StateDict& weights,
                                         const ExtractorOptions& options = {});

} // namespace agpnet
