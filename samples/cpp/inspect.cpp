// A stock OpenCV program that inspects an image with AGPNet: of our headers it knows the C entry alone.
//   inspect libagpnet.so tile.onnx image.png
#include <agpnet/plugin.h>
#include <cstdio>
#include <dlfcn.h>
#include <opencv2/dnn.hpp>
#include <opencv2/imgcodecs.hpp>

int main(int argc, char** argv)
try
{
    if (argc != 4)
        return std::fprintf(stderr, "usage: inspect PLUGIN ONNX IMAGE\n"), 2;

    void* plugin = dlopen(argv[1], RTLD_NOW);
    if (!plugin)
        return std::fprintf(stderr, "%s\n", dlerror()), 1;
    auto* init = reinterpret_cast<agpnet_plugin_init_t*>(dlsym(plugin, AGPNET_PLUGIN_INIT));
    char message[512] = "no such entry";
    if (!init || init(AGPNET_PLUGIN_ABI, CV_VERSION, message, sizeof message) != AGPNET_OK)
        return std::fprintf(stderr, "%s: %s\n", argv[1], message), 1;

    cv::dnn::Net net = cv::dnn::readNetFromONNX(argv[2]); // `agpnet export tile.agp --onnx-graph tile.onnx`
    cv::Mat image = cv::imread(argv[3]);
    net.setInput(cv::dnn::blobFromImage(image, 1 / 255., cv::Size(), cv::Scalar(), true));
    std::vector<cv::Mat> outputs;
    net.forward(outputs, std::vector<cv::String>{"map", "score"});
    std::printf("score %.6f, map of %dx%d\n", outputs[1].at<float>(0), outputs[0].size[2], outputs[0].size[3]);
}
catch (const std::exception& error)
{
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
