#include "models/model_file/backbone_entry.h"

#include <cstdlib>
#include <filesystem>

namespace agpnet
{
namespace
{

namespace fs = std::filesystem;

const char backbonePrefix[] = "backbone.";

std::vector<fs::path> placesOfBackbone(const std::string& model, const std::string& recorded, const std::string& name)
{
    std::vector<fs::path> places;
    const fs::path file = fs::path(recorded.empty() ? name + ".safetensors" : recorded).filename(); // a name that leads elsewhere is cut
    places.push_back(fs::path(model).parent_path() / file);
    if (!recorded.empty())
        places.emplace_back(recorded);
    if (const char* folder = std::getenv("AGPNET_BACKBONES"); folder && *folder)
        places.push_back(fs::path(folder) / file);
    return places;
}

} // namespace

nlohmann::json backboneHeader(const Backbone& backbone, EmbedBackbone embed)
{
    nlohmann::json header = {
        {"name", backbone.name}, {"hash", backbone.hash}, {"config", backbone.config}, {"embedded", embed == EmbedBackbone::Yes}};
    if (embed == EmbedBackbone::No)
        header["path"] = backbone.path.empty() ? "" : fs::absolute(backbone.path).string();
    return header;
}

void addBackbone(TensorFile& file, const Backbone& backbone)
{
    for (const auto& [name, tensor] : backbone.weights)
        file.tensors.emplace(backbonePrefix + name, tensor);
}

Backbone backboneIn(const std::string& path, const nlohmann::json& header, const TensorFile& file)
{
    const nlohmann::json entry = headerMember<nlohmann::json>(path, header, "backbone");
    Backbone backbone;
    backbone.name = headerMember<std::string>(path, entry, "name");
    backbone.hash = headerMember<std::string>(path, entry, "hash");
    backbone.config = headerMember<BackboneConfig>(path, entry, "config");
    if (headerMember<bool>(path, entry, "embedded"))
    {
        for (auto& [name, tensor] : tensorsBehind(backbonePrefix, file))
            backbone.weights.emplace(name, tensor);
        require(!backbone.weights.empty(), "{}: the header says that the backbone is embedded, but the file holds no '{}' tensors", path,
                backbonePrefix);
        return backbone;
    }
    std::string tried;
    for (const fs::path& place : placesOfBackbone(path, headerMember<std::string>(path, entry, "path"), backbone.name))
    {
        std::error_code ignored;
        tried += (tried.empty() ? "" : ", ") + place.string();
        if (!fs::is_regular_file(place, ignored))
            continue;
        Backbone candidate = readBackbone(place.string());
        if (candidate.hash != backbone.hash)
        {
            tried += " (there, but with other weights)";
            continue;
        }
        candidate.name = backbone.name;
        candidate.config = backbone.config;
        return candidate;
    }
    fail("{}: needs the backbone '{}' with hash {}, which was not found; looked at {}; set AGPNET_BACKBONES to its folder", path,
         backbone.name, backbone.hash.substr(0, 12), tried);
}

} // namespace agpnet
