#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace agpnet::app
{

/// What a model's values are, in words. `header` is the model file's; `key` is "score_metric" for scores, "metric" for maps.
inline std::string distanceUnit(const nlohmann::json& header, const char* key)
{
    const std::string metric = header.at("config").at(key).get<std::string>();
    return metric == "l2" ? "distance of features" : metric + " distance of features"; // "cosine", "scaled"
}

} // namespace agpnet::app
