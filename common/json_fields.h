// A family's description in a model file, read field by field: an Error names the field, its value and what was expected.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace agpnet
{

class JsonFields
{
public:
    /// `known`: an object with every field there may be.
    JsonFields(const nlohmann::json& json, const nlohmann::json& known);

    bool has(const char* key) const { return json_.contains(key); }
    std::string text(const char* key) const;
    bool boolean(const char* key) const;
    int64_t integer(const char* key, int64_t low, int64_t high) const;
    std::vector<int64_t> integers(const char* key, size_t count, int64_t low, int64_t high) const;
    double number(const char* key, double above, double most) const; ///< in (above, most]
    std::array<double, 3> colours(const char* key, double low) const;

private:
    const nlohmann::json& get(const char* key) const;

    const nlohmann::json& json_;
};

} // namespace agpnet
