#include "apps/tools/map_folder.h"

#include "apps/tools/csv.h"
#include "apps/tools/image_io.h"
#include "apps/tools/metrics.h"
#include "common/atomic_file.h"
#include "common/error.h"

#include <charconv>
#include <cmath>
#include <set>

namespace agpnet::tools
{

namespace fs = std::filesystem;

namespace
{

std::optional<fs::path> findMap(const fs::path& folder, const std::string& name)
{
    std::error_code error;
    for (const fs::path& base : {folder, folder / "test"})
        for (const char* extension : {".tiff", ".tif", ".png"})
            if (const fs::path path = base / (name + extension); fs::is_regular_file(path, error))
                return path;
    return {};
}

std::map<std::string, float> readScores(const fs::path& path)
{
    std::map<std::string, float> scores;
    std::error_code error;
    if (!fs::exists(path, error))
        return scores;
    const CsvTable table(path);
    const size_t name = table.require({"name"}), score = table.require({"score"});
    for (size_t row = 0; row < table.rows(); row++)
    {
        const std::string& text = table.at(row, score);
        float value = 0;
        const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
        require(status == std::errc() && end == text.data() + text.size() && std::isfinite(value),
                "{}: the score is '{}', a finite number was expected", table.where(row), text);
        require(scores.emplace(table.at(row, name), value).second, "{}: {} stands there twice", table.where(row), table.at(row, name));
    }
    require(!scores.empty(), "{}: holds no scores", path.string());
    return scores;
}

void requireNone(const std::vector<std::string>& missing, size_t all, const fs::path& folder, const char* what)
{
    require(missing.empty(), "{}: {} of {} images have no {}: {}", folder.string(), missing.size(), all, what, joinNames(missing));
}

} // namespace

std::string mapName(const Item& item)
{
    return item.defect + "/" + item.path.stem().string();
}

void requireMapNames(const Dataset& dataset)
{
    std::map<std::string, std::string> names;
    for (const Item& item : dataset.items)
    {
        const auto [first, fresh] = names.emplace(mapName(item), item.name);
        require(fresh, "{}: {} and {} would have one map, {}", dataset.root.string(), first->second, item.name, first->first);
    }
}

MapFolder::MapFolder(const fs::path& folder, const Dataset& dataset) : folder_(folder)
{
    requireFolder(folder);
    requireMapNames(dataset);
    scores_ = readScores(folder / "scores.csv");
    std::vector<std::string> withoutMap, withoutScore;
    for (const Item& item : dataset.items)
    {
        const std::string name = mapName(item);
        if (const auto path = findMap(folder, name))
            files_[name] = *path;
        else
            withoutMap.push_back(name);
        if (!scores_.empty() && !scores_.contains(name))
            withoutScore.push_back(name);
    }
    requireNone(withoutMap, dataset.items.size(), folder, "map (.tiff or .png)");
    requireNone(withoutScore, dataset.items.size(), folder / "scores.csv", "score");
}

cv::Mat MapFolder::read(const Item& item)
{
    const fs::path& path = files_.at(mapName(item));
    int depth = 0;
    cv::Mat map = readMap(path, &depth);
    const std::string kind = depth == CV_32F ? "32-bit floats" : (depth == CV_16U ? "16 bits" : "8 bits");
    require(kind_.empty() || kind_ == kind, "{}: holds {}, but the maps before it {}; their values would not compare", path.string(),
            kind, kind_);
    kind_ = kind;
    return map;
}

float MapFolder::score(const Item& item, const cv::Mat& map) const
{
    return scores_.empty() ? static_cast<float>(imageScore(map)) : scores_.at(mapName(item));
}

MapFolderWriter::MapFolderWriter(fs::path folder) : folder_(std::move(folder))
{
    std::error_code error;
    fs::create_directories(folder_, error);
    require(isFolder(folder_), "{}: the folder for maps cannot be made: {}", folder_.string(), error.message());
}

void MapFolderWriter::add(const Item& item, const cv::Mat& map, float score)
{
    const fs::path path = folder_ / (mapName(item) + ".tiff");
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    writeMapTiff(path, map);
    scores_ += fmt::format("{},{}\n", csvField(mapName(item)), score); // fmt writes as many digits as bring the float back
}

void MapFolderWriter::finish()
{
    writeFileAtomically(folder_ / "scores.csv", scores_);
}

} // namespace agpnet::tools
