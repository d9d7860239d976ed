#include "apps/datasets/table_dataset.h"

#include "common/error.h"

#include <algorithm>
#include <set>

namespace agpnet::tools
{

namespace fs = std::filesystem;

namespace
{

/// A regular file below `root`, or an Error that names the row.
fs::path fileInside(const CsvTable& table, size_t row, const fs::path& root, const std::string& text)
{
    const fs::path path = pathInside(table, row, root, text);
    std::error_code error;
    require(fs::is_regular_file(path, error), "{}: {}: no such file", table.where(row), path.string());
    return path;
}

Part partOf(const CsvTable& table, size_t row, const std::string& text)
{
    const std::string name = lowerCase(text);
    if (name == "train")
        return Part::Train;
    if (name == "validation" || name == "val")
        return Part::Validation;
    require(name == "test", "{}: the split is '{}'; train, validation or test expected", table.where(row), text);
    return Part::Test;
}

/// "good", or the defect's name. It becomes a folder's name where maps are written, so it must be fit for one.
std::string defectOf(const CsvTable& table, size_t row, const std::string& label, const GoodNames& good)
{
    require(!label.empty() && label != "." && label != ".." && label.find_first_of("/\\") == std::string::npos,
            "{}: the label is '{}'; a word for good ({}), or a defect's name without slashes expected", table.where(row), label,
            goodWords());
    if (good.isGood(label, table.where(row)))
        return "good";
    const std::string name = lowerCase(label);
    if (name == "good") // of which the user has said that it is another name that means it
        return "not good";
    return name == "1" || name == "1.0" || name == "true" ? "anomalous" : label;
}

std::string chooseClass(const CsvTable& table, std::optional<size_t> column, const std::string& category)
{
    if (!column)
    {
        require(category.empty(), "{}: --category is '{}', but the table has no column 'class'", table.path().string(), category);
        return "";
    }
    std::vector<std::string> names;
    for (size_t row = 0; row < table.rows(); row++)
        if (std::find(names.begin(), names.end(), table.at(row, *column)) == names.end())
            names.push_back(table.at(row, *column));
    if (category.empty() && names.size() == 1)
        return names.front();
    require(!category.empty(), "{}: holds {} classes ({}); name one with --category", table.path().string(), names.size(),
            joinNames(names, 16));
    require(std::find(names.begin(), names.end(), category) != names.end(), "{}: --category is '{}'; one of {} expected",
            table.path().string(), category, joinNames(names, 16));
    return category;
}

} // namespace

fs::path pathInside(const CsvTable& table, size_t row, const fs::path& root, const std::string& text)
{
    require(!text.empty(), "{}: the path is empty", table.where(row));
    const fs::path relative = fs::path(text).lexically_normal();
    require(!relative.is_absolute() && *relative.begin() != "..", "{}: the path '{}' leads out of {}; one below that folder was expected",
            table.where(row), text, root.string());
    return root / relative;
}

std::optional<fs::path> findTable(const fs::path& path)
{
    std::error_code error;
    if (fs::is_regular_file(path, error))
        return lowerCase(path.extension().string()) == ".csv" ? std::optional(path) : std::nullopt;
    const fs::path visa = path / "split_csv" / "1cls.csv";
    return fs::is_regular_file(visa, error) ? std::optional(visa) : std::nullopt;
}

Dataset readTable(const fs::path& file, const std::string& category, Part part, const GoodNames& good)
{
    const CsvTable table(file);
    const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
    const bool visa = fs::absolute(folder).lexically_normal().filename() == "split_csv";
    const auto pathColumn = table.require({"path", "image"}), labelColumn = table.require({"label"});
    const auto maskColumn = table.find({"mask"}), cloudColumn = table.find({"xyz"}), splitColumn = table.find({"split"});
    const auto classColumn = table.find({"class", "object"});
    const std::string chosen = chooseClass(table, classColumn, category);

    Dataset dataset;
    dataset.root = visa ? (folder.has_parent_path() ? folder.parent_path() : folder / "..") : folder;
    dataset.layout = fmt::format("{} ({})", visa ? "VisA" : "table", file.filename().string());
    dataset.name = chosen.empty() ? file.stem().string() : chosen;
    std::set<std::string> seen;
    for (size_t row = 0; row < table.rows(); row++)
    {
        if (classColumn && table.at(row, *classColumn) != chosen)
            continue;
        if (splitColumn ? partOf(table, row, table.at(row, *splitColumn)) != part : part == Part::Validation)
            continue;
        Item item;
        item.defect = defectOf(table, row, table.at(row, labelColumn), good);
        item.label = item.defect == "good" ? Label::Good : Label::Anomalous;
        if (part != Part::Test && item.label == Label::Anomalous)
            continue;
        item.path = fileInside(table, row, dataset.root, table.at(row, pathColumn));
        item.name = item.path.lexically_relative(dataset.root).generic_string();
        require(seen.insert(item.name).second, "{}: {} occurs twice", table.where(row), item.name);
        if (item.label == Label::Anomalous && maskColumn && !table.at(row, *maskColumn).empty())
            item.mask = fileInside(table, row, dataset.root, table.at(row, *maskColumn));
        if (cloudColumn && !table.at(row, *cloudColumn).empty())
            item.xyz = fileInside(table, row, dataset.root, table.at(row, *cloudColumn));
        dataset.items.push_back(std::move(item));
    }
    return dataset;
}

} // namespace agpnet::tools
