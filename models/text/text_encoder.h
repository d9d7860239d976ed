#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace agpnet
{

/// A frozen network that makes a vector of a text. Calls from several threads at once are fine.
class TextEncoder
{
public:
    virtual ~TextEncoder() = default;
    TextEncoder(const TextEncoder&) = delete;
    TextEncoder& operator=(const TextEncoder&) = delete;

    /// [N, width()], float32, each row of unit length. A text is UTF-8, in any number of words; what goes beyond the network's context is
    /// not read. Texts of one call do not influence one another. An Error names the text that is not UTF-8.
    virtual at::Tensor encode(const std::vector<std::string>& texts) const = 0;

    virtual int64_t width() const = 0;

    /// Of the weights, the vocabulary and the settings: vectors of encoders with one digest are comparable.
    virtual std::string digest() const = 0;

protected:
    TextEncoder() = default;
};

/// Reads a CLIP's text half or a BERT that encodes sentences; names of tensors distinguish them. `path` is the file of weights, or a folder
/// with one. Beside the weights lies the tokenizer: tokenizer.json; or vocab.txt of a BERT; or vocab.json and merges.txt, merges.txt, or
/// bpe_simple_vocab_16e6.txt of a CLIP. Settings that the weights do not tell come from config.json or open_clip_config.json where there
/// is one.
std::unique_ptr<TextEncoder> readTextEncoder(const std::filesystem::path& path);

} // namespace agpnet
