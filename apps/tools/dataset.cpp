#include "apps/tools/dataset.h"

#include "apps/tools/image_io.h"
#include "common/error.h"
#include "common/sha256.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <glob.h>
#include <map>
#include <set>

namespace agpnet::tools
{

namespace fs = std::filesystem;

namespace
{

constexpr std::array<const char*, 10> imageExtensions = {".png",  ".bmp",  ".tif", ".tiff", ".jpg",
                                                         ".jpeg", ".webp", ".pgm", ".ppm",  ".pnm"};
constexpr const char* extensionList = "png, jpg, bmp, tiff, webp, pgm, ppm";

std::string lower(std::string text)
{
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

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

std::vector<fs::path> imagesIn(const fs::path& folder)
{
    return entries(folder, false);
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
    require(status.type() == fs::file_type::directory, "{}: is not a folder; a folder of images was expected", path.string());
}

/// MVTec 3D-AD keeps the pictures of a class in rgb/, beside the point clouds.
fs::path pictureFolder(const fs::path& folder)
{
    return isFolder(folder / "rgb") && imagesIn(folder).empty() ? folder / "rgb" : folder;
}

std::string join(const std::vector<std::string>& names, size_t limit)
{
    std::string text;
    for (size_t i = 0; i < names.size() && i < limit; i++)
        text += (i ? ", " : "") + names[i];
    return names.size() > limit ? text + ", …" : text;
}

/// A folder that holds data sets instead of being one is the most common slip: name what could have been meant.
void requireNotCollection(const fs::path& path)
{
    std::vector<std::string> names;
    for (const fs::path& folder : foldersIn(path))
        if (isFolder(folder / "train" / "good") || isFolder(folder / "test" / "good"))
            names.push_back(folder.filename().string());
    require(names.empty(), "{}: holds {} data sets ({}); name one of them", path.string(), names.size(), join(names, 6));
}

void noteSizes(Dataset& dataset)
{
    std::map<std::pair<int, int>, size_t> sizes;
    for (const Item& item : dataset.items)
        if (const auto size = probeSize(item.path))
            sizes[{size->width, size->height}]++;
    if (sizes.size() > 1)
    {
        const auto& [smallest, largest] = std::pair(sizes.begin()->first, sizes.rbegin()->first);
        dataset.warnings.push_back(
            fmt::format("The pictures have {} different sizes, from {}x{} to {}x{}; each is resized for the model.", sizes.size(),
                        smallest.first, smallest.second, largest.first, largest.second));
    }
}

Item makeItem(const fs::path& root, const fs::path& path, Label label, std::string defect)
{
    return {path, path.lexically_relative(root).generic_string(), label, std::move(defect), {}};
}

/// Finds masks by stem, and remembers which were asked for.
class MaskFolder
{
public:
    explicit MaskFolder(const fs::path& folder)
    {
        if (!isFolder(folder))
            return;
        for (const fs::path& path : imagesIn(folder))
            masks_[path.stem().string()].push_back(path);
        for (auto& [stem, paths] : masks_) // PNG and BMP before what loses: a JPEG mask has a halo
            std::stable_sort(paths.begin(), paths.end(), [](const fs::path& a, const fs::path& b) { return rank(a) < rank(b); });
    }

    std::optional<fs::path> find(const std::string& stem)
    {
        for (const std::string& name : {stem + "_mask", stem})
            if (const auto found = masks_.find(name); found != masks_.end())
            {
                used_.insert(name);
                return found->second.front();
            }
        return {};
    }

    size_t unused() const { return masks_.size() - used_.size(); }

private:
    static size_t rank(const fs::path& path)
    {
        const std::string extension = lower(path.extension().string());
        return static_cast<size_t>(std::find(imageExtensions.begin(), imageExtensions.end(), extension) -
                                   imageExtensions.begin());
    }

    std::map<std::string, std::vector<fs::path>> masks_;
    std::set<std::string> used_;
};

void hashNumber(Sha256& hash, uint64_t value)
{
    std::array<unsigned char, 8> bytes{};
    for (size_t i = 0; i < 8; i++)
        bytes[i] = static_cast<unsigned char>(value >> (8 * i));
    hash.update(bytes.data(), bytes.size());
}

void hashFile(Sha256& hash, const fs::path& root, const fs::path& path, std::vector<char>& buffer)
{
    const std::string name = path.lexically_relative(root).generic_string();
    std::error_code error;
    const auto size = fs::file_size(path, error);
    require(!error, "{}: cannot be read: {}", path.string(), error.message());
    // lengths first, so that no other name and content gives the same bytes
    hashNumber(hash, name.size());
    hash.update(name.data(), name.size());
    hashNumber(hash, size);
    std::ifstream in(path, std::ios::binary);
    uint64_t total = 0;
    while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || in.gcount() > 0)
    {
        hash.update(buffer.data(), static_cast<size_t>(in.gcount()));
        total += static_cast<uint64_t>(in.gcount());
    }
    require(total == size, "{}: cannot be read: {} of {} bytes came", path.string(), total, size);
}

bool isGlob(const std::string& text)
{
    return text.find_first_of("*?[") != std::string::npos;
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

bool hasImageExtension(const fs::path& path)
{
    const std::string extension = lower(path.extension().string());
    return std::find(imageExtensions.begin(), imageExtensions.end(), extension) != imageExtensions.end();
}

size_t Dataset::count(Label label) const
{
    return static_cast<size_t>(std::count_if(items.begin(), items.end(), [&](const Item& item) { return item.label == label; }));
}

size_t Dataset::masks() const
{
    return static_cast<size_t>(std::count_if(items.begin(), items.end(), [](const Item& item) { return item.mask.has_value(); }));
}

Dataset listTraining(const fs::path& path)
{
    requireFolder(path);
    Dataset dataset{path, "", {}, {}};
    fs::path folder = path;
    if (isFolder(path / "train" / "good"))
    {
        folder = pictureFolder(path / "train" / "good");
        dataset.layout = folder.filename() == "rgb" ? "MVTec 3D-AD (train/good/rgb)" : "MVTec AD (train/good)";
    }
    else if (isFolder(path / "good"))
    {
        folder = pictureFolder(path / "good");
        dataset.layout = "folder with good/";
    }
    else
    {
        dataset.layout = "folder of good pictures";
        if (imagesIn(path).empty())
            requireNotCollection(path);
    }
    for (const fs::path& image : imagesIn(folder))
        dataset.items.push_back(makeItem(path, image, Label::Good, "good"));
    require(!dataset.items.empty(),
            "{}: holds no good images ({}); a folder of images, one with good/, or one with train/good/ was expected",
            folder.string(), extensionList);
    noteSizes(dataset);
    return dataset;
}

Dataset listTest(const fs::path& path)
{
    requireFolder(path);
    Dataset dataset{path, "", {}, {}};
    const bool mvtec = isFolder(path / "test");
    const fs::path root = mvtec ? path / "test" : path;
    fs::path self = fs::absolute(path).lexically_normal();
    if (!self.has_filename()) // written with a slash at the end
        self = self.parent_path();
    const fs::path truth = (isFolder(path / "ground_truth") ? path : self.parent_path()) / "ground_truth";
    if (!mvtec)
        requireNotCollection(path);
    dataset.layout = mvtec ? "MVTec AD (test/<defect>, ground_truth/<defect>)" : "folder with good/ and <defect>/";

    size_t withoutMask = 0, withoutImage = 0;
    for (const fs::path& folder : foldersIn(root))
    {
        const std::string defect = folder.filename().string();
        if (!mvtec && (defect == "ground_truth" || defect == "train"))
            continue;
        const fs::path pictures = pictureFolder(folder);
        const bool is3d = pictures != folder;
        if (is3d)
            dataset.layout = "MVTec 3D-AD (test/<defect>/rgb, gt)";
        const Label label = lower(defect) == "good" || lower(defect) == "ok" ? Label::Good : Label::Anomalous;
        MaskFolder masks(is3d ? folder / "gt" : truth / defect);
        for (const fs::path& image : imagesIn(pictures))
        {
            Item item = makeItem(path, image, label, label == Label::Good ? "good" : defect);
            if (label == Label::Anomalous)
            {
                item.mask = masks.find(image.stem().string());
                withoutMask += !item.mask;
            }
            dataset.items.push_back(std::move(item));
        }
        if (label == Label::Anomalous)
            withoutImage += masks.unused();
    }
    require(!dataset.items.empty(),
            "{}: holds no labelled test images; test/good/ and test/<defect>/, or good/ and <defect>/, expected", path.string());

    const size_t anomalous = dataset.count(Label::Anomalous);
    if (anomalous == 0)
        dataset.warnings.push_back("The test set holds no anomalies: ranking figures such as AUROC do not exist for it.");
    if (anomalous == dataset.items.size())
        dataset.warnings.push_back("The test set holds no good pictures: ranking figures such as AUROC do not exist for it.");
    if (withoutMask > 0)
        dataset.warnings.push_back(
            fmt::format("{} of {} anomalous pictures have no mask: pixel figures leave them out.", withoutMask, anomalous));
    if (withoutImage > 0)
        dataset.warnings.push_back(fmt::format("{} masks under {} belong to no picture.", withoutImage, truth.string()));
    if (!mvtec && dataset.count(Label::Good) > 0)
        dataset.warnings.push_back(
            "The good test pictures are those that training takes from the same folder: figures will be too good.");
    noteSizes(dataset);
    return dataset;
}

void checkFiles(const Dataset& dataset)
{
    std::string first;
    size_t bad = 0;
    const auto check = [&](const fs::path& path, int minSide)
    {
        try
        {
            ReadOptions options;
            options.minSide = minSide;
            checkImageFile(path, options);
        }
        catch (const Error& error)
        {
            if (++bad <= 3)
                first += fmt::format("{}{}", bad > 1 ? "; " : "", error.what());
        }
    };
    for (const Item& item : dataset.items)
    {
        check(item.path, ReadOptions{}.minSide);
        if (item.mask)
            check(*item.mask, 1);
    }
    require(bad != 1, "{}", first);
    require(bad == 0, "{} files cannot be used: {}{}", bad, first, bad > 3 ? "; …" : "");
}

std::string datasetHash(const Dataset& dataset)
{
    Sha256 hash;
    std::vector<char> buffer(1 << 20);
    for (const Item& item : dataset.items)
    {
        hashFile(hash, dataset.root, item.path, buffer);
        if (item.mask)
            hashFile(hash, dataset.root, *item.mask, buffer);
    }
    return hash.hex();
}

std::vector<fs::path> expandInputs(std::span<const std::string> arguments)
{
    std::vector<fs::path> files;
    std::set<std::string> seen;
    const auto add = [&](const fs::path& path)
    {
        if (seen.insert(path.lexically_normal().string()).second)
            files.push_back(path);
    };
    for (const std::string& argument : arguments)
    {
        std::error_code error;
        const fs::file_status status = fs::status(argument, error);
        if (status.type() == fs::file_type::directory)
        {
            const auto images = imagesIn(argument);
            require(!images.empty(), "{}: the folder holds no images ({})", argument, extensionList);
            for (const fs::path& image : images)
                add(image);
        }
        else if (status.type() != fs::file_type::not_found && status.type() != fs::file_type::none)
            add(argument); // named outright: whatever its extension, reading it will tell
        else
        {
            require(isGlob(argument), "{}: no such file or folder", argument);
            glob_t matches{};
            const int result = ::glob(argument.c_str(), GLOB_NOSORT, nullptr, &matches);
            std::vector<std::string> found;
            for (size_t i = 0; result == 0 && i < matches.gl_pathc; i++)
                if (hasImageExtension(matches.gl_pathv[i]) && !isFolder(matches.gl_pathv[i]))
                    found.emplace_back(matches.gl_pathv[i]);
            ::globfree(&matches);
            require(result == 0 || result == GLOB_NOMATCH, "{}: the pattern cannot be expanded", argument);
            require(!found.empty(), "{}: the pattern matches no image ({})", argument, extensionList);
            std::sort(found.begin(), found.end(), naturalLess);
            for (const std::string& path : found)
                add(path);
        }
    }
    return files;
}

} // namespace agpnet::tools
