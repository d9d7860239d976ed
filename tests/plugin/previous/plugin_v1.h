/* The C entry of the AGPNet plugin: all that a program needs which was never compiled against AGPNet.
 *
 *   void *plugin = dlopen("libagpnet.so", RTLD_NOW);
 *   agpnet_plugin_init_t *init = (agpnet_plugin_init_t *)dlsym(plugin, AGPNET_PLUGIN_INIT);
 *   char message[512];
 *   if (init(AGPNET_PLUGIN_ABI, CV_VERSION, message, sizeof message) != AGPNET_OK) ...
 *
 * Thereafter cv::dnn knows the layers ai.agpnet.* : ONNX files with such nodes run, Net::addLayer and
 * LayerFactory::createLayerInstance too. See also agpnet/loader.hpp, which finds the library and checks all of this.
 */
#ifndef AGPNET_PLUGIN_H
#define AGPNET_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when the meaning of an existing entry changes; new entries do not raise it. */
#define AGPNET_PLUGIN_ABI 1u
#define AGPNET_PLUGIN_INIT "agpnet_plugin_init_v1"

enum
{
    AGPNET_OK = 0,
    AGPNET_E_ARGUMENT = 1, /* a null pointer where there must be one */
    AGPNET_E_ABI = 2,      /* the caller speaks another ABI version */
    AGPNET_E_OPENCV = 3,   /* the plugin is built for another OpenCV than the host names */
    AGPNET_E_REGISTER = 4  /* the layers could not be registered; the message says why */
};

/* Registers the layers in the OpenCV that this library is linked to. Never throws, aborts or prints. May be called any number
 * of times and from several threads; the first call does the work and the others return its outcome.
 *   abi              AGPNET_PLUGIN_ABI as the caller was compiled
 *   opencv_version   CV_VERSION of the caller, for instance "4.6.0"; major and minor must be the plugin's
 *   message          receives one sentence, always terminated; may be null if message_size is 0
 * Returns AGPNET_OK or one of the codes above. */
typedef int agpnet_plugin_init_t(uint32_t abi, const char *opencv_version, char *message, size_t message_size);

#ifdef __cplusplus
}
#endif
#endif
