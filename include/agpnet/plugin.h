/** @file
 * The C entry of the AGPNet plugin: all that a program needs which was never compiled against AGPNet.
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

/** Raised when the meaning of an existing entry changes; new entries do not raise it. */
#define AGPNET_PLUGIN_ABI 1u
/** The name of the entry, an agpnet_plugin_init_t. */
#define AGPNET_PLUGIN_INIT "agpnet_plugin_init_v1"
/** The name of the function that chooses tuning records, an agpnet_load_tuning_t. */
#define AGPNET_LOAD_TUNING "agpnet_load_tuning_v1"

/** What the C functions return. */
enum
{
    AGPNET_OK = 0,         /**< done */
    AGPNET_E_ARGUMENT = 1, /**< an argument: a null pointer, or a value that is out of range or does not fit the model */
    AGPNET_E_ABI = 2,      /**< the caller was compiled for another ABI version */
    AGPNET_E_OPENCV = 3,   /**< the plugin is built for another OpenCV than the host names */
    AGPNET_E_REGISTER = 4, /**< the layers could not be registered */
    AGPNET_E_FAILED = 5,   /**< another reason, which the message gives */
    AGPNET_E_FILE = 6,     /**< a file that cannot be read or written, or its contents */
    AGPNET_E_DEVICE = 7,   /**< a device that does not exist, or that failed */
    AGPNET_E_STATE = 8,    /**< the call itself: too early, too late, or in a forked process */
    AGPNET_E_MEMORY = 9    /**< not enough memory */
};

/** Registers the layers in the OpenCV that this library is linked to. Never throws, aborts or prints. May be called any number
 * of times and from several threads; the first call does the work and the others return its outcome.
 * @param abi             AGPNET_PLUGIN_ABI as the caller was compiled
 * @param opencv_version  CV_VERSION of the caller, for instance "4.6.0"; major and minor must be the plugin's
 * @param message         receives one sentence, always terminated; may be null if message_size is 0
 * @param message_size    its bytes
 * @return AGPNET_OK or one of the first four codes */
typedef int agpnet_plugin_init_t(uint32_t abi, const char *opencv_version, char *message, size_t message_size);

/** Uses this tuning record (docs/tuning.md), or the records of this folder, and no other; with a null path none, so that every stage runs
 * its default schedule. Without this call records are read where agpnet/tuning.hpp says. Never throws, aborts or prints; thread-safe.
 * @param path          a record or a folder, or null
 * @param message       receives one sentence, always terminated; may be null if message_size is 0
 * @param message_size  its bytes
 * @return AGPNET_OK, AGPNET_E_ARGUMENT or AGPNET_E_FAILED */
typedef int agpnet_load_tuning_t(const char *path, char *message, size_t message_size);

#ifdef __cplusplus
}
#endif
#endif
