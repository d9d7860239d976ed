// One operator, every door: the C++ functions, cv::dnn layers from a graph and without one, and the torch dispatcher give the same.
// The plugin is the real shared library, loaded as a host would.
#include "agpnet/agpnet.hpp"
#include "agpnet/loader.hpp"
#include "tests/support/error_text.h"
#include "tests/support/tiny_backbone.h"
#include "tests/support/tiny_describer.h"

#include <ATen/autocast_mode.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/dnn.hpp>
#include <thread>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/variable.h>

namespace agpnet
{
namespace
{

using ::testing::HasSubstr;
using test::errorOf;
using test::TempFolder;

cv::Mat randomArray(std::vector<int> size, uint64_t seed, bool uniform = false)
{
    cv::Mat array(static_cast<int>(size.size()), size.data(), CV_32F);
    cv::RNG random(seed);
    random.fill(array, uniform ? cv::RNG::UNIFORM : cv::RNG::NORMAL, 0, 1);
    return array;
}

at::Tensor tensorOf(const cv::Mat& array)
{
    return at::from_blob(array.data, std::vector<int64_t>(array.size.p, array.size.p + array.dims), at::kFloat).clone();
}

double difference(const cv::Mat& a, const cv::Mat& b)
{
    EXPECT_EQ(std::vector<int>(a.size.p, a.size.p + a.dims), std::vector<int>(b.size.p, b.size.p + b.dims));
    return cv::norm(a.reshape(1, 1), b.reshape(1, 1), cv::NORM_INF);
}

double difference(const cv::Mat& a, const at::Tensor& b)
{
    return difference(a, cv::Mat(a.dims, a.size.p, CV_32F, b.contiguous().data_ptr()));
}

/// Every operator's graph has inputs in0, in1 and the layer "op"; attributes are set on it.
std::vector<cv::Mat> throughNet(const std::string& op, cv::dnn::LayerParams params, const std::vector<cv::Mat>& inputs, int outputs)
{
    cv::dnn::Net net;
    params.name = "op";
    params.type = "ai.agpnet." + op;
    const int id = net.addLayer(params.name, params.type, params);
    std::vector<cv::String> names;
    for (size_t i = 0; i < inputs.size(); i++)
        names.push_back(cv::format("in%d", static_cast<int>(i)));
    net.setInputsNames(names);
    for (size_t i = 0; i < inputs.size(); i++)
    {
        net.connect(0, static_cast<int>(i), id, static_cast<int>(i));
        net.setInput(inputs[i], names[i]);
    }
    std::vector<std::vector<cv::Mat>> results;
    net.forward(results, std::vector<cv::String>{"op"});
    for (cv::Mat& result : results[0])
        result = result.clone();
    EXPECT_GE(static_cast<int>(results[0].size()), outputs);
    return results[0];
}

/// LayerFactory, finalize and forward, without a graph.
std::vector<cv::Mat> throughFactory(const std::string& op, cv::dnn::LayerParams params, std::vector<cv::Mat> inputs, int outputs)
{
    params.name = "op";
    params.type = "ai.agpnet." + op;
    const cv::Ptr<cv::dnn::Layer> layer = cv::dnn::LayerFactory::createLayerInstance(params.type, params);
    EXPECT_TRUE(layer);
    std::vector<cv::dnn::MatShape> shapes, outShapes, internalShapes;
    for (const cv::Mat& input : inputs)
        shapes.push_back(cv::dnn::MatShape(input.size.p, input.size.p + input.dims));
    layer->getMemoryShapes(shapes, outputs, outShapes, internalShapes);
    std::vector<cv::Mat> made, internals;
    for (const auto& shape : outShapes)
        made.emplace_back(static_cast<int>(shape.size()), shape.data(), CV_32F);
    layer->finalize(cv::InputArrayOfArrays(inputs), cv::OutputArrayOfArrays(made));
    layer->forward(cv::InputArrayOfArrays(inputs), cv::OutputArrayOfArrays(made), cv::OutputArrayOfArrays(internals));
    return made;
}

c10::Stack throughTorch(const std::string& op, const std::vector<at::Tensor>& inputs,
                        const std::map<std::string, c10::IValue>& attributes = {})
{
    const auto handle = c10::Dispatcher::singleton().findSchemaOrThrow(("agpnet::" + op).c_str(), "");
    c10::Stack stack(inputs.begin(), inputs.end());
    for (size_t i = inputs.size(); i < handle.schema().arguments().size(); i++)
    {
        const c10::Argument& argument = handle.schema().arguments()[i];
        const auto given = attributes.find(argument.name());
        stack.push_back(given != attributes.end() ? given->second : *argument.default_value());
    }
    handle.callBoxed(stack);
    return stack;
}

class Doors : public ::testing::Test
{
protected:
    static void SetUpTestSuite()
    {
        loadPlugin(AGPNET_PLUGIN_PATH);
        folder = new TempFolder;
        backbone = test::writeTinyBackbone(*folder);
        const auto trainer = AnomalyTrainer::create(backbone, test::tinyConfig(3));
        trainer->fit(6, [](size_t i) { return picture(static_cast<uint64_t>(i)); });
        model = *folder / "m.agp";
        trainer->save(model);
    }
    static void TearDownTestSuite()
    {
        delete folder;
        folder = nullptr;
    }
    static cv::Mat picture(uint64_t seed, cv::Size size = {48, 40})
    {
        cv::Mat image(size, CV_8UC3);
        cv::RNG random(seed);
        random.fill(image, cv::RNG::UNIFORM, 0, 256);
        return image;
    }
    static cv::Mat blob(uint64_t seed) { return cv::dnn::blobFromImage(picture(seed), 1 / 255., {}, {}, true); }

    static TempFolder* folder;
    static std::string model, backbone;
};
TempFolder* Doors::folder = nullptr;
std::string Doors::model, Doors::backbone;

TEST_F(Doors, Perturb)
{
    const cv::Mat x = randomArray({2, 5, 6, 7}, 1), attention = randomArray({2, 1, 3, 7}, 2);
    PerturbParams wanted;
    wanted.level = NOISE_IMAGE;
    wanted.alpha = 0.7f;
    wanted.ratio = 0.5f;
    wanted.seed = 99;
    wanted.step = 3;
    cv::Mat expected;
    perturb(x, attention, expected, wanted);
    cv::dnn::LayerParams params;
    params.set("level", cv::String("image"));
    params.set("alpha", 0.7);
    params.set("ratio", 0.5);
    params.set("seed", 99);
    params.set("step", 3);
    EXPECT_EQ(difference(expected, throughNet("Perturb", params, {x, attention}, 1)[0]), 0);
    EXPECT_EQ(difference(expected, throughFactory("Perturb", params, {x, attention}, 1)[0]), 0);
    const c10::Stack stack = throughTorch("Perturb", {tensorOf(x), tensorOf(attention)},
                                          {{"level", "image"}, {"alpha", 0.7}, {"ratio", 0.5}, {"seed", 99}, {"step", 3}});
    EXPECT_EQ(difference(expected, stack[0].toTensor()), 0);
}

TEST_F(Doors, Residual)
{
    const cv::Mat f = randomArray({2, 5, 6, 7}, 1), g = randomArray({2, 5, 6, 7}, 2);
    for (const char* metric : {"l2", "scaled", "cosine"})
    {
        cv::Mat expected;
        residual(f, g, expected,
                 std::string(metric) == "l2"       ? RESIDUAL_L2
                 : std::string(metric) == "scaled" ? RESIDUAL_SCALED
                                                   : RESIDUAL_COSINE);
        cv::dnn::LayerParams params;
        params.set("metric", cv::String(metric));
        EXPECT_EQ(difference(expected, throughNet("Residual", params, {f, g}, 1)[0]), 0);
        EXPECT_EQ(difference(expected, throughFactory("Residual", params, {f, g}, 1)[0]), 0);
        EXPECT_LT(difference(expected, throughTorch("Residual", {tensorOf(f), tensorOf(g)}, {{"metric", metric}})[0].toTensor()), 1e-6);
        // tokens last, as the model has them
        const at::Tensor tokens = tensorOf(f).permute({0, 2, 3, 1}).contiguous().permute({0, 3, 1, 2});
        EXPECT_LT(difference(expected, throughTorch("Residual", {tokens, tensorOf(g)}, {{"metric", metric}})[0].toTensor()), 1e-5);
    }
}

TEST_F(Doors, Heatmap)
{
    const cv::Mat distance = randomArray({2, 1, 5, 7}, 1, true);
    cv::Mat map, score;
    heatmap(distance, map, score, {33, 21}, 1.5, SCORE_TOP1);
    cv::dnn::LayerParams params;
    params.set("height", 21);
    params.set("width", 33);
    params.set("sigma", 1.5);
    params.set("score", cv::String("top1"));
    for (const auto& found : {throughNet("Heatmap", params, {distance}, 2), throughFactory("Heatmap", params, {distance}, 2)})
    {
        EXPECT_EQ(difference(map, found[0]), 0);
        EXPECT_EQ(difference(score, found[1]), 0);
    }
    const c10::Stack stack =
        throughTorch("Heatmap", {tensorOf(distance)}, {{"height", 21}, {"width", 33}, {"sigma", 1.5}, {"score", "top1"}});
    EXPECT_EQ(difference(map, stack[0].toTensor()), 0);
    EXPECT_EQ(difference(score, stack[1].toTensor()), 0);
}

TEST_F(Doors, Nearest)
{
    for (const int queries : {1, 9})
    {
        const cv::Mat query = randomArray({queries, 70}, 1), gallery = randomArray({200, 70}, 2);
        cv::Mat indices, similarities, numbers;
        nearest(query, gallery, 5, indices, similarities);
        indices.convertTo(numbers, CV_32F);
        const int shape[] = {queries, 5, 1, 1}, queryShape[] = {queries, 70, 1, 1}, galleryShape[] = {200, 70, 1, 1};
        numbers = numbers.reshape(1, 4, shape);
        similarities = similarities.reshape(1, 4, shape);
        const std::vector<cv::Mat> flat = {query, gallery},
                                   deep = {query.reshape(1, 4, queryShape), gallery.reshape(1, 4, galleryShape)};
        cv::dnn::LayerParams params;
        params.set("k", 5);
        for (const auto& found : {throughNet("Nearest", params, deep, 2), throughFactory("Nearest", params, deep, 2),
                                  throughFactory("Nearest", params, flat, 2)})
        {
            EXPECT_EQ(difference(numbers, found[0]), 0);
            EXPECT_EQ(difference(similarities, found[1]), 0);
        }
        for (const std::vector<cv::Mat>& inputs : {flat, deep})
        {
            const c10::Stack stack = throughTorch("Nearest", {tensorOf(inputs[0]), tensorOf(inputs[1])}, {{"k", int64_t{5}}});
            EXPECT_EQ(difference(numbers, stack[0].toTensor()), 0);
            EXPECT_EQ(difference(similarities, stack[1].toTensor()), 0);
        }
        const auto [values, places] = at::topk(at::matmul(tensorOf(query), tensorOf(gallery).t()), 5, 1);
        EXPECT_EQ(difference(numbers.reshape(1, queries), places.to(at::kFloat)), 0);
        EXPECT_LT(difference(similarities.reshape(1, queries), values), 1e-4);
    }
    EXPECT_THAT(errorOf<c10::Error>([&] { throughTorch("Nearest", {at::rand({1, 8}), at::rand({8, 30}).t()}); }),
                HasSubstr("lie 30 apart, expected side by side"));
}

TEST_F(Doors, DetectAndTheStagesGiveTheDetectorsScore)
{
    // blobFromImage() of some versions differs from the detector's own path by a last bit, which bfloat16 can make a step of
    const auto detector = AnomalyDetector::create(model, "fp32");
    cv::Mat map, mask;
    const AnomalyResult expected = detector->detect(picture(1), map, mask);

    cv::dnn::LayerParams params;
    params.set("model", cv::String(model));
    params.set("precision", cv::String("fp32"));
    EXPECT_NEAR(throughFactory("Detect", params, {blob(1)}, 4)[3].at<float>(0), expected.calibrated, 1e-4);
    for (const auto& found : {throughNet("Detect", params, {blob(1)}, 2), throughFactory("Detect", params, {blob(1)}, 3)})
    {
        EXPECT_NEAR(found[1].at<float>(0), expected.score, 1e-4);
        EXPECT_LT(cv::norm(map, found[0].reshape(1, map.rows), cv::NORM_INF), 1e-4);
    }
    const auto three = throughFactory("Detect", params, {blob(1)}, 3);
    cv::Mat same;
    three[2].reshape(1, mask.rows).convertTo(same, CV_8U, 255);
    EXPECT_EQ(cv::countNonZero(same != mask), 0);

    const c10::Stack stack = throughTorch("Detect", {tensorOf(blob(1))}, {{"model", model}, {"precision", "fp32"}});
    EXPECT_NEAR(stack[1].toTensor().item<double>(), expected.score, 1e-4);
    EXPECT_NEAR(stack[3].toTensor().item<double>(), expected.calibrated, 1e-4);
    const c10::Stack named = throughTorch("Detect", {tensorOf(blob(1))}, {{"model", model}, {"precision", "fp32"}, {"device", "cpu"}});
    EXPECT_NEAR(named[1].toTensor().item<double>(), expected.score, 1e-4);
    params.set("device", cv::String("gpu"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { throughFactory("Detect", params, {blob(1)}, 1); }),
                HasSubstr("device is 'gpu', expected cpu, cuda or cuda:N"));
    params.set("device", cv::String("cpu"));

    const auto reconstructed = throughNet("Reconstruct", params, {blob(1)}, 2);
    const c10::Stack fromTorch = throughTorch("Reconstruct", {tensorOf(blob(1))}, {{"model", model}, {"precision", "fp32"}});
    EXPECT_LT(difference(reconstructed[0], fromTorch[0].toTensor()), 1e-5);
    EXPECT_LT(difference(reconstructed[1], fromTorch[1].toTensor()), 1e-5);

    for (const bool stages : {false, true})
    {
        const std::string onnx = *folder / "graph.onnx";
        stages ? writeStageGraph(onnx, model, 40, 48, "fp32") : writeDetectGraph(onnx, model, 40, 48, 1, "fp32");
        cv::dnn::Net net = cv::dnn::readNetFromONNX(onnx);
        net.setInput(blob(1));
        std::vector<cv::Mat> outputs;
        net.forward(outputs, std::vector<cv::String>{"map", "score"});
        EXPECT_NEAR(outputs[1].at<float>(0), expected.score, 1e-4) << (stages ? "stages" : "one node");
        cv::Mat batch;
        cv::dnn::blobFromImages(std::vector<cv::Mat>{picture(1), picture(2)}, batch, 1 / 255., {}, {}, true);
        net.setInput(batch); // another batch size on the same net
        net.forward(outputs, std::vector<cv::String>{"map", "score"});
        EXPECT_NEAR(outputs[1].at<float>(0), expected.score, 1e-4);
        EXPECT_NEAR(outputs[1].at<float>(1), detector->detect(picture(2)).score, 1e-4);
    }
}

TEST_F(Doors, DetectLooksWhereAndHowItIsTold)
{
    // two products and tiles, so that every attribute has something to choose
    const auto trainer = AnomalyTrainer::create(backbone, test::tinyConfig(2, R"("tile":40)"));
    trainer->fit({{"a", 3, [](size_t i) { return picture(i); }}, {"b", 3, [](size_t i) { return picture(100 + i, {90, 60}); }}});
    const std::string tiled = *folder / "tiled.agp";
    trainer->save(tiled);
    const cv::Mat image = picture(1, {120, 70}), input = cv::dnn::blobFromImage(image, 1 / 255., {}, {}, true);

    struct Case
    {
        const char* name;
        DetectOptions options;
        std::map<std::string, c10::IValue> attributes;
    };
    for (const Case& c :
         {Case{"as trained", DetectOptions(), {}}, Case{"whole", DetectOptions().setTiles(0), {{"tile", 0}}},
          Case{"other tiles", DetectOptions().setTiles(50, 0.5), {{"tile", 50}, {"tile_overlap", 0.5}}},
          Case{"region in shares",
               DetectOptions().setRegionPolygons({{{0, 0}, {0.5f, 0}, {0.5f, 1}, {0, 1}}}),
               {{"roi", "0,0 0.5,0 0.5,1 0,1"}}},
          Case{"region in pixels",
               DetectOptions().setRegionPolygons({{{0, 0}, {60, 0}, {60, 70}, {0, 70}}}, {120, 70}),
               {{"roi", "0,0 60,0 60,70 0,70"}}},
          Case{"product", DetectOptions().setProduct("b"), {{"product", "b"}}},
          Case{"thresholds", DetectOptions().setThreshold(0.2).setPixelThreshold(0.3), {{"threshold", 0.2}, {"pixel_threshold", 0.3}}},
          Case{"sensitivity", DetectOptions().setSensitivity(1.5), {{"sensitivity", 1.5}}}})
    {
        const auto detector = AnomalyDetector::create(tiled, "fp32");
        cv::Mat map, mask;
        const AnomalyResult expected = detector->detect(image, map, mask, c.options);
        cv::dnn::LayerParams params;
        params.set("model", cv::String(tiled));
        params.set("precision", cv::String("fp32"));
        std::map<std::string, c10::IValue> attributes = c.attributes;
        attributes["model"] = tiled;
        attributes["precision"] = "fp32";
        for (const auto& [key, value] : c.attributes)
            if (value.isInt())
                params.set(key, static_cast<int>(value.toInt()));
            else if (value.isDouble())
                params.set(key, value.toDouble());
            else
                params.set(key, cv::String(value.toStringRef()));
        const auto found = throughFactory("Detect", params, {input}, 4);
        EXPECT_NEAR(found[3].at<float>(0), expected.calibrated, 1e-4) << c.name;
        EXPECT_NEAR(found[1].at<float>(0), expected.score, 1e-4) << c.name;
        EXPECT_LT(cv::norm(map, found[0].reshape(1, map.rows), cv::NORM_INF), 1e-4) << c.name;
        cv::Mat same;
        found[2].reshape(1, mask.rows).convertTo(same, CV_8U, 255);
        EXPECT_LE(cv::countNonZero(same != mask), 2) << c.name; // a value at the threshold may fall either way
        const c10::Stack throughTorchToo = throughTorch("Detect", {tensorOf(input)}, attributes);
        EXPECT_NEAR(throughTorchToo[1].toTensor().item<double>(), expected.score, 1e-4) << c.name;
        EXPECT_NEAR(throughTorchToo[3].toTensor().item<double>(), expected.calibrated, 1e-4) << c.name;
    }

    const auto refused = [&](const char* key, const auto& value, const char* part) {
        cv::dnn::LayerParams params;
        params.set("model", cv::String(tiled));
        params.set(key, value);
        EXPECT_THAT(errorOf<cv::Exception>([&] { throughFactory("Detect", params, {input}, 2); }), HasSubstr(part));
    };
    refused("tile", 31, "'tile' is 31, expected -1 (as the model), 0 (off) or at least 32");
    refused("tile_overlap", 0.95, "'tile_overlap' is 0.95");
    refused("roi", cv::String("0,0 1,0"), "2 points, expected at least 3");
    refused("roi", cv::String("0,0 1,0 200,1"), "the point (200, 1)");
    refused("threshold", -0.5, "'threshold' is -0.5");
    refused("product", cv::String("c"), "product is 'c', expected one of a, b");
    EXPECT_THAT(errorOf<cv::Exception>([&] { writeStageGraph(*folder / "stages.onnx", tiled, 40, 48); }),
                HasSubstr("tiled.agp: the model uses tiles"));
}

TEST_F(Doors, DescribeAndAggregateGiveTheDescribersDescriptor)
{
    const std::string describing = test::writeTinyDescriber(*folder, backbone, R"("adapter":"cam","whitening":"objects")");
    const cv::Ptr<Describer> describer = Describer::create(describing, "fp32");
    std::vector<cv::Mat> views;
    for (int i = 0; i < 5; i++)
        views.push_back(test::viewOf(20, i, {48, 40}));
    cv::Mat input, embeddings;
    cv::dnn::blobFromImages(views, input, 1 / 255., {}, {}, true);
    describer->embed(views, embeddings);
    const cv::Mat rows = embeddings.reshape(1, {5, describer->getWidth(), 1, 1});
    std::vector<cv::Mat> descriptors;
    for (const auto& [order, name] : {std::pair{VIEWS_UNORDERED, "unordered"}, {VIEWS_RING, "ring"}})
    {
        cv::Mat expected, aggregated;
        describer->describe(views, expected, order);
        describer->aggregate(embeddings, aggregated, order);
        descriptors.push_back(expected);
        cv::dnn::LayerParams params;
        params.set("model", cv::String(describing));
        params.set("order", cv::String(name));
        const std::map<std::string, c10::IValue> attributes = {{"model", describing}, {"order", name}};
        for (const cv::Mat& found : {throughNet("Aggregate", params, {rows}, 1)[0], throughFactory("Aggregate", params, {rows}, 1)[0]})
            EXPECT_LT(difference(aggregated, found), 1e-6) << name;
        EXPECT_LT(difference(aggregated, throughTorch("Aggregate", {tensorOf(rows)}, attributes)[0].toTensor()), 1e-6) << name;
        params.set("precision", cv::String("fp32"));
        for (const cv::Mat& found : {throughNet("Describe", params, {input}, 1)[0], throughFactory("Describe", params, {input}, 1)[0]})
            EXPECT_LT(difference(expected, found), 1e-4) << name;
        EXPECT_LT(difference(expected, throughTorch("Describe", {tensorOf(input)}, attributes)[0].toTensor()), 1e-4) << name;
    }
    EXPECT_GT(difference(descriptors[0], descriptors[1]), 1e-3) << "the order of views means nothing to this model, which proves nothing";

    cv::dnn::LayerParams params;
    params.set("model", cv::String(describing));
    const auto refused = [&](const char* op, const cv::Mat& given, const char* part)
    { EXPECT_THAT(errorOf<cv::Exception>([&] { throughFactory(op, params, {given}, 1); }), HasSubstr(part)) << op; };
    refused("Describe", input * 255, "Describe: views");
    refused("Describe", rows, "Describe: views have shape [5, 64, 1, 1], expected [M, 3, H, W]");
    refused("Aggregate", input, "Aggregate: embeddings have shape [5, 3, 40, 48], expected [M, 64, 1, 1] for this model");
    cv::Mat bad = rows.clone();
    bad.at<float>(77) = std::numeric_limits<float>::quiet_NaN();
    refused("Aggregate", bad, "Aggregate: embeddings hold values that are not finite");
    params.set("model", cv::String(model));
    refused("Describe", input, "m.agp: is of the method 'agpnet', expected 'dec'");
    EXPECT_THAT(errorOf<c10::Error>([&] { throughTorch("Describe", {tensorOf(input)}, {{"model", describing}, {"device", "gpu"}}); }),
                HasSubstr("device is 'gpu', expected cpu, cuda or cuda:N"));
}

TEST_F(Doors, TrainTakesTheSameStepsThroughEveryDoor)
{
    const cv::Mat batch = cv::dnn::blobFromImages(std::vector<cv::Mat>{picture(1), picture(2)}, 1 / 255., {}, {}, true);
    const auto trainer = AnomalyTrainer::create(backbone, test::tinyConfig(3));
    std::vector<double> expected;
    for (int i = 0; i < 3; i++)
        expected.push_back(trainer->stepBlob(batch));

    cv::dnn::LayerParams params;
    params.name = "train";
    params.type = "ai.agpnet.Train";
    params.set("model", cv::String(*folder / "net.agp"));
    params.set("backbone", cv::String(backbone));
    params.set("config", cv::String(test::tinyConfig(100)));
    params.set("steps", 3);
    cv::dnn::Net net;
    net.addLayerToPrev(params.name, params.type, params);
    const std::map<std::string, c10::IValue> attributes = {
        {"model", (*folder / "torch.agp").string()}, {"backbone", backbone}, {"config", test::tinyConfig(3)}};
    for (int i = 0; i < 3; i++)
    {
        EXPECT_FALSE(std::filesystem::exists(*folder / "net.agp"));
        net.setInput(batch);
        EXPECT_NEAR(net.forward().at<float>(0), expected[static_cast<size_t>(i)], 1e-5);
        EXPECT_NEAR(throughTorch("Train", {tensorOf(batch)}, attributes)[0].toTensor().item<double>(), expected[static_cast<size_t>(i)],
                    1e-5);
    }
    trainer->save(*folder / "trainer.agp");
    const double score = AnomalyDetector::create(*folder / "trainer.agp")->detect(picture(5)).score;
    EXPECT_NEAR(AnomalyDetector::create(*folder / "net.agp")->detect(picture(5)).score, score, 1e-4);
    EXPECT_NEAR(AnomalyDetector::create(*folder / "torch.agp")->detect(picture(5)).score, score, 1e-4);
    net.setInput(batch);
    EXPECT_THAT(errorOf<cv::Exception>([&] { net.forward(); }), HasSubstr("complete after 3 steps"));
}

TEST_F(Doors, TorchHasGradients)
{
    const at::Tensor f = tensorOf(randomArray({1, 3, 4, 5}, 1)).requires_grad_(true);
    const at::Tensor g = tensorOf(randomArray({1, 3, 4, 5}, 2)).requires_grad_(true);
    for (const char* metric : {"l2", "scaled", "cosine"})
    {
        const at::Tensor weight = tensorOf(randomArray({1, 1, 4, 5}, 3));
        const at::Tensor ours = (throughTorch("Residual", {f, g}, {{"metric", metric}})[0].toTensor() * weight).sum();
        const at::Tensor l2 = (f - g).square().sum({1}, true).sqrt();
        const at::Tensor reference = std::string(metric) == "l2"       ? l2
                                     : std::string(metric) == "scaled" ? l2 / f.square().sum({1}, true).pow(0.25)
                                                                       : 1 - at::cosine_similarity(f, g, 1).unsqueeze(1);
        const auto found = torch::autograd::grad({ours}, {f, g}), expected = torch::autograd::grad({(reference * weight).sum()}, {f, g});
        for (size_t i = 0; i < 2; i++)
            EXPECT_TRUE(at::allclose(found[i], expected[i], 1e-4, 1e-5)) << metric;
    }
    const at::Tensor noisy = throughTorch("Perturb", {f, at::rand({1, 1, 4, 5})})[0].toTensor();
    EXPECT_TRUE(at::equal(torch::autograd::grad({noisy.sum()}, {f})[0], at::ones_like(f)));
}

TEST_F(Doors, TorchTakesHalfPrecisionUnderAutocast)
{
    const at::Tensor f = tensorOf(randomArray({1, 3, 4, 5}, 1)).to(at::kBFloat16),
                     g = tensorOf(randomArray({1, 3, 4, 5}, 2)).to(at::kBFloat16);
    EXPECT_THAT(errorOf<c10::Error>([&] { throughTorch("Residual", {f, g}); }), HasSubstr("BFloat16, expected float32"));
    const at::Tensor expected = throughTorch("Residual", {f.to(at::kFloat), g.to(at::kFloat)})[0].toTensor();
    at::autocast::set_autocast_enabled(at::kCPU, true);
    const at::Tensor found = throughTorch("Residual", {f, g})[0].toTensor();
    const std::string twice = errorOf<c10::Error>([&] { throughTorch("Residual", {f.to(at::kDouble), g.to(at::kDouble)}); });
    at::autocast::set_autocast_enabled(at::kCPU, false);
    EXPECT_TRUE(found.equal(expected));
    EXPECT_THAT(twice, HasSubstr("expected float32")); // it would lose what it was given for
}

TEST_F(Doors, TorchDispatchesEveryOperatorOnCuda)
{
    for (const char* name : {"Perturb", "Residual", "Heatmap", "Nearest", "Reconstruct", "Detect", "Train", "Describe", "Aggregate"})
    {
        const auto handle = c10::Dispatcher::singleton().findSchemaOrThrow((std::string("agpnet::") + name).c_str(), "");
        EXPECT_TRUE(handle.hasKernelForDispatchKey(c10::DispatchKey::CUDA)) << name;
        EXPECT_TRUE(handle.hasKernelForDispatchKey(c10::DispatchKey::AutocastCUDA)) << name;
    }
}

TEST_F(Doors, TorchGivesShapesWithoutData)
{
    const at::Tensor f = at::empty({2, 3, 4, 5}, at::TensorOptions(at::kFloat).device(at::kMeta));
    EXPECT_EQ(throughTorch("Residual", {f, f})[0].toTensor().sizes(), (at::IntArrayRef{2, 1, 4, 5}));
}

TEST_F(Doors, BadCallsGiveTheHostsKindOfException)
{
    const cv::Mat f = randomArray({1, 3, 4, 5}, 1), other = randomArray({1, 2, 4, 5}, 1), flat = randomArray({3, 4, 5}, 1);
    EXPECT_THAT(errorOf<cv::Exception>([&] { throughNet("Residual", {}, {f, other}, 1); }), HasSubstr("[1, 2, 4, 5]"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { throughNet("Residual", {}, {flat, flat}, 1); }), HasSubstr("expected 4 dimensions"));
    cv::dnn::LayerParams params;
    params.set("metrik", 1);
    EXPECT_THAT(errorOf<cv::Exception>([&] { throughNet("Residual", params, {f, f}, 1); }), HasSubstr("unknown attribute 'metrik'"));
    params = {};
    params.set("model", cv::String("/nonexistent.agp"));
    EXPECT_THAT(errorOf<cv::Exception>([&] { throughNet("Detect", params, {blob(1)}, 2); }), HasSubstr("/nonexistent.agp"));
    params.set("model", cv::String(model));
    cv::Mat bad = blob(1) * 255;
    EXPECT_THAT(errorOf<cv::Exception>([&] { throughNet("Detect", params, {bad}, 2); }), HasSubstr("expected 0 to 1"));
    bad.at<float>(17) = std::numeric_limits<float>::quiet_NaN();
    EXPECT_THAT(errorOf<cv::Exception>([&] { throughNet("Detect", params, {bad}, 2); }), HasSubstr("not finite"));
    EXPECT_THAT(errorOf<cv::Exception>(
                    [&] {
                        throughNet("Detect", params, {f(std::vector<cv::Range>{{0, 1}, {0, 2}, {0, 4}, {0, 5}}).clone()}, 2);
                    }),
                HasSubstr("[N, 3, H, W]"));

    EXPECT_THAT(errorOf<c10::Error>([&] { throughTorch("Residual", {tensorOf(f), tensorOf(other)}); }), HasSubstr("[1, 2, 4, 5]"));
    EXPECT_THAT(errorOf<c10::Error>(
                    [&] {
                        throughTorch("Residual", {tensorOf(f).to(at::kDouble), tensorOf(f).to(at::kDouble)});
                    }),
                HasSubstr("expected float32"));
    EXPECT_THAT(errorOf<c10::Error>(
                    [&] {
                        throughTorch("Residual", {tensorOf(flat), tensorOf(flat)});
                    }),
                HasSubstr("expected 4 dimensions"));
    EXPECT_THAT(errorOf<c10::Error>(
                    [&] {
                        throughTorch("Heatmap", {tensorOf(randomArray({1, 1, 4, 4}, 1))}, {{"sigma", -1.0}});
                    }),
                HasSubstr("'sigma' is -1"));
}

TEST_F(Doors, ConstantInputsMayComeAsBlobs)
{
    const cv::Mat f = randomArray({1, 3, 4, 5}, 1), g = randomArray({1, 3, 4, 5}, 2);
    cv::Mat expected;
    residual(f, g, expected);
    cv::dnn::LayerParams params;
    params.blobs.push_back(g);
    EXPECT_EQ(difference(expected, throughNet("Residual", params, {f}, 1)[0]), 0);
}

TEST(Entry, ChecksItsCaller)
{
    void* library = dlopen(AGPNET_PLUGIN_PATH, RTLD_NOW);
    ASSERT_TRUE(library) << dlerror();
    auto* init = reinterpret_cast<agpnet_plugin_init_t*>(dlsym(library, AGPNET_PLUGIN_INIT));
    ASSERT_TRUE(init);
    char message[256];
    EXPECT_EQ(init(AGPNET_PLUGIN_ABI, CV_VERSION, message, sizeof message), AGPNET_OK);
    EXPECT_EQ(init(AGPNET_PLUGIN_ABI + 1, CV_VERSION, message, sizeof message), AGPNET_E_ABI);
    EXPECT_THAT(message, HasSubstr("ABI 2"));
    EXPECT_EQ(init(AGPNET_PLUGIN_ABI, "3.4.1", message, sizeof message), AGPNET_E_OPENCV);
    EXPECT_THAT(message, HasSubstr("3.4.1"));
    EXPECT_EQ(init(AGPNET_PLUGIN_ABI, "nonsense", message, sizeof message), AGPNET_E_OPENCV);
    EXPECT_EQ(init(AGPNET_PLUGIN_ABI, nullptr, message, sizeof message), AGPNET_E_ARGUMENT);
    EXPECT_EQ(init(AGPNET_PLUGIN_ABI, CV_VERSION, nullptr, 9), AGPNET_E_ARGUMENT);
    EXPECT_EQ(init(AGPNET_PLUGIN_ABI, CV_VERSION, nullptr, 0), AGPNET_OK);
    char tiny[4];
    EXPECT_EQ(init(AGPNET_PLUGIN_ABI + 1, CV_VERSION, tiny, sizeof tiny), AGPNET_E_ABI);
    EXPECT_EQ(tiny[3], '\0');
    dlclose(library);
}

TEST(Entry, MayBeCalledAgainFromAnywhere)
{
    cv::setNumThreads(0);
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; i++)
        threads.emplace_back([] { EXPECT_EQ(loadPlugin(AGPNET_PLUGIN_PATH), AGPNET_PLUGIN_PATH); });
    for (std::thread& thread : threads)
        thread.join();
    cv::setNumThreads(-1);
}

TEST(Entry, SaysWhatIsMissing)
{
    EXPECT_THAT(errorOf<cv::Exception>([] { loadPlugin("/nonexistent/libagpnet.so"); }), HasSubstr("/nonexistent/libagpnet.so"));
    EXPECT_THAT(errorOf<cv::Exception>([] { loadPlugin("libm.so.6"); }), HasSubstr("not an AGPNet plugin"));
}

TEST(Library, LeaksNoSymbols)
{
    // what the dynamic linker would offer to others: the C entry and namespace agpnet
    const std::string list = std::string(::testing::TempDir()) + "agpnet-symbols.txt";
    ASSERT_EQ(std::system(("nm -D --defined-only " AGPNET_PLUGIN_PATH " > " + list).c_str()), 0);
    std::ifstream in(list);
    std::string address, type, name;
    int count = 0;
    while (in >> address >> type >> name)
    {
        count++;
        // which C functions, CApiNames compares with the headers
        EXPECT_TRUE(name.starts_with("agpnet_") || name.find("6agpnet") != std::string::npos || name.starts_with("AGPNET_1")) << name;
        EXPECT_EQ(name.find("halide_"), std::string::npos) << name;
    }
    EXPECT_GT(count, 10);
    EXPECT_LT(count, 240);
}

TEST(Library, LoadsWhereThereIsNoGpu)
{
    const std::string list = std::string(::testing::TempDir()) + "agpnet-needed.txt";
    ASSERT_EQ(std::system(("readelf -d " AGPNET_PLUGIN_PATH " > " + list).c_str()), 0);
    std::ifstream in(list);
    int needed = 0;
    for (std::string line; std::getline(in, line);)
        if (line.find("(NEEDED)") != std::string::npos)
        {
            needed++;
            for (const char* gpu : {"libOpenCL", "libcuda", "libnv"})
                EXPECT_EQ(line.find(gpu), std::string::npos) << line;
        }
    EXPECT_GT(needed, 3);
}

} // namespace
} // namespace agpnet
