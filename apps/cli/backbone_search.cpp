#include "apps/cli/backbone_search.h"

#include "common/error.h"

#include <cstdlib>
#include <filesystem>
#include <vector>

namespace agpnet::app
{
namespace
{

namespace fs = std::filesystem;

constexpr char defaultBackbone[] = "focus-vits14.safetensors";

std::string environment(const char* name)
{
    const char* value = std::getenv(name);
    return value ? value : "";
}

} // namespace

std::string findBackbone(const std::string& named)
{
    std::error_code ignored;
    const std::string chosen = !named.empty() ? named : environment("AGPNET_BACKBONE");
    if (!chosen.empty())
    {
        require(fs::is_regular_file(chosen, ignored), "{}: the backbone is not there, expected a safetensors file or a .pth state dict",
                chosen);
        return chosen;
    }
    std::vector<fs::path> folders;
    if (const std::string folder = environment("AGPNET_BACKBONES"); !folder.empty())
        folders.emplace_back(folder);
    if (const fs::path self = fs::read_symlink("/proc/self/exe", ignored); !self.empty())
        folders.push_back(self.parent_path().parent_path() / "share/agpnet/backbones");
    if (const std::string data = environment("XDG_DATA_HOME"); !data.empty())
        folders.push_back(fs::path(data) / "agpnet/backbones");
    else if (const std::string home = environment("HOME"); !home.empty())
        folders.push_back(fs::path(home) / ".local/share/agpnet/backbones");
#ifdef AGPNET_BUILD_BACKBONES
    folders.emplace_back(AGPNET_BUILD_BACKBONES);
#endif
    std::string tried;
    for (const fs::path& folder : folders)
    {
        if (const fs::path file = folder / defaultBackbone; fs::is_regular_file(file, ignored))
            return file.string();
        tried += "\n  " + folder.string();
    }
    fail("no backbone given and the default one, {}, was not found; run ./scripts/fetch-backbone focus-vits14, or name one with "
         "--backbone. Looked in:{}",
         defaultBackbone, tried);
}

} // namespace agpnet::app
