#include "models/text/tokenizers/wordpiece.h"

#include "common/error.h"
#include "common/sha256.h"
#include "models/text/tokenizers/unicode.h"

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

namespace agpnet
{

namespace
{

using Json = nlohmann::json;

constexpr std::string_view inside = "##"; // begins a piece that does not begin a word
constexpr int64_t longestWord = 100;      // characters; a longer one is unknown as a whole

/// Chinese characters are words by themselves. The blocks are those that BERT names.
bool isChinese(char32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B820 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

bool isPunctuation(char32_t c)
{
    if (c < 0x80) // symbols count, too
        return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
    return kindOf(c) == CharacterKind::Punctuation;
}

/// Words and punctuation, in small letters without accents.
std::vector<std::u32string> wordsOf(std::u32string_view text)
{
    std::u32string clean;
    for (const char32_t c : text)
        if (c == '\t' || c == '\n' || c == '\r')
            clean += U' ';
        else if (c != 0xFFFD && kindOf(c) != CharacterKind::Control && (c >= 0x20 && (c < 0x7F || c >= 0xA0))) // some spaces are controls
            clean += isChinese(c) ? std::u32string{U' ', c, U' '} : std::u32string{c};
    std::u32string plain;
    for (const char32_t c : decomposed(clean))
        if (kindOf(c) != CharacterKind::Accent)
            plain += c;

    std::vector<std::u32string> words;
    bool open = false; // whether the last word goes on
    for (const char32_t c : lowerCase(plain))
    {
        const bool space = kindOf(c) == CharacterKind::Space, punctuation = isPunctuation(c);
        if (space || punctuation || !open)
            open = false;
        if (space)
            continue;
        if (!open)
            words.emplace_back();
        words.back() += c;
        open = !punctuation;
    }
    return words;
}

/// An Error unless the member is what the uncased BERT has.
void expectMember(const Json& object, const char* where, const char* key, const std::vector<Json>& expected, const std::string& file)
{
    const Json value = object.is_object() && object.contains(key) ? object[key] : Json();
    const bool good = std::find(expected.begin(), expected.end(), value) != expected.end();
    require(good, "{}: {} has \"{}\" {}, expected {} as of the uncased BERT", file, where, key,
            value.dump(-1, ' ', true, Json::error_handler_t::replace), expected[0].dump());
}

} // namespace

WordPiece::WordPiece(Vocabulary vocabulary, const std::string& file) : vocabulary_(std::move(vocabulary))
{
    const auto special = [&](const char* name)
    {
        const auto found = vocabulary_.find(std::string_view(name));
        require(found != vocabulary_.end(), "{}: the vocabulary of {} pieces lacks {}", file, vocabulary_.size(), name);
        return found->second;
    };
    unknown_ = special("[UNK]");
    begin_ = special("[CLS]");
    end_ = special("[SEP]");
    std::map<int64_t, const std::string*> sorted;
    for (const auto& [piece, id] : vocabulary_)
        require(sorted.emplace(id, &piece).second, "{}: two pieces have the number {}", file, id);
    size_ = sorted.rbegin()->first + 1;
    Sha256 hash;
    for (const auto& [id, piece] : sorted)
    {
        const std::string line = fmt::format("{} {} {}\n", id, piece->size(), *piece);
        hash.update(line.data(), line.size());
    }
    digest_ = hash.hex();
}

WordPiece WordPiece::fromVocabulary(std::string_view text, const std::string& file)
{
    Vocabulary vocabulary;
    int64_t line = 0;
    for (; !text.empty(); line++)
    {
        const size_t end = text.find('\n');
        std::string_view piece = text.substr(0, end);
        if (piece.ends_with('\r'))
            piece.remove_suffix(1);
        require(vocabulary.emplace(piece, line).second, "{}: line {} holds a piece that an earlier line has", file, line + 1);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return {std::move(vocabulary), file};
}

WordPiece WordPiece::fromTokenizerJson(const Json& json, const std::string& file)
{
    const auto part = [&](const char* key)
    {
        require(json.is_object() && json.contains(key), "{}: has no \"{}\"", file, key);
        return json[key];
    };
    const Json model = part("model"), normalizer = part("normalizer"), splitter = part("pre_tokenizer");
    expectMember(model, "the model", "type", {"WordPiece", nullptr}, file); // older files do not say it
    expectMember(model, "the model", "continuing_subword_prefix", {inside}, file);
    expectMember(model, "the model", "max_input_chars_per_word", {longestWord}, file);
    expectMember(model, "the model", "unk_token", {"[UNK]"}, file);
    expectMember(normalizer, "the normalizer", "type", {"BertNormalizer"}, file);
    expectMember(normalizer, "the normalizer", "clean_text", {true}, file);
    expectMember(normalizer, "the normalizer", "handle_chinese_chars", {true}, file);
    expectMember(normalizer, "the normalizer", "strip_accents", {nullptr, true}, file);
    expectMember(normalizer, "the normalizer", "lowercase", {true}, file);
    expectMember(splitter, "the pre_tokenizer", "type", {"BertPreTokenizer"}, file);

    require(model.contains("vocab") && model["vocab"].is_object(), "{}: the model's \"vocab\" is not an object", file);
    Vocabulary vocabulary;
    for (const auto& [piece, id] : model["vocab"].items())
    {
        require(id.is_number_integer() && id >= 0 && id <= INT32_MAX, "{}: the number of a piece is {}, expected an integer from 0", file,
                id.dump(-1, ' ', true, Json::error_handler_t::replace));
        vocabulary.emplace(piece, id.get<int64_t>());
    }
    WordPiece made(std::move(vocabulary), file);
    if (json.contains("truncation") && json["truncation"].is_object() && json["truncation"].contains("max_length"))
    {
        const Json& most = json["truncation"]["max_length"];
        require(most.is_number_integer() && most >= 2 && most <= INT32_MAX,
                "{}: the truncation's \"max_length\" is {}, expected an integer from 2", file,
                most.dump(-1, ' ', true, Json::error_handler_t::replace));
        made.longest_ = most.get<int64_t>();
    }
    return made;
}

void WordPiece::addWord(std::string_view word, std::vector<int64_t>& ids) const
{
    const size_t before = ids.size();
    std::string piece;
    for (size_t begin = 0; begin < word.size();)
    {
        size_t end = word.size();
        auto found = vocabulary_.end();
        for (; end > begin; end--) // a vocabulary is of whole characters, so bytes inside of one are never found
        {
            if (end < word.size() && (static_cast<unsigned char>(word[end]) & 0xC0u) == 0x80)
                continue;
            piece = begin > 0 ? inside : "";
            piece += word.substr(begin, end - begin);
            found = vocabulary_.find(piece);
            if (found != vocabulary_.end())
                break;
        }
        if (found == vocabulary_.end())
        {
            ids.resize(before);
            ids.push_back(unknown_);
            return;
        }
        ids.push_back(found->second);
        begin = end;
    }
}

std::vector<int64_t> WordPiece::encode(std::string_view text, int64_t longest, std::string_view what) const
{
    const auto most = static_cast<size_t>(std::min(longest, longest_));
    std::vector<int64_t> ids = {begin_};
    for (const std::u32string& word : wordsOf(decodeUtf8(text, what)))
    {
        if (ids.size() >= most)
            break;
        if (static_cast<int64_t>(word.size()) > longestWord)
            ids.push_back(unknown_);
        else
            addWord(encodeUtf8(word), ids);
    }
    ids.resize(std::min(ids.size(), most - 1));
    ids.push_back(end_);
    return ids;
}

} // namespace agpnet
