#include "apps/cli/file_count.h"

#include "apps/cli/json_output.h"

#include <filesystem>
#include <fmt/format.h>

namespace agpnet::app
{
namespace
{

std::string named(const tools::FileNames& files)
{
    std::vector<std::string> names;
    for (const std::string& path : files.first)
        names.push_back(std::filesystem::path(path).filename().string());
    return names.empty() ? "" : fmt::format(" ({})", tools::joinNames(names));
}

} // namespace

std::string text(const FileCount& files)
{
    return fmt::format("{} {} used, {} {} skipped{}, {} could not be read{}", files.used, files.used == 1 ? "image" : "images",
                       files.skipped.count, files.skipped.count == 1 ? "file" : "files", named(files.skipped), files.unread.count,
                       named(files.unread));
}

nlohmann::json toJson(const FileCount& files)
{
    nlohmann::json result = {{"used", files.used}, {"skipped", files.skipped.count}, {"unread", files.unread.count}};
    setNames(result, "skipped_names", files.skipped.first);
    setNames(result, "unread_names", files.unread.first);
    return result;
}

} // namespace agpnet::app
