// The library is loaded before main() begins, by the constructor of a static object, and in a child that was forked before.
#include "agpnet/loader.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <opencv2/dnn.hpp>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

const char* path()
{
    const char* plugin = std::getenv("AGPNET_PLUGIN");
    return plugin ? plugin : "";
}

/// Whether a residual through the layer is that of the definition.
bool works()
{
    cv::dnn::LayerParams params;
    params.name = "op";
    params.type = "ai.agpnet.Residual";
    const int size[] = {1, 2, 3, 3};
    cv::Mat f(4, size, CV_32F, cv::Scalar(3)), g(4, size, CV_32F, cv::Scalar(0));
    cv::dnn::Net net;
    const int id = net.addLayer(params.name, params.type, params);
    net.setInputsNames({"f", "g"});
    net.connect(0, 0, id, 0);
    net.connect(0, 1, id, 1);
    net.setInput(f, "f");
    net.setInput(g, "g");
    const cv::Mat out = net.forward();
    return std::abs(out.ptr<float>()[0] - std::sqrt(18.f)) < 1e-5;
}

struct BeforeMain
{
    bool inChild = false, here = false;
    BeforeMain()
    {
        const pid_t child = ::fork();
        if (child == 0)
        {
            agpnet::loadPlugin(path());
            ::_exit(works() ? 0 : 1);
        }
        int status = 1;
        ::waitpid(child, &status, 0);
        inChild = status == 0;
        agpnet::loadPlugin(path());
        here = works();
    }
};

const BeforeMain before;

} // namespace

int main()
{
    agpnet::loadPlugin(path()); // once more
    const bool again = works();
    // After the library is in use, a child may call exec and nothing of ours: threads do not come along.
    std::printf("child %d, before main %d, in main %d\n", before.inChild, before.here, again);
    return before.inChild && before.here && again ? 0 : 1;
}
