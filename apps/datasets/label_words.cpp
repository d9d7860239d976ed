#include "apps/datasets/label_words.h"

#include "apps/datasets/folder_listing.h"
#include "common/error.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace agpnet::tools
{
namespace
{

constexpr std::array good = {"good",      "ok",           "okay",         "normal",      "pass",       "passed",      "nominal",
                             "healthy",   "intact",       "flawless",     "false",       "defectfree", "nodefect",    "nodefects",
                             "nondefect", "nondefective", "notdefective", "anomalyfree", "noanomaly",  "noanomalies", "nonanomalous",
                             "undamaged", "acceptable",   "io",           "inordnung",   "gut"};
/// Words that mean good as part of a longer name.
constexpr std::array goodParts = {"good",    "ok",      "okay",   "normal",   "pass",      "passed",
                                  "nominal", "healthy", "intact", "flawless", "undamaged", "gut"};
constexpr std::array negations = {"no", "not", "non", "un", "nicht"};
constexpr std::array unclear = {"positive", "negative", "pos", "neg",     "yes",       "no",         "none",
                                "null",     "nan",      "na",  "unknown", "unlabeled", "unlabelled", "unsure"};

template <typename List>
bool holds(const List& list, const std::string& word)
{
    return std::find(list.begin(), list.end(), word) != list.end();
}

/// The words of a name such as "ok_parts2", in lower case and without digits.
std::vector<std::string> partsOf(const std::string& name)
{
    std::vector<std::string> parts(1);
    for (const char c : lowerCase(name))
        if (std::isalpha(static_cast<unsigned char>(c)))
            parts.back() += c;
        else if (!parts.back().empty())
            parts.emplace_back();
    return parts;
}

/// "ok_parts" and "good 2" may be more good pictures, "good_but_dirty" a kind of defect; "not_ok" is one.
bool isPartlyGood(const std::string& name)
{
    const std::vector<std::string> parts = partsOf(name);
    const auto any = [&](const auto& list)
    { return std::any_of(parts.begin(), parts.end(), [&](const std::string& part) { return holds(list, part); }); };
    return any(goodParts) && !any(negations);
}

} // namespace

std::string bareWord(const std::string& word)
{
    std::string text = lowerCase(word);
    std::erase_if(text, [](char c) { return c == ' ' || c == '_' || c == '-' || c == '.'; });
    return text;
}

Meaning meaningOf(const std::string& word)
{
    double number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error == std::errc() && end == word.data() + word.size() && number == number)
        // some write 1 and -1, and mean good by 1
        return number == 0 ? Meaning::Good : (number < 0 ? Meaning::Unclear : Meaning::Anomalous);
    const std::string text = bareWord(word);
    return holds(good, text) ? Meaning::Good : (holds(unclear, text) || isPartlyGood(word) ? Meaning::Unclear : Meaning::Anomalous);
}

std::string goodWords()
{
    return "good, ok, normal, pass, false or 0";
}

GoodNames::GoodNames(std::vector<std::string> named) : named_(std::move(named))
{
    std::transform(named_.begin(), named_.end(), named_.begin(), lowerCase);
}

bool GoodNames::isGood(const std::string& name, const std::string& where) const
{
    require(given() || meaningOf(name) != Meaning::Unclear,
            "{}: '{}' may mean good or defective; --good NAME says which name is that of good images", where, name);
    return isSurelyGood(name);
}

bool GoodNames::isSurelyGood(const std::string& name) const
{
    return given() ? holds(named_, lowerCase(name)) : meaningOf(name) == Meaning::Good;
}

} // namespace agpnet::tools
