#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace agpnet::app
{

/// What a user should know before relying on the thresholds of a model, one sentence each: that no rate of false positives can be stated,
/// that the images were too few or all the same. `scores` as in the model's header.
std::vector<std::string> thresholdNotes(const nlohmann::json& scores);

} // namespace agpnet::app
