// Files that somebody else made: each kind of lie is refused with a sentence, as nothing but an Error.
#include "apps/datasets/csv.h"
#include "apps/datasets/image_io.h"
#include "apps/datasets/split_file.h"
#include "apps/datasets/table_dataset.h"
#include "models/agpnet/config.h"
#include "models/agpnet/file.h"
#include "models/weights/pth.h"
#include "models/weights/safetensors.h"
#include "tests/support/error_text.h"
#include "tests/support/temp_folder.h"

#include <cstring>

namespace agpnet
{
namespace
{

using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::string repeated(const std::string& text, int count)
{
    std::string all;
    for (int i = 0; i < count; i++)
        all += text;
    return all;
}

std::string safetensors(const std::string& header, const std::string& data = "")
{
    const uint64_t length = header.size();
    return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + data;
}

std::string entry(const char* type, const std::string& shape, int begin, int end)
{
    return fmt::format(R"({{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", type, shape, begin, end);
}

std::string model(const std::string& header)
{
    return safetensors(nlohmann::json{{"__metadata__", {{"agpnet", header}}}}.dump());
}

std::string bmp(uint32_t width, uint32_t height)
{
    std::string bytes(54, '\0');
    const auto put = [&](size_t at, uint32_t value) { std::memcpy(bytes.data() + at, &value, sizeof value); };
    bytes.replace(0, 2, "BM");
    put(10, 54);
    put(14, 40);
    put(18, width);
    put(22, height);
    bytes[26] = 1;
    bytes[28] = 24;
    return bytes;
}

const auto asSafetensors = [](const fs::path& path) { readSafetensors(path); };
const auto asPth = [](const fs::path& path) { readPth(path); };
const auto asModel = [](const fs::path& path) { readModel(path.string()); };
const auto asConfig = [](const fs::path& path) { configFromTextOrFile(path.string()); };
const auto asTable = [](const fs::path& path) { tools::readTable(path, "", tools::Part::Train); };
const auto asSplit = [](const fs::path& path) { tools::SplitFile{path}; };
const auto asPicture = [](const fs::path& path) { tools::readImage(path); };

struct Case
{
    const char* name;
    void (*read)(const fs::path&);
    std::string content;
    const char* part;
};

const std::vector<Case>& cases()
{
    static const std::vector<Case> list = {
        {"NothingAtAll", asSafetensors, "", "is empty"},
        {"HeaderLongerThanTheFile", asSafetensors, std::string(8, '\xff') + "{}",
         "announces a header of 18446744073709551615 bytes"},
        {"HeaderThatIsNoJson", asSafetensors, safetensors("{\"a\":"), "not JSON"},
        {"HeaderNestedTooDeeply", asSafetensors, safetensors("{\"a\":" + std::string(100'000, '[')), "nested more deeply"},
        {"ListTooLong", asSafetensors, safetensors("{\"a\":{\"shape\":[" + repeated("0,", 5000) + "0]}}"),
         "a list of more than 64 items"},
        {"ShapeThatOverflows", asSafetensors, safetensors("{\"a\":" + entry("F64", "[4294967296,4294967296]", 0, 0) + "}"),
         "more bytes than can be counted"},
        {"NegativeExtent", asSafetensors, safetensors("{\"a\":" + entry("F32", "[-1]", 0, 4) + "}", "1234"),
         "is -1, expected a non-negative integer"},
        {"OffsetsBeyondTheFile", asSafetensors, safetensors("{\"a\":" + entry("F32", "[2]", 0, 8) + "}", "1234"),
         "but the data has 4 bytes"},
        {"TensorsThatOverlap", asSafetensors,
         safetensors("{\"a\":" + entry("I8", "[4]", 0, 4) + ",\"b\":" + entry("I8", "[2]", 2, 4) + "}", "1234"), "overlaps"},
        {"TensorNamedTwice", asSafetensors,
         safetensors("{\"a\":" + entry("I8", "[0]", 0, 0) + ",\"a\":" + entry("I8", "[0]", 0, 0) + "}"), "\"a\" twice"},
        {"UnknownType", asSafetensors, safetensors("{\"a\":" + entry("C64", "[1]", 0, 8) + "}", "12345678"), "dtype is C64"},
        {"BytesOfNoTensor", asSafetensors, safetensors("{\"a\":" + entry("I8", "[1]", 0, 1) + "}", "1234"),
         "belong to no tensor"},
        {"BooleanThatIsNone", asSafetensors, safetensors("{\"a\":" + entry("BOOL", "[1]", 0, 1) + "}", "\2"), "holds 0 or 1"},
        {"ProgramInsteadOfWeights", asPth, test::readBytes(WEIGHTS_FIXTURES "/program.pt"), "is a TorchScript program"},
        {"PythonObject", asPth, test::readBytes(WEIGHTS_FIXTURES "/object.pth"), "holds a Python object of kind"},
        {"OldPickle", asPth, test::readBytes(WEIGHTS_FIXTURES "/legacy.pth"), "before version 1.6"},
        {"ZipCutOff", asPth, test::readBytes(WEIGHTS_FIXTURES "/strided.pth").substr(0, 3000), "without its directory"},
        {"ZipWithoutEntries", asPth, std::string("PK\5\6", 4) + std::string(18, '\0'), "is a zip without data.pkl"},
        {"ModelWithoutHeader", asModel, safetensors("{\"a\":" + entry("I8", "[0]", 0, 0) + "}"), "not an AGPNet file"},
        {"ModelHeaderThatIsNoJson", asModel, model("{"), "the header: not valid JSON"},
        {"ModelHeaderNestedTooDeeply", asModel, model(std::string(100'000, '[') + std::string(100'000, ']')),
         "nested more deeply than 32 levels"},
        {"ModelOfANewerFormat", asModel, model(R"({"format_version":99,"kind":"model"})"), "newer AGPNet"},
        {"StateInsteadOfModel", asModel, model(R"({"format_version":1,"kind":"training state"})"),
         "holds a training state, expected a model"},
        {"DamagedModel", asModel, model(R"({"format_version":1,"kind":"model","sha256":"0000"})"), "is damaged"},
        {"ConfigNestedTooDeeply", asConfig, "{\"roi\":" + std::string(100'000, '['), "nested more deeply"},
        {"ConfigWithUnknownKey", asConfig, R"({"stepps":3})", "unknown key 'stepps'"},
        {"ConfigOutOfRange", asConfig, R"({"steps":99999999999})", "'steps' is 99999999999, expected a whole number"},
        {"ConfigTooLong", asConfig, std::string((1 << 20) + 1, ' '), "more than the limit of 1048576"},
        {"TableWithOpenQuote", asTable, "path,label\n\"a,good\n", "the quote is not closed"},
        {"TableOfCommas", asTable, std::string(5000, ','), "more than 1024 fields"},
        {"TableThatIsNoText", asTable, std::string("path,label\n\0,good\n", 18), "is not text"},
        {"TableThatLeavesItsFolder", asTable, "path,label\n../../etc/passwd,good\n", "leads out of"},
        {"TableWithAnAbsolutePath", asTable, "path,label\n/etc/passwd,good\n", "leads out of"},
        {"SplitWithAnotherWord", asSplit, "validate 1\n", "'train NAME' or 'test NAME' was expected"},
        {"SplitThatNamesOneTwice", asSplit, "train 1\ntest 1\n", "is named twice"},
        {"PictureOfNoFormat", asPicture, "hello, I am a picture", "is not an image"},
        {"PictureThatIsAPointer", asPicture, "version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"},
        {"PictureTooLarge", asPicture, bmp(1u << 30, 1u << 30), "pixels are more than the limit"},
        {"PictureCutOff", asPicture, bmp(64, 64), "truncated BMP"},
        {"PictureTooSmall", asPicture, bmp(3, 3), "too small"},
    };
    return list;
}

class BadInput : public ::testing::TestWithParam<size_t>
{
};

TEST_P(BadInput, IsRefused)
{
    const Case& c = cases()[GetParam()];
    const test::TempFolder folder;
    const fs::path path = folder / "input.csv";
    test::writeBytes(path, c.content);
    const std::string error = test::errorOf([&] { c.read(path); });
    EXPECT_THAT(error, HasSubstr(c.part));
    EXPECT_THAT(error, HasSubstr(c.read == static_cast<void (*)(const fs::path&)>(asConfig) ? "" : "input.csv"));
    EXPECT_LT(error.size(), 1000u) << "a sentence, not the file";
}

INSTANTIATE_TEST_SUITE_P(, BadInput, ::testing::Range<size_t>(0, cases().size()),
                         [](const auto& which) { return std::string(cases()[which.param].name); });

} // namespace
} // namespace agpnet
