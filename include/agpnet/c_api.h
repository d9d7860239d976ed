/** @file
 * Anomaly detection, retrieval and training from C, and from every language that can call C. The ABI is stable.
 *
 *   agpnet_detector *detector = NULL;
 *   agpnet_results *results = NULL;
 *   agpnet_image image = {sizeof image, pixels, height, width, 3, AGPNET_UINT8, width * 3};
 *   agpnet_result result = {.size = sizeof result};
 *   char message[512];
 *   if (agpnet_detector_create("tile.agp", NULL, &detector, message, sizeof message) != AGPNET_OK ||
 *       agpnet_detector_detect(detector, &image, NULL, AGPNET_MAP, &results, message, sizeof message) != AGPNET_OK ||
 *       agpnet_results_get_result(results, 0, &result, message, sizeof message) != AGPNET_OK)
 *       puts(message);
 *   agpnet_results_free(results);
 *   agpnet_detector_free(detector);
 *
 * These rules hold for all functions:
 *
 * - No function throws, aborts or prints.
 * - A function that returns an int returns AGPNET_OK or another code of agpnet/plugin.h. It then writes one message about the error to
 *   `message`, always terminated and cut off at message_size; with AGPNET_OK the message is empty. `message` may be null if message_size
 *   is 0.
 * - After an error nothing has changed, except that a training has taken the steps before it. A pointer to a new handle is then null.
 * - A structure begins with its size as the caller was compiled. Later versions add members at the end. The library reads and writes only
 *   the members that both sides know; the others have their defaults.
 * - In an array of structures all have the same size. An array of 0 elements may be null.
 * - Handles are opaque. The function _free releases a handle; null is allowed. No call may use the handle at that time or later.
 * - Pixels, texts and structures that the caller passes are used during the call only.
 * - Texts and arrays that the library returns belong to a handle, and are valid as long as this handle unless stated otherwise.
 * - Texts are UTF-8; paths are bytes as the system takes them.
 */
#ifndef AGPNET_C_API_H
#define AGPNET_C_API_H

#include "agpnet/api.hpp"
#include "agpnet/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What the library was built with and finds on this machine: JSON text, valid until the program ends. Null if memory is short. */
AGPNET_EXPORT const char *agpnet_build_information(void);

/* ---- Images ---- */

/** Type of the values of a channel. */
enum
{
    AGPNET_UINT8 = 0,  /**< 0 to 255 */
    AGPNET_UINT16 = 1, /**< 0 to 65535, or to the maximum of the bits that the model was trained with: `bits` of the header's config, 0
                        *   means all 16 */
    AGPNET_FLOAT32 = 2 /**< 0 to 1 */
};

/** An image in memory. */
typedef struct agpnet_image
{
    size_t size;      /**< sizeof(agpnet_image) */
    const void *data; /**< rows from the top; within a row pixel by pixel, within a pixel channel by channel */
    int32_t height;   /**< rows, at least 8 */
    int32_t width;    /**< columns, at least 8 */
    int32_t channels; /**< 1 (grey), 3 (BGR), 4 (BGRA, alpha ignored) or 6 (BGR and geometry, for models that take it) */
    int32_t type;     /**< AGPNET_UINT8, AGPNET_UINT16 or AGPNET_FLOAT32 */
    int64_t stride;   /**< bytes from one row to the next */
} agpnet_image;

/* ---- Options of an inspection ---- */

/** Size of map and mask. */
enum
{
    AGPNET_MAP_SIZE_IMAGE = 0, /**< the image's size */
    AGPNET_MAP_SIZE_MODEL = 1  /**< the scale at which the score is computed: the model's input size, or the scale of its tiles */
};

/** Where an image is inspected. Outside the region of interest the map is 0, and the score does not depend on it. */
enum
{
    AGPNET_REGION_TRAINED = 0, /**< the region that the model was trained with */
    AGPNET_REGION_WHOLE = 1,   /**< the whole image */
    AGPNET_REGION_MASK = 2,    /**< a mask */
    AGPNET_REGION_POLYGONS = 3 /**< polygons */
};

/** A polygon: x and y of each point in turn. This structure stays as it is. */
typedef struct agpnet_polygon
{
    const float *points; /**< 2 * count numbers */
    size_t count;        /**< points, at least 3 */
} agpnet_polygon;

/** Options of an inspection. Begin with AGPNET_DETECT_OPTIONS_INIT and change members. */
typedef struct agpnet_detect_options
{
    size_t size;                    /**< sizeof(agpnet_detect_options) */
    int32_t map_size;               /**< AGPNET_MAP_SIZE_IMAGE or AGPNET_MAP_SIZE_MODEL */
    int32_t tile_side;              /**< side of the tiles in pixels, 32 to 16384; 0: the whole image is resized; -1: as trained */
    double tile_overlap;            /**< minimum fraction of a tile that it shares with the next one, 0 to 0.9; -1: as trained */
    int32_t region;                 /**< AGPNET_REGION_TRAINED, AGPNET_REGION_WHOLE, AGPNET_REGION_MASK or AGPNET_REGION_POLYGONS */
    const agpnet_image *mask;       /**< AGPNET_REGION_MASK: AGPNET_UINT8, 1 channel, not 0 inside; it is stretched to each image */
    const agpnet_polygon *polygons; /**< AGPNET_REGION_POLYGONS: even-odd, so a polygon inside another one is a hole */
    size_t polygon_count;           /**< polygons, at least 1 */
    int32_t polygon_height;         /**< rows of the image that the points are pixels of; 0: the points are fractions of its sides, 0 to
                                     *   1 */
    int32_t polygon_width;          /**< columns of it; 0 if polygon_height is */
    const char *product;            /**< use the thresholds of this product. Null: of the nearest product if the model distinguishes
                                     *   products,
                                         otherwise of all products together */
    double sensitivity;             /**< divides both thresholds: 2 detects defects half as strong. Above 0 */
    double threshold;               /**< threshold of the image score, before sensitivity; 0: the model's own */
    double pixel_threshold;         /**< threshold of the map, before sensitivity; 0: the model's own */
    int32_t minimum_area;           /**< pixels; smaller regions are neither listed nor marked in the mask. The decision does not depend
                                     *   on it */
    int32_t threads;                /**< threads that compute one call on the CPU, at most 256. 0: one for each core, unless
                                     *   OMP_NUM_THREADS is lower */
} agpnet_detect_options;

/** The defaults: everything as the model was trained. */
#define AGPNET_DETECT_OPTIONS_INIT \
    {sizeof(agpnet_detect_options), AGPNET_MAP_SIZE_IMAGE, -1, -1.0, AGPNET_REGION_TRAINED, 0, 0, 0, 0, 0, 0, 1.0, 0.0, 0.0, 0, 0}

/** What an inspection returns besides the results; combined by |. */
enum
{
    AGPNET_MAP = 1, /**< the anomaly map of each image */
    AGPNET_MASK = 2 /**< the mask of each image, and its regions also if it is not anomalous */
};

/* ---- Results ---- */

/** The results of one call. They do not change: several threads may read them. */
typedef struct agpnet_results agpnet_results;

/** The result of an image. */
typedef struct agpnet_result
{
    size_t size;            /**< sizeof(agpnet_result), set by the caller */
    double score;           /**< image score */
    double threshold;       /**< the threshold that the score was compared with, sensitivity included */
    double pixel_threshold; /**< the threshold that the map was compared with, sensitivity included */
    double calibrated;      /**< the score on a scale of 0 to 1: 0.5 is the threshold */
    double drift;           /**< distance of the image's features from those of normal images: up to 1 within the range of training; -1:
                             *   unknown */
    int32_t anomalous;      /**< 1 if the score is above the threshold, else 0 */
    size_t region_count;    /**< regions; they are found if the image is anomalous, or if the mask was requested */
    const char *product;    /**< the product whose thresholds were used; empty if the model has one product only */
    const char *warning;    /**< a message if the values of a 16-bit image do not fit those of training: the score is unreliable; else
                             *   empty */
} agpnet_result;

/** A region: connected pixels of the map above the pixel threshold, in pixels of the map. */
typedef struct agpnet_region
{
    size_t size;            /**< sizeof(agpnet_region), set by the caller */
    int32_t x;              /**< left column of the bounding box */
    int32_t y;              /**< top row of the bounding box */
    int32_t width;          /**< columns of the bounding box */
    int32_t height;         /**< rows of the bounding box */
    int32_t peak_x;         /**< column of the map's maximum in the region */
    int32_t peak_y;         /**< row of it */
    double score;           /**< the map's value there */
    int64_t area;           /**< pixels */
    const int32_t *contour; /**< the outer border: x and y of each corner in turn */
    size_t contour_count;   /**< corners */
} agpnet_region;

/** Images that these results are of. 0 for null. */
AGPNET_EXPORT size_t agpnet_results_count(const agpnet_results *results);

/** The result of an image.
 * @param results       results of a call
 * @param index         number of the image, from 0
 * @param result        is filled; its texts are valid as long as `results`
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_results_get_result(const agpnet_results *results, size_t index, agpnet_result *result, char *message,
                                            size_t message_size);

/** A region of an image. The region with the highest peak is the first.
 * @param results       results of a call
 * @param index         number of the image, from 0
 * @param region        number of the region, from 0, below agpnet_result::region_count
 * @param found         is filled; its contour is valid as long as `results`
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_results_get_region(const agpnet_results *results, size_t index, size_t region, agpnet_region *found, char *message,
                                            size_t message_size);

/** The anomaly map of an image: AGPNET_FLOAT32, 1 channel, 0 and more; the higher, the less normal the pixel. AGPNET_E_STATE if it was not
 * requested.
 * @param results       results of a call
 * @param index         number of the image, from 0
 * @param map           is filled; its pixels are valid as long as `results`
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_results_get_map(const agpnet_results *results, size_t index, agpnet_image *map, char *message,
                                         size_t message_size);

/** The mask of an image: AGPNET_UINT8, 1 channel, 255 where the map is above the pixel threshold, else 0. AGPNET_E_STATE if it was not
 * requested.
 * @param results       results of a call
 * @param index         number of the image, from 0
 * @param mask          is filled; its pixels are valid as long as `results`
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_results_get_mask(const agpnet_results *results, size_t index, agpnet_image *mask, char *message,
                                          size_t message_size);

/** Frees results; null is allowed. */
AGPNET_EXPORT void agpnet_results_free(agpnet_results *results);

/* ---- Detector ---- */

/** A trained model that inspects images. Several threads may use it at once, also while options are set. */
typedef struct agpnet_detector agpnet_detector;

/** How a detector is created. Members that are 0 have their defaults. */
typedef struct agpnet_detector_options
{
    size_t size;                         /**< sizeof(agpnet_detector_options) */
    const char *precision;               /**< "auto", "fp32", "bf16" or "int8"; null: "auto" */
    const char *device;                  /**< "cpu", "cuda" or "cuda:N"; null: "cpu" */
    const agpnet_detect_options *detect; /**< options of calls without options; null: as trained */
} agpnet_detector_options;

/** Properties of a detector. They do not change. */
typedef struct agpnet_detector_info
{
    size_t size;           /**< sizeof(agpnet_detector_info), set by the caller */
    const char *header;    /**< the model file's header: JSON text */
    const char *precision; /**< the precision that it computes in: "fp32", "bf16" or "int8" */
    const char *device;    /**< "cpu" or "cuda:N" */
    int32_t input_height;  /**< rows of the model's input */
    int32_t input_width;   /**< columns of it */
    size_t product_count;  /**< products that the model was trained for, each with its own thresholds; 0 if it has one only */
} agpnet_detector_info;

/** The drift check over the last images: do they still look like the training images? */
typedef struct agpnet_drift
{
    size_t size;      /**< sizeof(agpnet_drift), set by the caller */
    int32_t known;    /**< 1 if the model knows the range of its training features, else 0 */
    int32_t images;   /**< images seen, at most the window */
    int32_t window;   /**< images that are looked at */
    double median;    /**< of their agpnet_result::drift */
    double outside;   /**< fraction of them above 1 */
    int32_t drifting; /**< 1 if at least 4 images, and a quarter of those seen, are outside, else 0 */
} agpnet_drift;

/** Reads a model file. A second detector of an unchanged file costs no memory.
 * @param model         path of the .agp file
 * @param options       null: the defaults
 * @param detector      receives the detector
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_detector_create(const char *model, const agpnet_detector_options *options, agpnet_detector **detector,
                                         char *message, size_t message_size);

/** Frees a detector; null is allowed. Results and streams that were created with it stay valid. */
AGPNET_EXPORT void agpnet_detector_free(agpnet_detector *detector);

/** Inspects an image.
 * @param detector      the detector
 * @param image         the image
 * @param options       options of this call; null: those of the detector
 * @param outputs       AGPNET_MAP, AGPNET_MASK, both or 0
 * @param results       receives the results, of one image
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_detector_detect(const agpnet_detector *detector, const agpnet_image *image, const agpnet_detect_options *options,
                                         uint32_t outputs, agpnet_results **results, char *message, size_t message_size);

/** Inspects several images in one pass, which is faster than one by one.
 * @param detector      the detector
 * @param images        the images; their sizes and types may differ
 * @param count         images
 * @param options       options of this call; null: those of the detector
 * @param outputs       AGPNET_MAP, AGPNET_MASK, both or 0
 * @param results       receives the results, in the order of the images
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_detector_detect_batch(const agpnet_detector *detector, const agpnet_image *images, size_t count,
                                               const agpnet_detect_options *options, uint32_t outputs, agpnet_results **results,
                                               char *message, size_t message_size);

/** Replaces the detector's own options. Calls that run at the same time use the old or the new ones.
 * @param detector      the detector
 * @param options       null: the defaults
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_detector_set_options(agpnet_detector *detector, const agpnet_detect_options *options, char *message,
                                              size_t message_size);

/** The properties of a detector.
 * @param detector      the detector
 * @param info          is filled; its texts are valid as long as the detector
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_detector_get_info(const agpnet_detector *detector, agpnet_detector_info *info, char *message, size_t message_size);

/** The name of a product, valid as long as the detector. Null for null, and from agpnet_detector_info::product_count on.
 * @param detector  the detector
 * @param index     number of the product, from 0 */
AGPNET_EXPORT const char *agpnet_detector_get_product(const agpnet_detector *detector, size_t index);

/** The model's own thresholds.
 * @param detector         the detector
 * @param product          name of a product; null: all products together
 * @param threshold        receives the threshold of the image score; may be null
 * @param pixel_threshold  receives the threshold of the map; may be null
 * @param message          receives a message
 * @param message_size     its bytes */
AGPNET_EXPORT int agpnet_detector_get_thresholds(const agpnet_detector *detector, const char *product, double *threshold,
                                                 double *pixel_threshold, char *message, size_t message_size);

/** Drift over the last images of this detector, of all threads together.
 * @param detector      the detector
 * @param drift         is filled
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_detector_get_drift(const agpnet_detector *detector, agpnet_drift *drift, char *message, size_t message_size);

/** Forgets the images seen, and looks at this many from now on.
 * @param detector      the detector
 * @param images        4 to 65536; 32 at first
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_detector_set_drift_window(agpnet_detector *detector, int32_t images, char *message, size_t message_size);

/* ---- Stream ---- */

/** Takes frames and returns their results in the same order, in batches that form by themselves. One thread of its own runs the model.
 * Several threads may use it at once: many that push, and many that pop. */
typedef struct agpnet_stream agpnet_stream;

/** How frames are collected, and what is returned of each. Begin with AGPNET_STREAM_OPTIONS_INIT and change members. */
typedef struct agpnet_stream_options
{
    size_t size;      /**< sizeof(agpnet_stream_options) */
    int32_t capacity; /**< maximum number of frames from push to pop; then push waits. 1 to 65536 */
    int32_t batch;    /**< maximum number of frames in one pass of the model. 1 to 1024 */
    double latency;   /**< seconds that one pass may take: limits the batch by the duration of earlier passes. Above 0 */
    uint32_t outputs; /**< AGPNET_MAP, AGPNET_MASK, both or 0 */
} agpnet_stream_options;

/** The defaults. */
#define AGPNET_STREAM_OPTIONS_INIT {sizeof(agpnet_stream_options), 32, 8, 0.5, AGPNET_MAP}

/** A frame that was popped. */
typedef struct agpnet_frame
{
    size_t size;       /**< sizeof(agpnet_frame), set by the caller */
    uint64_t number;   /**< as push returned it: 0, 1, 2, ... without a gap */
    int32_t source;    /**< as it was given to push */
    int32_t batch;     /**< frames that went through the model with it */
    double seconds;    /**< from push until the result was ready */
    const char *error; /**< a message if this frame could not be inspected; its result is then empty. Else null */
} agpnet_frame;

/** Creates a stream. The detector's own options hold for it.
 * @param detector      the detector; it may be freed while the stream exists
 * @param options       null: the defaults
 * @param stream        receives the stream
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_stream_create(const agpnet_detector *detector, const agpnet_stream_options *options, agpnet_stream **stream,
                                       char *message, size_t message_size);

/** Takes a copy of a frame. Waits while the stream is full: a thread that also pops should use agpnet_stream_try_push(). A frame that no
 * detector accepts is taken here, and popped with an error.
 * @param stream        the stream; AGPNET_E_STATE if it is closed
 * @param frame         the frame
 * @param source        is returned with the result, for instance the number of the camera
 * @param number        receives the frame's number; may be null
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_stream_push(agpnet_stream *stream, const agpnet_image *frame, int32_t source, uint64_t *number, char *message,
                                     size_t message_size);

/** The same without waiting.
 * @param stream        the stream; AGPNET_E_STATE if it is closed
 * @param frame         the frame
 * @param source        is returned with the result
 * @param number        receives the frame's number; may be null
 * @param taken         receives 1 if the frame was taken, 0 if the stream is full
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_stream_try_push(agpnet_stream *stream, const agpnet_image *frame, int32_t source, uint64_t *number, int32_t *taken,
                                         char *message, size_t message_size);

/** The next result, in the order of push.
 * @param stream        the stream
 * @param timeout       maximum number of seconds to wait; negative: without a limit
 * @param frame         is filled, its text is valid as long as `results`; may be null
 * @param results       receives the results, of one image; null once all are returned after agpnet_stream_close(), and if the time is over
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_stream_pop(agpnet_stream *stream, double timeout, agpnet_frame *frame, agpnet_results **results, char *message,
                                    size_t message_size);

/** Takes no more frames. Those that were taken are still inspected and returned.
 * @param stream        the stream
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_stream_close(agpnet_stream *stream, char *message, size_t message_size);

/** The number of frames from push to pop at this moment.
 * @param stream        the stream
 * @param count         receives the number
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_stream_get_under_way(const agpnet_stream *stream, size_t *count, char *message, size_t message_size);

/** Frees a stream; null is allowed. Frames that were not inspected yet are dropped. */
AGPNET_EXPORT void agpnet_stream_free(agpnet_stream *stream);

/* ---- Training ---- */

/** A training. One thread at a time. */
typedef struct agpnet_trainer agpnet_trainer;

/** How a training is created or continued. Members that are 0 have their defaults. */
typedef struct agpnet_trainer_options
{
    size_t size;          /**< sizeof(agpnet_trainer_options) */
    const char *backbone; /**< path of the frozen weights, a safetensors file or a .pth state dict */
    const char *config;   /**< JSON text, or the path of a JSON file; keys and defaults: `agpnet operators --config`. Null: the defaults */
    const char *device;   /**< "cpu", "cuda" or "cuda:N"; null: "cpu" */
} agpnet_trainer_options;

/** State of a training. */
typedef struct agpnet_trainer_info
{
    size_t size;          /**< sizeof(agpnet_trainer_info), set by the caller */
    int32_t steps_done;   /**< steps so far */
    int32_t steps;        /**< steps in all, as far as is known: early stopping may find that fewer are enough */
    int32_t batch_size;   /**< images in a step of agpnet_trainer_fit() */
    int32_t input_height; /**< rows of the model's input */
    int32_t input_width;  /**< columns of it */
    const char *config;   /**< JSON text with every key; valid until the next agpnet_trainer_get_info() */
    const char *record;   /**< the training record so far, notes included: JSON text; valid until the next agpnet_trainer_get_info() */
} agpnet_trainer_info;

/** Reads an image of a set. Called in the thread that called the training function, one call at a time, as often as the image is needed.
 * The
 * pixels must stay as they are until the next call, or until the training function returns. It must not throw.
 * @param context  agpnet_image_set::context
 * @param index    number of the image, from 0
 * @param image    is to be filled; its size is set
 * @return 0 if there is no image: the training function then fails with AGPNET_E_FAILED */
typedef int agpnet_read_image_t(void *context, size_t index, agpnet_image *image);

/** Good images of one product: either in memory or read by a function. */
typedef struct agpnet_image_set
{
    size_t size;                /**< sizeof(agpnet_image_set) */
    const char *name;           /**< name of the product; may be null if there is one set only */
    size_t count;               /**< images */
    const agpnet_image *images; /**< `count` images; null if `read` is given */
    agpnet_read_image_t *read;  /**< reads an image; null if `images` is given */
    void *context;              /**< is passed to `read` */
} agpnet_image_set;

/** Progress of a training. */
typedef struct agpnet_progress
{
    size_t size;   /**< sizeof(agpnet_progress) as the library was compiled */
    int32_t step;  /**< steps done */
    int32_t steps; /**< steps in all, as far as is known */
    double loss;   /**< of the last step */
} agpnet_progress;

/** Is called after each step, in the thread that called agpnet_trainer_fit(). It may call agpnet_trainer_save_state() and
 * agpnet_trainer_get_info(). It must not throw.
 * @param context   as it was given to agpnet_trainer_fit()
 * @param progress  valid during the call
 * @return 0 to stop */
typedef int agpnet_progress_t(void *context, const agpnet_progress *progress);

/** Begins a training.
 * @param options       with a backbone
 * @param trainer       receives the training
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_trainer_create(const agpnet_trainer_options *options, agpnet_trainer **trainer, char *message,
                                        size_t message_size);

/** Continues from the state that agpnet_trainer_save_state() wrote.
 * @param state         path of that file
 * @param options       null: the CPU. A backbone and a config are compared with those of the state, and an error lists what differs; more
 *                      "steps" are no difference: the training then continues up to these
 * @param trainer       receives the training
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_trainer_resume(const char *state, const agpnet_trainer_options *options, agpnet_trainer **trainer, char *message,
                                        size_t message_size);

/** Frees a training; null is allowed. */
AGPNET_EXPORT void agpnet_trainer_free(agpnet_trainer *trainer);

/** Trains together with other processes from now on, if torchrun, an MPI or Slurm has started this one among several; otherwise it does
 * nothing. All of them then call agpnet_trainer_fit() with the same images; only process 0 can save the model.
 * @param trainer       the training, before its first step or after agpnet_trainer_resume()
 * @param rank          receives the number of this process, from 0; may be null
 * @param count         receives the number of processes, 1 if there are no others; may be null
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_trainer_join_processes(agpnet_trainer *trainer, int32_t *rank, int32_t *count, char *message, size_t message_size);

/** Takes all remaining steps, and the thresholds from a tenth of the images, which are held out. With several sets each product comes
 * equally
 * often and gets its own thresholds. A training that is resumed and given the same images continues exactly.
 * @param trainer       the training
 * @param sets          one set for each product
 * @param count         sets
 * @param progress      is called after each step; may be null
 * @param context       is passed to `progress`
 * @param finished      receives 1 if all steps were taken, 0 if `progress` stopped the training, whose state can then be saved; may be null
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_trainer_fit(agpnet_trainer *trainer, const agpnet_image_set *sets, size_t count, agpnet_progress_t *progress,
                                     void *context, int32_t *finished, char *message, size_t message_size);

/** Takes one step on a batch of good images, without the config's tiles and augmentations.
 * @param trainer       the training
 * @param images        the images
 * @param count         images
 * @param loss          receives the loss; may be null
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_trainer_step(agpnet_trainer *trainer, const agpnet_image *images, size_t count, double *loss, char *message,
                                      size_t message_size);

/** Takes the thresholds from the scores of good images, and replaces those of all products.
 * @param trainer       the training
 * @param images        the images
 * @param held_out      0 if the model was trained on these images, else 1
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_trainer_calibrate(agpnet_trainer *trainer, const agpnet_image_set *images, int32_t held_out, char *message,
                                           size_t message_size);

/** The state of a training.
 * @param trainer       the training
 * @param info          is filled
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_trainer_get_info(agpnet_trainer *trainer, agpnet_trainer_info *info, char *message, size_t message_size);

/** Adds a note to the training record, which becomes part of the model file.
 * @param trainer       the training
 * @param key           name of the note
 * @param json          JSON text
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_trainer_note(agpnet_trainer *trainer, const char *key, const char *json, char *message, size_t message_size);

/** Writes a .agp file, atomically. AGPNET_E_STATE if no step was taken.
 * @param trainer         the training
 * @param path            path of the file
 * @param embed_backbone  1: the file contains the backbone; 0: the file is small and names the backbone by its hash
 * @param message         receives a message
 * @param message_size    its bytes */
AGPNET_EXPORT int agpnet_trainer_save(agpnet_trainer *trainer, const char *path, int32_t embed_backbone, char *message,
                                      size_t message_size);

/** Writes the state that agpnet_trainer_resume() continues from, atomically.
 * @param trainer       the training
 * @param path          path of the file
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_trainer_save_state(const agpnet_trainer *trainer, const char *path, char *message, size_t message_size);

/** The model as it is now, for inspection.
 * @param trainer       the training
 * @param detector      receives a detector
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_trainer_get_detector(const agpnet_trainer *trainer, agpnet_detector **detector, char *message,
                                              size_t message_size);

/* ---- Thresholds of a trained model ---- */

/** How thresholds follow from scores. */
enum
{
    AGPNET_THRESHOLD_TAIL = 0,     /**< from normal images: generalised Pareto tail, for a stated rate of false positives */
    AGPNET_THRESHOLD_QUANTILE = 1, /**< from normal images: the quantile itself; rates below 1 / (count + 1) cannot be stated */
    AGPNET_THRESHOLD_F1 = 2,       /**< from labelled images: the maximum of F1 */
    AGPNET_THRESHOLD_COST = 3      /**< from labelled images: the minimum cost of missed defects and false positives */
};

/** Reads an image of a calibration set. It is called like agpnet_read_image_t, once for each image, in order.
 * @param context    agpnet_calibration_set::context
 * @param index      number of the image, from 0
 * @param image      is to be filled; its size is set
 * @param anomalous  is to be set to 1 if the image shows a defect; 0 at first. Only the rules for labelled images use it
 * @param mask       may be filled for an anomalous image: AGPNET_UINT8, 1 channel, not 0 where the defect is, any size; its size is set
 * @return 0 if there is no image: agpnet_calibrate() then fails with AGPNET_E_FAILED */
typedef int agpnet_read_labelled_t(void *context, size_t index, agpnet_image *image, int32_t *anomalous, agpnet_image *mask);

/** Images of one product that the model was not trained on. */
typedef struct agpnet_calibration_set
{
    size_t size;                  /**< sizeof(agpnet_calibration_set) */
    const char *product;          /**< name of the product; may be null if the model has one product only */
    size_t count;                 /**< images */
    agpnet_read_labelled_t *read; /**< reads an image */
    void *context;                /**< is passed to `read` */
} agpnet_calibration_set;

/** Is called after each image, in the thread that called agpnet_calibrate(). It must not throw.
 * @param context  agpnet_calibration_options::context
 * @param done     images so far
 * @param total    images in all
 * @return 0 to stop */
typedef int agpnet_calibration_progress_t(void *context, size_t done, size_t total);

/** How thresholds are taken. Begin with AGPNET_CALIBRATION_OPTIONS_INIT and change members. */
typedef struct agpnet_calibration_options
{
    size_t size;                             /**< sizeof(agpnet_calibration_options) */
    int32_t rule;                            /**< AGPNET_THRESHOLD_TAIL, _QUANTILE, _F1 or _COST */
    double false_alarms;                     /**< fraction of normal images that may be flagged; a fifth of it: of their pixels. Above 0,
                                              *   at most 0.5 */
    double miss_cost;                        /**< AGPNET_THRESHOLD_COST: cost of a missed defect in false positives; above 0 */
    agpnet_calibration_progress_t *progress; /**< may be null */
    void *context;                           /**< is passed to `progress` */
} agpnet_calibration_options;

/** The defaults. */
#define AGPNET_CALIBRATION_OPTIONS_INIT {sizeof(agpnet_calibration_options), AGPNET_THRESHOLD_TAIL, 0.01, 10.0, 0, 0}

/** Inspects images and writes the model with new thresholds and a new range of features for the drift check, atomically, without training.
 * @param model         path of the .agp file
 * @param sets          one set for each of the model's products, or one if it has one product only
 * @param count         sets
 * @param options       null: the defaults
 * @param out           path of the file to write; may be `model`
 * @param finished      receives 1 if `out` was written, 0 if `progress` stopped it; may be null
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_calibrate(const char *model, const agpnet_calibration_set *sets, size_t count,
                                   const agpnet_calibration_options *options,
                                   const char *out, int32_t *finished, char *message, size_t message_size);

/* ---- Describer: descriptors of objects ---- */

/** A trained model that describes objects by one or several views. Several threads may use it at once. */
typedef struct agpnet_describer agpnet_describer;

/** What the order of the views of an object means. */
enum
{
    AGPNET_VIEWS_UNORDERED = 0, /**< images from any sides */
    AGPNET_VIEWS_RING = 1       /**< images in the order in which they were taken around the object */
};

/** How a describer is created. Members that are 0 have their defaults. */
typedef struct agpnet_describer_options
{
    size_t size;           /**< sizeof(agpnet_describer_options) */
    const char *precision; /**< "auto", "fp32" or "bf16"; null: "auto" */
    const char *device;    /**< "cpu", "cuda" or "cuda:N"; null: "cpu" */
} agpnet_describer_options;

/** Properties of a describer. They do not change. */
typedef struct agpnet_describer_info
{
    size_t size;           /**< sizeof(agpnet_describer_info), set by the caller */
    const char *header;    /**< the model file's header: JSON text */
    const char *space;     /**< digest of the space that descriptors are in; a gallery belongs to one */
    const char *precision; /**< the precision that it computes in: "fp32" or "bf16" */
    const char *device;    /**< "cpu" or "cuda:N" */
    size_t width;          /**< floats of a descriptor, and of an embedding */
    int32_t input_height;  /**< rows of the model's input */
    int32_t input_width;   /**< columns of it */
} agpnet_describer_info;

/** Reads a model file of the method `dec`. A second describer of an unchanged file costs no memory.
 * @param model         path of the .agp file
 * @param options       null: the defaults
 * @param describer     receives the describer
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_describer_create(const char *model, const agpnet_describer_options *options, agpnet_describer **describer,
                                          char *message, size_t message_size);

/** Frees a describer; null is allowed. Queries that were created with it stay valid. */
AGPNET_EXPORT void agpnet_describer_free(agpnet_describer *describer);

/** One descriptor of all views of one object.
 * @param describer     the describer
 * @param views         the images; their sizes and types may differ. Each is resized to the model's input, without keeping its ratio of
 *                      sides
 * @param count         images, at least 1
 * @param order         AGPNET_VIEWS_UNORDERED or AGPNET_VIEWS_RING
 * @param descriptor    receives agpnet_describer_info::width floats, a vector of unit length
 * @param length        floats that `descriptor` has room for
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_describer_describe(const agpnet_describer *describer, const agpnet_image *views, size_t count, int32_t order,
                                            float *descriptor, size_t length, char *message, size_t message_size);

/** The backbone's embedding of each image, from which agpnet_describer_aggregate() makes a descriptor: for views that come one by one.
 * @param describer     the describer
 * @param images        the images; their sizes and types may differ
 * @param count         images, at least 1
 * @param embeddings    receives agpnet_describer_info::width floats for each image, one image after the other
 * @param length        floats that `embeddings` has room for
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_describer_embed(const agpnet_describer *describer, const agpnet_image *images, size_t count, float *embeddings,
                                         size_t length, char *message, size_t message_size);

/** agpnet_describer_describe() on embeddings.
 * @param describer     the describer
 * @param embeddings    `count` * `width` floats: the views of one object, one after the other
 * @param count         views, at least 1
 * @param width         floats of a view, as agpnet_describer_info::width
 * @param order         AGPNET_VIEWS_UNORDERED or AGPNET_VIEWS_RING
 * @param descriptor    receives as many floats as a view has
 * @param length        floats that `descriptor` has room for
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_describer_aggregate(const agpnet_describer *describer, const float *embeddings, size_t count, size_t width,
                                             int32_t order, float *descriptor, size_t length, char *message, size_t message_size);

/** The properties of a describer.
 * @param describer     the describer
 * @param info          is filled; its texts are valid as long as the describer
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_describer_get_info(const agpnet_describer *describer, agpnet_describer_info *info, char *message,
                                            size_t message_size);

/* ---- Gallery: named descriptors, found by nearness ---- */

/** Named descriptors. Several threads may use it at once; one that changes it waits until the others are done. */
typedef struct agpnet_gallery agpnet_gallery;

/** Properties of a gallery at this moment. */
typedef struct agpnet_gallery_info
{
    size_t size;        /**< sizeof(agpnet_gallery_info), set by the caller */
    size_t count;       /**< entries */
    size_t width;       /**< floats of a descriptor */
    const char *space;  /**< digest of the space that descriptors are in; valid as long as the gallery */
    int32_t calibrated; /**< 1 after agpnet_gallery_calibrate(), now or before the gallery was saved; else 0 */
} agpnet_gallery_info;

/** Texts that a call returned, a copy: what happens to the gallery later does not change them. */
typedef struct agpnet_texts agpnet_texts;

/** What searches found. It does not change: several threads may read it. */
typedef struct agpnet_matches agpnet_matches;

/** An entry that a search found. */
typedef struct agpnet_match
{
    size_t size;       /**< sizeof(agpnet_match), set by the caller */
    const char *name;  /**< name of the entry */
    double similarity; /**< cosine of the angle between the descriptors, -1 to 1 */
    double chance;     /**< fraction of pairs of different objects that are at least as close, 0 to 1: small where the match means
                        *   something. -1: the gallery was not calibrated */
    const char *note;  /**< the entry's metadata: JSON text, may be empty */
} agpnet_match;

/** An empty gallery.
 * @param width         floats of a descriptor, agpnet_describer_info::width; 1 to 65536
 * @param space         digest of their space, agpnet_describer_info::space
 * @param gallery       receives the gallery
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_gallery_create(size_t width, const char *space, agpnet_gallery **gallery, char *message, size_t message_size);

/** Opens a file. The time does not depend on its size: the file is mapped, and its checksum is compared at the first search or change.
 * @param path          path of the file
 * @param space         space that the file must be of; null: any
 * @param gallery       receives the gallery
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_gallery_load(const char *path, const char *space, agpnet_gallery **gallery, char *message, size_t message_size);

/** Frees a gallery; null is allowed. Queries that were created with it stay valid. */
AGPNET_EXPORT void agpnet_gallery_free(agpnet_gallery *gallery);

/** Adds an entry.
 * @param gallery       the gallery
 * @param name          UTF-8 text without control characters, 1 to 1024 bytes; new
 * @param descriptor    `width` floats; their length as a vector does not matter
 * @param width         agpnet_gallery_info::width
 * @param note          metadata of the caller: JSON text; may be null or empty
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_gallery_add(agpnet_gallery *gallery, const char *name, const float *descriptor, size_t width, const char *note,
                                     char *message, size_t message_size);

/** The same in place of the entry of that name if there is one.
 * @param gallery       the gallery
 * @param name          as in agpnet_gallery_add(), but it need not be new
 * @param descriptor    `width` floats
 * @param width         agpnet_gallery_info::width
 * @param note          metadata of the caller: JSON text; may be null or empty
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_gallery_replace(agpnet_gallery *gallery, const char *name, const float *descriptor, size_t width, const char *note,
                                         char *message, size_t message_size);

/** Removes an entry.
 * @param gallery       the gallery
 * @param name          name of an entry
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_gallery_remove(agpnet_gallery *gallery, const char *name, char *message, size_t message_size);

/** Is there an entry of this name?
 * @param gallery       the gallery
 * @param name          a name
 * @param contained     receives 1 if there is, else 0
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_gallery_contains(const agpnet_gallery *gallery, const char *name, int32_t *contained, char *message,
                                          size_t message_size);

/** The properties of a gallery.
 * @param gallery       the gallery
 * @param info          is filled
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_gallery_get_info(const agpnet_gallery *gallery, agpnet_gallery_info *info, char *message, size_t message_size);

/** The names of all entries, in their order.
 * @param gallery       the gallery
 * @param names         receives the names
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_gallery_get_names(const agpnet_gallery *gallery, agpnet_texts **names, char *message, size_t message_size);

/** An entry's metadata.
 * @param gallery       the gallery
 * @param name          name of an entry
 * @param note          receives one text: JSON, may be empty
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_gallery_get_note(const agpnet_gallery *gallery, const char *name, agpnet_texts **note, char *message,
                                          size_t message_size);

/** An entry's descriptor.
 * @param gallery       the gallery
 * @param name          name of an entry
 * @param descriptor    receives agpnet_gallery_info::width floats, a vector of unit length
 * @param length        floats that `descriptor` has room for
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_gallery_get_descriptor(const agpnet_gallery *gallery, const char *name, float *descriptor, size_t length,
                                                char *message, size_t message_size);

/** The closest entries, the closest first; equally close ones by name. Fewer where the gallery has fewer.
 * @param gallery       the gallery
 * @param descriptor    `width` floats
 * @param width         agpnet_gallery_info::width
 * @param top           number of entries, at least 1
 * @param leave_out     name of an entry that is no answer, the query's own for instance; may be null
 * @param matches       receives the matches, of query 0
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_gallery_search(const agpnet_gallery *gallery, const float *descriptor, size_t width, int32_t top,
                                        const char *leave_out, agpnet_matches **matches, char *message, size_t message_size);

/** The same for several queries at once, which is faster.
 * @param gallery       the gallery
 * @param descriptors   `count` * `width` floats, one query after the other
 * @param count         queries, at least 1
 * @param width         agpnet_gallery_info::width
 * @param top           number of entries for each query, at least 1
 * @param leave_out     `count` names, of which each may be null; null: no entry is left out
 * @param matches       receives the matches of all queries
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_gallery_search_batch(const agpnet_gallery *gallery, const float *descriptors, size_t count, size_t width,
                                              int32_t top, const char *const *leave_out, agpnet_matches **matches, char *message,
                                              size_t message_size);

/** Learns how close different objects are, from queries for objects that are in the gallery: their similarity to all other entries. Without
 * it agpnet_match::chance is -1, and agpnet_gallery_get_evidence() and agpnet_gallery_get_threshold() fail. The gallery has at least 3
 * entries.
 * @param gallery       the gallery
 * @param queries       `count` * `width` floats, one query after the other
 * @param count         queries, at least 1
 * @param width         agpnet_gallery_info::width
 * @param names         `count` names: each query's entry
 * @param views         views that each query was made of; calls with different numbers complement each other
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_gallery_calibrate(agpnet_gallery *gallery, const float *queries, size_t count, size_t width,
                                           const char *const *names, int32_t views, char *message, size_t message_size);

/** How much speaks for the best match being the object itself: its similarity, and a multiple of its lead over the second. An object whose
 * evidence is not above agpnet_gallery_get_threshold() is not surely in the gallery.
 * @param gallery       the gallery
 * @param matches       from a search in it, at least the best two
 * @param query         number of the query, from 0
 * @param views         views that the query is made of
 * @param evidence      receives the evidence
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_gallery_get_evidence(const agpnet_gallery *gallery, const agpnet_matches *matches, size_t query, int32_t views,
                                              double *evidence, char *message, size_t message_size);

/** The evidence that objects which are not in the gallery exceed at this rate.
 * @param gallery       the gallery
 * @param rate          above 0 and below 1
 * @param views         views that the query is made of
 * @param threshold     receives the evidence
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_gallery_get_threshold(const agpnet_gallery *gallery, double rate, int32_t views, double *threshold, char *message,
                                               size_t message_size);

/** For "show me similar parts": replaces each descriptor by the mean of itself and its nearest ones in the gallery, weighted by their
 * similarity to the power. Similar things come closer together; the very same one is found a little less often. Cannot be undone.
 * @param gallery       the gallery
 * @param neighbours    number of nearest ones, 1 to 1000
 * @param power         of the similarity, 0 to 100
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_gallery_smooth(agpnet_gallery *gallery, int32_t neighbours, double power, char *message, size_t message_size);

/** Writes the file, atomically. AGPNET_E_FILE where the file that the gallery was loaded from has been changed by another program since.
 * @param gallery       the gallery
 * @param path          path of the file
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_gallery_save(agpnet_gallery *gallery, const char *path, char *message, size_t message_size);

/** Remembers the path of the model that the descriptors are of: a hint for programs that open the gallery.
 * @param gallery       the gallery
 * @param path          path of the .agp file
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_gallery_set_model(agpnet_gallery *gallery, const char *path, char *message, size_t message_size);

/** What agpnet_gallery_set_model() remembered.
 * @param gallery       the gallery
 * @param path          receives one text; empty if there is none
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_gallery_get_model(const agpnet_gallery *gallery, agpnet_texts **path, char *message, size_t message_size);

/** Number of texts. 0 for null. */
AGPNET_EXPORT size_t agpnet_texts_count(const agpnet_texts *texts);

/** A text, valid as long as `texts`. Null for null, and from agpnet_texts_count() on.
 * @param texts  the texts
 * @param index  number of the text, from 0 */
AGPNET_EXPORT const char *agpnet_texts_get(const agpnet_texts *texts, size_t index);

/** Frees texts; null is allowed. */
AGPNET_EXPORT void agpnet_texts_free(agpnet_texts *texts);

/** Matches of a query. 0 for null, and for a query that there is not.
 * @param matches  what searches found
 * @param query    number of the query, from 0 */
AGPNET_EXPORT size_t agpnet_matches_count(const agpnet_matches *matches, size_t query);

/** A match. The closest is the first.
 * @param matches       what searches found
 * @param query         number of the query, from 0
 * @param index         number of the match, from 0
 * @param match         is filled; its texts are valid as long as `matches`
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_matches_get(const agpnet_matches *matches, size_t query, size_t index, agpnet_match *match, char *message,
                                     size_t message_size);

/** Frees matches; null is allowed. */
AGPNET_EXPORT void agpnet_matches_free(agpnet_matches *matches);

/* ---- Training of a describer ---- */

/** A training on views of objects. One thread at a time. */
typedef struct agpnet_describer_trainer agpnet_describer_trainer;

/** State of a training. */
typedef struct agpnet_describer_trainer_info
{
    size_t size;        /**< sizeof(agpnet_describer_trainer_info), set by the caller */
    const char *config; /**< JSON text with every key; valid until the next agpnet_describer_trainer_get_info() */
    const char *record; /**< what was compared, chosen and measured so far, notes included: JSON text; valid until the next
                         *   agpnet_describer_trainer_get_info() */
} agpnet_describer_trainer_info;

/** An object to learn from. */
typedef struct agpnet_object
{
    size_t size;            /**< sizeof(agpnet_object) */
    const char *name;       /**< name of the object, for messages */
    const char *class_name; /**< its class; null for all objects: there are no classes */
    size_t count;           /**< views, in the order in which they were taken around the object */
} agpnet_object;

/** Reads a view of an object. Called in the thread that called the training function, one call at a time. The pixels must stay as they are
 * until the next call, or until the training function returns. It must not throw.
 * @param context  agpnet_object_set::context
 * @param object   number of the object, from 0
 * @param view     number of the view, from 0
 * @param image    is to be filled; its size is set
 * @return 0 if there is no image: the training function then fails with AGPNET_E_FAILED */
typedef int agpnet_read_view_t(void *context, size_t object, size_t view, agpnet_image *image);

/** Objects, whose views a function reads. */
typedef struct agpnet_object_set
{
    size_t size;                  /**< sizeof(agpnet_object_set) */
    const agpnet_object *objects; /**< `count` objects */
    size_t count;                 /**< objects */
    agpnet_read_view_t *read;     /**< reads a view */
    void *context;                /**< is passed to `read` */
} agpnet_object_set;

/** Begins a training.
 * @param options       with a backbone; keys and defaults of the config: `agpnet operators --config dec`
 * @param trainer       receives the training
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_describer_trainer_create(const agpnet_trainer_options *options, agpnet_describer_trainer **trainer, char *message,
                                                  size_t message_size);

/** Frees a training; null is allowed. */
AGPNET_EXPORT void agpnet_describer_trainer_free(agpnet_describer_trainer *trainer);

/** Names with vectors from an image-text space, for virtual features of classes that nobody has seen (config: `virtual_names`).
 * @param trainer       the training
 * @param bridge        path of the weights of the image side, a backbone whose class token is in that space
 * @param names         `count` names; those of the training's classes must be among them
 * @param count         names
 * @param vectors       `count` * `width` floats, one name's after the other's
 * @param width         floats of a vector: as wide as the bridge's class token
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_describer_trainer_set_virtual_names(agpnet_describer_trainer *trainer, const char *bridge,
                                                             const char *const *names, size_t count, const float *vectors, size_t width,
                                                             char *message, size_t message_size);

/** Learns from objects. Embeds every view once. Then, with `choose` held_out (the default), compares descriptors on classes that are held
 * out, keeps the best, and learns that from all objects.
 * @param trainer       the training
 * @param objects       the objects
 * @param progress      is called after the views of each object and after each step; may be null
 * @param context       is passed to `progress`
 * @param finished      receives 1 if the model has learned, 0 if `progress` stopped the training; may be null
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_describer_trainer_fit(agpnet_describer_trainer *trainer, const agpnet_object_set *objects,
                                               agpnet_progress_t *progress, void *context, int32_t *finished, char *message,
                                               size_t message_size);

/** The state of a training.
 * @param trainer       the training
 * @param info          is filled
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_describer_trainer_get_info(agpnet_describer_trainer *trainer, agpnet_describer_trainer_info *info, char *message,
                                                    size_t message_size);

/** Adds a note to the training record, which becomes part of the model file.
 * @param trainer       the training
 * @param key           name of the note
 * @param json          JSON text
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_describer_trainer_note(agpnet_describer_trainer *trainer, const char *key, const char *json, char *message,
                                                size_t message_size);

/** Writes a .agp file, atomically. AGPNET_E_STATE before agpnet_describer_trainer_fit().
 * @param trainer         the training
 * @param path            path of the file
 * @param embed_backbone  1: the file contains the backbone; 0: the file is small and names the backbone by its hash
 * @param message         receives a message
 * @param message_size    its bytes */
AGPNET_EXPORT int agpnet_describer_trainer_save(agpnet_describer_trainer *trainer, const char *path, int32_t embed_backbone, char *message,
                                                size_t message_size);

/** The model as it is now. AGPNET_E_STATE before agpnet_describer_trainer_fit().
 * @param trainer       the training
 * @param describer     receives a describer
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_describer_trainer_get_describer(const agpnet_describer_trainer *trainer, agpnet_describer **describer,
                                                         char *message, size_t message_size);

/* ---- Object query: which object is this? ---- */

/** A query that grows view by view, as an object is turned before a camera. Several threads may use it at once. */
typedef struct agpnet_object_query agpnet_object_query;

/** How a query is created. Begin with AGPNET_OBJECT_QUERY_OPTIONS_INIT and change members. */
typedef struct agpnet_object_query_options
{
    size_t size;  /**< sizeof(agpnet_object_query_options) */
    double rate;  /**< rate at which objects that are not in the gallery may count as known. Above 0, below 1 */
    int32_t top;  /**< matches of an answer, at least 1 */
    int32_t most; /**< views that are kept, at least 1; the oldest is left out first */
} agpnet_object_query_options;

/** The defaults. */
#define AGPNET_OBJECT_QUERY_OPTIONS_INIT {sizeof(agpnet_object_query_options), 0.01, 5, 24}

/** The answer by all views so far. */
typedef struct agpnet_object_answer
{
    size_t size;      /**< sizeof(agpnet_object_answer), set by the caller */
    int32_t known;    /**< 1 if the evidence is above the threshold: the object is in the gallery; else 0 */
    int32_t views;    /**< views so far */
    double evidence;  /**< see agpnet_gallery_get_evidence(); -1 where the threshold is */
    double threshold; /**< threshold of the evidence; -1: the gallery was not calibrated, and any match makes it known */
    double lead;      /**< how far the best match is ahead of the second, in similarity; 0 without a second */
} agpnet_object_answer;

/** Creates a query.
 * @param describer     the describer; it may be freed while the query exists
 * @param gallery       a gallery of the describer's space; it may be freed while the query exists. The query sees its changes
 * @param options       null: the defaults
 * @param query         receives the query
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_object_query_create(const agpnet_describer *describer, const agpnet_gallery *gallery,
                                             const agpnet_object_query_options *options, agpnet_object_query **query, char *message,
                                             size_t message_size);

/** Adds a view.
 * @param query         the query
 * @param view          the image
 * @param answer        is filled with the answer by all views so far; may be null
 * @param matches       receives the matches, of query 0; may be null
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_object_query_add(agpnet_object_query *query, const agpnet_image *view, agpnet_object_answer *answer,
                                          agpnet_matches **matches, char *message, size_t message_size);

/** The answer by the views so far; without a view there is no match.
 * @param query         the query
 * @param answer        is filled; may be null
 * @param matches       receives the matches, of query 0; may be null
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_object_query_answer(const agpnet_object_query *query, agpnet_object_answer *answer, agpnet_matches **matches,
                                             char *message, size_t message_size);

/** Forgets the views: the next object.
 * @param query         the query
 * @param message       receives a message
 * @param message_size  its bytes */
AGPNET_EXPORT int agpnet_object_query_clear(agpnet_object_query *query, char *message, size_t message_size);

/** Frees a query; null is allowed. */
AGPNET_EXPORT void agpnet_object_query_free(agpnet_object_query *query);

#ifdef __cplusplus
}
#endif
#endif
