// Reading and writing the fields of a flat JSON configuration. A family lists its fields once: forEachField(config, visit) calls
// visit(key, field) for each. An Error names the key, the value and what was expected.
#pragma once

#include "common/enum_names.h"
#include "common/error.h"

#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace agpnet
{

[[noreturn]] inline void wrongType(const char* key, const nlohmann::json& value, const char* expected)
{
    fail("config: '{}' is {}, expected {}", key, value.dump(), expected);
}

inline void readValue(const char* key, const nlohmann::json& value, int& field)
{
    if (!value.is_number_integer() || value.get<int64_t>() < INT32_MIN || value.get<int64_t>() > INT32_MAX)
        wrongType(key, value, "a whole number");
    field = value.get<int>();
}

inline void readValue(const char* key, const nlohmann::json& value, uint64_t& field)
{
    if (!value.is_number_unsigned())
        wrongType(key, value, "a whole number of at least 0");
    field = value.get<uint64_t>();
}

inline void readValue(const char* key, const nlohmann::json& value, double& field)
{
    if (!value.is_number())
        wrongType(key, value, "a number");
    field = value.get<double>();
}

inline void readValue(const char* key, const nlohmann::json& value, bool& field)
{
    if (!value.is_boolean())
        wrongType(key, value, "true or false");
    field = value.get<bool>();
}

inline std::string readText(const char* key, const nlohmann::json& value)
{
    if (!value.is_string())
        wrongType(key, value, "a text");
    return value.get<std::string>();
}

template <NamedEnum Enum>
void readValue(const char* key, const nlohmann::json& value, Enum& field)
{
    const std::string text = readText(key, value);
    require(valueOf(text, field), "config: '{}' is '{}', expected one of {}", key, text, namesOf<Enum>());
}

template <typename Field>
nlohmann::json written(const Field& field)
{
    return field;
}

template <NamedEnum Enum>
nlohmann::json written(const Enum& field)
{
    return textOf(field);
}

template <typename Number>
void checkRange(const char* key, Number value, double least, double most)
{
    require(std::isfinite(static_cast<double>(value)) && value >= least && value <= most, "config: '{}' is {}, expected {} to {}", key,
            value, least, most);
}

/// A configuration as it stands: JSON text, or the path of a file that holds it; {} for an empty text.
nlohmann::json configJson(const std::string& textOrPath);

/// The key by which a config begins from a named starting point.
constexpr char presetKey[] = "preset";

/// Fills in the fields that the object has; refuses unknown keys. `preset(name)` gives the configuration of a preset; `each(config, visit)`
/// lists the fields; `read(key, value, field)` is readValue() with the family's own types.
template <typename Config, typename Preset, typename Each, typename Read>
void readFields(const nlohmann::json& json, Config& config, const Preset& preset, const Each& each, const Read& read)
{
    require(json.is_object(), "config: expected a JSON object, found {}", json.type_name());
    size_t known = 0;
    if (const auto it = json.find(presetKey); it != json.end())
    {
        config = preset(readText(presetKey, *it));
        known++;
    }
    each(config, [&](const char* key, auto& field) {
        if (auto it = json.find(key); it != json.end())
        {
            read(key, *it, field);
            known++;
        }
    });
    if (known == json.size())
        return;
    for (const auto& item : json.items())
    {
        const std::string& key = item.key();
        bool found = key == presetKey;
        std::string names = presetKey;
        each(config, [&](const char* name, auto&) {
            found |= key == name;
            names += fmt::format(", {}", name);
        });
        require(found, "config: unknown key '{}'; known are {}", key, names);
    }
}

} // namespace agpnet
