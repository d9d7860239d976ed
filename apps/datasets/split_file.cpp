#include "apps/datasets/split_file.h"

#include "common/error.h"
#include "common/text_file.h"

#include <sstream>

namespace agpnet::tools
{

namespace fs = std::filesystem;

SplitFile::SplitFile(const fs::path& path) : path_(path)
{
    std::istringstream in(readTextFile(path, "a split file"));
    in.exceptions(std::ios::badbit); // without memory for a line the rest is not left out in silence
    std::string text;
    for (size_t line = 1; std::getline(in, text); line++)
    {
        constexpr const char* blank = " \t\r";
        const size_t from = text.find_first_not_of(blank);
        if (from == std::string::npos || text[from] == '#')
            continue;
        text = text.substr(from, text.find_last_not_of(blank) - from + 1);
        const size_t gap = text.find_first_of(blank);
        const std::string word = text.substr(0, gap);
        require(gap != std::string::npos && (word == "train" || word == "test"),
                "{}, line {}: '{}', but 'train NAME' or 'test NAME' was expected", path.string(), line, text.substr(0, 80));
        const std::string name = text.substr(text.find_first_not_of(blank, gap));
        require(parts_.emplace(name, word == "train" ? Part::Train : Part::Test).second, "{}, line {}: {} is named twice", path.string(),
                line, name);
    }
    require(!parts_.empty(), "{}: names no image; lines 'train NAME' or 'test NAME' were expected", path.string());
}

std::vector<Item> SplitFile::choose(const std::vector<Item>& good, Part part) const
{
    std::vector<Item> chosen;
    std::map<std::string, std::string> found; // the name in the file, and the picture it is
    for (const Item& item : good)
    {
        auto named = parts_.find(fs::path(item.name).replace_extension().generic_string());
        if (named == parts_.end())
            named = parts_.find(item.path.stem().string());
        if (named == parts_.end())
            continue;
        const auto [first, fresh] = found.emplace(named->first, item.name);
        require(fresh, "{}: '{}' may be {} or {}; name it by its path without the extension", path_.string(), named->first, first->second,
                item.name);
        if (named->second == part)
            chosen.push_back(item);
    }
    std::vector<std::string> missing;
    for (const auto& [name, ignored] : parts_)
        if (!found.contains(name))
            missing.push_back(name);
    require(missing.empty(), "{}: {} of {} names are those of no good image: {}", path_.string(), missing.size(), parts_.size(),
            joinNames(missing));
    return chosen;
}

} // namespace agpnet::tools
