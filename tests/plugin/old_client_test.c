/* A program that was compiled when plugin.h was as in previous/: it must go on with the library of today. */
#include "tests/plugin/previous/plugin_v1.h"

#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    char message[512] = "";
    void *plugin;
    agpnet_plugin_init_t *init;
    if (argc != 3)
        return 2;
    plugin = dlopen(argv[1], RTLD_NOW);
    if (!plugin)
    {
        printf("%s\n", dlerror());
        return 3;
    }
    *(void **)&init = dlsym(plugin, AGPNET_PLUGIN_INIT);
    if (!init)
        return 4;
    if (init(AGPNET_PLUGIN_ABI, argv[2], message, sizeof message) != AGPNET_OK)
    {
        printf("%s\n", message);
        return 5;
    }
    if (init(AGPNET_PLUGIN_ABI + 1, argv[2], message, sizeof message) != AGPNET_E_ABI ||
        init(AGPNET_PLUGIN_ABI, "1.0.0", message, sizeof message) != AGPNET_E_OPENCV ||
        init(AGPNET_PLUGIN_ABI, 0, 0, 0) != AGPNET_E_ARGUMENT)
        return 6;
    printf("registered\n");
    return 0;
}
