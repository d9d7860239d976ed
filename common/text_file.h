#pragma once

#include <filesystem>
#include <string>

namespace agpnet
{

/// The whole of a regular file of at most so many bytes. A file that cannot be read to its end is an Error, never half a text.
/// @param what  for the message if there is none: "a split file"
std::string readTextFile(const std::filesystem::path& path, const char* what, uintmax_t mostBytes = 1u << 30);

} // namespace agpnet
