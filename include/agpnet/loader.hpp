/// @file
/// Finds the AGPNet plugin and loads it into a program that was built without it. Header only; requires opencv_core, opencv_dnn and libdl.
///
///     agpnet::loadPlugin();                                      // throws cv::Exception with the reason
///     cv::dnn::Net net = cv::dnn::readNetFromONNX("tile.onnx");  // nodes of the domain ai.agpnet
#pragma once

#include "agpnet/plugin.h"

#include <cerrno>
#include <cstdlib>
#include <dlfcn.h>
#include <opencv2/core.hpp>
#include <opencv2/dnn.hpp>
#include <opencv2/dnn/layer.details.hpp>
#include <string>
#include <unistd.h>
#include <vector>

namespace agpnet
{

/// Lists the files that loadPlugin() tries, in this order. If `path` is given, it is the only one; otherwise, if the environment variable
/// AGPNET_PLUGIN is set, it is the only one. Otherwise: the folder of the executable; ../lib relative to it; the search path of the dynamic
/// linker.
inline std::vector<std::string> pluginCandidates(const std::string& path = std::string())
{
    if (!path.empty())
        return {path};
    const std::string file = "libagpnet.so";
    std::vector<std::string> candidates;
    if (const char* named = std::getenv("AGPNET_PLUGIN"); named && *named)
        return {named};
    char self[4096];
    const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self);
    if (length > 0 && length < static_cast<ssize_t>(sizeof self))
    {
        std::string folder(self, static_cast<size_t>(length));
        folder.resize(folder.rfind('/') + 1);
        candidates.push_back(folder + file);
        candidates.push_back(folder + "../lib/" + file);
    }
    candidates.push_back(file);
    return candidates;
}

/// Loads the plugin and checks that its layers are registered in the OpenCV that this code is linked to. May be called several times and
/// from several threads.
/// @return the path of the plugin
/// @throws cv::Exception if no candidate can be loaded (the message has the reason for each), if the plugin refuses, or if it registered
///         its layers in another copy of OpenCV (for instance because this program's OpenCV is linked statically)
inline std::string loadPlugin(const std::string& path = std::string())
{
    std::string reasons;
    for (const std::string& candidate : pluginCandidates(path))
    {
        char directory[4096];
        if (!::dlopen(candidate.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD) && !::getcwd(directory, sizeof directory) && errno == ENOENT)
            CV_Error(cv::Error::StsError, // LibTorch's MKL, as it is loaded, would end the process
                     "the working directory has been removed; expected one that is there when the AGPNet plugin is loaded");
        void* library = ::dlopen(candidate.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (!library)
        {
            const char* reason = ::dlerror();
            reasons += "\n  " + std::string(reason ? reason : candidate.c_str());
            continue;
        }
        auto* init = reinterpret_cast<agpnet_plugin_init_t*>(::dlsym(library, AGPNET_PLUGIN_INIT));
        if (!init)
            CV_Error(cv::Error::StsError, candidate + " is not an AGPNet plugin: it has no " AGPNET_PLUGIN_INIT);
        char message[1024] = "";
        if (init(AGPNET_PLUGIN_ABI, CV_VERSION, message, sizeof message) != AGPNET_OK)
            CV_Error(cv::Error::StsError, candidate + ": " + message);
        cv::dnn::LayerParams params;
        if (!cv::dnn::LayerFactory::createLayerInstance("ai.agpnet.Residual", params))
            CV_Error(cv::Error::StsError,
                     candidate + " was loaded, but into another copy of OpenCV than this program uses: the program's OpenCV is linked "
                                 "statically, or comes from another place than the one the plugin was built with");
        return candidate;
    }
    CV_Error(cv::Error::StsError, "the AGPNet plugin was not found; set AGPNET_PLUGIN to its path. Tried:" + reasons);
}

} // namespace agpnet
