// The header of a file of ours: one JSON object under "agpnet" in the safetensors metadata. Read member by member: an Error names the
// file, the member and what is wrong with it.
#pragma once

#include "common/error.h"

#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace agpnet
{

constexpr int modelFormatVersion = 1;
constexpr char headerKey[] = "agpnet"; ///< key in the safetensors metadata

/// The header, an object; an Error for a file that is not ours.
nlohmann::json headerIn(const std::string& path, const std::map<std::string, std::string>& metadata);

/// The same of a file of one kind, in a format version that this library reads.
nlohmann::json headerOfKind(const std::string& path, const std::map<std::string, std::string>& metadata, const std::string& kind);

/// The family that the file belongs to: the header's `method`. Files of earlier versions have none: "agpnet".
std::string methodIn(const std::string& path, const nlohmann::json& header);
void requireMethod(const std::string& path, const nlohmann::json& header, const std::string& method);

template <typename Value>
Value headerMember(const std::string& path, const nlohmann::json& object, const char* key)
{
    try
    {
        return object.at(key).get<Value>();
    }
    catch (const std::exception& error) // from JSON, or an Error of the value's own reader
    {
        fail("{}: header member '{}': {}", path, key, error.what());
    }
}

double finiteMember(const std::string& path, const nlohmann::json& object, const char* key);

} // namespace agpnet
