// The names of an enum's values, as JSON, the command line and messages have them: one table an enum.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace agpnet
{

/// To be specialised beside the enum: `static constexpr std::pair<Enum, const char*> table[]`, every value once.
template <typename Enum>
struct EnumNames;

template <typename Enum>
concept NamedEnum = requires { EnumNames<Enum>::table[0].second; };

template <NamedEnum Enum>
constexpr const char* textOf(Enum value)
{
    for (const auto& [known, name] : EnumNames<Enum>::table)
        if (known == value)
            return name;
    return "";
}

/// False, and `value` stays, where no value has this name.
template <NamedEnum Enum>
constexpr bool valueOf(std::string_view text, Enum& value)
{
    for (const auto& [known, name] : EnumNames<Enum>::table)
        if (text == name)
            return value = known, true;
    return false;
}

/// "a, b, c"
template <NamedEnum Enum>
std::string namesOf()
{
    std::string list;
    for (const auto& [known, name] : EnumNames<Enum>::table)
        list += (list.empty() ? "" : ", ") + std::string(name);
    return list;
}

} // namespace agpnet
