#include "common/config_fields.h"

#include "common/json_text.h"
#include "common/text_file.h"

namespace agpnet
{

nlohmann::json configJson(const std::string& textOrPath)
{
    std::string text = textOrPath;
    std::string source = "config";
    constexpr size_t mostBytes = 1 << 20;
    const size_t first = textOrPath.find_first_not_of(" \t\r\n");
    if (first == std::string::npos)
        return nlohmann::json::object();
    if (textOrPath[first] != '{')
    {
        source = textOrPath;
        text = readTextFile(textOrPath, "a config", mostBytes);
    }
    require(text.size() <= mostBytes, "{}: {} bytes of config, expected at most 1 MiB", source, text.size());
    return parseJson(text, source);
}

} // namespace agpnet
