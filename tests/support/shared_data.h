#pragma once

#include <cstdlib>
#include <filesystem>

namespace agpnet::test
{

/// Data that is not in the repository; tests skip where it is absent.
inline std::filesystem::path sharedData(const char* name)
{
    const char* root = std::getenv("AGPNET_SHARED");
    return std::filesystem::path(root ? root : AGPNET_SOURCE_DIR "/../shared") / name;
}

} // namespace agpnet::test
