// A stage of one's own in place of ours: how far features are from their reconstruction, by another rule than Residual's three.
//   agpnet export tile.agp --onnx-graph stages.onnx --stages
//   custom_stage stages.onnx image.png...
//
// In that graph every stage is a node of the domain ai.agpnet, and cv::dnn makes the layer of a node from what LayerFactory has under
// "domain.type". A class that is registered under the name of a stage of ours, after the plugin was loaded, is what the next net gets, for
// every node of that type; nothing in the file changes. unregisterLayer() takes back what was registered last, and ours is there again.
// That is one list for the whole process, and a net may make its layers as late as in its first run: so a net that is to have the one or
// the other is run once while that one is registered.
//
// The model's thresholds belong to the model's own distance. For another one they have to come from pictures of good parts: look at the
// scores that this prints for a few dozen of them.
#include <agpnet/loader.hpp>
#include <cstdio>
#include <opencv2/dnn.hpp>
#include <opencv2/dnn/layer.details.hpp>
#include <opencv2/imgcodecs.hpp>

using namespace cv; // MatShape is cv::dnn::MatShape in OpenCV 4 and cv::MatShape in OpenCV 5
using namespace cv::dnn;

/// [N, C, h, w] twice -> [N, 1, h, w]: the mean absolute difference over the channels.
class MeanAbsolute final : public Layer
{
public:
    // The node's attributes are in the parameters: here `metric`, which this stage has no use for.
    explicit MeanAbsolute(const LayerParams& params) : Layer(params) {}
    static Ptr<Layer> create(LayerParams& params) { return makePtr<MeanAbsolute>(params); }

    bool getMemoryShapes(const std::vector<MatShape>& inputs, const int, std::vector<MatShape>& outputs,
                         std::vector<MatShape>&) const override
    {
        CV_Assert(inputs.size() == 2 && inputs[0].size() == 4 && inputs[0] == inputs[1]);
        outputs.assign(1, inputs[0]);
        outputs[0][1] = 1;
        return false; // not in place
    }

    void forward(InputArrayOfArrays inputArrays, OutputArrayOfArrays outputArrays, OutputArrayOfArrays) override
    {
        std::vector<Mat> inputs, outputs;
        inputArrays.getMatVector(inputs);
        outputArrays.getMatVector(outputs);
        const int channels = inputs[0].size[1], pixels = inputs[0].size[2] * inputs[0].size[3];
        for (int n = 0; n < inputs[0].size[0]; n++)
        {
            const Mat features(channels, pixels, CV_32F, inputs[0].ptr<float>(n)); // one row a channel
            const Mat reconstructed(channels, pixels, CV_32F, inputs[1].ptr<float>(n));
            Mat difference, distance(1, pixels, CV_32F, outputs[0].ptr<float>(n));
            absdiff(features, reconstructed, difference);
            reduce(difference, distance, 0, REDUCE_AVG);
        }
    }
};

static float score(Net& net, const Mat& image)
{
    net.setInput(blobFromImage(image, 1 / 255., Size(), Scalar(), true));
    std::vector<Mat> outputs;
    net.forward(outputs, std::vector<String>{"map", "score"});
    return outputs[1].at<float>(0);
}

int main(int argc, char** argv)
try
{
    if (argc < 3)
        return std::fprintf(stderr, "usage: custom_stage ONNX IMAGE...\n"), 2;
    agpnet::loadPlugin();
    Net ours = readNetFromONNX(argv[1]);
    score(ours, imread(argv[2]));

    CV_DNN_REGISTER_LAYER_CLASS(ai.agpnet.Residual, MeanAbsolute);
#if CV_VERSION_MAJOR >= 5
    CV_DNN_REGISTER_LAYER_CLASS(Residual, MeanAbsolute); // its new engine leaves the domain out
#endif
    Net own = readNetFromONNX(argv[1]);
    score(own, imread(argv[2]));
    LayerFactory::unregisterLayer("ai.agpnet.Residual");
#if CV_VERSION_MAJOR >= 5
    LayerFactory::unregisterLayer("Residual");
#endif
    Net again = readNetFromONNX(argv[1]);
    score(again, imread(argv[2]));

    for (int i = 2; i < argc; i++)
    {
        const Mat image = imread(argv[i]);
        std::printf("%s: Residual %.6f, MeanAbsolute %.6f, Residual again %.6f\n", argv[i], score(ours, image), score(own, image),
                    score(again, image));
    }
}
catch (const std::exception& error)
{
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
