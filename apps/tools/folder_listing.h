// What lies in a folder: pictures and folders in natural order.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace agpnet::tools
{

inline constexpr const char* imageExtensionList = "png, jpg, bmp, tiff, webp, jp2, pgm, ppm, pbm, pam";

/// Digits count as numbers, letters as bytes.
bool naturalLess(const std::string& a, const std::string& b);

/// By extension, in any case.
bool hasImageExtension(const std::filesystem::path& path);

/// The place of the extension among those known, lossless ones first; above all of them if it is none.
size_t imageExtensionRank(const std::filesystem::path& path);

std::vector<std::filesystem::path> imagesIn(const std::filesystem::path& folder);  ///< visible, not below; Error if unreadable
std::vector<std::filesystem::path> foldersIn(const std::filesystem::path& folder); ///< the same for folders

std::vector<std::filesystem::path> unreadPicturesIn(const std::filesystem::path& folder); ///< pictures, by name or first bytes, that imagesIn() leaves out

/// What of a folder imagesIn() leaves out, a sentence each: pictures of other kinds, and those in folders below it. `known`: folders that are accounted for.
std::vector<std::string> leftOut(const std::filesystem::path& folder, const std::set<std::filesystem::path>& known = {});

bool isFolder(const std::filesystem::path& path);
void requireFolder(const std::filesystem::path& path); ///< Error unless it is one

std::string lowerCase(std::string text);

/// The first `limit` names with commas, and a sign if there are more.
std::string joinNames(const std::vector<std::string>& names, size_t limit = 6);

} // namespace agpnet::tools
