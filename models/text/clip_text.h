#pragma once

#include "models/text/text_encoder.h"
#include "models/text/text_transformer.h"
#include "models/text/tokenizers/byte_pairs.h"

namespace agpnet
{

/// CLIP's text half: a pre-norm transformer in which a token sees those before it; the end token after the last norm, projected into the
/// space of the images.
class ClipText final : public TextEncoder
{
public:
    /// `weights` in the names of OpenAI (also open_clip's) or Hugging Face, behind any prefix; of a whole CLIP the text half is used.
    /// `file`: the tokenizer's, for messages.
    ClipText(const StateDict& weights, BytePairs tokenizer, const std::string& file, const TextSettings& settings = {});

    static std::vector<std::string> keyNames(); ///< see findTheKey
    static int64_t vocabularySize(const StateDict& weights);

    at::Tensor encode(const std::vector<std::string>& texts) const override;
    int64_t width() const override { return projection_.size(1); }
    std::string digest() const override { return digest_; }

private:
    struct Names;
    ClipText(NamedWeights source, const Names& names, BytePairs tokenizer, const std::string& file, const TextSettings& settings);
    at::Tensor run(const at::Tensor& ids) const;

    BytePairs tokenizer_;
    at::Tensor words_, positions_, normWeight_, normBias_;
    at::Tensor projection_; ///< [inner width, width()]
    int64_t innerWidth_;
    double layerNormEps_;
    TextTransformer transformer_;
    std::string digest_;
};

} // namespace agpnet
