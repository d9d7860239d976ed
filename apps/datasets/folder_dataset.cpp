#include "apps/datasets/folder_dataset.h"

#include "apps/datasets/point_cloud.h"
#include "common/error.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace agpnet::tools
{

namespace fs = std::filesystem;

namespace
{

// What folders are called, as bareWord() has it.
constexpr std::array trainNames = {"train", "training"};
constexpr std::array validationNames = {"validation", "val", "valid"};
constexpr std::array testNames = {"test", "testing"};
/// Names of folders with masks.
constexpr std::array truthNames = {"groundtruth",  "masks",         "mask",       "gt",         "groundtruths",
                                   "segmentation", "segmentations", "annotation", "annotations"};
constexpr std::array truthBeside = {"labels", "label"}; ///< too, but beside test/ only: in it they are a kind of defect

// Behind or before the name of what a mask is of.
constexpr std::array maskWords = {"mask", "masks", "gt", "label", "seg", "groundtruth"};
constexpr std::array maskFolderWords = {"mask", "masks", "gt", "groundtruth"}; ///< cut_label/ may be a kind of defect

template <typename Names>
bool isNamed(const fs::path& folder, const Names& names)
{
    return std::find(names.begin(), names.end(), bareWord(folder.filename().string())) != names.end();
}

/// The folders in it that are called so, in the order of the names.
template <typename Names>
std::vector<fs::path> foldersNamed(const fs::path& folder, const Names& names)
{
    std::vector<fs::path> found;
    if (!isFolder(folder))
        return found;
    const std::vector<fs::path> all = foldersIn(folder);
    for (const char* name : names)
        std::copy_if(all.begin(), all.end(), std::back_inserter(found),
                     [name](const fs::path& path) { return bareWord(path.filename().string()) == name; });
    return found;
}

template <typename Names>
std::optional<fs::path> folderNamed(const fs::path& folder, const Names& names)
{
    const std::vector<fs::path> found = foldersNamed(folder, names);
    return found.empty() ? std::nullopt : std::optional(found.front());
}

/// Case aside.
std::optional<fs::path> folderCalled(const fs::path& folder, const std::string& name)
{
    if (isFolder(folder / name))
        return folder / name;
    return folderNamed(folder, std::array{bareWord(name).c_str()});
}

/// The name of the picture (or of the folder of pictures) that one of this name is the mask of: "7" of "7_mask", "7-GT" and "mask_7".
template <typename Words>
std::optional<std::string> maskedBy(const std::string& name, const Words& words)
{
    const std::string lower = lowerCase(name), between = "_-. ";
    for (const std::string word : words)
    {
        if (lower.size() < word.size() + 2)
            continue;
        const size_t rest = lower.size() - word.size() - 1;
        if (lower.ends_with(word) && between.find(lower[rest]) != std::string::npos)
            return name.substr(0, rest);
        if (lower.starts_with(word) && between.find(lower[word.size()]) != std::string::npos)
            return name.substr(word.size() + 1);
    }
    return {};
}

/// Finds masks by the stems of pictures, and remembers which were asked for.
class MaskFolder
{
public:
    MaskFolder() = default;
    explicit MaskFolder(const fs::path& folder)
    {
        if (!isFolder(folder))
            return;
        for (const fs::path& path : imagesIn(folder))
            add(path);
        for (auto* masks : {&named_, &alike_})
            for (auto& [stem, paths] : *masks) // PNG and BMP before what loses: a JPEG mask has a halo
                std::stable_sort(paths.begin(), paths.end(),
                                 [](const fs::path& a, const fs::path& b) { return imageExtensionRank(a) < imageExtensionRank(b); });
        for (const fs::path& path : foldersIn(folder)) // MVTec LOCO AD: one mask for each thing that is wrong
            if (!imagesIn(path).empty())
                add(path, path.filename().string());
    }

    void add(const fs::path& path) { add(path, path.stem().string()); }

    std::optional<fs::path> find(const std::string& stem)
    {
        for (const auto* masks : {&named_, &alike_})
            if (const auto found = masks->find(stem); found != masks->end())
            {
                used_.insert(found->second.begin(), found->second.end());
                return found->second.front();
            }
        return {};
    }

    std::vector<fs::path> unused() const
    {
        std::vector<fs::path> files;
        for (const fs::path& path : all_)
            if (!used_.contains(path))
                std::ranges::copy(isFolder(path) ? imagesIn(path) : std::vector<fs::path>{path}, std::back_inserter(files));
        return files;
    }
    bool fits() const { return !used_.empty(); }

private:
    void add(const fs::path& path, const std::string& name)
    {
        all_.push_back(path);
        alike_[name].push_back(path);
        if (const auto picture = maskedBy(name, maskWords))
            named_[*picture].push_back(path);
    }

    std::map<std::string, std::vector<fs::path>> named_, alike_; ///< by the picture's stem: 7_mask.png, and 7.png
    std::vector<fs::path> all_;
    std::set<fs::path> used_;
};

/// The pictures of a folder, and the masks that lie among them: 7_mask.png beside 7.png.
struct Pictures
{
    std::vector<fs::path> images;
    MaskFolder masks;
    std::vector<fs::path> maskFiles;
};

Pictures picturesIn(const fs::path& folder)
{
    const std::vector<fs::path> all = imagesIn(folder);
    std::set<std::string> stems;
    for (const fs::path& path : all)
        stems.insert(path.stem().string());
    Pictures pictures;
    for (const fs::path& path : all)
    {
        const std::string stem = path.stem().string();
        const std::optional<std::string> picture = maskedBy(stem, maskWords);
        if (picture && stems.contains(*picture))
        {
            pictures.masks.add(path);
            pictures.maskFiles.push_back(path);
        }
        else
            pictures.images.push_back(path);
    }
    return pictures;
}

/// MVTec 3D-AD keeps the pictures of a class in rgb/, beside the point clouds.
fs::path pictureFolder(const fs::path& folder)
{
    return isFolder(folder / "rgb") && imagesIn(folder).empty() ? folder / "rgb" : folder;
}

Item makeItem(const fs::path& root, const fs::path& path, Label label, std::string defect)
{
    Item item = itemOf(path);
    item.name = path.lexically_relative(root).generic_string();
    item.label = label;
    item.defect = std::move(defect);
    return item;
}

/// Files that are not used, for a reason that a warning tells.
void leaveOut(Dataset& dataset, const std::vector<fs::path>& files)
{
    for (const fs::path& file : files)
        dataset.noted.insert(file.lexically_normal());
}

/// Pictures that lie beside the folders that say what is in them.
void leaveOutLoose(Dataset& dataset, const fs::path& folder)
{
    const std::vector<fs::path> loose = imagesIn(folder);
    leaveOut(dataset, loose);
    std::vector<std::string> names;
    for (const fs::path& path : loose)
        names.push_back(path.filename().string());
    if (!names.empty())
        dataset.warnings.push_back(fmt::format("{}: {} images lie beside the folders of good and defective ones, and were left out: {}.",
                                               folder.string(), names.size(), joinNames(names)));
}

void addGood(Dataset& dataset, const fs::path& folder)
{
    const Pictures pictures = picturesIn(folder);
    for (const fs::path& image : pictures.images)
        dataset.items.push_back(makeItem(dataset.root, image, Label::Good, "good"));
    dataset.folders.insert(folder);
    leaveOut(dataset, pictures.maskFiles);
    if (!pictures.maskFiles.empty())
        dataset.warnings.push_back(
            fmt::format("{}: {} images are named as masks of others, and were left out.", folder.string(), pictures.maskFiles.size()));
}

std::vector<fs::path> goodFolders(const fs::path& folder, const GoodNames& good)
{
    std::vector<fs::path> found;
    for (const fs::path& path : foldersIn(folder))
        if (good.isSurelyGood(path.filename().string()) && !isNamed(path, truthNames))
            found.push_back(path);
    return found;
}

void noteUnclear(Dataset& dataset, const fs::path& folder, const GoodNames& good)
{
    std::vector<std::string> names;
    for (const fs::path& path : foldersIn(folder))
        if (!good.given() && meaningOf(path.filename().string()) == Meaning::Unclear && !imagesIn(path).empty())
            names.push_back(path.filename().string());
    if (!names.empty())
        dataset.warnings.push_back(fmt::format(
            "{}: these folders may hold good images too, which are not trained on: {}; --good NAME, again for each, says which do.",
            folder.string(), joinNames(names)));
}

void readTraining(Dataset& dataset, const GoodNames& good)
{
    const fs::path& root = dataset.root;
    const std::optional<fs::path> train = folderNamed(root, trainNames);
    std::vector<fs::path> folders = train ? goodFolders(*train, good) : std::vector<fs::path>();
    const bool mvtec = !folders.empty();
    if (!mvtec)
        folders = goodFolders(root, good);
    if (!folders.empty())
    {
        leaveOutLoose(dataset, mvtec ? *train : root);
        noteUnclear(dataset, mvtec ? *train : root, good);
    }
    bool is3d = false;
    std::vector<std::string> places;
    for (const fs::path& folder : folders)
    {
        const fs::path pictures = pictureFolder(folder);
        is3d |= pictures != folder;
        places.push_back(pictures.lexically_relative(root).generic_string());
        addGood(dataset, pictures);
    }
    if (mvtec)
        dataset.layout = fmt::format("{} ({})", is3d ? "MVTec 3D-AD" : "MVTec AD", joinNames(places));
    else if (!folders.empty())
        dataset.layout = fmt::format("folder with {}/", joinNames(places));
    else
    {
        dataset.layout = "folder of good images";
        addGood(dataset, root);
    }
}

/// A folder that is called as those of masks are, and what of it has fitted.
struct Truth
{
    fs::path folder;
    MaskFolder flat; ///< masks right in it, of pictures of all kinds of defect
    std::vector<fs::path> unused; ///< in its folders
    bool fits = false;
};

/// Where masks may lie for the classes in `root`: in it, in the data set, and beside it where it is itself a part of one.
std::vector<Truth> truthsOf(const fs::path& path, const fs::path& root)
{
    fs::path self = fs::absolute(path).lexically_normal();
    if (!self.has_filename()) // written with a slash at the end
        self = self.parent_path();
    std::vector<fs::path> folders = foldersNamed(path, truthNames);
    if (root != path)
        for (const std::vector<fs::path>& more : {foldersNamed(path, truthBeside), foldersNamed(root, truthNames)})
            std::ranges::copy(more, std::back_inserter(folders));
    if (folders.empty())
    {
        if (isNamed(self, testNames))
            folders = foldersNamed(self.parent_path(), truthNames);
        else if (const auto beside = folderNamed(self.parent_path(), std::array{"groundtruth"}))
            folders = {*beside};
    }
    std::vector<Truth> truths;
    for (const fs::path& folder : folders)
        truths.push_back({folder, MaskFolder(), {}, false});
    return truths;
}

/// Masks beside the pictures of a class: cut_mask/ beside cut/. By the folder of the class.
std::map<fs::path, Truth> truthsBeside(const fs::path& root)
{
    std::map<fs::path, Truth> besides;
    for (const fs::path& folder : foldersIn(root))
        if (const auto masked = maskedBy(folder.filename().string(), maskFolderWords))
            if (const auto pictures = folderCalled(root, *masked); pictures && !picturesIn(pictureFolder(*pictures)).images.empty())
                besides.emplace(*pictures, Truth{folder, MaskFolder(folder), {}, false});
    return besides;
}

/// A folder of test pictures: good ones, or those with one kind of defect.
struct Class
{
    fs::path folder;
    bool is3d;
    Label label;
    Pictures pictures;
};

/// The folders of `root` that hold test pictures. Folders of masks, and of training pictures where `root` is the data set itself, are none.
std::vector<Class> classesIn(const fs::path& root, Dataset& dataset, const GoodNames& good, const std::vector<Truth>& truths,
                             const std::map<fs::path, Truth>& besides)
{
    std::vector<Class> classes;
    for (const fs::path& folder : foldersIn(root))
    {
        const std::string name = folder.filename().string();
        if (std::ranges::any_of(besides, [&](const auto& beside) { return beside.second.folder == folder; }))
            continue;
        if (root == dataset.root && (isNamed(folder, trainNames) || isNamed(folder, validationNames)))
            continue;
        // a kind of defect may be called "mask" too: it then has masks of its own
        if (isNamed(folder, truthNames) && std::ranges::none_of(truths, [&](const Truth& truth) { return isFolder(truth.folder / name); }))
            continue;
        const fs::path pictures = pictureFolder(folder);
        dataset.folders.insert(pictures);
        Class one{folder, pictures != folder, Label::Good, picturesIn(pictures)};
        if (one.pictures.images.empty())
            continue;
        one.label = good.isGood(name, dataset.root.string()) ? Label::Good : Label::Anomalous;
        if (one.label == Label::Good)
            leaveOut(dataset, one.pictures.maskFiles); // they are empty anyway
        if (one.is3d)
            dataset.layout = "MVTec 3D-AD (test/<defect>/rgb, gt)";
        classes.push_back(std::move(one));
    }
    return classes;
}

/// Masks of one class, and the folder that they count for, if any.
using MaskSource = std::pair<MaskFolder, Truth*>;

std::vector<MaskSource> maskSources(Class& one, std::vector<Truth>& truths, std::map<fs::path, Truth>& besides)
{
    std::vector<MaskSource> sources;
    if (one.label == Label::Good)
        return sources;
    for (Truth& truth : truths)
        if (const auto own = folderCalled(truth.folder, one.folder.filename().string()))
            sources.emplace_back(MaskFolder(*own), &truth);
    if (const auto beside = besides.find(one.folder); beside != besides.end())
        sources.emplace_back(beside->second.flat, &beside->second);
    for (const fs::path& inside : foldersNamed(one.folder, truthNames))
        sources.emplace_back(MaskFolder(inside), nullptr);
    sources.emplace_back(std::move(one.pictures.masks), nullptr);
    return sources;
}

/// Adds the class's pictures with their masks. `stems`: how many defective pictures of all classes have a name. Returns how many of the
/// class have a mask by their name that another picture may own.
size_t addClass(Dataset& dataset, Class& one, std::vector<Truth>& truths, std::map<fs::path, Truth>& besides,
                const std::map<std::string, int>& stems)
{
    size_t ambiguous = 0;
    std::vector<MaskSource> sources = maskSources(one, truths, besides);
    for (const fs::path& image : one.pictures.images)
    {
        Item item = makeItem(dataset.root, image, one.label, one.label == Label::Good ? "good" : one.folder.filename().string());
        const std::string stem = image.stem().string();
        for (auto& [masks, truth] : sources)
            if (!item.mask && (item.mask = masks.find(stem)) && truth)
                truth->fits = true;
        for (Truth& truth : truths)
            if (const auto mask = item.mask ? std::nullopt : truth.flat.find(stem))
            {
                if (one.label == Label::Good)
                    continue; // it is empty anyway
                truth.fits = true;
                if (stems.at(stem) == 1)
                    item.mask = mask;
                else
                    ambiguous++;
            }
        dataset.items.push_back(std::move(item));
    }
    for (const auto& [masks, truth] : sources)
        if (truth)
            std::ranges::copy(masks.unused(), std::back_inserter(truth->unused));
    return ambiguous;
}

/// Says which masks fit no picture, and leaves them out.
void leaveOutUnused(Dataset& dataset, Truth& truth, bool defects)
{
    if (!truth.fits && defects)
    {
        leaveOut(dataset, picturesBelow(truth.folder));
        dataset.warnings.push_back(fmt::format("{}: is named as masks are, but fits no image, and was left out.", truth.folder.string()));
        return;
    }
    if (truth.fits)
        std::ranges::copy(truth.flat.unused(), std::back_inserter(truth.unused));
    leaveOut(dataset, truth.unused);
    if (!truth.unused.empty())
        dataset.warnings.push_back(fmt::format("{} masks under {} belong to no image.", truth.unused.size(), truth.folder.string()));
}

void readTest(Dataset& dataset, const GoodNames& good)
{
    const std::optional<fs::path> test = folderNamed(dataset.root, testNames);
    const fs::path root = test ? *test : dataset.root;
    std::vector<Truth> truths = truthsOf(dataset.root, root);
    dataset.layout = test ? "MVTec AD (test/<defect>, ground_truth/<defect>)" : "folder with good/ and <defect>/";
    std::map<fs::path, Truth> besides = truthsBeside(root);
    std::vector<Class> classes = classesIn(root, dataset, good, truths, besides);
    std::map<std::string, int> stems; // of pictures that want a mask
    for (const Class& one : classes)
        if (one.label == Label::Anomalous)
            for (const fs::path& image : one.pictures.images)
                stems[image.stem().string()]++;
    // masks of all classes in one folder say by their names alone whose they are
    for (Truth& truth : truths)
        for (const fs::path& mask : imagesIn(truth.folder))
            truth.flat.add(mask);

    size_t ambiguous = 0;
    for (Class& one : classes)
        ambiguous += addClass(dataset, one, truths, besides, stems);
    if (!classes.empty())
        leaveOutLoose(dataset, root);
    for (auto& [pictures, truth] : besides)
    {
        truth.flat = MaskFolder(); // its masks have been asked for above
        truths.push_back(std::move(truth));
    }
    for (Truth& truth : truths)
        leaveOutUnused(dataset, truth, !stems.empty());
    if (ambiguous > 0)
        dataset.warnings.push_back(
            fmt::format("{} images of several folders have names in common, and masks of these names fit more than one of them; a "
                        "folder of masks for each folder of images was expected.",
                        ambiguous));
}

} // namespace

Dataset readFolders(const fs::path& path, Part part, const GoodNames& good)
{
    Dataset dataset;
    dataset.root = path;
    const fs::path self = fs::absolute(path).lexically_normal();
    dataset.name = (self.has_filename() ? self : self.parent_path()).filename().string();
    if (part == Part::Train)
        readTraining(dataset, good);
    else if (part == Part::Test)
        readTest(dataset, good);
    else if (const auto validation = folderNamed(path, validationNames))
        for (const fs::path& folder : goodFolders(*validation, good))
        {
            const fs::path pictures = pictureFolder(folder);
            dataset.layout = pictures == folder ? pictures.lexically_relative(path).generic_string() : "validation/good";
            addGood(dataset, pictures);
        }
    return dataset;
}

void requireNoCollection(const fs::path& path, const GoodNames& good)
{
    std::vector<std::string> names;
    for (const fs::path& folder : foldersIn(path))
        for (const auto& part : {folderNamed(folder, trainNames), folderNamed(folder, testNames)})
            if (part && !goodFolders(*part, good).empty())
            {
                names.push_back(folder.filename().string());
                break;
            }
    require(names.empty(), "{}: holds {} data sets ({}); name one of them with --category", path.string(), names.size(),
            joinNames(names));
}

std::string foldersOfUnknownMeaning(const fs::path& path)
{
    std::vector<std::string> names;
    for (const fs::path& root : {path, folderNamed(path, trainNames).value_or(fs::path())})
        if (isFolder(root))
            for (const fs::path& folder : foldersIn(root))
                if (!imagesIn(folder).empty() && !isNamed(folder, truthNames))
                    names.push_back(folder.lexically_relative(path).generic_string());
    return joinNames(names);
}

} // namespace agpnet::tools
