// Reading goes wrong: each reader answers with a sentence, and reads well the next time.
#include "apps/datasets/csv.h"
#include "apps/datasets/image_io.h"
#include "apps/datasets/split_file.h"
#include "models/agpnet/config.h"
#include "models/weights/pth.h"
#include "models/weights/safetensors.h"
#include "tests/faults/fault_layer.h"
#include "tests/support/error_text.h"
#include "tests/support/temp_folder.h"

#include <cerrno>
#include <functional>

namespace agpnet
{
namespace
{

using ::testing::HasSubstr;
namespace fs = std::filesystem;

struct Reader
{
    const char* name;
    std::string content;
    std::function<void(const fs::path&)> read;
    bool mapped;
};

const Reader readers[] = {
    {"safetensors", test::readBytes(WEIGHTS_FIXTURES "/resnet_basic.safetensors"),
     [](const fs::path& path) { readSafetensors(path); }, true},
    {"pth", test::readBytes(WEIGHTS_FIXTURES "/strided.pth"), [](const fs::path& path) { readPth(path); }, true},
    {"csv", "path,label\n1.png,good\n" + std::string(20'000, ' '), [](const fs::path& path) { tools::CsvTable{path}; }, false},
    {"split", "train 1\n#" + std::string(20'000, ' '), [](const fs::path& path) { tools::SplitFile{path}; }, false},
    {"config", "{\"steps\":3" + std::string(20'000, ' ') + "}", [](const fs::path& path) { configFromTextOrFile(path.string()); },
     false},
    {"picture", "P6 80 80 255\n" + std::string(80 * 80 * 3, 'x'), [](const fs::path& path) { tools::readImage(path); }, false},
};

/// "no error" if it was read; what is thrown must be an Error.
std::string attempt(const Reader& reader, const fs::path& path)
{
    return test::errorOf([&] { reader.read(path); });
}

class Reading : public ::testing::TestWithParam<size_t>
{
protected:
    void SetUp() override { test::writeBytes(path, reader.content); }

    test::TempFolder folder;
    const Reader& reader = readers[GetParam()];
    fs::path path = folder / reader.name;
};

TEST_P(Reading, FailsWithASentenceThatNamesTheFile)
{
    ASSERT_EQ(attempt(reader, path), "no error");
    std::vector<std::pair<std::string, const char*>> faults;
    if (reader.mapped)
        faults = {{fmt::format("open 1 {}", EACCES), "Permission denied"},
                  {fmt::format("open 1 {}", EMFILE), "Too many open files"},
                  {fmt::format("fstat 1 {}", EIO), "Input/output error"},
                  {fmt::format("mmap 1 {}", ENOMEM), "Cannot allocate memory"}};
    else
        faults = {{fmt::format("read 1 {}", EIO), "cannot be read"},
                  {"read 1 0", "cannot be read"},
                  {fmt::format("read 2 {}", EIO), "cannot be read"}};
    for (const auto& [fault, part] : faults)
    {
        test::setFault(fault.c_str());
        const std::string error = attempt(reader, path);
        const long calls = test::clearFault();
        if (calls < 1 || (fault.starts_with("read 2") && calls < 2)) // read at once
            continue;
        EXPECT_THAT(error, HasSubstr(part)) << fault;
        EXPECT_THAT(error, HasSubstr(path.string())) << fault;
        EXPECT_EQ(attempt(reader, path), "no error") << "after " << fault;
    }
    EXPECT_GE(
        [&]
        {
            test::setFault(reader.mapped ? "mmap 1000000 1" : "read 1000000 1");
            reader.read(path);
            return test::clearFault();
        }(),
        1)
        << "the calls that fail here are those that the reader makes";
}

TEST_P(Reading, WithoutMemoryThrowsAndReadsTheNextTime)
{
    attempt(reader, path); // what is made once is made
    test::failAllocation(1'000'000'000);
    ASSERT_EQ(attempt(reader, path), "no error");
    const long allocations = test::failAllocation(0);
    EXPECT_EQ(allocations == 0, reader.mapped) << "what is mapped is not copied";
    for (long n = 1; n <= allocations; n++)
    {
        test::failAllocation(n);
        bool caught = false;
        try
        {
            reader.read(path);
        }
        catch (const std::exception&) // std::bad_alloc; OpenCV has its own
        {
            caught = true;
        }
        test::failAllocation(0);
        EXPECT_TRUE(caught) << n;
    }
    EXPECT_EQ(attempt(reader, path), "no error");
}

INSTANTIATE_TEST_SUITE_P(, Reading, ::testing::Range<size_t>(0, std::size(readers)),
                         [](const auto& which) { return std::string(readers[which.param].name); });

} // namespace
} // namespace agpnet
