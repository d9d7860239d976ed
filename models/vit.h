#pragma once

#include "models/state_dict.h"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <nlohmann/json_fwd.hpp>

namespace agpnet
{

/// Everything about a pre-norm vision transformer that its weights' shapes do not say, and what they do say.
struct VitConfig
{
    std::string family; ///< whose names the weights had: "timm" (also DINO), "dinov2", "hf-vit" or "hf-dinov2"
    int64_t patch = 0;
    int64_t width = 0;
    int64_t heads = 0;
    int64_t depth = 0;
    int64_t mlp = 0; ///< width of the hidden layer
    int64_t registers = 0;
    bool layerScale = false;
    int64_t gridH = 0; ///< of the stored position embedding, in patches
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

/// What names and shapes leave open, where the guess is wrong.
struct VitOverrides
{
    std::optional<int64_t> heads; ///< guess: width / 64
    std::optional<int64_t> gridH; ///< guess: square; the width follows
    std::optional<bool> positionAntialias;
    std::optional<double> layerNormEps;
    std::optional<std::array<double, 3>> mean;
    std::optional<std::array<double, 3>> std;
};

enum class ComputeType
{
    Float32,
    BFloat16
};

/// BFloat16 where the processor multiplies it natively, Float32 elsewhere.
ComputeType fastestComputeType();

enum class AttentionAggregate
{
    ClassToken, ///< how much the class token looks at each patch
    MeanQuery   ///< how much the patches look at each patch, on average
};

struct VitOptions
{
    ComputeType compute = ComputeType::Float32;
    /// Lay weights out for oneDNN once, where this LibTorch can. Costs a copy of the weights.
    bool prepack = true;
    at::Device device = at::kCPU;
};

/// A frozen vision transformer. Calls from several threads at once are fine.
class Vit
{
public:
    struct Output
    {
        std::vector<at::Tensor>
            tokens;           ///< per requested layer [N, L, C], float32: the residual stream after that block, patches only
        at::Tensor attention; ///< [N, L], float32; undefined unless asked for
    };

    /// `weights` in timm's names, of the shapes the configuration says; see vitFromStateDict.
    Vit(VitConfig config, const StateDict& weights, const VitOptions& options = {});
    ~Vit();
    Vit(Vit&&) noexcept;
    Vit& operator=(Vit&&) noexcept;

    /// image: [N, 3, H, W], normalised, H and W multiples of the patch. layers: 1-based, rising. Nothing after the last of them
    /// is computed. Attention is the softmax over all tokens, its patch columns averaged over heads and over `layers`.
    /// The results carry no gradient, but may enter a computation that does.
    Output forward(const at::Tensor& image, const std::vector<int>& layers, bool attention = false,
                   AttentionAggregate aggregate = AttentionAggregate::ClassToken) const;

    const VitConfig& config() const;
    const VitOptions& options() const;
    bool prepacked() const; ///< whether the weights are in fact laid out for oneDNN

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// The configuration that names and shapes tell, and the weights in timm's names. Accepts timm, DINO, DINOv2 and the Hugging Face
/// ViT and Dinov2 names behind any prefix; an Error names the tensor that is missing, misshapen or of another architecture.
std::pair<VitConfig, StateDict> recogniseVit(const StateDict& weights, const VitOverrides& overrides = {});

Vit vitFromStateDict(const StateDict& weights, const VitOverrides& overrides = {}, const VitOptions& options = {});

} // namespace agpnet
