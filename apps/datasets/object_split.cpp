#include "apps/datasets/object_split.h"

#include "common/error.h"
#include "common/json_text.h"
#include "common/text_file.h"

#include <algorithm>

namespace agpnet::tools
{

namespace fs = std::filesystem;
using nlohmann::json;

namespace
{

constexpr const char* partNames[] = {"query", "target"};

bool isSplit(const json& value)
{
    return value.is_object() && (value.contains(partNames[0]) || value.contains(partNames[1]));
}

class SplitReader
{
public:
    SplitReader(const fs::path& path, const ObjectDataset& dataset) : path_(path), dataset_(dataset)
    {
        for (size_t i = 0; i < dataset.objects.size(); i++)
            numbers_[dataset.objects[i].name] = i;
    }

    /// `className`: that of the objects in it; none where the file does not say.
    void read(const json& split, const std::string* className)
    {
        for (size_t part = 0; part < std::size(partNames); part++)
        {
            const char* key = partNames[part];
            if (!split.contains(key))
                continue;
            require(split.at(key).is_array(), "{}: '{}' is no list of names", path_.string(), key);
            for (const json& name : split.at(key))
            {
                require(name.is_string(), "{}: '{}' holds {}, but the name of an object was expected", path_.string(), key,
                        name.dump().substr(0, 80));
                take(name.get<std::string>(), className, indices_[part]);
            }
        }
    }

    QueryTarget finish()
    {
        require(missing_.empty(), "{}: {} names are those of no object of {}: {}", path_.string(), missing_.size(), dataset_.root.string(),
                joinNames(missing_));
        for (size_t part = 0; part < std::size(partNames); part++)
        {
            require(!indices_[part].empty(), "{}: names no {}; \"query\" and \"target\" with names of objects expected", path_.string(),
                    partNames[part]);
            std::sort(indices_[part].begin(), indices_[part].end());
        }
        return {indices_[0], indices_[1]};
    }

private:
    void take(const std::string& name, const std::string* className, std::vector<size_t>& indices)
    {
        require(seen_.insert(name).second, "{}: '{}' is named twice", path_.string(), name);
        const auto found = numbers_.find(name);
        if (found == numbers_.end())
        {
            missing_.push_back(name);
            return;
        }
        const std::string& actual = dataset_.objects[found->second].className;
        require(!className || actual.empty() || actual == *className, "{}: '{}' is named as of the class '{}', but is of '{}'",
                path_.string(), name, className ? *className : "", actual);
        indices.push_back(found->second);
    }

    const fs::path& path_;
    const ObjectDataset& dataset_;
    std::map<std::string, size_t> numbers_;
    std::set<std::string> seen_;
    std::vector<std::string> missing_;
    std::vector<size_t> indices_[2];
};

} // namespace

QueryTarget readObjectSplit(const fs::path& path, const ObjectDataset& dataset)
{
    const json whole = parseJson(readTextFile(path, "a split file"), path.string());
    require(whole.is_object(), "{}: is no JSON object; \"query\" and \"target\" with names of objects expected", path.string());
    // a class may be called like the folder, but then it is itself a split
    const json* split = &whole;
    if (const auto own = whole.find(dataset.name); own != whole.end() && own->is_object() && !isSplit(*own))
        split = &*own;
    else if (own != whole.end() && isSplit(*own) && !dataset.classes().contains(dataset.name))
        split = &*own;
    SplitReader reader(path, dataset);
    if (isSplit(*split))
        reader.read(*split, nullptr);
    else
        for (const auto& [name, ofClass] : split->items())
            if (isSplit(ofClass))
                reader.read(ofClass, &name);
    return reader.finish();
}

} // namespace agpnet::tools
