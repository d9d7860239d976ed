#pragma once

#include <string>

namespace agpnet::app
{

/// What --data takes: FOLDER or NAME=FOLDER. An existing folder with '=' in its name is that folder.
struct NamedFolder
{
    std::string name; ///< empty if none was given
    std::string path;
};
NamedFolder namedFolder(const std::string& argument);

} // namespace agpnet::app
