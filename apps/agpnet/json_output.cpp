#include "apps/agpnet/json_output.h"

#include <fmt/format.h>

namespace agpnet::app
{

using nlohmann::json;

std::string jsonText(const json& value, int indent)
{
    return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

void setName(json& object, const std::string& key, const std::string& name)
{
    object[key] = name;
    if (json::parse(jsonText(name)).get<std::string>() == name)
        return;
    std::string bytes;
    for (const char c : name)
        bytes += fmt::format("{:02x}", static_cast<unsigned char>(c));
    object[key + "_bytes"] = bytes;
}

} // namespace agpnet::app
