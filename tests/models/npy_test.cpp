#include "models/weights/npy.h"
#include "support.h"

#include <cstdint>

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>

namespace agpnet::test
{
namespace
{

using ::testing::HasSubstr;

class NpyFile : public WithFolder
{
};

at::Tensor parse(const std::string& file)
{
    return readNpy(copyBytes(file.data(), file.size(), "input"));
}

std::string image(const std::string& header, const std::string& data = "", int major = 1)
{
    std::string file = std::string("\x93NUMPY") + static_cast<char>(major) + '\0';
    for (int i = 0; i < (major == 1 ? 2 : 4); i++)
        file += static_cast<char>(header.size() >> (8 * i));
    return file + header + data;
}

const char eight[] = "12345678";

TEST_F(NpyFile, WhatIsWrittenIsRead)
{
    for (const at::ScalarType type : {at::kHalf, at::kFloat, at::kDouble})
        for (const std::vector<int64_t>& shape : {std::vector<int64_t>{}, {5}, {3, 4}, {0, 7}, {2, 1, 3}})
        {
            int64_t count = 1;
            for (const int64_t extent : shape)
                count *= extent;
            const at::Tensor array = at::arange(count, type).reshape(shape);
            writeNpy(folder / "a.npy", array);
            EXPECT_EQ(std::filesystem::file_size(folder / "a.npy"), 128 + array.nbytes()); // a header of one line, its end aligned
            const at::Tensor read = readNpy(folder / "a.npy");
            EXPECT_EQ(read.scalar_type(), type);
            EXPECT_EQ(read.sizes(), at::IntArrayRef(shape));
            EXPECT_TRUE(at::equal(read, array));
        }
    writeNpy(folder / "t.npy", at::arange(6, at::kFloat).reshape({2, 3}).t());
    EXPECT_TRUE(at::equal(readNpy(folder / "t.npy"), at::arange(6, at::kFloat).reshape({2, 3}).t()));
}

// The bytes that numpy.save() of NumPy 2.4 writes for numpy.array([[1, 2, 3]], "<f4").
TEST_F(NpyFile, BytesAreThoseOfNumPy)
{
    const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }";
    const std::string numpy = std::string("\x93NUMPY\x01\0\x76\0", 10) + header + std::string(128 - 11 - header.size(), ' ') + '\n' +
                              std::string("\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40", 12);
    writeNpy(folder / "a.npy", at::arange(1, 4, at::kFloat).view({1, 3}));
    EXPECT_EQ(slurp(folder / "a.npy"), numpy);
}

TEST(Npy, AnyVersionAndSpellingIsRead)
{
    for (int major = 1; major <= 3; major++)
        EXPECT_EQ(parse(image("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", eight, major)).numel(), 2);
    EXPECT_EQ(parse(image(R"({"shape":(1,2),"fortran_order":False,"descr":"<f4"})", eight)).size(1), 2);
    EXPECT_EQ(parse(image("{'descr': '<f8', 'fortran_order': False, 'shape': ()}", eight)).dim(), 0);
    EXPECT_EQ(parse(image("{'descr': '<f2', 'fortran_order': False, 'shape': (2, 2)}", eight)).scalar_type(), at::kHalf);
}

struct Lie
{
    const char* name;
    std::string file;
    const char* says;
};

std::string with(const std::string& descr, const std::string& order, const std::string& shape)
{
    return image("{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }", eight);
}

const Lie lies[] = {{"Empty", "", "does not start with"},
                    {"NotNpy", "PK\3\4 and more of a zip", "does not start with"},
                    {"TooShort", std::string("\x93NUMPY\1\0", 8), "too few"},
                    {"TooShortForItsVersion", std::string("\x93NUMPY\2\0\1\0", 10), "too few"},
                    {"Version", image("{}", "", 4), "version 4.0"},
                    {"HeaderBeyondFile", std::string("\x93NUMPY\1\0\xff\xff{}", 12), "announces a header of 65535 bytes"},
                    {"NoDict", image("hello"), "'{' is missing"},
                    {"NoKeys", image("{}"), "lacks one of"},
                    {"OneKey", image("{'descr': '<f4'}"), "lacks one of"},
                    {"UnknownKey", image("{'descr': '<f4', 'x': 1}"), "\"x\" is unknown or occurs twice"},
                    {"KeyTwice", image("{'descr': '<f4', 'descr': '<f4'}"), "\"descr\" is unknown or occurs twice"},
                    {"TextWithoutEnd", image("{'descr"), "does not end"},
                    {"NotAscii", image("{'\xff': 1}"), "not ASCII"},
                    {"NotClosed", image("{'descr': '<f4'"), "'}' is missing"},
                    {"TrailingText", image("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", eight), "continues after its dict"},
                    {"Objects", with("'|O'", "False", "(1,)"), "pickled objects"},
                    {"Fields", with("[('a', '<f4'), ('b', '<f4')]", "False", "(1,)"), "several fields"},
                    {"Integers", with("'<i8'", "False", "(1,)"), "type <i8, expected <f2, <f4 or <f8"},
                    {"BigEndian", with("'>f4'", "False", "(2,)"), "type >f4"},
                    {"Complex", with("'<c8'", "False", "(1,)"), "type <c8"},
                    {"Fortran", with("'<f4'", "True", "(1, 2)"), "Fortran order"},
                    {"OrderNotBoolean", with("'<f4'", "0", "(2,)"), "neither True nor False"},
                    {"ShapeNegative", with("'<f4'", "False", "(-2,)"), "non-negative"},
                    {"ShapeFraction", with("'<f4'", "False", "(2.0,)"), "')' is missing"},
                    {"ShapeNotTuple", with("'<f4'", "False", "2"), "'(' is missing"},
                    {"ShapeOpen", image("{'descr': '<f4', 'fortran_order': False, 'shape': (2", eight), "')' is missing"},
                    {"ShapeRank", with("'<f4'", "False", "(1,1,1,1,1,1,1,1,2)"), "more than 8 dimensions"},
                    {"ShapeBeyondInt64", with("'<f4'", "False", "(9223372036854775808,)"), "cannot be counted"},
                    {"ShapeBeyondUint64", with("'<f4'", "False", "(18446744073709551616,)"), "cannot be counted"},
                    {"ShapeOverflow", with("'<f4'", "False", "(4611686018427387904, 4)"), "more than can be counted"},
                    {"TooManyNumbers", with("'<f4'", "False", "(3,)"), "ask for 12"},
                    {"TooFewNumbers", with("'<f4'", "False", "(1,)"), "has 8 bytes of data, but its shape (1) and type ask for 4"},
                    {"NoNumbers", with("'<f4'", "False", "(0, 5)"), "ask for 0"}};

TEST(Npy, LiesAreRefused)
{
    for (const Lie& lie : lies)
        EXPECT_THAT(errorOf([&] { parse(lie.file); }), HasSubstr(lie.says)) << lie.name;
}

TEST_F(NpyFile, CutAnywhereIsAnErrorThatNamesTheFile)
{
    writeNpy(folder / "a.npy", at::ones({3, 4}));
    const std::string whole = slurp(folder / "a.npy");
    for (size_t size = 0; size < whole.size(); size++)
        EXPECT_THAT(errorOf([&] { parse(whole.substr(0, size)); }), HasSubstr("input: ")) << size;
    EXPECT_THROW(parse(whole + "x"), Error);
}

TEST_F(NpyFile, AnyChangedHeaderByteIsReadOrRefused)
{
    writeNpy(folder / "a.npy", at::ones({3, 4}));
    const std::string whole = slurp(folder / "a.npy");
    for (size_t at = 0; at < 128; at++)
        for (const int flip : {0x01, 0x10, 0x80, 0xff})
        {
            std::string file = whole;
            file[at] = static_cast<char>(file[at] ^ flip);
            SCOPED_TRACE(at);
            errorOf([&] { EXPECT_EQ(parse(file).nbytes(), 48U); });
        }
}

TEST_F(NpyFile, WhatCannotBeWrittenLeavesNothing)
{
    EXPECT_THAT(errorOf([&] { writeNpy(folder / "a", at::ones({2}, at::kLong)); }), HasSubstr("type Long cannot be written"));
    EXPECT_THAT(errorOf([&] { writeNpy(folder / "a", at::Tensor()); }), HasSubstr("undefined"));
    EXPECT_TRUE(std::filesystem::is_empty(folder));
    EXPECT_THAT(errorOf([&] { writeNpy(folder / "none" / "a", at::ones({2})); }), HasSubstr("cannot be written"));
    EXPECT_THAT(errorOf([&] { readNpy(folder / "none.npy"); }), HasSubstr("none.npy: cannot be opened"));
}

} // namespace
} // namespace agpnet::test
