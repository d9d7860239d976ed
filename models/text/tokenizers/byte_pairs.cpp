#include "models/text/tokenizers/byte_pairs.h"

#include "common/error.h"
#include "common/sha256.h"
#include "models/text/tokenizers/unicode.h"

#include <algorithm>
#include <map>
#include <queue>
#include <tuple>

#include <nlohmann/json.hpp>

namespace agpnet
{

namespace
{

using Json = nlohmann::json;

constexpr const char* beginToken = "<|startoftext|>";
constexpr const char* endToken = "<|endoftext|>";
constexpr const char* endOfWord = "</w>";
constexpr int64_t fewest = 2 * 256 + 2; // each byte, inside and at the end of a word, and the two tokens

bool isPrinted(int byte)
{
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

/// The files write each byte as a character that is seen: itself where it is one, else the next free one from 256.
std::string shownAs(int byte)
{
    char32_t character = static_cast<char32_t>(byte);
    if (!isPrinted(byte))
    {
        character = 256;
        for (int other = 0; other < byte; other++)
            character += isPrinted(other) ? 0 : 1;
    }
    std::string text;
    appendUtf8(text, character);
    return text;
}

std::pair<std::string, std::string> twoOf(std::string_view pair, size_t number, const std::string& file)
{
    const size_t space = pair.find(' ');
    require(space != std::string_view::npos && space > 0 && space + 1 < pair.size() && pair.find(' ', space + 1) == std::string_view::npos,
            "{}: merge {} is not two pieces with a space between them", file, number);
    return {std::string(pair.substr(0, space)), std::string(pair.substr(space + 1))};
}

/// Pairs of a merges file, without its head line and empty lines; at most so many.
std::vector<std::pair<std::string, std::string>> pairsOf(std::string_view text, size_t most, const std::string& file)
{
    std::vector<std::pair<std::string, std::string>> pairs;
    bool first = true;
    while (!text.empty() && pairs.size() < most)
    {
        const size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        const bool head = first && line.find("#version") != std::string_view::npos;
        first = false;
        if (!head && !line.empty())
            pairs.push_back(twoOf(line, pairs.size() + 1, file));
    }
    return pairs;
}

std::unordered_map<std::string, int64_t> vocabularyOf(const Json& json, const std::string& file)
{
    require(json.is_object(), "{}: the vocabulary is not an object", file);
    std::unordered_map<std::string, int64_t> vocabulary;
    for (const auto& [piece, id] : json.items())
    {
        require(id.is_number_integer() && id >= 0 && id <= INT32_MAX, "{}: the number of a piece is {}, expected an integer from 0", file,
                id.dump(-1, ' ', true, Json::error_handler_t::replace));
        vocabulary.emplace(piece, id.get<int64_t>());
    }
    return vocabulary;
}

/// What CLIP takes as words. `text` is in small letters.
std::vector<std::u32string> wordsOf(std::u32string_view text)
{
    const auto isOther = [](CharacterKind kind)
    { return kind != CharacterKind::Space && kind != CharacterKind::Letter && kind != CharacterKind::Number; };
    std::vector<std::u32string> words;
    for (size_t begin = 0; begin < text.size();)
    {
        const CharacterKind kind = kindOf(text[begin]);
        size_t end = begin + 1;
        for (const std::u32string_view ending : {U"'s", U"'t", U"'re", U"'ve", U"'m", U"'ll", U"'d"})
            if (text.substr(begin).starts_with(ending))
                end = begin + ending.size();
        if (end == begin + 1 && kind == CharacterKind::Letter)
            while (end < text.size() && kindOf(text[end]) == CharacterKind::Letter)
                end++;
        else if (end == begin + 1 && isOther(kind))
            while (end < text.size() && isOther(kindOf(text[end])))
                end++;
        if (kind != CharacterKind::Space)
            words.emplace_back(text.substr(begin, end - begin));
        begin = end;
    }
    return words;
}

} // namespace

BytePairs::BytePairs(const std::unordered_map<std::string, int64_t>& vocabulary, const std::vector<Pair>& pairs, const std::string& file)
{
    const auto idOf = [&](const std::string& piece)
    {
        const auto found = vocabulary.find(piece);
        require(found != vocabulary.end(), "{}: the vocabulary of {} pieces lacks \"{}\"", file, vocabulary.size(), piece);
        return found->second;
    };
    for (int byte = 0; byte < 256; byte++)
    {
        bytes_[byte] = idOf(shownAs(byte));
        lastBytes_[byte] = idOf(shownAs(byte) + endOfWord);
    }
    begin_ = idOf(beginToken);
    end_ = idOf(endToken);
    merges_.reserve(pairs.size());
    for (size_t i = 0; i < pairs.size(); i++)
        merges_.emplace(std::pair(idOf(pairs[i].first), idOf(pairs[i].second)),
                        Merge{static_cast<int64_t>(i), idOf(pairs[i].first + pairs[i].second)}); // of two equal ones the first counts

    std::map<int64_t, const std::string*> sorted;
    for (const auto& [piece, id] : vocabulary)
        require(sorted.emplace(id, &piece).second, "{}: two pieces have the number {}", file, id);
    size_ = sorted.rbegin()->first + 1;
    Sha256 hash;
    const auto add = [&](const std::string& line) { hash.update(line.data(), line.size()); };
    for (const auto& [id, piece] : sorted)
        add(fmt::format("{} {} {}\n", id, piece->size(), *piece));
    for (const auto& [left, right] : pairs)
        add(fmt::format("{} {}\n", idOf(left), idOf(right)));
    digest_ = hash.hex();
}

BytePairs BytePairs::fromMerges(std::string_view merges, int64_t size, const std::string& file)
{
    require(size >= fewest, "{}: a vocabulary of {} pieces was asked for, expected at least {}", file, size, fewest);
    const auto most = static_cast<size_t>(size - fewest);
    const std::vector<Pair> pairs = pairsOf(merges, most, file);
    require(pairs.size() == most, "{}: has {} merges, too few for a vocabulary of {} pieces, expected {}", file, pairs.size(), size, most);

    std::unordered_map<std::string, int64_t> vocabulary;
    const auto add = [&](const std::string& piece) { vocabulary.emplace(piece, static_cast<int64_t>(vocabulary.size())); };
    for (const char* ending : {"", endOfWord})
        for (const bool printed : {true, false}) // the bytes that are seen come first
            for (int byte = 0; byte < 256; byte++)
                if (isPrinted(byte) == printed)
                    add(shownAs(byte) + ending);
    for (const auto& [left, right] : pairs)
        add(left + right);
    add(beginToken);
    add(endToken);
    require(static_cast<int64_t>(vocabulary.size()) == size, "{}: some of its {} merges make the same piece, expected {} different ones",
            file, pairs.size(), most);
    return {vocabulary, pairs, file};
}

BytePairs BytePairs::fromVocabulary(const Json& vocabulary, std::string_view merges, const std::string& file)
{
    return {vocabularyOf(vocabulary, file), pairsOf(merges, merges.size(), file), file};
}

BytePairs BytePairs::fromTokenizerJson(const Json& json, const std::string& file)
{
    require(json.is_object() && json.contains("model") && json["model"].is_object(), "{}: has no \"model\"", file);
    const Json& model = json["model"];
    const auto isText = [&](const char* key, const char* expected) { return model.contains(key) && model[key] == expected; };
    require((isText("type", "BPE") || !model.contains("type")) && isText("end_of_word_suffix", endOfWord),
            "{}: is not CLIP's tokenizer, expected the model type BPE and the end_of_word_suffix {}", file, endOfWord);
    require(model.contains("vocab") && model.contains("merges") && model["merges"].is_array(), "{}: has no \"vocab\" or no list \"merges\"",
            file);
    std::vector<Pair> pairs;
    for (const Json& pair : model["merges"])
    {
        const size_t number = pairs.size() + 1;
        const bool two = pair.is_array() && pair.size() == 2 && pair[0].is_string() && pair[1].is_string();
        require(two || pair.is_string(), "{}: merge {} is neither a text nor two", file, number);
        pairs.push_back(two ? Pair(pair[0].get<std::string>(), pair[1].get<std::string>())
                            : twoOf(pair.get_ref<const std::string&>(), number, file));
    }
    return {vocabularyOf(model["vocab"], file), pairs, file};
}

void BytePairs::addWord(std::string_view word, size_t most, std::vector<int64_t>& ids) const
{
    struct Piece
    {
        int64_t id;
        size_t before, next; ///< neighbours that are still there
        bool there = true;
    };
    constexpr size_t none = SIZE_MAX;
    std::vector<Piece> pieces;
    for (size_t i = 0; i < word.size(); i++)
    {
        const auto byte = static_cast<unsigned char>(word[i]);
        const bool last = i + 1 == word.size();
        pieces.push_back({last ? lastBytes_[byte] : bytes_[byte], i > 0 ? i - 1 : none, last ? none : i + 1});
    }
    // The pair that was found first in training goes first; of equal ones, the leftmost.
    using Candidate = std::tuple<int64_t, size_t, int64_t, int64_t>; // rank, left piece, and the numbers that the pair had
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
    const auto consider = [&](size_t left)
    {
        if (left == none || pieces[left].next == none)
            return;
        const int64_t a = pieces[left].id, b = pieces[pieces[left].next].id;
        const auto found = merges_.find({a, b});
        if (found != merges_.end())
            queue.emplace(found->second.rank, left, a, b);
    };
    for (size_t i = 0; i < pieces.size(); i++)
        consider(i);
    while (!queue.empty())
    {
        const auto [rank, left, a, b] = queue.top();
        queue.pop();
        Piece& piece = pieces[left];
        if (!piece.there || piece.id != a || piece.next == none || pieces[piece.next].id != b)
            continue; // one of the two is part of another piece by now
        pieces[piece.next].there = false;
        piece.id = merges_.at({a, b}).whole;
        piece.next = pieces[piece.next].next;
        if (piece.next != none)
            pieces[piece.next].before = left;
        consider(piece.before);
        consider(left);
    }
    for (size_t i = 0; i != none && !pieces.empty() && ids.size() < most; i = pieces[i].next)
        ids.push_back(pieces[i].id);
}

std::vector<int64_t> BytePairs::encode(std::string_view text, int64_t longest, std::string_view what) const
{
    const auto most = static_cast<size_t>(longest);
    std::vector<int64_t> ids = {begin_};
    for (const std::u32string& word : wordsOf(lowerCase(composed(decodeUtf8(text, what)))))
        if (ids.size() < most)
            addWord(encodeUtf8(word), most, ids);
    ids.resize(std::min(ids.size(), most - 1));
    ids.push_back(end_);
    return ids;
}

} // namespace agpnet
