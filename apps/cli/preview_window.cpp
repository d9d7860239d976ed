#include "apps/cli/preview_window.h"

#include "common/error.h"

#include <cstdio>
#include <dlfcn.h>
#include <filesystem>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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

// Some back ends of HighGUI end the program where there is no display, so a child tries.
bool displayIsThere(const char* window)
{
    const pid_t child = ::fork();
    if (child == 0)
    {
        const rlimit none{0, 0};
        ::setrlimit(RLIMIT_CORE, &none);
        try
        {
            if (std::freopen("/dev/null", "w", stderr)) // what it has to say of a missing display, we say ourselves
                screen().open(window);
            ::_exit(0);
        }
        catch (const std::exception&)
        {
            ::_exit(1);
        }
    }
    int status = 1;
    return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

} // namespace agpnet::app
