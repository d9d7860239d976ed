#include "apps/tools/folder_dataset.h"

#include "apps/tools/point_cloud.h"
#include "common/error.h"

#include <algorithm>
#include <map>
#include <set>

namespace agpnet::tools
{

namespace fs = std::filesystem;

namespace
{

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
            std::stable_sort(paths.begin(), paths.end(), [](const fs::path& a, const fs::path& b) { return imageExtensionRank(a) < imageExtensionRank(b); });
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
    std::map<std::string, std::vector<fs::path>> masks_;
    std::set<std::string> used_;
};
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

void addGood(Dataset& dataset, const fs::path& folder)
{
    for (const fs::path& image : imagesIn(folder))
        dataset.items.push_back(makeItem(dataset.root, image, Label::Good, "good"));
}

void readTraining(Dataset& dataset)
{
    const fs::path& root = dataset.root;
    if (isFolder(root / "train" / "good"))
    {
        const fs::path folder = pictureFolder(root / "train" / "good");
        dataset.layout = folder.filename() == "rgb" ? "MVTec 3D-AD (train/good/rgb)" : "MVTec AD (train/good)";
        addGood(dataset, folder);
    }
    else if (isFolder(root / "good"))
    {
        dataset.layout = "folder with good/";
        addGood(dataset, pictureFolder(root / "good"));
    }
    else
    {
        dataset.layout = "folder of good pictures";
        addGood(dataset, root);
    }
}

void readTest(Dataset& dataset)
{
    const fs::path& path = dataset.root;
    const bool mvtec = isFolder(path / "test");
    const fs::path root = mvtec ? path / "test" : path;
    fs::path self = fs::absolute(path).lexically_normal();
    if (!self.has_filename()) // written with a slash at the end
        self = self.parent_path();
    const fs::path truth = (isFolder(path / "ground_truth") ? path : self.parent_path()) / "ground_truth";
    dataset.layout = mvtec ? "MVTec AD (test/<defect>, ground_truth/<defect>)" : "folder with good/ and <defect>/";

    size_t withoutImage = 0;
    for (const fs::path& folder : foldersIn(root))
    {
        const std::string defect = folder.filename().string();
        if (!mvtec && (defect == "ground_truth" || defect == "train" || defect == "validation"))
            continue;
        const fs::path pictures = pictureFolder(folder);
        const bool is3d = pictures != folder;
        if (is3d)
            dataset.layout = "MVTec 3D-AD (test/<defect>/rgb, gt)";
        const Label label = lowerCase(defect) == "good" || lowerCase(defect) == "ok" ? Label::Good : Label::Anomalous;
        MaskFolder masks(is3d ? folder / "gt" : truth / defect);
        for (const fs::path& image : imagesIn(pictures))
        {
            Item item = makeItem(path, image, label, label == Label::Good ? "good" : defect);
            if (label == Label::Anomalous)
                item.mask = masks.find(image.stem().string());
            dataset.items.push_back(std::move(item));
        }
        if (label == Label::Anomalous)
            withoutImage += masks.unused();
    }
    if (withoutImage > 0)
        dataset.warnings.push_back(fmt::format("{} masks under {} belong to no picture.", withoutImage, truth.string()));
}

} // namespace

Dataset readFolders(const fs::path& path, Part part)
{
    Dataset dataset;
    dataset.root = path;
    const fs::path self = fs::absolute(path).lexically_normal();
    dataset.name = (self.has_filename() ? self : self.parent_path()).filename().string();
    if (part == Part::Train)
        readTraining(dataset);
    else if (part == Part::Test)
        readTest(dataset);
    else if (isFolder(path / "validation" / "good"))
    {
        dataset.layout = "validation/good";
        addGood(dataset, pictureFolder(path / "validation" / "good"));
    }
    return dataset;
}

void requireNoCollection(const fs::path& path)
{
    std::vector<std::string> names;
    for (const fs::path& folder : foldersIn(path))
        if (isFolder(folder / "train" / "good") || isFolder(folder / "test" / "good"))
            names.push_back(folder.filename().string());
    require(names.empty(), "{}: holds {} data sets ({}); name one of them with --category", path.string(), names.size(),
            joinNames(names));
}

} // namespace agpnet::tools
