#pragma once

#include "models/text/text_encoder.h"
#include "models/text/text_transformer.h"
#include "models/text/tokenizers/wordpiece.h"

namespace agpnet
{

/// A BERT that was trained to encode sentences (MiniLM): the mean of all tokens after the last block.
class SentenceEncoder final : public TextEncoder
{
public:
    /// `weights` in Hugging Face's names, behind any prefix. `file`: the tokenizer's, for messages.
    SentenceEncoder(const StateDict& weights, WordPiece tokenizer, const std::string& file, const TextSettings& settings = {});

    static std::vector<std::string> keyNames(); ///< see findTheKey

    at::Tensor encode(const std::vector<std::string>& texts) const override;
    int64_t width() const override { return width_; }
    std::string digest() const override { return digest_; }

private:
    SentenceEncoder(NamedWeights source, WordPiece tokenizer, const std::string& file, const TextSettings& settings);
    at::Tensor run(const at::Tensor& ids) const;

    WordPiece tokenizer_;
    at::Tensor words_, positions_, segment_, normWeight_, normBias_;
    int64_t width_;
    double layerNormEps_;
    TextTransformer transformer_;
    std::string digest_;
};

} // namespace agpnet
