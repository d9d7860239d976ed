// A config as it was given, where what it leaves open matters.
#pragma once

#include "models/agpnet/config.h"

#include <set>

namespace agpnet
{

/// JSON text, or the path of a file that holds it, as it stands; {} for an empty text.
nlohmann::json configJson(const std::string& textOrPath);

/// The keys that a JSON config says something about: its own, and those that its preset, if it has one, chooses.
std::set<std::string> keysOf(const nlohmann::json& config);

} // namespace agpnet
