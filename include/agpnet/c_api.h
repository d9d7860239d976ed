/** @file
 * Inspecting images from C, and from whatever can call C: the detector behind functions with a stable ABI.
 *
 *   agpnet_detector *detector = NULL;
 *   char message[512];
 *   if (agpnet_detector_load("tile.agp", "auto", &detector, message, sizeof message) != AGPNET_OK) ...
 *   agpnet_image image = {sizeof image, pixels, height, width, 3, AGPNET_UINT8, width * 3};
 *   agpnet_result result = {sizeof result};
 *   if (agpnet_detector_detect(detector, &image, map, NULL, &result, message, sizeof message) != AGPNET_OK) ...
 *   agpnet_detector_free(detector);
 *
 * No function throws, aborts or prints. All return AGPNET_OK or a code of agpnet/plugin.h, and then one sentence in `message`, always
 * terminated, which may be null if message_size is 0. Structures begin with their size as the caller was compiled: later versions add members
 * at the end, and a library reads and writes only those that both know. A detector may be used from several threads at once, except while
 * it is changed or freed.
 */
#ifndef AGPNET_C_API_H
#define AGPNET_C_API_H

#include "agpnet/api.hpp"
#include "agpnet/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A model that was read; only its address is known outside. */
typedef struct agpnet_detector agpnet_detector;

/** Values of a channel. */
enum
{
    AGPNET_UINT8 = 0,  /**< 0 to 255 */
    AGPNET_UINT16 = 1, /**< 0 to 65535, or to the greatest value of the bits that the model was trained with: `bits` of the header's config, 0 means all 16 */
    AGPNET_FLOAT32 = 2 /**< 0 to 1 */
};

/** An image in the caller's memory. */
typedef struct agpnet_image
{
    size_t size;      /**< sizeof(agpnet_image) */
    const void *data; /**< rows from the top; in a row pixel by pixel, each channel after channel */
    int32_t height;   /**< from 8 */
    int32_t width;    /**< from 8 */
    int32_t channels; /**< 1 (grey), 3 (BGR) or 4 (BGRA, alpha ignored) */
    int32_t type;     /**< AGPNET_UINT8, _UINT16 or _FLOAT32 */
    int64_t stride;   /**< bytes from one row to the next */
} agpnet_image;

/** What an inspection found, beside map and mask. */
typedef struct agpnet_result
{
    size_t size;       /**< sizeof(agpnet_result), set by the caller */
    double score;      /**< the image's */
    double threshold;  /**< what it was compared with, sensitivity included */
    int32_t anomalous; /**< 1 where the score exceeds it, else 0 */
} agpnet_result;

/** Reads a model file.
 * @param path          the .agp file
 * @param precision     "auto", "fp32", "bf16" or "int8"; null: "auto"
 * @param detector      receives the detector, which agpnet_detector_free() frees; null where loading failed
 * @param message       receives one sentence
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_detector_load(const char *path, const char *precision, agpnet_detector **detector, char *message, size_t message_size);

/** The same on a device.
 * @param path          the .agp file
 * @param precision     as above
 * @param device        "cpu", "cuda" or "cuda:N"; null: "cpu"
 * @param detector      as above
 * @param message       receives one sentence
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_detector_load_on(const char *path, const char *precision, const char *device, agpnet_detector **detector, char *message,
                                          size_t message_size);

/** Frees a detector; null is fine. */
AGPNET_EXPORT void agpnet_detector_free(agpnet_detector *detector);

/** Inspects an image.
 * @param detector      of agpnet_detector_load()
 * @param image         the pixels
 * @param map           height x width floats without gaps, or null: the anomaly map at the image's size, 0 upward
 * @param mask          height x width bytes without gaps, or null: 255 where the map exceeds the pixel threshold, else 0
 * @param result        or null
 * @param message       receives one sentence; with AGPNET_OK it is empty, or a warning that the values of a 16-bit image do not fit those of training
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_detector_detect(const agpnet_detector *detector, const agpnet_image *image, float *map, uint8_t *mask,
                                         agpnet_result *result, char *message, size_t message_size);

/** Divides both thresholds: 2 finds defects half as strong. Above 0; 1 at first. Not while detect runs. */
/** Threads that compute one call on the CPU; 0, the default: one for each core, unless OMP_NUM_THREADS says less. At most 256. Not beside a call. */
AGPNET_EXPORT int agpnet_detector_set_threads(agpnet_detector *detector, int threads, char *message, size_t message_size);

AGPNET_EXPORT int agpnet_detector_set_sensitivity(agpnet_detector *detector, double sensitivity, char *message, size_t message_size);

/** The model file's header: JSON text, which lives as long as the detector. Null for null. */
AGPNET_EXPORT const char *agpnet_detector_header(const agpnet_detector *detector);

/** What the library was built with and finds here, as JSON text; stays valid. Null where there is no memory for it. */
AGPNET_EXPORT const char *agpnet_build_information(void);

#ifdef __cplusplus
}
#endif
#endif
