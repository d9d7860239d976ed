// Trains from whatever cv::VideoCapture opens (a camera number, a video file, an image sequence such as "tiles/%03d.png") with
// the Train operator inside a cv::dnn net, then saves a model.
//   train_from_video SOURCE BACKBONE OUT.agp [STEPS [CONFIG]]
#include <agpnet/loader.hpp>
#include <cstdio>
#include <cstdlib>
#include <opencv2/dnn.hpp>
#include <opencv2/videoio.hpp>

int main(int argc, char** argv)
try
{
    if (argc < 4)
        return std::fprintf(stderr, "usage: train_from_video SOURCE BACKBONE OUT.agp [STEPS [CONFIG]]\n"), 2;
    agpnet::loadPlugin();

    const std::string source = argv[1];
    const bool camera = source.find_first_not_of("0123456789") == std::string::npos;
    cv::VideoCapture capture;
    if (!(camera ? capture.open(std::atoi(argv[1])) : capture.open(source)))
        return std::fprintf(stderr, "%s: cannot be opened\n", argv[1]), 1;

    const int steps = argc > 4 ? std::atoi(argv[4]) : 200, batch = 4;
    cv::dnn::LayerParams params;
    params.name = "train";
    params.type = "ai.agpnet.Train";
    params.set("model", cv::String(argv[3]));
    params.set("backbone", cv::String(argv[2]));
    params.set("steps", steps);
    if (argc > 5)
        params.set("config", cv::String(argv[5]));
    cv::dnn::Net net;
    net.addLayerToPrev(params.name, params.type, params);

    for (int step = 1; step <= steps; step++)
    {
        std::vector<cv::Mat> frames;
        while (static_cast<int>(frames.size()) < batch)
        {
            cv::Mat frame;
            if (capture.read(frame))
                frames.push_back(frame.clone());
            else if (!frames.empty() || step > 1) // the end of a file: from the beginning
                capture.open(source);
            else
                return std::fprintf(stderr, "%s: no frame\n", argv[1]), 1;
        }
        net.setInput(cv::dnn::blobFromImages(frames, 1 / 255., cv::Size(), cv::Scalar(), true));
        const float loss = net.forward().at<float>(0);
        if (step == 1 || step % 10 == 0 || step == steps)
            std::printf("step %d of %d, loss %.4f\n", step, steps, loss);
    }
    std::printf("wrote %s\n", argv[3]);
}
catch (const std::exception& error)
{
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
