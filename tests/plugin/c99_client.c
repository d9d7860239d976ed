/* A program in C99 that uses every function of agpnet/c_api.h: it trains, saves, inspects, streams, describes and finds.
 *     c99_client BACKBONE CONFIG FOLDER
 * It prints nothing and returns 0, or prints what was not as expected and returns 1. */
#include <agpnet/c_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum
{
    HEIGHT = 40,
    WIDTH = 48,
    COUNT = 6,
    BYTES = HEIGHT * WIDTH * 3
};

static char message[1024];

/* A statement whose condition does not hold ends the program. */
#define EXPECT(condition)                                                                          \
    do                                                                                             \
    {                                                                                              \
        if (!(condition))                                                                          \
        {                                                                                          \
            printf("line %d: %s does not hold; the message is '%s'\n", __LINE__, #condition, message); \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
#define OK(call) EXPECT((call) == AGPNET_OK)

static unsigned char pixels[COUNT][BYTES];

static agpnet_image image_at(size_t index)
{
    agpnet_image image;
    image.size = sizeof image;
    image.data = pixels[index];
    image.height = HEIGHT;
    image.width = WIDTH;
    image.channels = 3;
    image.type = AGPNET_UINT8;
    image.stride = (int64_t)WIDTH * 3;
    return image;
}

/* Reads into one buffer, again and again. */
static int read_image(void *context, size_t index, agpnet_image *image)
{
    memcpy(context, pixels[index], BYTES);
    *image = image_at(index);
    image->data = context;
    return 1;
}

static int stop_after_one(void *context, const agpnet_progress *progress)
{
    *(double *)context = progress->loss;
    return progress->step < 1;
}

static int read_labelled(void *context, size_t index, agpnet_image *image, int32_t *anomalous, agpnet_image *mask)
{
    *anomalous = mask->data != NULL; /* 0 */
    return read_image(context, index, image);
}

static int go_on(void *context, size_t done, size_t total)
{
    *(size_t *)context = done;
    return done <= total;
}

static void calibrate(const char *model)
{
    static unsigned char buffer[BYTES];
    const agpnet_calibration_set set = {sizeof set, "part", COUNT, read_labelled, buffer};
    agpnet_calibration_options options = AGPNET_CALIBRATION_OPTIONS_INIT;
    size_t done = 0;
    int32_t finished = 0;

    options.rule = AGPNET_THRESHOLD_QUANTILE;
    options.false_alarms = 0.2;
    options.progress = go_on;
    options.context = &done;
    OK(agpnet_calibrate(model, &set, 1, &options, model, &finished, message, sizeof message));
    EXPECT(finished == 1 && done == COUNT);
}

static agpnet_detector *train(const char *backbone, const char *config, const char *state, const char *model)
{
    static unsigned char buffer[BYTES];
    agpnet_trainer_options options = {sizeof options, NULL, NULL, "cpu"};
    agpnet_image_set set = {sizeof set, "part", COUNT, NULL, read_image, buffer};
    agpnet_trainer_info info = {.size = sizeof info};
    agpnet_trainer *trainer = NULL;
    agpnet_detector *detector = NULL;
    agpnet_image batch[COUNT];
    int32_t finished = -1, rank = -1, processes = -1;
    double loss = -1;
    size_t i;

    options.backbone = backbone;
    options.config = config;
    OK(agpnet_trainer_create(&options, &trainer, message, sizeof message));
    OK(agpnet_trainer_join_processes(trainer, &rank, &processes, message, sizeof message));
    EXPECT(rank == 0 && processes == 1);
    OK(agpnet_trainer_fit(trainer, &set, 1, stop_after_one, &loss, &finished, message, sizeof message));
    EXPECT(finished == 0 && loss > 0);
    OK(agpnet_trainer_note(trainer, "line", "{\"number\": 7}", message, sizeof message));
    OK(agpnet_trainer_save_state(trainer, state, message, sizeof message));
    agpnet_trainer_free(trainer);

    options.backbone = options.config = NULL;
    OK(agpnet_trainer_resume(state, &options, &trainer, message, sizeof message));
    OK(agpnet_trainer_get_info(trainer, &info, message, sizeof message));
    EXPECT(info.steps_done == 1 && info.steps > 1 && info.batch_size == 4 && info.input_height == 32 && info.input_width == 24);
    EXPECT(strstr(info.config, "\"decoder_depth\":2") && strstr(info.record, "\"number\":7"));
    OK(agpnet_trainer_fit(trainer, &set, 1, NULL, NULL, &finished, message, sizeof message));
    EXPECT(finished == 1);
    for (i = 0; i < COUNT; i++)
        batch[i] = image_at(i);
    OK(agpnet_trainer_get_detector(trainer, &detector, message, sizeof message));
    agpnet_detector_free(detector);
    OK(agpnet_trainer_save(trainer, model, 1, message, sizeof message));
    agpnet_trainer_free(trainer);
    calibrate(model);

    options.backbone = backbone;
    options.config = config;
    OK(agpnet_trainer_create(&options, &trainer, message, sizeof message));
    OK(agpnet_trainer_step(trainer, batch, COUNT, &loss, message, sizeof message));
    OK(agpnet_trainer_calibrate(trainer, &set, 0, message, sizeof message));
    agpnet_trainer_free(trainer);

    OK(agpnet_detector_create(model, NULL, &detector, message, sizeof message));
    return detector;
}

static void inspect(agpnet_detector *detector)
{
    static unsigned char inside[4] = {0, 255, 0, 255};
    static const float points[] = {0, 0, WIDTH / 2, 0, WIDTH / 2, HEIGHT, 0, HEIGHT};
    const agpnet_image image = image_at(0), region = {sizeof region, inside, 2, 2, 1, AGPNET_UINT8, 2};
    const agpnet_polygon polygon = {points, 4};
    agpnet_detect_options options = AGPNET_DETECT_OPTIONS_INIT;
    agpnet_detector_info info = {.size = sizeof info};
    agpnet_drift drift = {.size = sizeof drift};
    agpnet_result result = {.size = sizeof result};
    agpnet_region found = {.size = sizeof found};
    agpnet_image map = {.size = sizeof map}, mask = {.size = sizeof mask}, images[COUNT];
    agpnet_results *results = NULL;
    double threshold = 0, pixel_threshold = 0;
    size_t i;

    EXPECT(strstr(agpnet_build_information(), "\"opencv\""));
    OK(agpnet_detector_get_info(detector, &info, message, sizeof message));
    EXPECT(strstr(info.header, "\"format_version\"") && strcmp(info.device, "cpu") == 0 && info.input_height == 32);
    EXPECT(info.product_count == 1 && strcmp(agpnet_detector_get_product(detector, 0), "part") == 0);
    EXPECT(!agpnet_detector_get_product(detector, 1));
    OK(agpnet_detector_get_thresholds(detector, "part", &threshold, &pixel_threshold, message, sizeof message));
    EXPECT(threshold > 0 && pixel_threshold > 0);

    options.sensitivity = 1000;
    options.product = "part";
    options.region = AGPNET_REGION_POLYGONS;
    options.polygons = &polygon;
    options.polygon_count = 1;
    options.polygon_height = HEIGHT;
    options.polygon_width = WIDTH;
    OK(agpnet_detector_detect(detector, &image, &options, AGPNET_MAP | AGPNET_MASK, &results, message, sizeof message));
    EXPECT(agpnet_results_count(results) == 1);
    OK(agpnet_results_get_result(results, 0, &result, message, sizeof message));
    EXPECT(result.anomalous == 1 && result.threshold == threshold / 1000 && result.region_count == 1 &&
           strcmp(result.product, "part") == 0);
    OK(agpnet_results_get_region(results, 0, 0, &found, message, sizeof message));
    EXPECT(found.x == 0 && found.y == 0 && found.height == HEIGHT && found.area > 0 && found.contour_count >= 4 && found.contour[0] == 0);
    OK(agpnet_results_get_map(results, 0, &map, message, sizeof message));
    OK(agpnet_results_get_mask(results, 0, &mask, message, sizeof message));
    EXPECT(map.type == AGPNET_FLOAT32 && map.height == HEIGHT && map.width == WIDTH && mask.type == AGPNET_UINT8);
    EXPECT(((const float *)map.data)[WIDTH - 1] == 0 && ((const unsigned char *)mask.data)[WIDTH - 1] == 0); /* outside the region */
    agpnet_results_free(results);

    options.region = AGPNET_REGION_MASK;
    options.mask = &region;
    OK(agpnet_detector_set_options(detector, &options, message, sizeof message));
    for (i = 0; i < COUNT; i++)
        images[i] = image_at(i);
    OK(agpnet_detector_detect_batch(detector, images, COUNT, NULL, AGPNET_MAP, &results, message, sizeof message));
    EXPECT(agpnet_results_count(results) == COUNT);
    OK(agpnet_results_get_map(results, COUNT - 1, &map, message, sizeof message));
    EXPECT(((const float *)map.data)[0] == 0 && ((const float *)map.data)[WIDTH - 1] > 0);
    agpnet_results_free(results);

    OK(agpnet_detector_get_drift(detector, &drift, message, sizeof message));
    EXPECT(drift.window == 32);
    OK(agpnet_detector_set_drift_window(detector, 4, message, sizeof message));
}

static void stream_frames(agpnet_detector *detector)
{
    agpnet_stream_options options = AGPNET_STREAM_OPTIONS_INIT;
    agpnet_frame frame = {.size = sizeof frame};
    agpnet_result result = {.size = sizeof result};
    agpnet_stream *stream = NULL;
    agpnet_results *results = NULL;
    agpnet_image image = image_at(0);
    uint64_t number = 99, popped;
    int32_t taken = -1;
    size_t under_way = 99;

    options.capacity = 2;
    OK(agpnet_stream_create(detector, &options, &stream, message, sizeof message));
    agpnet_detector_free(detector); /* the stream keeps the model */
    OK(agpnet_stream_push(stream, &image, 5, &number, message, sizeof message));
    EXPECT(number == 0);
    OK(agpnet_stream_try_push(stream, &image, 6, &number, &taken, message, sizeof message));
    EXPECT(number == 1 && taken == 1);
    OK(agpnet_stream_try_push(stream, &image, 7, &number, &taken, message, sizeof message));
    EXPECT(taken == 0);
    OK(agpnet_stream_close(stream, message, sizeof message));
    for (popped = 0; popped < 2; popped++)
    {
        OK(agpnet_stream_pop(stream, -1, &frame, &results, message, sizeof message));
        EXPECT(results && frame.number == popped && frame.source == 5 + (int32_t)popped && !frame.error);
        OK(agpnet_results_get_result(results, 0, &result, message, sizeof message));
        EXPECT(result.score > 0);
        agpnet_results_free(results);
    }
    OK(agpnet_stream_pop(stream, -1, &frame, &results, message, sizeof message));
    EXPECT(!results);
    OK(agpnet_stream_get_under_way(stream, &under_way, message, sizeof message));
    EXPECT(under_way == 0);
    EXPECT(agpnet_stream_push(stream, &image, 0, NULL, message, sizeof message) == AGPNET_E_STATE);
    agpnet_stream_free(stream);
}

enum
{
    OBJECTS = 3,
    VIEWS = COUNT / OBJECTS,
    FLOATS = 64 /* of a descriptor */
};

/* Reads into one buffer, again and again. */
static int read_view(void *context, size_t object, size_t view, agpnet_image *image)
{
    return read_image(context, object * VIEWS + view, image);
}

static int stop_after_one_object(void *context, const agpnet_progress *progress)
{
    *(int32_t *)context = progress->step;
    return 0;
}

static agpnet_describer *train_describer(const char *backbone, const char *model)
{
    static unsigned char buffer[BYTES];
    static const float vectors[2 * FLOATS] = {1};
    static const char *const words[2] = {"part", "other"};
    const char *const config = "{\"height\":32,\"width\":24,\"choose\":\"config\",\"whitening\":\"objects\",\"adapter\":\"mean\"}";
    const agpnet_trainer_options options = {sizeof options, backbone, config, NULL};
    const agpnet_object objects[OBJECTS] = {
        {sizeof *objects, "a", NULL, VIEWS}, {sizeof *objects, "b", NULL, VIEWS}, {sizeof *objects, "c", NULL, VIEWS}};
    const agpnet_object_set set = {sizeof set, objects, OBJECTS, read_view, buffer};
    agpnet_describer_trainer_info info = {.size = sizeof info};
    agpnet_describer_trainer *trainer = NULL;
    agpnet_describer *describer = NULL;
    int32_t steps = 0, finished = -1;

    OK(agpnet_describer_trainer_create(&options, &trainer, message, sizeof message));
    OK(agpnet_describer_trainer_set_virtual_names(trainer, backbone, words, 2, vectors, FLOATS, message, sizeof message));
    agpnet_describer_trainer_free(trainer);
    OK(agpnet_describer_trainer_create(&options, &trainer, message, sizeof message));
    OK(agpnet_describer_trainer_fit(trainer, &set, stop_after_one_object, &steps, &finished, message, sizeof message));
    EXPECT(finished == 0 && steps == VIEWS);
    EXPECT(agpnet_describer_trainer_save(trainer, model, 1, message, sizeof message) == AGPNET_E_STATE);
    OK(agpnet_describer_trainer_fit(trainer, &set, NULL, NULL, &finished, message, sizeof message));
    EXPECT(finished == 1);
    OK(agpnet_describer_trainer_note(trainer, "line", "{\"number\": 7}", message, sizeof message));
    OK(agpnet_describer_trainer_get_info(trainer, &info, message, sizeof message));
    EXPECT(strstr(info.config, "\"adapter\":\"mean\"") && strstr(info.record, "\"number\":7"));
    OK(agpnet_describer_trainer_get_describer(trainer, &describer, message, sizeof message));
    agpnet_describer_free(describer);
    OK(agpnet_describer_trainer_save(trainer, model, 1, message, sizeof message));
    agpnet_describer_trainer_free(trainer);
    OK(agpnet_describer_create(model, NULL, &describer, message, sizeof message));
    return describer;
}

/* A gallery with one entry for each object. */
static agpnet_gallery *index_objects(const agpnet_describer *describer, const char *path)
{
    static const char *const names[OBJECTS] = {"a", "b", "c"};
    static float embeddings[VIEWS * FLOATS], descriptors[OBJECTS * FLOATS], same[FLOATS];
    agpnet_describer_info info = {.size = sizeof info};
    agpnet_gallery_info state = {.size = sizeof state};
    agpnet_gallery *gallery = NULL;
    agpnet_texts *texts = NULL;
    agpnet_image images[VIEWS];
    int32_t contained = -1;
    size_t i, view;

    OK(agpnet_describer_get_info(describer, &info, message, sizeof message));
    EXPECT(info.width == FLOATS && info.input_height == 32 && info.input_width == 24 && strcmp(info.device, "cpu") == 0);
    EXPECT(strstr(info.header, "\"dec\"") && strcmp(info.precision, "fp32") == 0);
    OK(agpnet_gallery_create(info.width, info.space, &gallery, message, sizeof message));
    for (i = 0; i < OBJECTS; i++)
    {
        for (view = 0; view < VIEWS; view++)
            images[view] = image_at(i * VIEWS + view);
        OK(agpnet_describer_describe(describer, images, VIEWS, AGPNET_VIEWS_UNORDERED, descriptors + i * FLOATS, FLOATS, message,
                                     sizeof message));
        OK(agpnet_gallery_add(gallery, names[i], descriptors + i * FLOATS, FLOATS, NULL, message, sizeof message));
    }
    OK(agpnet_describer_embed(describer, images, VIEWS, embeddings, VIEWS * FLOATS, message, sizeof message));
    OK(agpnet_describer_aggregate(describer, embeddings, VIEWS, FLOATS, AGPNET_VIEWS_RING, same, FLOATS, message, sizeof message));
    OK(agpnet_gallery_replace(gallery, "c", same, FLOATS, "{\"shelf\": 3}", message, sizeof message));
    OK(agpnet_gallery_add(gallery, "d", same, FLOATS, NULL, message, sizeof message));
    OK(agpnet_gallery_remove(gallery, "d", message, sizeof message));
    OK(agpnet_gallery_contains(gallery, "d", &contained, message, sizeof message));
    EXPECT(contained == 0);
    OK(agpnet_gallery_get_descriptor(gallery, "b", same, FLOATS, message, sizeof message));
    EXPECT(same[0] - descriptors[FLOATS] < 1e-6f && descriptors[FLOATS] - same[0] < 1e-6f);
    OK(agpnet_gallery_calibrate(gallery, descriptors, OBJECTS, FLOATS, names, VIEWS, message, sizeof message));
    OK(agpnet_gallery_set_model(gallery, "c99.agp", message, sizeof message));
    OK(agpnet_gallery_save(gallery, path, message, sizeof message));
    agpnet_gallery_free(gallery);

    OK(agpnet_gallery_load(path, info.space, &gallery, message, sizeof message));
    OK(agpnet_gallery_get_info(gallery, &state, message, sizeof message));
    EXPECT(state.count == OBJECTS && state.width == FLOATS && state.calibrated == 1 && strcmp(state.space, info.space) == 0);
    OK(agpnet_gallery_get_names(gallery, &texts, message, sizeof message));
    EXPECT(agpnet_texts_count(texts) == OBJECTS && strcmp(agpnet_texts_get(texts, 1), "b") == 0);
    agpnet_texts_free(texts);
    OK(agpnet_gallery_get_note(gallery, "c", &texts, message, sizeof message));
    EXPECT(strcmp(agpnet_texts_get(texts, 0), "{\"shelf\": 3}") == 0);
    agpnet_texts_free(texts);
    OK(agpnet_gallery_get_model(gallery, &texts, message, sizeof message));
    EXPECT(strcmp(agpnet_texts_get(texts, 0), "c99.agp") == 0);
    agpnet_texts_free(texts);
    return gallery;
}

static void find(const agpnet_describer *describer, agpnet_gallery *gallery)
{
    static const char *const leave_out[2] = {"b", NULL};
    static float queries[2 * FLOATS];
    const agpnet_image views[2] = {image_at(VIEWS), image_at(2 * VIEWS)}; /* of b, of c */
    agpnet_match match = {.size = sizeof match};
    agpnet_matches *matches = NULL;
    double threshold = -2, evidence = -2;

    OK(agpnet_describer_describe(describer, &views[0], 1, AGPNET_VIEWS_UNORDERED, queries, FLOATS, message, sizeof message));
    OK(agpnet_describer_describe(describer, &views[1], 1, AGPNET_VIEWS_UNORDERED, queries + FLOATS, FLOATS, message, sizeof message));
    OK(agpnet_gallery_search(gallery, queries, FLOATS, 2, NULL, &matches, message, sizeof message));
    EXPECT(agpnet_matches_count(matches, 0) == 2);
    OK(agpnet_matches_get(matches, 0, 0, &match, message, sizeof message));
    EXPECT(strcmp(match.name, "b") == 0 && match.similarity > 0 && match.chance >= 0 && match.note[0] == 0);
    OK(agpnet_gallery_get_evidence(gallery, matches, 0, 1, &evidence, message, sizeof message));
    EXPECT(evidence >= match.similarity);
    agpnet_matches_free(matches);
    OK(agpnet_gallery_search_batch(gallery, queries, 2, FLOATS, 1, leave_out, &matches, message, sizeof message));
    OK(agpnet_matches_get(matches, 0, 0, &match, message, sizeof message));
    EXPECT(strcmp(match.name, "b") != 0);
    OK(agpnet_matches_get(matches, 1, 0, &match, message, sizeof message));
    EXPECT(strcmp(match.name, "c") == 0 && strcmp(match.note, "{\"shelf\": 3}") == 0);
    agpnet_matches_free(matches);
    OK(agpnet_gallery_get_threshold(gallery, 0.1, 1, &threshold, message, sizeof message));
    EXPECT(threshold > -1);
    OK(agpnet_gallery_smooth(gallery, 1, 3, message, sizeof message));
}

static void query_views(agpnet_describer *describer, agpnet_gallery *gallery)
{
    agpnet_object_query_options options = AGPNET_OBJECT_QUERY_OPTIONS_INIT;
    agpnet_object_answer answer = {.size = sizeof answer};
    agpnet_object_query *query = NULL;
    agpnet_matches *matches = NULL;
    const agpnet_image view = image_at(0);

    options.top = 1;
    OK(agpnet_object_query_create(describer, gallery, &options, &query, message, sizeof message));
    agpnet_describer_free(describer); /* the query keeps both */
    agpnet_gallery_free(gallery);
    OK(agpnet_object_query_add(query, &view, NULL, NULL, message, sizeof message));
    OK(agpnet_object_query_answer(query, &answer, &matches, message, sizeof message));
    EXPECT(answer.views == 1 && answer.threshold > -1 && answer.evidence > -1 && answer.lead >= 0 && agpnet_matches_count(matches, 0) == 1);
    agpnet_matches_free(matches);
    OK(agpnet_object_query_clear(query, message, sizeof message));
    OK(agpnet_object_query_answer(query, &answer, NULL, message, sizeof message));
    EXPECT(answer.views == 0 && answer.known == 0);
    agpnet_object_query_free(query);
}

int main(int argc, char **argv)
{
    char state[1024], model[1024], parts[1024], catalogue[1024];
    agpnet_detector *detector;
    agpnet_describer *describer;
    agpnet_gallery *gallery;
    size_t i, byte;
    unsigned value = 1;

    if (argc != 4)
        return 2;
    for (i = 0; i < COUNT; i++)
        for (byte = 0; byte < BYTES; byte++)
            pixels[i][byte] = (unsigned char)((value = value * 1103515245u + 12345u) >> 16);
    snprintf(state, sizeof state, "%s/c99.state", argv[3]);
    snprintf(model, sizeof model, "%s/c99.agp", argv[3]);
    detector = train(argv[1], argv[2], state, model);
    inspect(detector);
    stream_frames(detector);

    snprintf(parts, sizeof parts, "%s/c99-parts.agp", argv[3]);
    snprintf(catalogue, sizeof catalogue, "%s/c99.agpx", argv[3]);
    describer = train_describer(argv[1], parts);
    gallery = index_objects(describer, catalogue);
    find(describer, gallery);
    query_views(describer, gallery);
    return 0;
}
