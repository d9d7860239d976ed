// The C door.
#include "agpnet/api.hpp"
#include "agpnet/plugin.h"
#include "agpnet/tuning.hpp"
#include "plugin/c_answer.h"
#include "plugin/opencv_adapter.h"

#include <cstdio>
#include <opencv2/core.hpp>
#include <string>

namespace
{

bool sameMajorMinor(const char* version) noexcept
{
    int major = 0, minor = 0;
    return std::sscanf(version, "%d.%d", &major, &minor) == 2 && major == CV_VERSION_MAJOR && minor == CV_VERSION_MINOR;
}

} // namespace

extern "C" AGPNET_EXPORT int agpnet_plugin_init_v1(uint32_t abi, const char* opencvVersion, char* message, size_t messageSize) noexcept
{
    try
    {
        if (!opencvVersion || (!message && messageSize > 0))
            return agpnet::answer(AGPNET_E_ARGUMENT, "agpnet_plugin_init_v1: a null pointer where text is expected", message, messageSize);
        if (abi != AGPNET_PLUGIN_ABI)
        {
            const std::string text =
                "the caller speaks plugin ABI " + std::to_string(abi) + ", this plugin " + std::to_string(AGPNET_PLUGIN_ABI);
            return agpnet::answer(AGPNET_E_ABI, text.c_str(), message, messageSize);
        }
        if (!sameMajorMinor(opencvVersion))
        {
            const std::string text = std::string("the plugin is built for OpenCV ") + CV_VERSION + ", the program uses " + opencvVersion;
            return agpnet::answer(AGPNET_E_OPENCV, text.c_str(), message, messageSize);
        }
        const std::string& outcome = agpnet::registerInOpenCV();
        return outcome.empty() ? agpnet::answer(AGPNET_OK, "AGPNet " AGPNET_VERSION " registered", message, messageSize)
                               : agpnet::answer(AGPNET_E_REGISTER, outcome.c_str(), message, messageSize);
    }
    catch (...) // out of memory at most
    {
        return agpnet::answer(AGPNET_E_REGISTER, "not enough memory", message, messageSize);
    }
}

extern "C" AGPNET_EXPORT int agpnet_load_tuning_v1(const char* path, char* message, size_t messageSize) noexcept
{
    try
    {
        if (!message && messageSize > 0)
            return AGPNET_E_ARGUMENT;
        if (path)
            agpnet::loadTuning(path);
        else
            agpnet::clearTuning();
        return agpnet::answer(AGPNET_OK, path ? "the tuning record is in use" : "every stage runs its default schedule", message,
                              messageSize);
    }
    catch (const cv::Exception& error)
    {
        return agpnet::answer(AGPNET_E_FAILED, error.err.c_str(), message, messageSize);
    }
    catch (...) // out of memory at most
    {
        return agpnet::answer(AGPNET_E_FAILED, "not enough memory", message, messageSize);
    }
}
