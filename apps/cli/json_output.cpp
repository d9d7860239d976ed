#include "apps/cli/json_output.h"

#include "common/json_text.h"

#include <algorithm>
#include <fmt/format.h>

namespace agpnet::app
{

using nlohmann::json;

namespace
{

std::string hexadecimal(const std::string& name)
{
    std::string bytes;
    for (const char c : name)
        bytes += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return bytes;
}

} // namespace

std::string jsonText(const json& value, int indent)
{
    return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

void setName(json& object, const std::string& key, const std::string& name)
{
    object[key] = name;
    if (!isUtf8(name))
        object[key + "_bytes"] = hexadecimal(name);
}

void setNames(json& object, const std::string& key, const std::vector<std::string>& names)
{
    object[key] = names;
    if (std::all_of(names.begin(), names.end(), isUtf8))
        return;
    json& bytes = object[key + "_bytes"] = json::array();
    for (const std::string& name : names)
        bytes.push_back(hexadecimal(name));
}

} // namespace agpnet::app
