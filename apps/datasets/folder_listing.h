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

/// In it and in all folders below; links to folders are not followed, as they may lead round.
std::vector<std::filesystem::path> picturesBelow(const std::filesystem::path& folder);

/// Files by name: how many they are, and as many of the names as a record has room for.
struct FileNames
{
    static constexpr size_t most = 16;
    size_t count = 0;
    std::vector<std::string> first;

    void add(const std::string& name);
    void add(const FileNames& more);
};

/// What was not taken of a folder.
struct LeftOut
{
    std::vector<std::string> notes; ///< one message about each kind of image that was left out
    FileNames files;                ///< pictures and other files

    void add(LeftOut more);
};

/// What lies in a folder and is not `taken`: pictures of kinds that are not read, other files, and pictures in folders below it, but for
/// those that are accounted for (`known`). What is hidden does not count.
LeftOut leftOut(const std::filesystem::path& folder, const std::set<std::filesystem::path>& taken,
                const std::set<std::filesystem::path>& known = {});

bool isFolder(const std::filesystem::path& path);
void requireFolder(const std::filesystem::path& path); ///< Error unless it is one

std::string lowerCase(std::string text);

/// The first `limit` names with commas, and a sign if there are more.
std::string joinNames(const std::vector<std::string>& names, size_t limit = 6);

} // namespace agpnet::tools
