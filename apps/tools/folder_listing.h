// What lies in a folder: pictures and folders in natural order.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace agpnet::tools
{

inline constexpr const char* imageExtensionList = "png, jpg, bmp, tiff, webp, pgm, ppm";

/// Digits count as numbers, letters as bytes.
bool naturalLess(const std::string& a, const std::string& b);

/// By extension, in any case.
bool hasImageExtension(const std::filesystem::path& path);

/// The place of the extension among those known, lossless ones first; above all of them if it is none.
size_t imageExtensionRank(const std::filesystem::path& path);

std::vector<std::filesystem::path> imagesIn(const std::filesystem::path& folder);  ///< visible, not below; Error if unreadable
std::vector<std::filesystem::path> foldersIn(const std::filesystem::path& folder); ///< the same for folders

bool isFolder(const std::filesystem::path& path);
void requireFolder(const std::filesystem::path& path); ///< Error unless it is one

std::string lowerCase(std::string text);

/// The first `limit` names with commas, and a sign if there are more.
std::string joinNames(const std::vector<std::string>& names, size_t limit = 6);

} // namespace agpnet::tools
