// The inference as standard ONNX operators against the inference itself, in OpenCV's own importer without any layer of ours:
// every family of backbones, and whatever of a configuration changes the graph.
#include "agpnet/onnx.hpp"
#include "agpnet/anomaly_trainer.hpp"
#include "models/backbones/vit.h"
#include "operators/agpnet/inspection/inference.h"
#include "tests/support/error_text.h"
#include "tests/support/tiny_backbone.h"
#include "tests/support/tiny_describer.h"

#include <ATen/ATen.h>
#include <opencv2/dnn.hpp>

namespace agpnet
{
namespace
{

using test::errorOf;
using ::testing::HasSubstr;

cv::Mat picture(size_t i, cv::Size size, int channels, double most = 256)
{
    cv::Mat image(size, CV_8UC(channels));
    cv::RNG(i + 1).fill(image, cv::RNG::UNIFORM, 0, most);
    image(cv::Rect(static_cast<int>(i) % 4, 5, 9, 11)) = cv::Scalar::all(20 * static_cast<double>(i));
    return image;
}

std::string train(const test::TempFolder& folder, const std::string& backbone, const std::string& config, int products = 1)
{
    const cv::Ptr<AnomalyTrainer> trainer = AnomalyTrainer::create(backbone, config);
    std::vector<ImageSet> sets;
    for (int product = 0; product < products; product++)
    {
        ImageSet set;
        set.name = products > 1 ? "product" + std::to_string(product) : "";
        set.count = 4;
        set.image = [product](size_t i) { return picture(i, {56, 40}, 3, 250 - 90 * product); };
        sets.push_back(set);
    }
    trainer->fit(sets);
    const std::string model = folder / "model.agp";
    trainer->save(model);
    return model;
}

/// Exports and runs both on pictures of each product.
void expectParity(const test::TempFolder& folder, const std::string& model)
{
    const std::string onnx = folder / "model.onnx";
    writeOnnxModel(onnx, model);
    cv::dnn::Net net = cv::dnn::readNetFromONNX(onnx);
    const auto inference = sharedInference(model, "fp32");
    const Config& config = inference->config();
    for (const double most : {250, 160, 70})
    {
        const cv::Mat image = picture(9, inference->inputSize(), 3, most);
        cv::Mat blob = cv::dnn::blobFromImage(image, 1 / 255., cv::Size(), cv::Scalar(), true);
        const at::Tensor tensor = at::from_blob(blob.data, {1, 3, blob.size[2], blob.size[3]}, at::kFloat);
        const Prediction expected = inference->predict({Frame(tensor)}, inspectionOf(config))[0];
        net.setInput(blob);
        std::vector<cv::Mat> out;
        net.forward(out, std::vector<cv::String>{"map", "score"});
        const cv::Mat map(out[0].size[2], out[0].size[3], CV_32F, out[0].data);
        const cv::Mat expectedMap = onHost(expected.map);
        ASSERT_EQ(map.size(), expectedMap.size());
        ASSERT_GT(cv::norm(expectedMap, cv::NORM_INF), 0.01) << "an empty map proves nothing";
        EXPECT_LT(cv::norm(map, expectedMap, cv::NORM_INF), 1e-4 * std::max(1.0, cv::norm(expectedMap, cv::NORM_INF)));
        EXPECT_NEAR(out[1].at<float>(0), expected.evidence.score, 1e-4 * std::max(1.0, expected.evidence.score));
    }
}

StateDict fixture(const std::string& name)
{
    StateDict weights;
    for (const auto& [key, tensor] : readSafetensors(std::string(WEIGHTS_FIXTURES) + "/" + name + ".safetensors").tensors)
        if (key.starts_with("weights/"))
            weights[key.substr(8)] = tensor;
    return weights;
}

class OnnxOfBackbone : public ::testing::TestWithParam<const char*>
{
};

TEST_P(OnnxOfBackbone, RunsInOpenCvAlone)
{
    const test::TempFolder folder;
    TensorFile weights;
    weights.tensors = fixture(GetParam());
    const std::string backbone = folder / (std::string(GetParam()) + ".safetensors");
    writeSafetensors(backbone, weights);
    const std::string model = train(folder, backbone, R"({"decoder_depth":1,"steps":2,"batch":2,"height":64,"width":96})");
    expectParity(folder, model);
}

INSTANTIATE_TEST_SUITE_P(Families, OnnxOfBackbone,
                         ::testing::Values("resnet_basic", "resnext", "wide_resnet", "efficientnet", "tv_efficientnet",
                                           "tf_efficientnet_lite"),
                         [](const auto& parameter) { return parameter.param; });

/// Their weights do not say how many heads there are, so these are made without a model around them.
class OnnxOfTransformer : public ::testing::TestWithParam<const char*>
{
};

TEST_P(OnnxOfTransformer, RunsInOpenCvAlone)
{
    const test::TempFolder folder;
    VitOverrides overrides;
    overrides.heads = 2;
    const Vit vit = vitFromStateDict(fixture(GetParam()), overrides, {.compute = ComputeType::Float32, .prepack = false});
    const int64_t side = 3 * vit.config().patch;
    const std::vector<int> layers = {1, 2};
    OnnxWriter onnx;
    const std::vector<OnnxValue> tokens = vit.describe(onnx, onnx.input("image", {1, 3, side, 2 * side}), layers);
    for (size_t i = 0; i < tokens.size(); i++)
        onnx.output("tokens" + std::to_string(i), tokens[i]);
    onnx.write(folder / "vit.onnx");
    cv::dnn::Net net = cv::dnn::readNetFromONNX(folder / "vit.onnx");
    cv::Mat blob(std::vector<int>{1, 3, static_cast<int>(side), static_cast<int>(2 * side)}, CV_32F);
    cv::RNG(1).fill(blob, cv::RNG::UNIFORM, -2, 2);
    net.setInput(blob);
    std::vector<cv::Mat> out;
    net.forward(out, std::vector<cv::String>{"tokens0", "tokens1"});
    const auto expected = vit.forward(at::from_blob(blob.data, {1, 3, side, 2 * side}, at::kFloat), layers).tokens;
    for (size_t i = 0; i < 2; i++)
    {
        const at::Tensor found = at::from_blob(out[i].data, expected[i].sizes(), at::kFloat);
        EXPECT_LT((found - expected[i]).abs().max().item<double>(), 1e-4 * expected[i].abs().max().item<double>());
    }
}

INSTANTIATE_TEST_SUITE_P(Families, OnnxOfTransformer,
                         ::testing::Values("timm", "timm_registers", "dinov2_registers", "deit_distilled", "clip", "hf_clip",
                                           "timm_clip", "hf_dinov2"),
                         [](const auto& parameter) { return parameter.param; });

TEST_P(OnnxOfTransformer, GivesEmbeddingsInOpenCvAlone)
{
    const test::TempFolder folder;
    VitOverrides overrides;
    overrides.heads = 2;
    const Vit vit = vitFromStateDict(fixture(GetParam()), overrides, {.compute = ComputeType::Float32, .prepack = false});
    const int side = 3 * static_cast<int>(vit.config().patch);
    cv::Mat blob(std::vector<int>{1, 3, side, 2 * side}, CV_32F);
    cv::RNG(2).fill(blob, cv::RNG::UNIFORM, -2, 2);
    for (const Embedding kind : {Embedding::ClassToken, Embedding::Patches, Embedding::Both})
    {
        OnnxWriter onnx;
        onnx.output("embedding", vit.describeEmbedding(onnx, onnx.input("image", {1, 3, side, 2 * side}), kind));
        onnx.write(folder / "embedding.onnx");
        cv::dnn::Net net = cv::dnn::readNetFromONNX(folder / "embedding.onnx");
        net.setInput(blob);
        const cv::Mat out = net.forward("embedding");
        const at::Tensor expected = vit.embed(at::from_blob(blob.data, {1, 3, side, 2 * side}, at::kFloat), kind);
        ASSERT_EQ(static_cast<int64_t>(out.total()), expected.numel());
        const at::Tensor found = at::from_blob(out.data, expected.sizes(), at::kFloat);
        EXPECT_LT((found - expected).norm().item<double>(), 1e-5 * expected.norm().item<double>()) << static_cast<int>(kind);
    }
}

/// Of one view, against the describer: the embedding, and the descriptor that it makes of this view alone.
void expectDescriberParity(const test::TempFolder& folder, const std::string& model)
{
    const std::string onnx = folder / "describer.onnx";
    writeOnnxModel(onnx, model);
    cv::dnn::Net net = cv::dnn::readNetFromONNX(onnx);
    const cv::Ptr<Describer> describer = Describer::create(model, "fp32");
    cv::Mat descriptors;
    for (const int object : {0, 4, 20})
    {
        const cv::Mat view = test::viewOf(object, 7, describer->getInputSize());
        cv::Mat embedding, descriptor;
        describer->embed(view, embedding);
        describer->describe(view, descriptor);
        net.setInput(cv::dnn::blobFromImage(view, 1 / 255., cv::Size(), cv::Scalar(), true));
        std::vector<cv::Mat> out;
        net.forward(out, std::vector<cv::String>{"embedding", "descriptor"});
        ASSERT_EQ(out[0].size(), embedding.size());
        ASSERT_EQ(out[1].size(), descriptor.size());
        EXPECT_LT(cv::norm(out[0], embedding), 1e-4 * cv::norm(embedding));
        EXPECT_LT(cv::norm(out[1], descriptor), 1e-4);
        EXPECT_NEAR(cv::norm(out[1]), 1, 1e-5);
        descriptors.push_back(descriptor);
    }
    EXPECT_GT(cv::norm(descriptors.row(0), descriptors.row(2)), 0.01) << "descriptors that are all the same prove nothing";
    EXPECT_THAT(test::readBytes(onnx), HasSubstr(describer->getSpace()));
}

class OnnxOfDescriber : public ::testing::TestWithParam<std::pair<const char*, const char*>>
{
};

TEST_P(OnnxOfDescriber, RunsInOpenCvAlone)
{
    const test::TempFolder folder;
    expectDescriberParity(folder, test::writeTinyDescriber(folder, test::writeTinyBackbone(folder), GetParam().second));
}

INSTANTIATE_TEST_SUITE_P(
    Configs, OnnxOfDescriber,
    ::testing::Values(std::pair("MeanAsItIs", R"("whitening":"none")"), std::pair("Whitened", R"("whitening":"classes")"),
                      std::pair("Mlp", R"("adapter":"mlp","learning_rate":0.01)"), std::pair("Cam", R"("adapter":"cam","learning_rate":0.01)"),
                      std::pair("CamFromMean", R"("adapter":"cam_from_mean","learning_rate":0.1,"epochs":10)"),
                      std::pair("Patches", R"("embedding":"patches")"), std::pair("Both", R"("embedding":"both","adapter":"cam")")),
    [](const auto& parameter) { return parameter.param.first; });

TEST(OnnxOfDescribers, TakesConvolutionalBackbones)
{
    const test::TempFolder folder;
    TensorFile weights;
    weights.tensors = fixture("resnet_basic");
    writeSafetensors(folder / "resnet_basic.safetensors", weights);
    expectDescriberParity(folder, test::writeTinyDescriber(folder, folder / "resnet_basic.safetensors", R"("embedding":"patches","width":32)"));
}

struct Case
{
    const char* name;
    const char* more; ///< of the configuration
    int products = 1;
};

class OnnxOfConfig : public ::testing::TestWithParam<Case>
{
};

TEST_P(OnnxOfConfig, RunsInOpenCvAlone)
{
    const test::TempFolder folder;
    std::string config = R"({"height":32,"width":24,"layers":[1,3],"decoder_depth":2,"batch":4,"steps":3)";
    expectParity(folder, train(folder, test::writeTinyBackbone(folder), config + GetParam().more + "}", GetParam().products));
}

INSTANTIATE_TEST_SUITE_P(Configs, OnnxOfConfig,
                         ::testing::Values(Case{"AsByDefault", ""}, Case{"Maximum", R"(,"score":"max")"},
                                           Case{"NotSmoothed", R"(,"sigma":0)"},
                                           Case{"OneDistance", R"(,"metric":"l2","score_metric":"l2")"},
                                           Case{"Cosine", R"(,"metric":"cosine")"}, Case{"LayerNorm", R"(,"target":"layernorm")"},
                                           Case{"SumOfLayers", R"(,"layers":[[1,2],[3]])"},
                                           Case{"RegionOfInterest", R"(,"roi":[[[0.1,0.1],[0.9,0.2],[0.4,0.9]]])"},
                                           Case{"RegionAndMaximum", R"(,"score":"max","roi":[[[0.1,0.1],[0.9,0.2],[0.4,0.9]]])"},
                                           Case{"SeveralProducts", "", 3}),
                         [](const auto& parameter) { return parameter.param.name; });

TEST(OnnxModel, TakesGeometryAsWell)
{
    const test::TempFolder folder;
    const cv::Ptr<AnomalyTrainer> trainer =
        AnomalyTrainer::create(test::writeTinyBackbone(folder), test::tinyConfig(2, R"("input":"rgb+normals")"));
    const auto blobs = [](size_t n)
    {
        const std::vector<int> size = {static_cast<int>(n), 6, 32, 24};
        cv::Mat blob(size, CV_32F);
        cv::RNG(n).fill(blob, cv::RNG::UNIFORM, 0, 1);
        return blob;
    };
    trainer->stepBlob(blobs(4));
    trainer->stepBlob(blobs(4));
    const std::string model = folder / "model.agp", onnx = folder / "model.onnx";
    trainer->save(model);
    writeOnnxModel(onnx, model);
    cv::dnn::Net net = cv::dnn::readNetFromONNX(onnx);
    cv::Mat blob = blobs(1);
    net.setInput(blob);
    std::vector<cv::Mat> out;
    net.forward(out, std::vector<cv::String>{"map", "score"});
    const AnomalyMaps expected = sharedInference(model, "fp32")->maps(at::from_blob(blob.data, {1, 6, 32, 24}, at::kFloat));
    const at::Tensor map = at::from_blob(out[0].data, {1, 1, 32, 24}, at::kFloat);
    EXPECT_LT((map - expected.maps).abs().max().item<double>(), 1e-4);
    EXPECT_NEAR(out[1].at<float>(0), expected.scores.item<double>(), 1e-4);
    EXPECT_LT(std::filesystem::file_size(onnx), 1.2 * static_cast<double>(std::filesystem::file_size(model)))
        << "the backbone is in the file once";
}

/// What engines make of it is compared by tests/onnx/check: OpenCV's importer does not take it.
TEST(OnnxModel, WritesEightBits)
{
    const test::TempFolder folder;
    const std::string model = train(folder, test::writeTinyBackbone(folder), test::tinyConfig(2));
    writeOnnxModel(folder / "fp32.onnx", model);
    writeOnnxModel(folder / "int8.onnx", model, "int8");
    const auto count = [&](const char* file, const std::string& what)
    {
        const std::string text = test::readBytes(folder / file);
        size_t found = 0;
        for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
            found++;
        return found;
    };
    const ModelFile file = readModel(model);
    const size_t blocks = static_cast<size_t>(allLayers(file.config.layers).back() + file.config.decoderDepth);
    // of a node its name, its output and its operator; of the outputs also where they are read
    EXPECT_EQ(count("fp32.onnx", "QuantizeLinear"), 0U);
    EXPECT_GE(count("int8.onnx", "QuantizeLinear"), 4 * (4 * blocks + 2));
}

TEST(OnnxModel, SaysWhatItCannot)
{
    const test::TempFolder folder;
    const std::string backbone = test::writeTinyBackbone(folder);
    const std::string onnx = folder / "x.onnx";
    const std::string tiled = train(folder, backbone, test::tinyConfig(2, R"("tile":40)"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { writeOnnxModel(onnx, tiled); }), HasSubstr("model.agp: the model uses tiles"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { writeOnnxModel(onnx, folder / "none.agp"); }), HasSubstr("none.agp"));
    const std::string model = train(folder, backbone, test::tinyConfig(2));
    EXPECT_THAT(errorOf<cv::Exception>([&] { writeOnnxModel(onnx, model, "bf16"); }),
                HasSubstr("precision is 'bf16', expected fp32 or int8"));
    ModelFile before = readModel(model);
    before.fewerBits = {};
    writeModel(folder / "before.agp", before, EmbedBackbone::Yes);
    EXPECT_THAT(errorOf<cv::Exception>([&] { writeOnnxModel(onnx, folder / "before.agp", "int8"); }),
                HasSubstr("before.agp: the model does not know the ranges"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { writeOnnxModel(folder.path() / "no" / "x.onnx", model); }),
                HasSubstr("x.onnx: cannot be written"));
    const std::string describing = test::writeTinyDescriber(folder, backbone);
    EXPECT_THAT(errorOf<cv::Exception>([&] { writeOnnxModel(onnx, describing, "int8"); }),
                HasSubstr("precision is 'int8', expected fp32 for a model of the method 'dec'"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { writeDetectGraph(onnx, describing, 32, 24); }),
                HasSubstr("describer.agp: is of the method 'dec', expected 'agpnet'"));
    EXPECT_FALSE(std::filesystem::exists(onnx));
}

} // namespace
} // namespace agpnet
