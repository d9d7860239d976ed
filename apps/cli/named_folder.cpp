#include "apps/cli/named_folder.h"

#include "common/error.h"

#include <filesystem>

namespace agpnet::app
{

NamedFolder namedFolder(const std::string& argument)
{
    std::error_code ignored;
    const size_t equals = argument.find('=');
    if (equals == std::string::npos || std::filesystem::exists(argument, ignored))
        return {"", argument};
    require(equals > 0, "--data is '{}', expected NAME=FOLDER or a folder", argument);
    return {argument.substr(0, equals), argument.substr(equals + 1)};
}

} // namespace agpnet::app
