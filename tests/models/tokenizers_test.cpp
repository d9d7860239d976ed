// Tokenizers against those of Hugging Face on odd texts; see make_text_fixtures.py.
#include "models/text/tokenizers/byte_pairs.h"
#include "models/text/tokenizers/unicode.h"
#include "models/text/tokenizers/wordpiece.h"
#include "support.h"

#include <numeric>

#include <nlohmann/json.hpp>

namespace agpnet::test
{
namespace
{

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Ids = std::vector<int64_t>;
using Json = nlohmann::json;

const std::filesystem::path fixtures = TEXT_FIXTURES;

Json fixtureJson(const char* name)
{
    return Json::parse(slurp(fixtures / name));
}

WordPiece wordPiece()
{
    return WordPiece::fromTokenizerJson(fixtureJson("wordpiece_tokenizer.json"), "tokenizer.json");
}

std::vector<BytePairs> bytePairs()
{
    const std::string merges = slurp(fixtures / "merges.txt");
    return {BytePairs::fromTokenizerJson(fixtureJson("byte_pairs_tokenizer.json"), "tokenizer.json"),
            BytePairs::fromVocabulary(fixtureJson("vocab.json"), merges, "vocab.json"), BytePairs::fromMerges(merges, 664, "merges.txt")};
}

TEST(WordPiece, NumbersAreThoseOfTheReference)
{
    const WordPiece made[] = {wordPiece(), WordPiece::fromVocabulary(slurp(fixtures / "vocab.txt"), "vocab.txt")};
    EXPECT_EQ(made[0].digest(), made[1].digest());
    for (const WordPiece& tokenizer : made)
        for (const Json& row : fixtureJson("texts.json"))
            EXPECT_EQ(tokenizer.encode(row["text"].get<std::string>(), 64), row["wordpiece"].get<Ids>()) << row["text"];
}

TEST(BytePairs, NumbersAreThoseOfTheReference)
{
    const std::vector<BytePairs> made = bytePairs();
    for (const BytePairs& tokenizer : made)
    {
        EXPECT_EQ(tokenizer.size(), 664);
        EXPECT_EQ(tokenizer.digest(), made[0].digest());
        for (const Json& row : fixtureJson("texts.json"))
            EXPECT_EQ(tokenizer.encode(row["text"].get<std::string>(), 77), row["byte_pairs"].get<Ids>()) << row["text"];
    }
}

TEST(Tokenizers, ContextOfAnySizeKeepsBothEnds)
{
    const WordPiece words = wordPiece();
    const BytePairs pairs = bytePairs()[0];
    const std::string text = "a photo of a hex bolt, and of a supercalifragilistic washer";
    const Ids allWords = words.encode(text, 512), allPairs = pairs.encode(text, 77);
    for (int64_t longest = 2; longest < 40; longest++)
        for (const auto& [all, cut] : {std::pair(allWords, words.encode(text, longest)), std::pair(allPairs, pairs.encode(text, longest))})
        {
            ASSERT_EQ(cut.size(), std::min(all.size(), static_cast<size_t>(longest)));
            EXPECT_TRUE(std::equal(cut.begin(), cut.end() - 1, all.begin()));
            EXPECT_EQ(cut.back(), all.back());
        }
}

TEST(Tokenizers, NamesOfSpecialTokensAreText)
{
    const BytePairs pairs = bytePairs()[0];
    const Ids ids = pairs.encode("<|endoftext|> [SEP]", 77);
    EXPECT_EQ(std::count(ids.begin(), ids.end(), ids.back()), 1);
    const Ids words = wordPiece().encode("[SEP] [CLS]", 64);
    EXPECT_EQ(std::count(words.begin(), words.end(), words.back()), 1);
    EXPECT_EQ(std::count(words.begin(), words.end(), words.front()), 1);
}

TEST(Tokenizers, LongTextsAreReadInTime)
{
    // pairs are taken from a queue: were each found by a search, this word would take minutes
    std::string word;
    for (int i = 0; i < 200000; i++)
        word += "thebe"[i % 5];
    EXPECT_EQ(bytePairs()[0].encode(word, 77).size(), 77U);
    EXPECT_EQ(wordPiece().encode(word, 512).size(), 3U); // unknown as a whole
}

TEST(Tokenizers, WhatIsNotUtf8IsRefused)
{
    const struct
    {
        const char* text;
        const char* says;
    } cases[] = {{"abc\xff", "text 7 is not UTF-8: its byte 3 is 0xff"},
                 {"\x80", "byte 0 is 0x80"},
                 {"\xc0\xaf", "byte 0 is 0xc0"},
                 {"a\xe2\x82", "byte 1 is 0xe2"},
                 {"\xed\xa0\x80", "byte 0 is 0xed"},
                 {"\xf4\x90\x80\x80", "byte 0 is 0xf4"},
                 {"\xe0\x80\xaf", "byte 0 is 0xe0"},
                 {"\xf8\x88\x80\x80\x80", "byte 0 is 0xf8"}};
    const WordPiece words = wordPiece();
    const BytePairs pairs = bytePairs()[0];
    for (const auto& one : cases)
    {
        EXPECT_THAT(errorOf([&] { words.encode(one.text, 64, "text 7"); }), HasSubstr(one.says));
        EXPECT_THAT(errorOf([&] { pairs.encode(one.text, 77, "text 7"); }), HasSubstr(one.says));
    }
}

TEST(WordPiece, VocabulariesThatDoNotFitAreRefused)
{
    const auto says = [](const std::string& text) { return errorOf([&] { WordPiece::fromVocabulary(text, "v"); }); };
    EXPECT_THAT(says("[UNK]\n[CLS]\n"), HasSubstr("v: the vocabulary of 2 pieces lacks [SEP]"));
    EXPECT_THAT(says(""), HasSubstr("lacks [UNK]"));
    EXPECT_THAT(says("[UNK]\n[CLS]\n[SEP]\n[CLS]\n"), HasSubstr("line 4 holds a piece that an earlier line has"));

    const Json good = fixtureJson("wordpiece_tokenizer.json");
    const struct
    {
        const char* pointer;
        Json value;
        const char* says;
    } cases[] = {{"/normalizer/lowercase", false, "\"lowercase\" false, expected true"},
                 {"/normalizer/strip_accents", false, "\"strip_accents\" false"},
                 {"/normalizer/handle_chinese_chars", false, "\"handle_chinese_chars\" false"},
                 {"/normalizer", nullptr, "\"type\" null"},
                 {"/pre_tokenizer/type", "Metaspace", "\"type\" \"Metaspace\", expected \"BertPreTokenizer\""},
                 {"/model/type", "Unigram", "\"type\" \"Unigram\""},
                 {"/model/continuing_subword_prefix", "", "\"continuing_subword_prefix\""},
                 {"/model/vocab", Json::array(), "\"vocab\" is not an object"},
                 {"/model/vocab/bolt", -1, "the number of a piece is -1"},
                 {"/model/vocab/bolt", "x", "the number of a piece is \"x\""},
                 {"/model/vocab/bolt", 2, "two pieces have the number 2"},
                 {"/truncation", Json{{"max_length", 1}}, "\"max_length\" is 1"}};
    for (const auto& one : cases)
    {
        Json changed = good;
        changed[Json::json_pointer(one.pointer)] = one.value;
        EXPECT_THAT(errorOf([&] { WordPiece::fromTokenizerJson(changed, "t.json"); }), HasSubstr(one.says)) << one.pointer;
    }
    EXPECT_THAT(errorOf([&] { WordPiece::fromTokenizerJson(Json(3), "t.json"); }), HasSubstr("t.json: has no \"model\""));
}

TEST(WordPiece, TruncationOfTheFileCounts)
{
    Json json = fixtureJson("wordpiece_tokenizer.json");
    json["truncation"] = {{"max_length", 5}};
    EXPECT_EQ(WordPiece::fromTokenizerJson(json, "t").encode("a b c d e f g", 64).size(), 5U);
}

TEST(BytePairs, VocabulariesThatDoNotFitAreRefused)
{
    const std::string merges = slurp(fixtures / "merges.txt");
    const auto says = [](const std::string& text, int64_t size = 516) { return errorOf([&] { BytePairs::fromMerges(text, size, "m"); }); };
    EXPECT_EQ(says("#version: 0.2\na b\nab c</w>\n"), "no error");
    EXPECT_EQ(says("a b\r\n\r\nab c</w>"), "no error");
    EXPECT_THAT(says("a b\n"), HasSubstr("m: has 1 merges, too few for a vocabulary of 516 pieces, expected 2"));
    EXPECT_THAT(says("a b\n", 100), HasSubstr("a vocabulary of 100 pieces"));
    EXPECT_THAT(says("a b\na bc\n"), HasSubstr("lacks \"bc\""));
    EXPECT_THAT(says("a b\na b\n"), HasSubstr("make the same piece"));
    for (const char* line : {"a", "a b c", "a ", " a", "a  b"})
        EXPECT_THAT(says(std::string("a b\n") + line + "\n"), HasSubstr("merge 2 is not two pieces")) << line;

    const Json vocabulary = fixtureJson("vocab.json");
    const auto refused = [&](const Json& json) { return errorOf([&] { BytePairs::fromVocabulary(json, merges, "v"); }); };
    for (const char* piece : {"a", "a</w>", "<|endoftext|>", "<|startoftext|>", "th"})
    {
        Json changed = vocabulary;
        changed.erase(piece);
        EXPECT_THAT(refused(changed), HasSubstr(std::string("lacks \"") + piece + "\""));
    }
    Json twice = vocabulary;
    twice["a"] = 5;
    EXPECT_THAT(refused(twice), HasSubstr("two pieces have the number 5"));
    EXPECT_THAT(refused(Json::array()), HasSubstr("not an object"));

    Json other = fixtureJson("byte_pairs_tokenizer.json");
    const auto says2 = [](const Json& json) { return errorOf([&] { BytePairs::fromTokenizerJson(json, "t"); }); };
    other["model"]["end_of_word_suffix"] = "";
    EXPECT_THAT(says2(other), HasSubstr("t: is not CLIP's tokenizer"));
    other = fixtureJson("byte_pairs_tokenizer.json");
    other["model"]["merges"] = {3};
    EXPECT_THAT(says2(other), HasSubstr("merge 1 is neither"));
    EXPECT_THAT(says2(Json::array()), HasSubstr("has no \"model\""));
}

TEST(BytePairs, ListsOfPairsAreRead)
{
    Json texts = fixtureJson("byte_pairs_tokenizer.json"), lists = texts;
    for (Json* json : {&texts, &lists})
        for (Json& merge : (*json)["model"]["merges"])
        {
            const std::string text =
                merge.is_string() ? merge.get<std::string>() : merge[0].get<std::string>() + " " + merge[1].get<std::string>();
            const size_t space = text.find(' ');
            merge = json == &texts ? Json(text) : Json{text.substr(0, space), text.substr(space + 1)};
        }
    EXPECT_EQ(BytePairs::fromTokenizerJson(texts, "t").digest(), BytePairs::fromTokenizerJson(lists, "t").digest());
}

TEST(Unicode, FormsAreCanonical)
{
    // rows of the Unicode Consortium's NormalizationTest: source, NFC, NFD
    const char32_t* rows[][3] = {{U"\u1E0A", U"\u1E0A", U"D\u0307"},
                                 {U"\u1E0A\u0323", U"\u1E0C\u0307", U"D\u0323\u0307"},
                                 {U"D\u031B\u0307\u0323", U"\u1E0C\u031B\u0307", U"D\u031B\u0323\u0307"},
                                 {U"\u212B", U"\u00C5", U"A\u030A"},
                                 {U"\uFB1D", U"\u05D9\u05B4", U"\u05D9\u05B4"},
                                 {U"\u0958", U"\u0915\u093C", U"\u0915\u093C"},
                                 {U"\uAC01", U"\uAC01", U"\u1100\u1161\u11A8"},
                                 {U"\uAC00\u11A8", U"\uAC01", U"\u1100\u1161\u11A8"},
                                 {U"\U0002F800", U"\u4E3D", U"\u4E3D"},
                                 {U"\uFB01", U"\uFB01", U"\uFB01"}};
    for (const auto& [source, nfc, nfd] : rows)
        for (const char32_t* form : {source, nfc, nfd})
        {
            EXPECT_EQ(encodeUtf8(composed(form)), encodeUtf8(nfc));
            EXPECT_EQ(encodeUtf8(decomposed(form)), encodeUtf8(nfd));
        }
}

TEST(Unicode, EveryCharacterSurvives)
{
    for (char32_t c = 0; c <= 0x10FFFF; c++)
    {
        if (c >= 0xD800 && c < 0xE000)
            continue;
        const std::u32string one(1, c);
        const std::string bytes = encodeUtf8(one);
        ASSERT_EQ(invalidUtf8(bytes), std::string::npos) << static_cast<uint32_t>(c);
        ASSERT_EQ(decodeUtf8(bytes, "it"), one);
        const std::u32string apart = decomposed(one), whole = composed(one);
        ASSERT_EQ(decomposed(whole), apart) << static_cast<uint32_t>(c);
        ASSERT_EQ(composed(apart), whole) << static_cast<uint32_t>(c);
        const std::u32string small = lowerCase(one);
        ASSERT_EQ(lowerCase(small), small) << static_cast<uint32_t>(c);
    }
}

} // namespace
} // namespace agpnet::test
