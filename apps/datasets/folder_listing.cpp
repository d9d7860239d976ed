#include "apps/datasets/folder_listing.h"

#include "apps/datasets/image_io.h"
#include "common/error.h"

#include <algorithm>
#include <array>

namespace agpnet::tools
{

namespace fs = std::filesystem;

namespace
{

constexpr std::array imageExtensions = {".png", ".bmp", ".dib",  ".tif", ".tiff", ".pgm",  ".ppm",  ".pnm", ".pbm",
                                        ".pam", ".jp2", ".j2k", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp"};

/// Pictures that are not read, of which some have no first bytes to be known by.
constexpr std::array otherPictures = {".gif", ".heic", ".heif", ".avif", ".tga", ".exr", ".hdr", ".pfm", ".raw",
                                      ".dng", ".cr2",  ".cr3",  ".nef",  ".arw", ".orf", ".rw2", ".psd", ".svg",
                                      ".ico", ".jxl",  ".jxr",  ".j2c",  ".jpx", ".ras", ".pcx", ".dcm"};

/// Visible entries in natural order; files with a picture's extension, or folders.
std::vector<fs::path> entries(const fs::path& folder, bool folders)
{
    std::error_code error;
    fs::directory_iterator at(folder, error);
    require(!error, "{}: the folder cannot be read: {}", folder.string(), error.message());
    std::vector<fs::path> found;
    for (; at != fs::directory_iterator(); at.increment(error))
    {
        const fs::path& path = at->path();
        if (path.filename().string().starts_with('.'))
            continue;
        if (folders)
        {
            if (at->is_directory(error))
                found.push_back(path);
        }
        else if (hasImageExtension(path))
        {
            const bool isFile = at->is_regular_file(error);
            require(isFile || !at->is_symlink(error) || fs::exists(path, error), "{}: the link points to nothing", path.string());
            if (isFile)
                found.push_back(path);
        }
        error.clear();
    }
    require(!error, "{}: the folder cannot be read: {}", folder.string(), error.message());
    std::sort(found.begin(), found.end(),
              [](const fs::path& a, const fs::path& b) { return naturalLess(a.filename().string(), b.filename().string()); });
    return found;
}

/// A picture of a kind that is not read, by name or first bytes.
bool isOtherPicture(const fs::path& path)
{
    const std::string extension = lowerCase(path.extension().string());
    return std::find(otherPictures.begin(), otherPictures.end(), extension) != otherPictures.end() || looksLikeImage(path);
}

} // namespace

bool naturalLess(const std::string& a, const std::string& b)
{
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    size_t i = 0, j = 0;
    while (i < a.size() && j < b.size())
    {
        if (digit(a[i]) && digit(b[j]))
        {
            size_t startA = i, startB = j;
            while (startA < a.size() && a[startA] == '0')
                startA++;
            while (startB < b.size() && b[startB] == '0')
                startB++;
            size_t endA = startA, endB = startB;
            while (endA < a.size() && digit(a[endA]))
                endA++;
            while (endB < b.size() && digit(b[endB]))
                endB++;
            if (endA - startA != endB - startB)
                return endA - startA < endB - startB;
            if (const int order = a.compare(startA, endA - startA, b, startB, endB - startB))
                return order < 0;
            i = endA;
            j = endB;
        }
        else
        {
            if (a[i] != b[j])
                return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[j]);
            i++;
            j++;
        }
    }
    if ((a.size() - i) != (b.size() - j))
        return a.size() - i < b.size() - j;
    return a < b; // 1 and 01 are equal as numbers, but the order must be total
}

size_t imageExtensionRank(const fs::path& path)
{
    const auto found = std::find(imageExtensions.begin(), imageExtensions.end(), lowerCase(path.extension().string()));
    return static_cast<size_t>(found - imageExtensions.begin());
}

bool hasImageExtension(const fs::path& path)
{
    return imageExtensionRank(path) < imageExtensions.size();
}

std::vector<fs::path> imagesIn(const fs::path& folder)
{
    return entries(folder, false);
}

std::vector<fs::path> picturesBelow(const fs::path& folder)
{
    std::vector<fs::path> found;
    std::error_code error;
    for (fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied, error);
         !error && at != fs::recursive_directory_iterator(); at.increment(error))
    {
        std::error_code ignored;
        if (hasImageExtension(at->path()) && !at->path().filename().string().starts_with('.') && at->is_regular_file(ignored))
            found.push_back(at->path());
    }
    std::sort(found.begin(), found.end());
    return found;
}

void FileNames::add(const std::string& name)
{
    count++;
    if (first.size() < most)
        first.push_back(name);
}

void FileNames::add(const FileNames& more)
{
    count += more.count;
    for (const std::string& name : more.first)
        if (first.size() < most)
            first.push_back(name);
}

void LeftOut::add(LeftOut more)
{
    std::move(more.notes.begin(), more.notes.end(), std::back_inserter(notes));
    files.add(more.files);
}

LeftOut leftOut(const fs::path& folder, const std::set<fs::path>& taken, const std::set<fs::path>& known)
{
    std::vector<fs::path> files;
    std::error_code error;
    for (fs::directory_iterator at(folder, error); !error && at != fs::directory_iterator(); at.increment(error))
    {
        std::error_code ignored;
        if (!at->path().filename().string().starts_with('.') && !taken.contains(at->path().lexically_normal()) &&
            at->is_regular_file(ignored))
            files.push_back(at->path());
    }
    std::sort(files.begin(), files.end());
    LeftOut left;
    std::vector<std::string> others;
    for (const fs::path& path : files)
    {
        left.files.add(path.string());
        if (!hasImageExtension(path) && isOtherPicture(path))
            others.push_back(path.filename().string());
    }
    if (!others.empty())
        left.notes.push_back(fmt::format("{}: {} images of formats that are not read are left out: {}; {} are read.", folder.string(),
                                         others.size(), joinNames(others), imageExtensionList));
    size_t below = 0;
    std::vector<std::string> names;
    const std::string here = fs::weakly_canonical(folder, error).string() + "/";
    for (const fs::path& each : foldersIn(folder))
        // a link may lead round
        if (!known.contains(each.lexically_normal()) && !here.starts_with(fs::weakly_canonical(each, error).string() + "/"))
            if (const std::vector<fs::path> pictures = picturesBelow(each); !pictures.empty())
            {
                below += pictures.size();
                names.push_back(each.filename().string() + "/");
                for (const fs::path& picture : pictures)
                    left.files.add(picture.string());
            }
    if (below > 0)
        left.notes.push_back(
            fmt::format("{}: {} images in folders below it are left out: {}; only the images right in the folder are read.",
                        folder.string(), below, joinNames(names)));
    return left;
}

std::vector<fs::path> foldersIn(const fs::path& folder)
{
    return entries(folder, true);
}

bool isFolder(const fs::path& path)
{
    std::error_code error;
    return fs::is_directory(path, error);
}

void requireFolder(const fs::path& path)
{
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    require(status.type() != fs::file_type::not_found, "{}: no such folder", path.string());
    require(status.type() != fs::file_type::none, "{}: cannot be looked at: {}", path.string(), error.message());
    require(status.type() == fs::file_type::directory, "{}: is not a folder; a folder of images was expected", path.string());
}

std::string lowerCase(std::string text)
{
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

std::string joinNames(const std::vector<std::string>& names, size_t limit)
{
    std::string text;
    for (size_t i = 0; i < names.size() && i < limit; i++)
        text += (i ? ", " : "") + names[i];
    return names.size() > limit ? text + ", …" : text;
}

} // namespace agpnet::tools
