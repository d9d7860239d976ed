/* The detector from C, on a binary PGM or PPM (P5 or P6) of 8 bits: score, decision, and where it is anomalous.
 *   detect_c tile.agp image.ppm [sensitivity] */
#include <agpnet/c_api.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    char kind = 0, message[512];
    int width = 0, height = 0, channels = 0;
    unsigned char *pixels = NULL;
    agpnet_detector *detector = NULL;
    agpnet_results *results = NULL;
    agpnet_detect_options options = AGPNET_DETECT_OPTIONS_INIT;
    agpnet_result result = {.size = sizeof result};
    agpnet_region region = {.size = sizeof region};
    int status = 1;

    if (argc != 3 && argc != 4)
        return fprintf(stderr, "usage: detect_c MODEL IMAGE [SENSITIVITY]\n"), 2;
    if (argc == 4)
        options.sensitivity = atof(argv[3]);
    FILE *file = fopen(argv[2], "rb");
    if (!file || fscanf(file, "P%c %d %d 255", &kind, &width, &height) != 3 || fgetc(file) == EOF || (kind != '5' && kind != '6') ||
        width < 1 || height < 1 || width > 32768 || height > 32768)
    {
        fprintf(stderr, "%s: expected a binary PGM or PPM of 8 bits\n", argv[2]);
        goto end;
    }
    channels = kind == '6' ? 3 : 1;
    const size_t count = (size_t)width * (size_t)height * (size_t)channels;
    pixels = malloc(count);
    if (!pixels || fread(pixels, 1, count, file) != count)
    {
        fprintf(stderr, "%s: cut off\n", argv[2]);
        goto end;
    }
    if (channels == 3)
        for (size_t i = 0; i < count; i += 3) /* the file has RGB, OpenCV and we BGR */
        {
            const unsigned char red = pixels[i];
            pixels[i] = pixels[i + 2];
            pixels[i + 2] = red;
        }
    const agpnet_image image = {sizeof image, pixels, height, width, channels, AGPNET_UINT8, (int64_t)width * channels};
    if (agpnet_detector_create(argv[1], NULL, &detector, message, sizeof message) != AGPNET_OK ||
        agpnet_detector_detect(detector, &image, &options, 0, &results, message, sizeof message) != AGPNET_OK ||
        agpnet_results_get_result(results, 0, &result, message, sizeof message) != AGPNET_OK)
    {
        fprintf(stderr, "%s\n", message);
        goto end;
    }
    printf("score %.6f, threshold %.6f, %s\n", result.score, result.threshold, result.anomalous ? "anomalous" : "normal");
    for (size_t i = 0; i < result.region_count; i++)
        if (agpnet_results_get_region(results, 0, i, &region, message, sizeof message) == AGPNET_OK)
            printf("region %dx%d at (%d, %d), peak %.3f, %lld pixels\n", region.width, region.height, region.x, region.y, region.score,
                   (long long)region.area);
    status = 0;
end:
    agpnet_results_free(results);
    agpnet_detector_free(detector);
    free(pixels);
    if (file)
        fclose(file);
    return status;
}
