#include "models/text/tokenizers/unicode.h"

#include "common/error.h"
#include "models/text/tokenizers/unicode_tables.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

namespace agpnet
{

namespace
{

// The Korean syllables are composed by a rule: a first sound, a vowel, and perhaps a last sound.
constexpr char32_t syllables = 0xAC00, firsts = 0x1100, vowels = 0x1161, lasts = 0x11A7;
constexpr char32_t firstCount = 19, vowelCount = 21, lastCount = 28, syllableCount = firstCount * vowelCount * lastCount;

/// The entry of a sorted table of ranges that has the character, or nullptr.
template <typename Range, size_t count>
const Range* rangeOf(const Range (&table)[count], char32_t character)
{
    const Range* found = std::lower_bound(std::begin(table), std::end(table), character,
                                          [](const Range& range, char32_t value) { return range.last < value; });
    return found != std::end(table) && found->first <= character ? found : nullptr;
}

int classOf(char32_t character)
{
    const unicode::Class* found = rangeOf(unicode::classes, character);
    return found ? found->order : 0;
}

void decompose(char32_t character, std::u32string& out)
{
    if (character >= syllables && character < syllables + syllableCount)
    {
        const char32_t index = character - syllables;
        out += firsts + index / (vowelCount * lastCount);
        out += vowels + index / lastCount % vowelCount;
        if (index % lastCount > 0)
            out += lasts + index % lastCount;
        return;
    }
    const auto* found = std::lower_bound(std::begin(unicode::decompositions), std::end(unicode::decompositions), character,
                                         [](const unicode::Decomposition& entry, char32_t value) { return entry.whole < value; });
    if (found == std::end(unicode::decompositions) || found->whole != character)
    {
        out += character;
        return;
    }
    decompose(found->first, out);
    if (found->second)
        decompose(found->second, out);
}

/// The character that two become, or 0.
char32_t compose(char32_t first, char32_t second)
{
    if (first >= firsts && first < firsts + firstCount && second >= vowels && second < vowels + vowelCount)
        return syllables + ((first - firsts) * vowelCount + (second - vowels)) * lastCount;
    if (first >= syllables && first < syllables + syllableCount && (first - syllables) % lastCount == 0 && second > lasts &&
        second < lasts + lastCount)
        return first + (second - lasts);
    static const std::map<std::pair<char32_t, char32_t>, char32_t> pairs = []
    {
        std::map<std::pair<char32_t, char32_t>, char32_t> made;
        for (const unicode::Decomposition& entry : unicode::decompositions)
            if (entry.composes)
                made[{entry.first, entry.second}] = entry.whole;
        return made;
    }();
    const auto found = pairs.find({first, second});
    return found == pairs.end() ? 0 : found->second;
}

/// Reads the character at `at` and moves behind it; false where there is none.
bool readUtf8(std::string_view text, size_t& at, char32_t& character)
{
    const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
    const unsigned first = byte(at);
    const size_t length = first < 0x80                    ? 1
                          : first >= 0xC2 && first < 0xE0 ? 2
                          : first >= 0xE0 && first < 0xF0 ? 3
                          : first >= 0xF0 && first < 0xF5 ? 4
                                                          : 0;
    if (length == 0)
        return false;
    char32_t value = length == 1 ? first : first & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++)
    {
        if (at + i >= text.size() || (byte(at + i) & 0xC0u) != 0x80)
            return false;
        value = value << 6 | (byte(at + i) & 0x3Fu);
    }
    constexpr char32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < least[length] || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
        return false;
    at += length;
    character = value;
    return true;
}

} // namespace

CharacterKind kindOf(char32_t character)
{
    const unicode::Kind* found = rangeOf(unicode::kinds, character);
    return found ? found->kind : CharacterKind::Other;
}

size_t invalidUtf8(std::string_view text)
{
    char32_t character = 0;
    for (size_t at = 0; at < text.size();)
        if (!readUtf8(text, at, character))
            return at;
    return std::string::npos;
}

std::u32string decodeUtf8(std::string_view text, std::string_view what)
{
    std::u32string characters;
    char32_t character = 0;
    for (size_t at = 0; at < text.size();)
    {
        if (!readUtf8(text, at, character))
            fail("{} is not UTF-8: its byte {} is 0x{:02x}", what, at, static_cast<unsigned char>(text[at]));
        characters += character;
    }
    return characters;
}

void appendUtf8(std::string& text, char32_t character)
{
    const auto put = [&](char32_t byte) { text += static_cast<char>(byte); };
    const auto follow = [&](int shift) { put(0x80 | ((character >> shift) & 0x3F)); };
    if (character < 0x80)
        return put(character);
    if (character < 0x800)
    {
        put(0xC0 | character >> 6);
        return follow(0);
    }
    if (character < 0x10000)
    {
        put(0xE0 | character >> 12);
        follow(6);
        return follow(0);
    }
    put(0xF0 | character >> 18);
    follow(12);
    follow(6);
    follow(0);
}

std::string encodeUtf8(std::u32string_view text)
{
    std::string bytes;
    for (const char32_t character : text)
        appendUtf8(bytes, character);
    return bytes;
}

std::u32string lowerCase(std::u32string_view text)
{
    std::u32string small;
    for (const char32_t character : text)
    {
        const unicode::Lower* found = rangeOf(unicode::lowers, character);
        if (character == 0x130) // the one capital with a small form of two characters
            small += U"i\u0307";
        else if (found && (character - found->first) % found->step == 0)
            small += static_cast<char32_t>(static_cast<int64_t>(character) + found->distance);
        else
            small += character;
    }
    return small;
}

std::u32string decomposed(std::u32string_view text)
{
    std::u32string apart;
    for (const char32_t character : text)
        decompose(character, apart);
    // Marks that follow one another are sorted by class; of one class they keep their order.
    std::vector<int> classes;
    for (const char32_t character : apart)
        classes.push_back(classOf(character));
    for (size_t begin = 0; begin < apart.size();)
    {
        size_t end = begin + 1;
        if (classes[begin] > 0)
        {
            while (end < apart.size() && classes[end] > 0)
                end++;
            std::stable_sort(apart.begin() + static_cast<std::ptrdiff_t>(begin), apart.begin() + static_cast<std::ptrdiff_t>(end),
                             [](char32_t a, char32_t b) { return classOf(a) < classOf(b); });
        }
        begin = end;
    }
    return apart;
}

std::u32string composed(std::u32string_view text)
{
    const std::u32string apart = decomposed(text);
    std::u32string out;
    size_t starter = std::u32string::npos; // the last character of class 0
    int before = 0;                        // class of the last character kept behind it
    for (const char32_t character : apart)
    {
        const int order = classOf(character);
        const bool next = starter != std::u32string::npos && starter + 1 == out.size();
        if (starter != std::u32string::npos && (next || (before < order)))
        {
            const char32_t whole = compose(out[starter], character);
            if (whole)
            {
                out[starter] = whole;
                continue;
            }
        }
        if (order == 0)
            starter = out.size();
        before = order;
        out += character;
    }
    return out;
}

} // namespace agpnet
