#pragma once

#include "tests/support/error_text.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

namespace agpnet::test
{

inline std::filesystem::path fixture(const std::string& name)
{
    return std::filesystem::path(FIXTURES) / name;
}

inline std::filesystem::path fromEnvironment(const char* variable, const char* otherwise)
{
    const char* value = std::getenv(variable);
    return value && *value ? value : otherwise;
}

inline std::string slurp(const std::filesystem::path& path)
{
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// A folder of its own per test, gone afterwards.
class WithFolder : public ::testing::Test
{
protected:
    void SetUp() override
    {
        std::string pattern = (std::filesystem::temp_directory_path() / "agpnet-test-XXXXXX").string();
        folder = ::mkdtemp(pattern.data());
    }
    void TearDown() override { std::filesystem::remove_all(folder); }

    std::filesystem::path folder;
};

} // namespace agpnet::test
