#include "apps/cli/preview_window.h"

#include "common/error.h"

#include <dlfcn.h>
#include <filesystem>

namespace agpnet::app
{

const Screen& screen()
{
    static const Screen* const loaded = [] {
        // beside the program, or where an installation has it
        const std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
        std::string problem;
        for (const std::filesystem::path& place : {folder / AGPNET_SCREEN_MODULE, folder / AGPNET_SCREEN_FOLDER / AGPNET_SCREEN_MODULE})
        {
            if (void* const module = ::dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL))
                if (const auto entry = reinterpret_cast<decltype(&agpnet_screen)>(::dlsym(module, "agpnet_screen")))
                    return entry();
            const char* const why = ::dlerror();
            problem += fmt::format("{}{}", problem.empty() ? "" : "; ", why ? why : "");
        }
        fail("windows cannot be opened: {}", problem);
    }();
    return *loaded;
}

} // namespace agpnet::app
