#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace agpnet
{

/// CLIP's tokenizer: small letters; runs of letters, single digits, and runs of other characters are words; of each word, pairs of pieces
/// become one, in the order in which the training found them. Texts are brought to NFC, as Hugging Face does; OpenAI's own code also
/// replaces HTML entities and repairs texts that were decoded wrongly. A special token's name in a text is text like any other.
class BytePairs
{
public:
    /// OpenAI's bpe_simple_vocab_16e6.txt, or merges.txt: a head line, then one pair a line. The numbers follow from the order, and pairs
    /// are read until there are `size` numbers. `file`: for messages.
    static BytePairs fromMerges(std::string_view merges, int64_t size, const std::string& file);
    /// vocab.json has the numbers; merges.txt as above, to its end.
    static BytePairs fromVocabulary(const nlohmann::json& vocabulary, std::string_view merges, const std::string& file);
    /// tokenizer.json of Hugging Face's tokenizers.
    static BytePairs fromTokenizerJson(const nlohmann::json& json, const std::string& file);

    /// The numbers of the start token, of the pieces, and of the end token; at most `longest` (2 or more) in all. `what`: "text 3", for
    /// the Error that it is not UTF-8.
    std::vector<int64_t> encode(std::string_view text, int64_t longest, std::string_view what = "the text") const;

    int64_t size() const { return size_; } ///< every number is below it
    const std::string& digest() const { return digest_; }

private:
    struct Merge
    {
        int64_t rank;
        int64_t whole; ///< number of the piece that the two become
    };
    struct PairHash
    {
        size_t operator()(const std::pair<int64_t, int64_t>& pair) const
        {
            return static_cast<size_t>(static_cast<uint64_t>(pair.first) * 0x9E3779B97F4A7C15u ^ static_cast<uint64_t>(pair.second));
        }
    };
    using Pair = std::pair<std::string, std::string>;

    BytePairs(const std::unordered_map<std::string, int64_t>& vocabulary, const std::vector<Pair>& pairs, const std::string& file);
    void addWord(std::string_view word, size_t most, std::vector<int64_t>& ids) const;

    int64_t bytes_[256] = {}, lastBytes_[256] = {}; ///< numbers of the pieces of one byte; inside and at the end of a word
    std::unordered_map<std::pair<int64_t, int64_t>, Merge, PairHash> merges_;
    int64_t begin_ = 0, end_ = 0;
    int64_t size_ = 0;
    std::string digest_;
};

} // namespace agpnet
