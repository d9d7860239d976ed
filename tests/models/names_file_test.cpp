#include "models/text/names_file.h"
#include "models/weights/npy.h"
#include "models/weights/safetensors.h"
#include "support.h"

#include <limits>

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

namespace agpnet::test
{
namespace
{

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class NamesFile : public WithFolder
{
protected:
    void write(const std::string& names, const at::Tensor& vectors) const
    {
        std::ofstream(folder / "n.txt", std::ios::binary) << names;
        writeNpy(folder / "n.npy", vectors);
    }
    std::string refusal() const
    {
        const std::string text = errorOf([&] { readNamedVectors(folder / "n.npy"); });
        EXPECT_THAT(text, HasSubstr(folder.string()));
        return text;
    }
};

const at::Tensor two = at::arange(1, 7, at::kFloat).view({2, 3});

at::Tensor bytesOf(const std::string& text)
{
    at::Tensor bytes = at::zeros({static_cast<int64_t>(text.size())}, at::kByte);
    std::copy(text.begin(), text.end(), bytes.data_ptr<uint8_t>());
    return bytes;
}

TEST_F(NamesFile, EitherFileOfThePairIsNamed)
{
    write("hex bolt\nécrou 六角\n", two);
    for (const char* name : {"n.txt", "n.npy"})
    {
        const NamedVectors read = readNamedVectors(folder / name);
        EXPECT_THAT(read.names, ElementsAre("hex bolt", "écrou 六角"));
        EXPECT_TRUE(at::equal(read.vectors, two));
    }
}

TEST_F(NamesFile, LineEndsAndTypesOfAllKindsAreRead)
{
    for (const char* names : {"a\nb", "a\r\nb\r\n",
                              "\xef\xbb\xbf"
                              "a\nb\n"})
        for (const at::ScalarType type : {at::kHalf, at::kFloat, at::kDouble})
        {
            write(names, two.to(type));
            const NamedVectors read = readNamedVectors(folder / "n.txt");
            EXPECT_THAT(read.names, ElementsAre("a", "b"));
            EXPECT_TRUE(at::equal(read.vectors, two));
        }
}

TEST_F(NamesFile, WhatDoesNotFitIsRefused)
{
    const double infinity = std::numeric_limits<double>::infinity(), none = std::numeric_limits<double>::quiet_NaN();
    const auto changed = [](double value, at::ScalarType type = at::kDouble)
    {
        at::Tensor vectors = two.to(type, false, true);
        vectors[1][2] = value;
        return vectors;
    };
    at::Tensor zero = two.clone();
    zero[0].zero_();
    const struct
    {
        const char* names;
        at::Tensor vectors;
        const char* says;
    } cases[] = {{"a\nb\nc\n", two, "n.txt: has 3 names, but "},
                 {"a\n", two, "n.npy has 2 vectors"},
                 {"a\na\n", two, "names 1 and 2 are both \"a\""},
                 {"a\n\nb\n", two, "name 2 is empty"},
                 {"\n", two, "name 1 is empty"},
                 {"", two, "is empty, expected one name a line"},
                 {"a\nb\xff", two, "name 2 is not UTF-8: its byte 1 is 0xff"},
                 {"a\n\xed\xa0\x80", two, "name 2 is not UTF-8"},
                 {"a\nb\rc\n", two, "name 2 has a line end in it"},
                 {"a\nb\n", two.view({6}), "have shape [6], expected [names, width]"},
                 {"a\nb\n", two.view({1, 2, 3}), "have shape [1, 2, 3]"},
                 {"a\nb\n", at::zeros({2, 0}), "have shape [2, 0]"},
                 {"a\nb\n", zero, "vector 1 (\"a\") is zero"},
                 {"a\nb\n", changed(none), "vector 2 (\"b\") holds nan"},
                 {"a\nb\n", changed(none, at::kHalf), "vector 2 (\"b\") holds nan"},
                 {"a\nb\n", changed(-infinity), "vector 2 (\"b\") holds inf"},
                 {"a\nb\n", changed(1e300), "vector 2 (\"b\") holds inf"}};
    for (const auto& one : cases)
    {
        write(one.names, one.vectors);
        EXPECT_THAT(refusal(), HasSubstr(one.says));
    }
    std::filesystem::remove(folder / "n.txt");
    EXPECT_THAT(refusal(), HasSubstr("n.txt: no such file; a text file with one name a line was expected"));
}

TEST_F(NamesFile, SafetensorsHasThemInMetadataOrTensors)
{
    writeSafetensors(folder / "m.safetensors", {{{"names", "a\nü\n"}}, {{"vectors", two}}});
    writeSafetensors(folder / "t.safetensors",
                     {{}, {{"vectors", two.to(at::kHalf)}, {"names", bytesOf("aü")}, {"ends", at::tensor({1, 3}, at::kLong)}}});
    for (const char* name : {"m.safetensors", "t.safetensors"})
    {
        const NamedVectors read = readNamedVectors(folder / name);
        EXPECT_THAT(read.names, ElementsAre("a", "ü"));
        EXPECT_TRUE(at::equal(read.vectors, two));
    }
}

TEST_F(NamesFile, SafetensorsThatLieAreRefused)
{
    const at::Tensor names = bytesOf("ab");
    const auto ends = [](int64_t first, int64_t second) { return at::tensor({first, second}, at::kLong); };
    const struct
    {
        TensorFile file;
        const char* says;
    } cases[] = {{{{{"names", "a\nb"}}, {{"v", two}}}, "has no tensor \"vectors\""},
                 {{{}, {{"vectors", two}}}, "has its names nowhere"},
                 {{{}, {{"vectors", two}, {"names", names}}}, "has its names nowhere"},
                 {{{{"names", "a\nb"}}, {{"vectors", two}, {"names", names}, {"ends", ends(1, 2)}}}, "has its names twice"},
                 {{{{"names", "a"}}, {{"vectors", two}}}, "has 1 names"},
                 {{{{"names", "a\nb"}}, {{"vectors", two.to(at::kLong)}}}, "hold Long, expected floating-point"},
                 {{{}, {{"vectors", two}, {"names", names.to(at::kLong)}, {"ends", ends(1, 2)}}}, "expected bytes (U8)"},
                 {{{}, {{"vectors", two}, {"names", names}, {"ends", ends(1, 2).to(at::kInt)}}}, "expected numbers (I64)"},
                 {{{}, {{"vectors", two}, {"names", names}, {"ends", ends(1, 3)}}}, "has 3 at place 2, expected 1 to 2"},
                 {{{}, {{"vectors", two}, {"names", names}, {"ends", ends(-1, 2)}}}, "has -1 at place 1, expected 0 to 2"},
                 {{{}, {{"vectors", two}, {"names", names}, {"ends", ends(2, 1)}}}, "has 1 at place 2, expected 2 to 2"},
                 {{{}, {{"vectors", two}, {"names", names}, {"ends", ends(0, 1)}}}, "the last 1 bytes"},
                 {{{}, {{"vectors", two}, {"names", names}, {"ends", ends(0, 2)}}}, "name 1 is empty"}};
    for (const auto& one : cases)
    {
        writeSafetensors(folder / "f.safetensors", one.file);
        EXPECT_THAT(errorOf([&] { readNamedVectors(folder / "f.safetensors"); }), HasSubstr(one.says));
    }
}

TEST_F(NamesFile, CutAnywhereIsAnError)
{
    write("a\nbc\n", two);
    const std::string names = slurp(folder / "n.txt");
    for (size_t size = 0; size + 2 < names.size(); size++) // "a\nb" is whole again
    {
        std::ofstream(folder / "n.txt", std::ios::binary) << names.substr(0, size);
        refusal();
    }
    writeSafetensors(folder / "f", {{{"names", "a\nb"}}, {{"vectors", two}}});
    const std::string whole = slurp(folder / "f");
    for (size_t size = 0; size < whole.size(); size++)
        EXPECT_THROW(readNamedVectors(copyBytes(whole.data(), size, "input")), Error) << size;
}

TEST_F(NamesFile, WhatIsWrittenIsRead)
{
    writeNamedVectors(folder / "out.npy", {{"a b", "ü"}, two});
    EXPECT_EQ(slurp(folder / "out.txt"), "a b\nü\n");
    const NamedVectors read = readNamedVectors(folder / "out.txt");
    EXPECT_THAT(read.names, ElementsAre("a b", "ü"));
    EXPECT_TRUE(at::equal(read.vectors, two));
}

TEST_F(NamesFile, WhatCouldNotBeReadIsNotWritten)
{
    for (const char* name : {"", "a\nb", "a", "\xff"})
        EXPECT_THROW(writeNamedVectors(folder / "out.txt", {{"a", name}, two}), Error) << name;
    EXPECT_THAT(errorOf([&] { writeNamedVectors(folder / "out.txt", {{"a"}, two}); }), HasSubstr("has 1 names"));
    EXPECT_THAT(errorOf([&] { writeNamedVectors(folder / "out", {{"a", "b"}, two}); }), HasSubstr("ends with .txt or .npy"));
    EXPECT_TRUE(std::filesystem::is_empty(folder));
}

} // namespace
} // namespace agpnet::test
