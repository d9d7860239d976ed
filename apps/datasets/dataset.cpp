#include "apps/datasets/dataset.h"

#include "apps/datasets/folder_dataset.h"
#include "apps/datasets/image_io.h"
#include "apps/datasets/split_file.h"
#include "apps/datasets/table_dataset.h"
#include "common/error.h"
#include "common/sha256.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <glob.h>
#include <map>
#include <set>

namespace agpnet::tools
{

namespace fs = std::filesystem;

namespace
{

Dataset readPart(const fs::path& path, const ListOptions& options, Part part)
{
    const GoodNames good(options.good);
    if (const auto table = findTable(path))
        return readTable(*table, options.category, part, good);
    requireFolder(path);
    if (options.category.empty())
        return readFolders(path, part, good);
    require(isFolder(path / options.category), "{}: holds no folder '{}', which --category names", path.string(), options.category);
    return readFolders(path / options.category, part, good);
}

/// Every good picture, once, whatever part its layout puts it in.
std::vector<Item> allGood(const fs::path& path, const ListOptions& options)
{
    std::vector<Item> good;
    std::set<fs::path> seen;
    for (const Part part : {Part::Train, Part::Validation, Part::Test})
        for (Item& item : readPart(path, options, part).items)
            if (item.label == Label::Good && seen.insert(item.path).second)
                good.push_back(std::move(item));
    return good;
}

bool sharesGood(const fs::path& path, const ListOptions& options, const Dataset& test)
{
    std::set<fs::path> trained;
    for (const Item& item : readPart(path, options, Part::Train).items)
        trained.insert(item.path);
    return std::any_of(test.items.begin(), test.items.end(), [&](const Item& item) { return trained.contains(item.path); });
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
            fmt::format("The images have {} different sizes, from {}x{} to {}x{}; each is resized for the model.", sizes.size(),
                        smallest.first, smallest.second, largest.first, largest.second));
    }
}

/// What lies beside and below the pictures that were listed, and is none of them. `good`: pictures that a split file may have given to the
/// other part.
void noteLeftOut(const fs::path& path, Dataset& dataset, const std::vector<Item>& good)
{
    if (findTable(path))
        return; // which names each
    std::set<fs::path> folders = dataset.folders, taken = dataset.noted, held, known;
    for (const Item& item : dataset.items)
        held.insert(item.path.parent_path());
    folders.insert(held.begin(), held.end());
    for (const std::vector<Item>* items : {&std::as_const(dataset.items), &good})
        for (const Item& item : *items)
            taken.insert(item.path.lexically_normal());
    for (const Item& item : dataset.items)
    {
        for (const fs::path& mask : maskFiles(item))
            taken.insert(mask.lexically_normal());
        if (item.mask) // read too: the folder of masks, or of one image's
            for (fs::path at = item.mask->lexically_normal(); at.has_relative_path() && at != path.lexically_normal();
                 at = at.parent_path())
                known.insert(at);
    }
    for (const fs::path& folder : folders)
        known.insert(folder.lexically_normal());
    for (const fs::path& file : dataset.noted)
        dataset.skipped.add(file.string());
    for (const fs::path& folder : folders)
    {
        LeftOut left = leftOut(folder, taken, known);
        if (left.notes.empty() && !held.contains(folder))
            continue; // a folder without pictures is none of the data set
        std::move(left.notes.begin(), left.notes.end(), std::back_inserter(dataset.warnings));
        dataset.skipped.add(left.files);
    }
}

/// What folders hold instead of pictures, to end an error with.
std::string insteadIn(const std::set<fs::path>& folders)
{
    std::string text;
    for (const fs::path& folder : folders)
        for (std::string note : leftOut(folder, {}).notes)
            text += "; " + note.substr(0, note.size() - 1);
    return text;
}

void notePages(Dataset& dataset)
{
    std::vector<std::string> names;
    std::string first;
    for (const Item& item : dataset.items)
        if (std::string note = pagesNote(item.path); !note.empty())
        {
            if (first.empty())
                first = std::move(note);
            names.push_back(item.name);
        }
    if (!names.empty())
        dataset.warnings.push_back(fmt::format("{} {} ({} of {} files are such: {}).", names.front(), first, names.size(),
                                               dataset.items.size(), joinNames(names)));
}

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

size_t Dataset::count(Label label) const
{
    return static_cast<size_t>(std::count_if(items.begin(), items.end(), [&](const Item& item) { return item.label == label; }));
}

size_t Dataset::masks() const
{
    return static_cast<size_t>(std::count_if(items.begin(), items.end(), [](const Item& item) { return item.mask.has_value(); }));
}

std::vector<fs::path> maskFiles(const Item& item)
{
    if (!item.mask)
        return {};
    return isFolder(*item.mask) ? imagesIn(*item.mask) : std::vector<fs::path>{*item.mask};
}

Dataset listTraining(const fs::path& path, const ListOptions& options)
{
    Dataset dataset = readPart(path, options, Part::Train);
    std::vector<Item> good;
    if (!options.split.empty())
    {
        good = allGood(path, options);
        dataset.items = SplitFile(options.split).choose(good, Part::Train);
        dataset.layout += fmt::format(", split by {}", options.split.filename().string());
        require(!dataset.items.empty(), "{}: names no training image", options.split.string());
    }
    if (dataset.items.empty() && isFolder(dataset.root))
        requireNoCollection(dataset.root, GoodNames(options.good));
    if (dataset.items.empty())
    {
        const std::string folders = isFolder(dataset.root) ? foldersOfUnknownMeaning(dataset.root) : "";
        fail("{}: holds no good images ({}); a folder of images, one with good/, one with train/good/, or a table was expected{}{}",
             dataset.root.string(), imageExtensionList,
             folders.empty() ? "" : fmt::format("; --good NAME says which of its folders is good: {}", folders),
             insteadIn(dataset.folders));
    }
    noteSizes(dataset);
    notePages(dataset);
    noteLeftOut(path, dataset, good);
    return dataset;
}

Dataset listValidation(const fs::path& path, const ListOptions& options)
{
    return readPart(path, options, Part::Validation);
}

Dataset listTest(const fs::path& path, const ListOptions& options)
{
    Dataset dataset = readPart(path, options, Part::Test);
    std::vector<Item> good;
    if (!options.split.empty())
    {
        good = allGood(path, options);
        const std::vector<Item> chosen = SplitFile(options.split).choose(good, Part::Test);
        std::erase_if(dataset.items, [](const Item& item) { return item.label == Label::Good; });
        dataset.items.insert(dataset.items.begin(), chosen.begin(), chosen.end());
        dataset.layout += fmt::format(", split by {}", options.split.filename().string());
    }
    if (dataset.items.empty() && isFolder(dataset.root))
        requireNoCollection(dataset.root, GoodNames(options.good));
    require(!dataset.items.empty(),
            "{}: holds no labelled test images; test/good/ and test/<defect>/, good/ and <defect>/, or a table expected{}",
            path.string(), dataset.items.empty() ? insteadIn(dataset.folders) : "");

    const size_t anomalous = dataset.count(Label::Anomalous), withoutMask = anomalous - dataset.masks();
    if (withoutMask > 0)
        dataset.warnings.insert(
            dataset.warnings.begin(),
            fmt::format("{} of {} anomalous images have no mask: pixel metrics leave them out.", withoutMask, anomalous));
    if (anomalous == 0)
        dataset.warnings.push_back("The test set holds no anomalies: ranking metrics such as AUROC do not exist for it.");
    if (anomalous == dataset.items.size())
        dataset.warnings.push_back(
            fmt::format("The test set holds no good images: ranking metrics such as AUROC do not exist for it; --good NAME says "
                        "which folder or label is good where it is none of {}.",
                        goodWords()));
    if (options.split.empty() && sharesGood(path, options, dataset))
        dataset.warnings.push_back(
            "The good test images are those that training takes from the same folder: the metrics will be too good.");
    noteSizes(dataset);
    notePages(dataset);
    noteLeftOut(path, dataset, good);
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
        for (const fs::path& mask : maskFiles(item))
            check(mask, 1);
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
        std::vector<fs::path> beside = maskFiles(item);
        if (item.xyz)
            beside.push_back(*item.xyz);
        for (const fs::path& file : beside)
            hashFile(hash, dataset.root, file, buffer);
        hash.update(item.defect.data(), item.defect.size()); // a table may say another label of the same file
    }
    return hash.hex();
}

std::vector<fs::path> expandInputs(std::span<const std::string> arguments, LeftOut* beside)
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
        if (argument == standardInputName)
        {
            add(argument);
            continue;
        }
        std::error_code error;
        const fs::file_status status = fs::status(argument, error);
        if (status.type() == fs::file_type::directory)
        {
            const auto images = imagesIn(argument);
            require(!images.empty(), "{}: the folder holds no images ({}){}", argument, imageExtensionList,
                    images.empty() ? insteadIn({argument}) : "");
            for (const fs::path& image : images)
                add(image);
            if (beside)
            {
                std::set<fs::path> taken;
                for (const fs::path& image : images)
                    taken.insert(image.lexically_normal());
                beside->add(leftOut(argument, taken));
            }
        }
        else if (status.type() == fs::file_type::none) // a folder on the way that may not be entered, or links that lead round
            fail("{}: cannot be looked at: {}", argument, error.message());
        else if (status.type() != fs::file_type::not_found)
            add(argument); // named outright: whatever its extension, reading it will tell
        else
        {
            require(isGlob(argument), "{}: no such file or folder", argument);
            glob_t matches{};
            const int result = ::glob(argument.c_str(), GLOB_NOSORT, nullptr, &matches);
            std::vector<std::string> found;
            for (size_t i = 0; result == 0 && i < matches.gl_pathc; i++)
                if (isFolder(matches.gl_pathv[i]))
                    continue;
                else if (hasImageExtension(matches.gl_pathv[i]))
                    found.emplace_back(matches.gl_pathv[i]);
                else if (beside)
                    beside->files.add(matches.gl_pathv[i]);
            ::globfree(&matches);
            require(result == 0 || result == GLOB_NOMATCH, "{}: the pattern cannot be expanded", argument);
            require(!found.empty(), "{}: the pattern matches no image ({})", argument, imageExtensionList);
            std::sort(found.begin(), found.end(), naturalLess);
            for (const std::string& path : found)
                add(path);
        }
    }
    return files;
}

} // namespace agpnet::tools
