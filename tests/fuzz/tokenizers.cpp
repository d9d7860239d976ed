// The input is a vocabulary, merges, a tokenizer.json, and a text.
#include "common/json_text.h"
#include "models/text/tokenizers/byte_pairs.h"
#include "models/text/tokenizers/wordpiece.h"
#include "tests/fuzz/target.h"

#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    using namespace agpnet;
    static const WordPiece words = WordPiece::fromVocabulary("[UNK]\n[CLS]\n[SEP]\na\n##a\n##b\n,\n", "words");
    static const BytePairs pairs = BytePairs::fromMerges("a b\nab ab\nc ab</w>\na b</w>\n", 518, "pairs");
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    fuzz::answers(size, [&] { words.encode(text, 512); });
    fuzz::answers(size, [&] { pairs.encode(text, 77); });
    fuzz::answers(size, [&] { WordPiece::fromVocabulary(text, "input").encode("a, b", 512); });
    fuzz::answers(size, [&] { BytePairs::fromMerges(text, 516, "input").encode("a, b", 77); });
    fuzz::answers(size, [&] { WordPiece::fromTokenizerJson(parseJson(text, "input"), "input").encode("a, b", 512); });
    return fuzz::answers(size, [&] { BytePairs::fromTokenizerJson(parseJson(text, "input"), "input").encode("a, b", 77); });
}
