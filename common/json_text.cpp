#include "common/json_text.h"

#include "common/error.h"

namespace agpnet
{

nlohmann::json parseJson(std::string_view text, const std::string& name)
{
    constexpr int deepest = 32;
    const auto watch = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&)
    {
        require(depth <= deepest, "{}: JSON that is nested more deeply than {} levels", name, deepest);
        return true;
    };
    nlohmann::json json = nlohmann::json::parse(text, watch, false);
    require(!json.is_discarded(), "{}: not valid JSON", name);
    return json;
}

std::string quotedText(const std::string& text)
{
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string printable(const std::string& text)
{
    return nlohmann::json::parse(quotedText(text)).get<std::string>();
}

bool isUtf8(const std::string& text)
{
    return printable(text) == text;
}

} // namespace agpnet
