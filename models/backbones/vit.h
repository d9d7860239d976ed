#pragma once

#include "models/backbones/backbone.h"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace agpnet
{

/// Everything about a pre-norm vision transformer that its weights' shapes do not say, and what they do say.
struct VitConfig
{
    /// Whose names the weights had: "timm" (also DINO and DeiT), "dinov2", "hf-vit" (also DeiT), "hf-dinov2", "clip" (OpenAI's,
    /// also open_clip's) or "hf-clip".
    std::string family;
    int64_t patch = 0;
    int64_t width = 0;
    int64_t heads = 0;
    int64_t depth = 0;
    int64_t mlp = 0; ///< width of the hidden layer
    int64_t registers = 0; ///< tokens between the class token and the patches; a distilled DeiT's distillation token is one
    bool layerScale = false;
    bool normPre = false;   ///< CLIP: a layer norm before the first block, and patches without a bias
    bool quickGelu = false; ///< CLIP: x sigmoid(1.702 x) for GELU
    bool finalNorm = false; ///< the weights have the norm behind the last block: there are embeddings
    int64_t projection = 0; ///< CLIP: width of the class token's projection to the space of texts; 0: none
    int64_t gridH = 0; ///< rows of the stored position embedding, in patches
    int64_t gridW = 0;
    /// How many of the leading tokens (class token, then registers) have a position of their own: 0, 1 or 1 + registers.
    int64_t positionedPrefix = 1;
    /// Positions are resampled bicubically, corners not aligned. Antialiasing blurs them where the grid shrinks.
    bool positionAntialias = false;
    double layerNormEps = 1e-6;
    std::array<double, 3> mean = {0.485, 0.456, 0.406}; ///< the image is (pixel / 255 - mean) / std
    std::array<double, 3> std = {0.229, 0.224, 0.225};

    bool operator==(const VitConfig&) const = default;
};

void to_json(nlohmann::json& json, const VitConfig& config);
void from_json(const nlohmann::json& json, VitConfig& config); ///< Error where a field is missing, unknown or senseless
BackboneProperties propertiesOf(const VitConfig& config);

/// Properties that names and shapes do not tell, for cases where the default is wrong.
struct VitOverrides
{
    std::optional<int64_t> heads; ///< guess: one per 64 channels, as most have it
    std::optional<int64_t> gridH; ///< guess: square; the width follows
    std::optional<bool> positionAntialias;
    std::optional<double> layerNormEps;
    std::optional<bool> quickGelu; ///< guess: for CLIP, except in timm's names, whose models of these widths have GELU
    std::optional<std::array<double, 3>> mean;
    std::optional<std::array<double, 3>> std;
};

/// A frozen vision transformer. Calls from several threads at once are fine.
class Vit final : public Extractor
{
public:
    /// `weights` in timm's names, of the shapes the configuration says; see vitFromStateDict.
    Vit(VitConfig config, const StateDict& weights, const ExtractorOptions& options = {});
    ~Vit() override;

    const VitConfig& config() const;
    const ExtractorOptions& options() const;
    std::vector<OnnxValue> describe(OnnxWriter& onnx, const OnnxValue& image, const std::vector<int>& layers) const override;
    OnnxValue describeEmbedding(OnnxWriter& onnx, const OnnxValue& image, Embedding kind) const override;

private:
    /// Tokens: the residual stream after a block, patches only. Attention: the softmax over all tokens, its patch columns
    /// averaged over heads and over `layers`.
    Output run(const at::Tensor& image, const std::vector<int>& layers, bool attention, AttentionAggregate aggregate) const override;
    at::Tensor toEmbedding(const Output& last, Embedding kind) const override;

    /// Calls use(x, blocks) with all tokens [1, T, C] after each block, up to the last that is asked for.
    void describeBlocks(OnnxWriter& onnx, const OnnxValue& image, int last, const std::function<void(const OnnxValue&, int)>& use) const;

    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// The configuration that names and shapes tell, and the weights in timm's names. Accepts the names of timm, DINO, DINOv2, DeiT,
/// OpenAI's CLIP, and Hugging Face's ViT, DeiT, Dinov2 and CLIP, behind any prefix; of a whole CLIP it uses the image half.
/// An Error names the tensor that is missing, misshapen or of another architecture.
std::pair<VitConfig, StateDict> recogniseVit(const StateDict& weights, const VitOverrides& overrides = {});

Vit vitFromStateDict(const StateDict& weights, const VitOverrides& overrides = {}, const ExtractorOptions& options = {});

BackboneFamily vitFamily();

} // namespace agpnet
