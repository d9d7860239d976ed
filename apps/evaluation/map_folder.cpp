#include "apps/evaluation/map_folder.h"

#include "apps/datasets/csv.h"
#include "apps/datasets/image_io.h"
#include "apps/evaluation/metrics.h"
#include "common/atomic_file.h"
#include "common/error.h"

#include <charconv>
#include <cmath>
#include <regex>

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

std::string scoresName(Share share)
{
    return share.count == 1 ? "scores.csv" : fmt::format("scores.{}-of-{}.csv", share.index, share.count);
}

/// The whole file, or all shares of one; nothing where there are no scores.
std::vector<fs::path> findScores(const fs::path& folder)
{
    std::vector<fs::path> found;
    size_t count = 0;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    {
        const std::string name = entry.path().filename().string();
        static const std::regex shareName("scores\\.[1-9][0-9]{0,5}-of-([1-9][0-9]{0,5})\\.csv");
        std::smatch match;
        const bool share = std::regex_match(name, match, shareName);
        if (!share && name != scoresName({}))
            continue;
        const size_t of = share ? std::stoul(match[1]) : 1;
        require(found.empty() || of == count, "{}: has {} and {}, which are not of one evaluation; remove the older one", folder.string(),
                found.empty() ? "" : found.front().filename().string(), name);
        count = of;
        found.push_back(entry.path());
    }
    std::vector<std::string> missing;
    for (size_t index = 1; index <= count && missing.size() < 10; index++)
        if (std::error_code error; !fs::exists(folder / scoresName({index, count}), error))
            missing.push_back(scoresName({index, count}));
    require(missing.empty(), "{}: has {} of {} shards of the scores; missing: {}", folder.string(), found.size(), count,
            joinNames(missing));
    return found;
}

void readScores(const fs::path& path, std::map<std::string, float>& scores)
{
    const CsvTable table(path);
    const size_t name = table.require({"name"}), score = table.require({"score"});
    for (size_t row = 0; row < table.rows(); row++)
    {
        const std::string& text = table.at(row, score);
        float value = 0;
        const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
        require(status == std::errc() && end == text.data() + text.size() && std::isfinite(value),
                "{}: the score is '{}', a finite number was expected", table.where(row), text);
        require(scores.emplace(table.at(row, name), value).second, "{}: {} occurs twice", table.where(row), table.at(row, name));
    }
}

void requireNone(const std::vector<std::string>& missing, size_t all, const fs::path& folder, const char* what)
{
    require(missing.empty(), "{}: {} of {} images have no {}: {}", folder.string(), missing.size(), all, what, joinNames(missing));
}

} // namespace

Share Share::parse(const std::string& text)
{
    static const std::regex form("([1-9][0-9]{0,5})/([1-9][0-9]{0,5})");
    std::smatch match;
    require(std::regex_match(text, match, form), "--share is '{}'; K/N was expected, shard K of N", text);
    const Share share{std::stoul(match[1]), std::stoul(match[2])};
    require(share.index <= share.count, "--share is '{}'; there are only {}", text, share.count);
    return share;
}

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
    const std::vector<fs::path> tables = findScores(folder);
    for (const fs::path& table : tables)
        readScores(table, scores_);
    require(tables.empty() || !scores_.empty(), "{}: holds no scores", tables.empty() ? "" : tables.front().string());
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
    requireNone(withoutScore, dataset.items.size(), tables.empty() ? folder : tables.front(), "score");
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

MapFolderWriter::MapFolderWriter(fs::path folder, Share share) : folder_(std::move(folder)), share_(share)
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
    writeFileAtomically(folder_ / scoresName(share_), scores_);
}

} // namespace agpnet::tools
