// A program that has a Halide runtime of its own, its symbols open to all: the plugin keeps to the one in itself.
#include "agpnet/loader.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <opencv2/dnn.hpp>

#define RUNTIME_OF_THE_HOST(name) \
    extern "C" __attribute__((visibility("default"))) void name(); \
    extern "C" void name() \
    { \
        std::fprintf(stderr, "the plugin called %s of the program\n", #name); \
        std::abort(); \
    }

RUNTIME_OF_THE_HOST(halide_error)
RUNTIME_OF_THE_HOST(halide_print)
RUNTIME_OF_THE_HOST(halide_malloc)
RUNTIME_OF_THE_HOST(halide_free)
RUNTIME_OF_THE_HOST(halide_do_par_for)
RUNTIME_OF_THE_HOST(halide_do_task)
RUNTIME_OF_THE_HOST(halide_mutex_lock)
RUNTIME_OF_THE_HOST(halide_can_use_target_features)
RUNTIME_OF_THE_HOST(halide_device_free)
RUNTIME_OF_THE_HOST(halide_acquire_cl_context)
RUNTIME_OF_THE_HOST(halide_cuda_acquire_context)

namespace
{

/// One output value of a stage, through its layer.
float run(const char* type, const std::vector<cv::Mat>& inputs, const cv::dnn::LayerParams& attributes)
{
    cv::dnn::LayerParams params = attributes;
    params.name = "op";
    params.type = type;
    cv::dnn::Net net;
    const int id = net.addLayer(params.name, params.type, params);
    std::vector<cv::String> names;
    for (size_t i = 0; i < inputs.size(); i++)
        names.push_back("in" + std::to_string(i));
    net.setInputsNames(names);
    for (size_t i = 0; i < inputs.size(); i++)
    {
        net.connect(0, static_cast<int>(i), id, static_cast<int>(i));
        net.setInput(inputs[i], names[i]);
    }
    return net.forward().ptr<float>()[0];
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 2)
        return 2;
    agpnet::loadPlugin(argv[1]);
    const int features[] = {1, 2, 16, 16}, residual[] = {1, 1, 16, 16};
    const float distance =
        run("ai.agpnet.Residual", {cv::Mat(4, features, CV_32F, cv::Scalar(3)), cv::Mat(4, features, CV_32F, cv::Scalar(0))}, {});
    cv::dnn::LayerParams size;
    size.set("height", 512);
    size.set("width", 512); // large enough for several threads
    const float map = run("ai.agpnet.Heatmap", {cv::Mat(4, residual, CV_32F, cv::Scalar(0.5))}, size);
    std::printf("residual %g, map %g\n", distance, map);
    return std::abs(distance - std::sqrt(18.f)) < 1e-5 && std::abs(map - 0.5f) < 1e-5 ? 0 : 1;
}
