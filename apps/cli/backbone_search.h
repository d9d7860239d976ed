#pragma once

#include <string>

namespace agpnet::app
{

/// The backbone to train with: the file named; else AGPNET_BACKBONE; else the default backbone in AGPNET_BACKBONES, beside an
/// installed program, in the user's data folder, or where ./scripts/fetch-backbone put it. Error with the way out otherwise.
std::string findBackbone(const std::string& named);

} // namespace agpnet::app
