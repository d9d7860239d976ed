/// @file
/// Descriptions of the operators and of the training configurations.
#pragma once

#include "agpnet/api.hpp"

#include <string>

namespace agpnet
{

/// Describes all operators as JSON text: name, description, inputs, outputs and attributes (type, range, default).
AGPNET_EXPORT std::string describeOperators();

/// Returns the keys of the training configuration with their defaults, as JSON text.
AGPNET_EXPORT std::string defaultConfig();

/// The same of one method: "agpnet" (inspection) or "dec" (retrieval).
AGPNET_EXPORT std::string defaultConfig(const std::string& method);

} // namespace agpnet
