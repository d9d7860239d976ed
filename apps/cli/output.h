#pragma once

#include <filesystem>

namespace agpnet::app
{

/// Error where a file of this name could not be written: found out before hours of work, not after.
void requireWritable(const std::filesystem::path& target);

/// Brings what was printed so far to where standard output goes. Error where that, or anything printed before, could not be written: on a
/// full disk nothing else would tell.
void flushOutput();

} // namespace agpnet::app
