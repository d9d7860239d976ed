#include "models/weights/safetensors.h"
#include "models/weights/state_dict.h"
#include "support.h"

#include <cstring>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

namespace agpnet::test
{
namespace
{

using ::testing::HasSubstr;

class SafetensorsFile : public WithFolder
{
};

std::string image(const std::string& header, const std::string& data = {})
{
    const uint64_t size = header.size();
    std::string file(reinterpret_cast<const char*>(&size), sizeof size);
    return file + header + data;
}

TensorFile parse(const std::string& file)
{
    return readSafetensors(copyBytes(file.data(), file.size(), "x.safetensors"));
}

TensorFile various()
{
    TensorFile file;
    file.metadata = {{"format", "pt"}, {"note", "größer"}};
    file.tensors["f32"] = at::arange(12, at::kFloat).reshape({3, 4});
    file.tensors["f16"] = at::arange(5, at::kHalf);
    file.tensors["bf16"] = at::arange(3, at::kBFloat16);
    file.tensors["f64"] = at::arange(2, at::kDouble);
    file.tensors["i64"] = at::arange(2, at::kLong);
    file.tensors["i32"] = at::arange(3, at::kInt);
    file.tensors["i16"] = at::arange(3, at::kShort);
    file.tensors["i8"] = at::arange(3, at::kChar);
    file.tensors["u8"] = at::arange(3, at::kByte);
    file.tensors["bool"] = at::arange(3, at::kInt) > 1;
    file.tensors["scalar"] = at::ones({});
    file.tensors["empty"] = at::zeros({0, 4});
    file.tensors["strided"] = at::arange(12, at::kFloat).reshape({3, 4}).transpose(0, 1);
    return file;
}

TEST_F(SafetensorsFile, RoundTripKeepsEverything)
{
    const TensorFile written = various();
    writeSafetensors(folder / "a.safetensors", written);
    const TensorFile read = readSafetensors(folder / "a.safetensors");
    EXPECT_EQ(read.metadata, written.metadata);
    ASSERT_EQ(read.tensors.size(), written.tensors.size());
    for (const auto& [name, tensor] : written.tensors)
    {
        const at::Tensor& other = read.tensors.at(name);
        EXPECT_EQ(other.scalar_type(), tensor.scalar_type()) << name;
        EXPECT_EQ(other.sizes(), tensor.sizes()) << name;
        EXPECT_TRUE(at::equal(other, tensor)) << name;
        EXPECT_TRUE(other.is_contiguous()) << name;
    }
    EXPECT_EQ(stateDictHash(read.tensors), stateDictHash(written.tensors));
}

TEST_F(SafetensorsFile, SameTensorsGiveSameBytes)
{
    writeSafetensors(folder / "a", various());
    writeSafetensors(folder / "b", various());
    EXPECT_EQ(slurp(folder / "a"), slurp(folder / "b"));
}

TEST_F(SafetensorsFile, TensorsOutliveTheFile)
{
    writeSafetensors(folder / "a", various());
    const at::Tensor tensor = readSafetensors(folder / "a").tensors.at("f32");
    std::filesystem::remove(folder / "a");
    EXPECT_TRUE(at::equal(tensor, at::arange(12, at::kFloat).reshape({3, 4})));
}

TEST_F(SafetensorsFile, WritingToATensorLeavesTheFileAlone)
{
    writeSafetensors(folder / "a", various());
    const std::string before = slurp(folder / "a");
    at::Tensor tensor = readSafetensors(folder / "a").tensors.at("f32");
    tensor.fill_(7);
    EXPECT_EQ(slurp(folder / "a"), before);
}

TEST_F(SafetensorsFile, NoFileAndNoDirectoryAreNamed)
{
    EXPECT_THAT(errorOf([&] { readSafetensors(folder / "none"); }), HasSubstr("none: cannot be opened"));
    EXPECT_THAT(errorOf([&] { readSafetensors(folder); }), HasSubstr("is not a regular file"));
    std::ofstream(folder / "empty").flush();
    EXPECT_THAT(errorOf([&] { readSafetensors(folder / "empty"); }), HasSubstr("is empty"));
}

TEST_F(SafetensorsFile, UnwritableNamesAndTypesAreRefused)
{
    EXPECT_THAT(errorOf(
                    [&] {
                        writeSafetensors(folder / "a", {{}, {{"__metadata__", at::ones({1})}}});
                    }),
                HasSubstr("__metadata__"));
    EXPECT_THAT(errorOf([&] { writeSafetensors(folder / "a", {{}, {{"x\xff", at::ones({1})}}}); }), HasSubstr("UTF-8"));
    EXPECT_THAT(errorOf(
                    [&] {
                        writeSafetensors(folder / "a", {{}, {{"c", at::ones({1}, at::kComplexFloat)}}});
                    }),
                HasSubstr("ComplexFloat"));
    EXPECT_THAT(errorOf([&] { writeSafetensors(folder / "a", {{}, {{"u", at::Tensor()}}}); }), HasSubstr("undefined"));
    EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST(Safetensors, UnalignedDataIsCopied)
{
    // one byte before the floats
    const float value = 2.5F;
    std::string data(1 + sizeof value, '\1');
    std::memcpy(data.data() + 1, &value, sizeof value);
    const TensorFile file = parse(image(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                        R"("b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})",
                                        data));
    EXPECT_EQ(file.tensors.at("b").item<float>(), value);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(file.tensors.at("b").const_data_ptr()) % alignof(float), 0U);
}

TEST(Safetensors, FixtureOfTheReferenceWriterIsRead)
{
    const TensorFile file = readSafetensors(fixture("timm.safetensors"));
    EXPECT_EQ(file.tensors.at("weights/patch_embed.proj.weight").sizes(), at::IntArrayRef({16, 3, 4, 4}));
}

struct Lie
{
    const char* name;
    std::string file;
    const char* says;
};

std::string one(const std::string& description, const std::string& data = "12345678")
{
    return image(R"({"w":)" + description + "}", data);
}

const std::string deep = std::string(100000, '[') + std::string(100000, ']');

const Lie lies[] = {
    {"TooShort", "1234567", "too few"},
    {"HeaderBeyondFile", std::string("\x40\0\0\0\0\0\0\0{}", 10), "only 2 follow"},
    {"HeaderHuge", std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10), "only 2 follow"},
    {"NoHeader", std::string("\0\0\0\0\0\0\0\0{}", 10), "does not start with '{'"},
    {"NotAnObject", image("[1]"), "does not start with '{'"},
    {"BadJson", image(R"({"w":)"), "is not JSON"},
    {"TrailingText", image("{} x"), "is not JSON"},
    {"BadUtf8", image("{\"\xff\":1}"), "is not JSON"},
    {"Deep", image(R"({"w":)" + deep + "}"), "nested more deeply"},
    {"NotDescribed", one("3"), "its description is not an object"},
    {"NoType", one(R"({"shape":[2],"data_offsets":[0,8]})"), "has no \"dtype\""},
    {"NoShape", one(R"({"dtype":"F32","data_offsets":[0,8]})"), "has no \"shape\""},
    {"NoOffsets", one(R"({"dtype":"F32","shape":[2]})"), "has no \"data_offsets\""},
    {"ExtraKey", one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1})"), "has \"x\""},
    {"UnknownType", one(R"({"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]})"), "dtype is F8_E4M3"},
    {"TypeNotText", one(R"({"dtype":1,"shape":[8],"data_offsets":[0,8]})"), "dtype is not a string"},
    {"NegativeShape", one(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})"), "is -2"},
    {"FractionShape", one(R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})"), "is 2.0"},
    {"ShapeNotList", one(R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})"), "shape is not a list"},
    {"ShapeRank", one(R"({"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]})"), "at most 16"},
    {"ShapeOverflow", one(R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]})"),
     "more bytes than can be counted"},
    {"ShapeBeyondInt64", one(R"({"dtype":"U8","shape":[18446744073709551615,0],"data_offsets":[0,0]})", ""),
     "more bytes than can be counted"},
    {"ShapeBeyondUint64", one(R"({"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,8]})"),
     "expected a non-negative integer"},
    {"SizeMismatch", one(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})"), "ask for 12"},
    {"OffsetNegative", one(R"({"dtype":"F32","shape":[2],"data_offsets":[-8,0]})"), "is -8"},
    {"OffsetBackwards", one(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})"), "lies at bytes 8 to 0"},
    {"OffsetBeyond", one(R"({"dtype":"F32","shape":[2],"data_offsets":[4,12]})"), "the data has 8 bytes"},
    {"OffsetsThree", one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4,8]})"), "not a pair"},
    {"GapBefore", one(R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})"), "bytes 0 to 4 belong to no tensor"},
    {"GapAfter", one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})"), "last 4 bytes belong to no tensor"},
    {"Overlap",
     image(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
           "12345678"),
     "overlaps"},
    {"DuplicateName",
     image(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
           "12345678"),
     "names \"w\" twice"},
    {"DuplicateKey", one(R"({"dtype":"F32","dtype":"I32","shape":[2],"data_offsets":[0,8]})"), "names \"dtype\" twice"},
    {"BadBool", one(R"({"dtype":"BOOL","shape":[8],"data_offsets":[0,8]})"), "holds 0 or 1"},
    {"MetadataNotObject", image(R"({"__metadata__":1})"), "__metadata__ is not an object"},
    {"MetadataNotText", image(R"({"__metadata__":{"a":1}})"), "\"a\" is not a string"}};

// one test for all: each process of its own would load LibTorch again
TEST(Safetensors, LiesAreRefused)
{
    for (const Lie& lie : lies)
        EXPECT_THAT(errorOf([&] { parse(lie.file); }), HasSubstr(lie.says)) << lie.name;
}

TEST_F(SafetensorsFile, CutAnywhereIsAnError)
{
    writeSafetensors(folder / "a", various());
    const std::string whole = slurp(folder / "a");
    for (size_t size = 0; size < whole.size(); size++)
        EXPECT_THROW(parse(whole.substr(0, size)), Error) << size;
}

TEST_F(SafetensorsFile, AnyChangedHeaderByteIsReadOrRefused)
{
    writeSafetensors(folder / "a", various());
    const std::string whole = slurp(folder / "a");
    for (size_t at = 0; at < whole.size(); at++)
        for (const int flip : {0x01, 0x10, 0x80, 0xff})
        {
            std::string file = whole;
            file[at] = static_cast<char>(file[at] ^ flip);
            SCOPED_TRACE(at);
            errorOf([&] { stateDictHash(parse(file).tensors); });
        }
}

TEST(StateDictHash, DependsOnNameTypeShapeAndBytes)
{
    const at::Tensor tensor = at::arange(4, at::kFloat);
    const std::string hash = stateDictHash({{"a", tensor}});
    EXPECT_EQ(hash, stateDictHash({{"a", tensor.clone()}}));
    EXPECT_NE(hash, stateDictHash({{"b", tensor}}));
    EXPECT_NE(hash, stateDictHash({{"a", tensor.reshape({2, 2})}}));
    EXPECT_NE(hash, stateDictHash({{"a", tensor.view(at::kInt)}}));
    EXPECT_NE(hash, stateDictHash({{"a", tensor + 1}}));
    EXPECT_NE(hash, stateDictHash({{"a", tensor}, {"b", tensor}}));
    EXPECT_EQ(hash.size(), 64U);
}

TEST_F(SafetensorsFile, ContentDecidesTheReader)
{
    writeSafetensors(folder / "weights.pth", {{}, {{"a", at::ones({2})}}});
    EXPECT_EQ(readStateDict(folder / "weights.pth").size(), 1U);
    std::filesystem::copy(fixture("strided.pth"), folder / "weights.safetensors");
    EXPECT_EQ(readStateDict(folder / "weights.safetensors").size(), 11U);
    std::ofstream(folder / "text") << "hello, this is text";
    EXPECT_THAT(errorOf([&] { readStateDict(folder / "text"); }), HasSubstr("neither a safetensors file nor a .pth"));
}

} // namespace
} // namespace agpnet::test
