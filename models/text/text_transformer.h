// What the text encoders have in common: the blocks, and texts of one length put together.
#pragma once

#include "models/weights/named_weights.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace agpnet
{

/// What weights do not tell, for cases where the default is wrong.
struct TextSettings
{
    std::optional<int64_t> heads = {};
    std::optional<double> layerNormEps = {};
    std::optional<bool> quickGelu = {}; ///< of CLIP
    std::optional<int64_t> width = {};  ///< only checked
};

/// Where a block's parts are found.
struct TextBlockNames
{
    std::string norm1;            ///< the attention's
    std::vector<std::string> qkv; ///< one packed layer or three, up to "weight" and "bias"
    std::string projection;
    std::string norm2; ///< the feed-forward layer's
    std::string hidden;
    std::string output;
};

class TextTransformer
{
public:
    struct Options
    {
        int64_t heads = 0;
        double layerNormEps = 0;
        bool normAfter = false; ///< after each sum, as BERT has it; else before each layer
        bool causal = false;    ///< a token sees those before it only
        bool quickGelu = false; ///< x sigmoid(1.702 x) for GELU
    };

    /// Takes all blocks behind `blocks`, "encoder.layer.", and refuses what else is there; `what`: "sentence encoder", for messages.
    TextTransformer(NamedWeights& source, const std::string& blocks, const TextBlockNames& names, int64_t width, const Options& options,
                    std::string_view what);

    /// tokens: [N, L, width]
    at::Tensor run(at::Tensor tokens) const;

    void addTo(StateDict& weights) const; ///< for a digest
    std::string settings() const;         ///< for a digest

private:
    struct Block
    {
        at::Tensor norm1Weight, norm1Bias, qkvWeight, qkvBias, projectionWeight, projectionBias;
        at::Tensor norm2Weight, norm2Bias, hiddenWeight, hiddenBias, outputWeight, outputBias;
    };

    at::Tensor attention(const Block& block, const at::Tensor& tokens) const;
    at::Tensor feedForward(const Block& block, const at::Tensor& tokens) const;

    Options options_;
    int64_t width_;
    std::vector<Block> blocks_;
};

/// The number of heads that the settings or the guess say; an Error where the width cannot be divided into them.
int64_t headsOf(const TextSettings& settings, int64_t width, int64_t guess);

/// Runs texts of the same number of tokens together, so that none needs padding. `run` makes [N, width] of numbers [N, L], without
/// gradients; the rows are brought to unit length. `ids`: of each text.
at::Tensor encodeByLength(const std::vector<std::vector<int64_t>>& ids, int64_t width,
                          const std::function<at::Tensor(const at::Tensor&)>& run);

} // namespace agpnet
