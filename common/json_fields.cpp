#include "common/json_fields.h"

#include "common/error.h"

namespace agpnet
{

namespace
{

std::string shown(const nlohmann::json& value)
{
    return value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

bool isInteger(const nlohmann::json& value, int64_t low, int64_t high)
{
    return value.is_number_integer() && value >= low && value <= high;
}

} // namespace

JsonFields::JsonFields(const nlohmann::json& json, const nlohmann::json& known) : json_(json)
{
    require(json.is_object(), "the backbone's description is not an object");
    for (const auto& [key, value] : json.items())
        require(known.contains(key), "the backbone's description has \"{}\", which is not known", key);
}

const nlohmann::json& JsonFields::get(const char* key) const
{
    require(json_.contains(key), "the backbone's description lacks \"{}\"", key);
    return json_[key];
}

std::string JsonFields::text(const char* key) const
{
    require(get(key).is_string(), "the backbone's \"{}\" is {}, expected a text", key, shown(get(key)));
    return get(key).get<std::string>();
}

bool JsonFields::boolean(const char* key) const
{
    require(get(key).is_boolean(), "the backbone's \"{}\" is {}, expected true or false", key, shown(get(key)));
    return get(key).get<bool>();
}

int64_t JsonFields::integer(const char* key, int64_t low, int64_t high) const
{
    require(isInteger(get(key), low, high), "the backbone's \"{}\" is {}, expected an integer from {} to {}", key, shown(get(key)),
            low, high);
    return get(key).get<int64_t>();
}

std::vector<int64_t> JsonFields::integers(const char* key, size_t count, int64_t low, int64_t high) const
{
    const nlohmann::json& value = get(key);
    bool fits = value.is_array() && value.size() == count;
    for (size_t i = 0; fits && i < count; i++)
        fits = isInteger(value[i], low, high);
    require(fits, "the backbone's \"{}\" is {}, expected {} integers from {} to {}", key, shown(value), count, low, high);
    return value.get<std::vector<int64_t>>();
}

double JsonFields::number(const char* key, double above, double most) const
{
    const nlohmann::json& value = get(key);
    require(value.is_number() && value > above && value <= most, "the backbone's \"{}\" is {}, expected a number in ({}, {}]", key,
            shown(value), above, most);
    return value.get<double>();
}

std::array<double, 3> JsonFields::colours(const char* key, double low) const
{
    const nlohmann::json& value = get(key);
    bool fits = value.is_array() && value.size() == 3;
    for (size_t i = 0; fits && i < 3; i++)
        fits = value[i].is_number() && value[i] >= low && value[i] <= 1000.0;
    require(fits, "the backbone's \"{}\" is {}, expected three numbers from {}", key, shown(value), low);
    return value.get<std::array<double, 3>>();
}

} // namespace agpnet
