#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace agpnet
{

/// BERT's tokenizer for small letters: words and punctuation, without accents, and of each word the longest pieces that the vocabulary
/// has. A special token's name in a text is text like any other.
class WordPiece
{
public:
    /// vocab.txt: one piece a line, its number is the line's, from 0. `file`: for messages.
    static WordPiece fromVocabulary(std::string_view text, const std::string& file);
    /// tokenizer.json of Hugging Face's tokenizers. Settings other than the uncased BERT's are refused.
    static WordPiece fromTokenizerJson(const nlohmann::json& json, const std::string& file);

    /// The numbers of [CLS], of the pieces, and of [SEP]; at most `longest` (2 or more) in all. `what`: "text 3", for the Error that it
    /// is not UTF-8.
    std::vector<int64_t> encode(std::string_view text, int64_t longest, std::string_view what = "the text") const;

    int64_t size() const { return size_; }       ///< every number is below it
    int64_t longest() const { return longest_; } ///< what tokenizer.json cuts at; INT64_MAX where it says nothing
    const std::string& digest() const { return digest_; }

private:
    struct Hash : std::hash<std::string_view>
    {
        using is_transparent = void;
    };
    using Vocabulary = std::unordered_map<std::string, int64_t, Hash, std::equal_to<>>;

    WordPiece(Vocabulary vocabulary, const std::string& file);
    void addWord(std::string_view word, std::vector<int64_t>& ids) const;

    Vocabulary vocabulary_;
    int64_t unknown_, begin_, end_;
    int64_t size_ = 0;
    int64_t longest_ = INT64_MAX;
    std::string digest_;
};

} // namespace agpnet
