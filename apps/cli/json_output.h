// Names of files in JSON, which is UTF-8: a name need not be.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace agpnet::app
{

/// One line, or indented. What is not UTF-8 is replaced by U+FFFD.
std::string jsonText(const nlohmann::json& value, int indent = -1);

/// object[key] = name; if that is not UTF-8, object[key + "_bytes"] holds its bytes too, in hexadecimal.
void setName(nlohmann::json& object, const std::string& key, const std::string& name);

/// object[key] = names; if one of them is not UTF-8, object[key + "_bytes"] holds those of all.
void setNames(nlohmann::json& object, const std::string& key, const std::vector<std::string>& names);

} // namespace agpnet::app
