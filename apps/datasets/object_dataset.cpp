#include "apps/datasets/object_dataset.h"

#include "apps/datasets/csv.h"
#include "apps/datasets/table_dataset.h"
#include "common/error.h"
#include "common/json_text.h"

#include <algorithm>
#include <set>

namespace agpnet::tools
{

namespace fs = std::filesystem;

namespace
{

constexpr const char* viewFolderName = "image";

void requireUtf8(const std::string& where, const char* what, const std::string& name)
{
    require(isUtf8(name), "{}: the {} {} is not valid UTF-8", where, what, quotedText(name));
}

/// The folder with the views of an object: itself, or image/ where there are no other images.
fs::path viewFolder(const fs::path& folder)
{
    const fs::path below = folder / viewFolderName;
    if (!imagesIn(folder).empty() || !isFolder(below))
        return folder;
    const std::vector<fs::path> folders = foldersIn(folder);
    return std::ranges::all_of(folders, [&](const fs::path& other) { return other == below || imagesIn(other).empty(); }) ? below : folder;
}

bool isObject(const fs::path& folder)
{
    return !imagesIn(viewFolder(folder)).empty();
}

bool isClass(const fs::path& folder)
{
    return !isObject(folder) && std::ranges::any_of(foldersIn(folder), isObject);
}

std::vector<std::string> namesOf(const std::vector<fs::path>& paths, const char* after = "")
{
    std::vector<std::string> names;
    for (const fs::path& path : paths)
        names.push_back(path.filename().string() + after);
    return names;
}

/// What a folder holds instead of images, to end an error with.
std::string insteadIn(const fs::path& folder)
{
    std::string text;
    for (std::string note : leftOut(folder, {}).notes)
        text += "; " + note.substr(0, note.size() - 1);
    return text;
}

class Reader
{
public:
    explicit Reader(ObjectDataset& dataset) : dataset_(dataset) {}

    void add(Object object, const fs::path& where)
    {
        requireUtf8(where.parent_path().string(), "name", object.name);
        requireUtf8(where.parent_path().string(), "class", object.className);
        const auto [first, fresh] = places_.emplace(object.name, where);
        require(fresh, "{}: two objects are called '{}': {} and {}; each needs a name of its own", dataset_.root.string(), object.name,
                first->second.lexically_relative(dataset_.root).generic_string(), where.lexically_relative(dataset_.root).generic_string());
        dataset_.objects.push_back(std::move(object));
    }

    void addFolder(const fs::path& folder, const std::string& className)
    {
        const fs::path where = viewFolder(folder);
        Object object{folder.filename().string(), className, imagesIn(where)};
        require(!object.views.empty(), "{}: the object has no images ({}){}", folder.string(), imageExtensionList,
                object.views.empty() ? insteadIn(folder) : "");
        std::set<fs::path> taken;
        for (const fs::path& view : object.views)
            taken.insert(view.lexically_normal());
        for (std::string& note : leftOut(where, taken).notes)
            notes_.push_back(std::move(note));
        add(std::move(object), folder);
    }

    /// A note for each of thousands of folders would hide the rest.
    void finish()
    {
        constexpr size_t most = 3;
        for (size_t i = 0; i < notes_.size() && i < most; i++)
            dataset_.warnings.push_back(notes_[i]);
        if (notes_.size() > most)
            dataset_.warnings.push_back(
                fmt::format("{}: the same holds for {} more folders.", dataset_.root.string(), notes_.size() - most));
    }

private:
    ObjectDataset& dataset_;
    std::map<std::string, fs::path> places_;
    std::vector<std::string> notes_;
};

void readClasses(ObjectDataset& dataset, const std::vector<fs::path>& folders)
{
    dataset.layout = "CLASS/OBJECT/*";
    Reader reader(dataset);
    for (const fs::path& folder : folders)
    {
        require(!isObject(folder),
                "{}: {} holds images and other folders hold folders of images; either CLASS/OBJECT/*.png or "
                "OBJECT/*.png expected in all of them",
                dataset.root.string(), folder.filename().string());
        require(isClass(folder), "{}: the class has no objects; CLASS/OBJECT/*.png expected, as beside it", folder.string());
        for (const fs::path& object : foldersIn(folder))
            reader.addFolder(object, folder.filename().string());
    }
    reader.finish();
    if (const std::vector<fs::path> loose = imagesIn(dataset.root); !loose.empty())
        dataset.warnings.push_back(fmt::format("{}: {} images lie beside the folders of the classes, and were left out: {}.",
                                               dataset.root.string(), loose.size(), joinNames(namesOf(loose))));
}

void readPlain(ObjectDataset& dataset, const std::vector<fs::path>& folders)
{
    const std::vector<fs::path> loose = imagesIn(dataset.root);
    dataset.layout = folders.empty() ? "OBJECT.*" : loose.empty() ? "OBJECT/*" : "OBJECT/* and OBJECT.*";
    Reader reader(dataset);
    for (const fs::path& folder : folders)
        reader.addFolder(folder, "");
    for (const fs::path& image : loose)
        reader.add({image.stem().string(), "", {image}}, image);
    reader.finish();
}

void readFolder(ObjectDataset& dataset)
{
    const fs::path& root = dataset.root;
    const std::vector<fs::path> folders = foldersIn(root);
    if (std::ranges::any_of(folders, isClass))
        return readClasses(dataset, folders);
    if (imagesIn(root).empty() && std::ranges::none_of(folders, isObject))
    {
        std::vector<fs::path> sets;
        for (const fs::path& folder : folders)
            if (std::ranges::any_of(foldersIn(folder), isClass))
                sets.push_back(folder);
        require(sets.empty(), "{}: holds {} data sets ({}); name one of them", root.string(), sets.size(), joinNames(namesOf(sets, "/")));
        fail("{}: holds no objects ({}); CLASS/OBJECT/*.png, OBJECT/*.png, OBJECT.png or a CSV table expected{}", root.string(),
             imageExtensionList, insteadIn(root));
    }
    readPlain(dataset, folders);
}

/// One row: what it says of its object, which other rows may have mentioned before.
class Table
{
public:
    Table(ObjectDataset& dataset, const fs::path& path)
        : dataset_(dataset), table_(path), fileColumn_(table_.require({"file", "path", "image"})),
          nameColumn_(table_.require({"object", "name"})), classColumn_(table_.find({"class"}))
    {
    }

    void read()
    {
        for (size_t row = 0; row < table_.rows(); row++)
            readRow(row);
        require(!dataset_.objects.empty(), "{}: names no object", table_.path().string());
    }

private:
    void readRow(size_t row)
    {
        const std::string& name = table_.at(row, nameColumn_);
        require(!name.empty(), "{}: the object's name is empty", table_.where(row));
        for (size_t column = 0; column < table_.columns().size(); column++)
            if (column != fileColumn_) // a file may be called as it likes
                requireUtf8(table_.where(row), table_.columns()[column].c_str(), table_.at(row, column));
        const auto [found, fresh] = numbers_.emplace(name, dataset_.objects.size());
        if (fresh)
        {
            dataset_.objects.push_back({name, "", {}});
            firstRows_.push_back(row);
        }
        Object& object = dataset_.objects[found->second];
        if (classColumn_)
            agree(object.className, row, found->second, *classColumn_);
        for (size_t column = 0; column < table_.columns().size(); column++)
            if (column != fileColumn_ && column != nameColumn_ && column != classColumn_ && !table_.at(row, column).empty())
            {
                std::string said = object.metadata.value(table_.columns()[column], "");
                agree(said, row, found->second, column);
                object.metadata[table_.columns()[column]] = std::move(said);
            }
        addViews(object, row);
    }

    /// Rows of one object may say a thing once or again, but not two things.
    void agree(std::string& said, size_t row, size_t object, size_t column)
    {
        const std::string& text = table_.at(row, column);
        require(said.empty() || text.empty() || said == text, "{}: the {} of '{}' is '{}', but an earlier row from line {} on says '{}'",
                table_.where(row), table_.columns()[column], dataset_.objects[object].name, text, table_.line(firstRows_[object]), said);
        if (said.empty())
            said = text;
    }

    void addViews(Object& object, size_t row)
    {
        const fs::path path = pathInside(table_, row, dataset_.root, table_.at(row, fileColumn_));
        std::error_code error;
        const bool folder = isFolder(path);
        require(folder || fs::is_regular_file(path, error), "{}: {}: no such file or folder", table_.where(row), path.string());
        const std::vector<fs::path> views = folder ? imagesIn(path) : std::vector<fs::path>{path};
        require(!views.empty(), "{}: {}: the folder holds no images ({})", table_.where(row), path.string(), imageExtensionList);
        for (const fs::path& view : views)
            require(seen_.emplace(view.lexically_normal()).second, "{}: {} occurs twice", table_.where(row),
                    view.lexically_relative(dataset_.root).generic_string());
        object.views.insert(object.views.end(), views.begin(), views.end());
    }

    ObjectDataset& dataset_;
    const CsvTable table_;
    const size_t fileColumn_, nameColumn_;
    const std::optional<size_t> classColumn_;
    std::map<std::string, size_t> numbers_; ///< of the objects, by name
    std::vector<size_t> firstRows_;         ///< of each object
    std::set<fs::path> seen_;
};

} // namespace

size_t ObjectDataset::views() const
{
    size_t sum = 0;
    for (const Object& object : objects)
        sum += object.views.size();
    return sum;
}

std::map<std::string, std::vector<size_t>> ObjectDataset::classes() const
{
    std::map<std::string, std::vector<size_t>> found;
    for (size_t i = 0; i < objects.size(); i++)
        if (!objects[i].className.empty())
            found[objects[i].className].push_back(i);
    return found;
}

ObjectDataset listObjects(const fs::path& path)
{
    ObjectDataset dataset;
    const fs::path self = fs::absolute(path).lexically_normal();
    std::error_code error;
    if (fs::is_regular_file(path, error))
    {
        require(lowerCase(path.extension().string()) == ".csv", "{}: a folder of objects or a CSV table was expected", path.string());
        dataset.root = path.has_parent_path() ? path.parent_path() : fs::path(".");
        dataset.name = self.stem().string();
        dataset.layout = fmt::format("table ({})", path.filename().string());
        Table(dataset, path).read();
        return dataset;
    }
    requireFolder(path);
    dataset.root = path;
    dataset.name = (self.has_filename() ? self : self.parent_path()).filename().string();
    readFolder(dataset);
    return dataset;
}

Dataset imagesOf(const ObjectDataset& dataset)
{
    Dataset images;
    images.root = dataset.root;
    images.layout = dataset.layout;
    images.name = dataset.name;
    for (const Object& object : dataset.objects)
        for (const fs::path& view : object.views)
        {
            Item item;
            item.path = view;
            item.name = view.lexically_relative(dataset.root).generic_string();
            item.defect = object.className + "/" + object.name;
            images.items.push_back(std::move(item));
        }
    return images;
}

} // namespace agpnet::tools
