// Which state of a file is this? Models that are in use are shared by it.
#pragma once

#include <string>

namespace agpnet
{

/// Path, size and time of a file: another text when any of them changes. An Error where there is no such file.
std::string fileIdentity(const std::string& path);

} // namespace agpnet
