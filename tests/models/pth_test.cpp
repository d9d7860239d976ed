#include "models/weights/pth.h"
#include "models/weights/safetensors.h"
#include "support.h"

#include <cstring>

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>

namespace agpnet::test
{
namespace
{

using ::testing::HasSubstr;

StateDict parse(const std::string& file)
{
    return readPth(copyBytes(file.data(), file.size(), "x.pth"));
}

/// A stored-only zip with the parts the reader looks at.
std::string zip(const std::vector<std::pair<std::string, std::string>>& entries)
{
    const auto number = [](auto value) { return std::string(reinterpret_cast<const char*>(&value), sizeof value); };
    std::string file;
    std::string directory;
    for (const auto& [name, data] : entries)
    {
        const auto size = static_cast<uint32_t>(data.size());
        const auto offset = static_cast<uint32_t>(file.size());
        // versions, flags, method, time and checksum are all zero
        const std::string common = std::string(14, '\0') + number(size) + number(size) +
                                   number(static_cast<uint16_t>(name.size())) + number(uint16_t{0});
        directory += number(uint32_t{0x02014b50}) + std::string(2, '\0') + common + std::string(10, '\0') + number(offset) + name;
        file += number(uint32_t{0x04034b50}) + common + name + data;
    }
    const auto count = static_cast<uint16_t>(entries.size());
    const auto start = static_cast<uint32_t>(file.size());
    file += directory;
    file += number(uint32_t{0x06054b50}) + std::string(4, '\0') + number(count) + number(count) +
            number(static_cast<uint32_t>(directory.size())) + number(start) + std::string(2, '\0');
    return file;
}

StateDict unpickle(const std::string& pickle, const std::string& storage = std::string(8, '\0'))
{
    return parse(zip({{"a/data.pkl", pickle}, {"a/data/0", storage}}));
}

std::string text(const std::string& value)
{
    return std::string("\x8c") + static_cast<char>(value.size()) + value;
}

std::string tuple(const std::vector<int>& values)
{
    std::string result = "(";
    for (const int value : values)
        result += 'J' + std::string(reinterpret_cast<const char*>(&value), sizeof value);
    return result + "t";
}

std::string storage(int elements, const std::string& type = "FloatStorage", const std::string& key = "0")
{
    return "(" + text("storage") + "ctorch\n" + type + "\n" + text(key) + text("cpu") + tuple({elements}).substr(1, 5) + "tQ";
}

/// {"w": a tensor over data/0}
std::string tensorPickle(int elements, int offset, const std::vector<int>& shape, const std::vector<int>& strides,
                         const std::string& type = "FloatStorage", const std::string& key = "0")
{
    return std::string("\x80\x02}") + text("w") + "ctorch._utils\n_rebuild_tensor_v2\n(" + storage(elements, type, key) +
           tuple({offset}).substr(1, 5) + tuple(shape) + tuple(strides) +
           "\x89"
           "ccollections\nOrderedDict\n)RtRs.";
}

void expectEqual(const StateDict& a, const StateDict& b, const std::string& prefixOfB)
{
    ASSERT_EQ(a.size(), b.size());
    for (const auto& [name, tensor] : a)
    {
        ASSERT_TRUE(b.contains(prefixOfB + name)) << name;
        EXPECT_TRUE(at::equal(tensor, b.at(prefixOfB + name))) << name;
    }
}

TEST(Pth, OrderedDictAndNestedDictMatchTheirSafetensors)
{
    StateDict expected;
    for (const auto& [name, tensor] : readSafetensors(fixture("timm.safetensors")).tensors)
        if (name.starts_with("weights/"))
            expected[name.substr(8)] = tensor;
    expectEqual(expected, readPth(fixture("ordered.pth")), "");
    expectEqual(expected, readPth(fixture("teacher.pth")), "module.backbone.");
    EXPECT_EQ(stateDictHash(expected), stateDictHash(readStateDict(fixture("ordered.pth"))));
}

TEST(Pth, ViewsOfOneStorageAndAllTypes)
{
    const StateDict read = readPth(fixture("strided.pth"));
    const at::Tensor whole = at::arange(24, at::kFloat).reshape({4, 6});
    EXPECT_TRUE(at::equal(read.at("whole"), whole));
    EXPECT_TRUE(at::equal(read.at("transposed"), whole.t()));
    EXPECT_TRUE(at::equal(read.at("column"), whole.select(1, 2)));
    EXPECT_TRUE(at::equal(read.at("tail"), whole.slice(0, 2).slice(1, 3)));
    EXPECT_TRUE(at::equal(read.at("half"), whole.to(at::kHalf)));
    EXPECT_TRUE(at::equal(read.at("bf16"), whole.to(at::kBFloat16)));
    EXPECT_EQ(read.at("empty").sizes(), at::IntArrayRef({0, 3}));
    EXPECT_EQ(read.at("integers")[1].item<int64_t>(), int64_t{1} << 40);
    EXPECT_TRUE(read.at("flags")[0].item<bool>());
    EXPECT_EQ(read.at("scalar").dim(), 0);
    EXPECT_TRUE(at::equal(read.at("parameter"), at::ones({2})));
    for (const auto& [name, tensor] : read)
        EXPECT_TRUE(tensor.is_contiguous()) << name;
}

TEST(Pth, TheHandMadeFileIsRead)
{
    // otherwise the lies below would prove nothing
    const StateDict read = unpickle(tensorPickle(2, 0, {2}, {1}));
    EXPECT_EQ(read.at("w").sizes(), at::IntArrayRef({2}));
}

TEST(Pth, OtherPicklesAreRefusedByName)
{
    EXPECT_THAT(errorOf([] { readPth(fixture("legacy.pth")); }), HasSubstr("before version 1.6"));
    EXPECT_THAT(errorOf([] { readPth(fixture("program.pt")); }), HasSubstr("torch.jit.load"));
    EXPECT_THAT(errorOf([] { readPth(fixture("object.pth")); }), HasSubstr("pathlib.PurePosixPath"));
    EXPECT_THAT(errorOf(
                    []
                    {
                        unpickle("\x80\x02"
                                 "cposix\nsystem\n" +
                                 text("true") + "\x85R.");
                    }),
                HasSubstr("posix.system"));
    EXPECT_THAT(errorOf([] { unpickle("\x80\x04" + text("os") + text("system") + "\x93" + text("true") + "\x85R."); }),
                HasSubstr("os.system"));
}

struct Lie
{
    const char* name;
    std::string file;
    const char* says;
};

std::string packed(const std::string& pickle, const std::string& data = std::string(8, '\0'))
{
    return zip({{"a/data.pkl", pickle}, {"a/data/0", data}});
}

const int big = 0x7fffffff;

const Lie lies[] = {{"NoZip", "hello", "is not a zip"},
                    {"OnlyStart", "PK\3\4", "without its directory"},
                    {"NoPickle", zip({{"a/b", "x"}}), "without data.pkl"},
                    {"TwoPickles", zip({{"a/data.pkl", "."}, {"b/data.pkl", "."}}), "more than one data.pkl"},
                    {"SameNameTwice", zip({{"a/data.pkl", "."}, {"a/data.pkl", "."}}), "two entries"},
                    {"Script", zip({{"a/data.pkl", "."}, {"a/constants.pkl", "."}}), "torch.jit.load"},
                    {"BigEndian", zip({{"a/data.pkl", "."}, {"a/byteorder", "big"}}), "another byte order"},
                    {"EmptyPickle", packed(""), "pickle is cut off"},
                    {"StopAtOnce", packed("."), "takes a value where there is none"},
                    {"OldProtocol", packed("\x80\x01}."), "protocol 1"},
                    {"UnknownOpcode", packed("\x80\x02i"), "opcode 0x69"},
                    {"NotADict", packed("\x80\x02]."), "holds no dict"},
                    {"EmptyDict", packed("\x80\x02}."), "holds no tensors"},
                    {"SelfNested", packed("\x80\x02}q\1" + text("model") + "h\1s."), "holds no tensors"},
                    {"NoMark", packed("\x80\x02}u."), "no mark"},
                    {"OddItems", packed("\x80\x02}(Nu."), "key without a value"},
                    {"PopBelowMark", packed("\x80\x02}(0."), "takes a value"},
                    {"MemoUnknown", packed("\x80\x02h\5."), "never stored"},
                    {"AppendToDict", packed("\x80\x02}Na."), "needs a list"},
                    {"LongInteger", packed("\x80\x02\x8a\x10"), "integer of 16 bytes"},
                    {"TextBeyond", packed(std::string("\x80\x02X\xff\xff\xff\xff", 7)), "cut off"},
                    {"CallType",
                     packed("\x80\x02"
                            "ctorch\nFloatStorage\n)R."),
                     "which is a type"},
                    {"CallNothing", packed("\x80\x02N)R."), "no function"},
                    {"ParameterOfNothing",
                     packed("\x80\x02"
                            "ctorch._utils\n_rebuild_parameter\n)R."),
                     "without a tensor"},
                    {"TensorOfNothing",
                     packed("\x80\x02"
                            "ctorch._utils\n_rebuild_tensor_v2\n)R."),
                     "do not fit together"},
                    {"StorageOfText",
                     packed("\x80\x02"
                            "NQ."),
                     "('storage', type, key, device, size)"},
                    {"StorageMissing", packed(tensorPickle(2, 0, {2}, {1}, "FloatStorage", "1")), "lacks a/data/1"},
                    {"StorageSize", packed(tensorPickle(3, 0, {2}, {1})), "said to hold 3"},
                    {"StorageNegative", packed(tensorPickle(-2, 0, {2}, {1})), "said to hold -2"},
                    {"StorageType", packed(tensorPickle(2, 0, {2}, {1}, "ComplexFloatStorage")), "torch.ComplexFloatStorage"},
                    {"OffsetNegative", packed(tensorPickle(2, -1, {2}, {1})), "do not fit together"},
                    {"OffsetBeyond", packed(tensorPickle(2, 1, {2}, {1})), "offset 1 in a storage of 2"},
                    {"ShapeNegative", packed(tensorPickle(2, 0, {-2}, {1})), "do not fit together"},
                    {"ShapeBeyond", packed(tensorPickle(2, 0, {3}, {1})), "in a storage of 2"},
                    {"ShapeOverflow", packed(tensorPickle(2, 0, {big, big, big, big}, {1, 1, 1, 1})), "in a storage of 2"},
                    {"StridesOverflow", packed(tensorPickle(2, 0, {2, 1}, {big, big})), "in a storage of 2"},
                    {"StrideZeroBroadcast", packed(tensorPickle(2, 0, {1000, 1000}, {0, 0})), "in a storage of 2"},
                    {"StrideNegative", packed(tensorPickle(2, 1, {2}, {-1})), "do not fit together"},
                    {"RankMismatch", packed(tensorPickle(2, 0, {2}, {1, 1})), "do not fit together"},
                    {"BadBool", packed(tensorPickle(8, 0, {8}, {1}, "BoolStorage"), "12345678"), "holds 0 or 1"}};

// one test for all: each process of its own would load LibTorch again
TEST(Pth, LiesAreRefused)
{
    for (const Lie& lie : lies)
        EXPECT_THAT(errorOf([&] { parse(lie.file); }), HasSubstr(lie.says)) << lie.name;
}

TEST(Pth, CutAnywhereIsAnError)
{
    const std::string whole = slurp(fixture("strided.pth"));
    ASSERT_FALSE(whole.empty());
    for (size_t size = 0; size < whole.size(); size++)
        EXPECT_THROW(parse(whole.substr(0, size)), Error) << size;
}

TEST(Pth, AnyChangedByteIsReadOrRefused)
{
    const std::string whole = slurp(fixture("strided.pth"));
    for (size_t at = 0; at < whole.size(); at++)
        for (const int flip : {0x01, 0x10, 0x80, 0xff})
        {
            std::string file = whole;
            file[at] = static_cast<char>(file[at] ^ flip);
            SCOPED_TRACE(at);
            errorOf([&] { stateDictHash(parse(file)); });
        }
}

} // namespace
} // namespace agpnet::test
