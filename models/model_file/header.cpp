#include "models/model_file/header.h"

#include "common/json_text.h"

#include <cmath>

namespace agpnet
{

nlohmann::json headerIn(const std::string& path, const std::map<std::string, std::string>& metadata)
{
    const auto text = metadata.find(headerKey);
    require(text != metadata.end(), "{}: not an AGPNet file (its safetensors metadata has no '{}')", path, headerKey);
    nlohmann::json header = parseJson(text->second, path + ": the header");
    require(header.is_object(), "{}: the header is {}, expected an object", path, header.type_name());
    return header;
}

nlohmann::json headerOfKind(const std::string& path, const std::map<std::string, std::string>& metadata, const std::string& kind)
{
    nlohmann::json header = headerIn(path, metadata);
    const int version = headerMember<int>(path, header, "format_version");
    require(version >= 1, "{}: format version {}, expected 1 to {}", path, version, modelFormatVersion);
    require(version <= modelFormatVersion,
            "{}: written in format version {} by a newer AGPNet; this one reads up to version {}, please update it", path, version,
            modelFormatVersion);
    const auto found = headerMember<std::string>(path, header, "kind");
    require(found == kind, "{}: holds a {}, expected a {}", path, found, kind);
    return header;
}

std::string methodIn(const std::string& path, const nlohmann::json& header)
{
    return header.contains("method") ? headerMember<std::string>(path, header, "method") : "agpnet";
}

void requireMethod(const std::string& path, const nlohmann::json& header, const std::string& method)
{
    const std::string found = methodIn(path, header);
    require(found == method, "{}: is of the method '{}', expected '{}'", path, found, method);
}

double finiteMember(const std::string& path, const nlohmann::json& object, const char* key)
{
    const auto value = headerMember<double>(path, object, key);
    require(std::isfinite(value), "{}: header member '{}' is not finite", path, key);
    return value;
}

} // namespace agpnet
