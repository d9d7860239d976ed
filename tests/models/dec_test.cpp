// Retrieval (DEC): whitening, adapters, the loss and its batches, training on embeddings, the model file.
#include "models/dec/file.h"
#include "models/dec/training/adapter_training.h"
#include "models/dec/training/batch_order.h"
#include "models/dec/training/multi_similarity.h"
#include "models/dec/training/retrieval_quality.h"
#include "tests/models/network_fixture.h"
#include "tests/support/tiny_backbone.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

namespace agpnet::test
{
namespace
{

using namespace agpnet::dec;
using dec::Config;
using ::testing::HasSubstr;

at::Tensor normal(at::IntArrayRef size, uint64_t seed, double deviation = 1)
{
    at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
    return at::empty(size).normal_(0, deviation, generator);
}

std::vector<int64_t> repeated(int64_t groups, int64_t each)
{
    std::vector<int64_t> all;
    for (int64_t g = 0; g < groups; g++)
        all.insert(all.end(), static_cast<size_t>(each), g);
    return all;
}

// Whitening

TEST(Whitening, MakesWhatVariesWithinGroupsEvenlySmall)
{
    const at::Tensor stretch = at::tensor({20.F, 5.F, 1.F, 0.2F}), centres = normal({10, 4}, 1, 3);
    const at::Tensor rows = (centres.unsqueeze(1) + normal({10, 40, 4}, 2) * stretch).flatten(0, 1);
    const std::vector<int64_t> groups = repeated(10, 40);
    const Whitening whitening = whiteningOf(rows, groups, 1e-6);
    EXPECT_TRUE(whitening.matrix.equal(whitening.matrix.t().contiguous()) ||
                at::allclose(whitening.matrix, whitening.matrix.t(), 1e-5, 1e-6));
    const at::Tensor white = whitening(rows).view({10, 40, 4});
    const at::Tensor around = (white - white.mean(1, true)).flatten(0, 1).to(at::kDouble);
    const at::Tensor covariance = at::matmul(around.t(), around) / 400.0;
    EXPECT_LT(largest(covariance, at::eye(4, at::kDouble)), 0.02);
    EXPECT_LT(whitening(rows).mean(0).abs().max().item<double>(), 1e-3);
}

TEST(Whitening, IsTheInverseRootOfTheShrunkCovariance)
{
    const at::Tensor rows = normal({60, 5}, 3) * at::tensor({4.F, 3.F, 2.F, 1.F, 0.5F});
    const std::vector<int64_t> groups = repeated(12, 5);
    const double shrink = 0.3;
    const Whitening whitening = whiteningOf(rows, groups, shrink);
    // by the definition: W W (S + s t I) = I
    at::Tensor covariance = at::zeros({5, 5}, at::kDouble);
    for (int64_t g = 0; g < 12; g++)
    {
        const at::Tensor own = rows.narrow(0, 5 * g, 5).to(at::kDouble);
        for (int64_t i = 0; i < 5; i++)
        {
            const at::Tensor away = own[i] - own.mean(0);
            covariance += at::outer(away, away) / 60.0;
        }
    }
    const at::Tensor shrunk = covariance + shrink * covariance.diagonal().mean() * at::eye(5, at::kDouble);
    const at::Tensor matrix = whitening.matrix.to(at::kDouble);
    EXPECT_LT(largest(at::matmul(at::matmul(matrix, matrix), shrunk), at::eye(5, at::kDouble)), 1e-4);
}

TEST(Whitening, RefusesWhatNothingCanBeLearnedFrom)
{
    EXPECT_THAT(errorOf([] { whiteningOf(normal({4, 3}, 1), {0, 1, 2, 3}, 1); }), HasSubstr("none has two that differ"));
    EXPECT_THAT(errorOf([] { whiteningOf(normal({4, 3}, 1), {0, 1}, 1); }), HasSubstr("a group for each"));
    at::Tensor mean = normal({3}, 1);
    mean[1] = NAN;
    EXPECT_THAT(errorOf([&] { Whitening::checked(mean, {}, 3); }), HasSubstr("mean"));
    EXPECT_THAT(errorOf([&] { Whitening::checked(normal({3}, 1), normal({3, 2}, 1), 3); }), HasSubstr("matrix"));
}

// Adapters

/// CAM by its definition, view by view, in double precision.
std::vector<double> plainCam(const Adapter& adapter, const at::Tensor& views)
{
    const auto get = [&](const std::string& name) {
        for (const auto& [known, tensor] : adapter.state())
            if (known == name)
                return tensor.to(at::kDouble).contiguous();
        throw Error("no tensor " + name);
    };
    const int64_t width = views.size(1);
    std::vector<std::vector<double>> x;
    for (int64_t m = 0; m < views.size(0); m++)
    {
        const at::Tensor row = views[m].to(at::kDouble).contiguous();
        x.emplace_back(row.const_data_ptr<double>(), row.const_data_ptr<double>() + width);
    }
    std::vector<double> mean(static_cast<size_t>(width));
    for (const auto& row : x)
        for (size_t c = 0; c < row.size(); c++)
            mean[c] += row[c] / static_cast<double>(x.size());
    for (int block = 1; block <= 2; block++)
    {
        const std::string name = "block" + std::to_string(block) + ".";
        const at::Tensor weight = get(name + "weight"), bias = get(name + "bias"), gain = get(name + "norm.weight"),
                         offset = get(name + "norm.bias"), average = get(name + "norm.mean"), variance = get(name + "norm.variance");
        const size_t count = x.size();
        std::vector<std::vector<double>> chunks;
        for (size_t first = 0; first < count; first += 3)
        {
            std::vector<double>& out = chunks.emplace_back(width);
            for (int64_t o = 0; o < width; o++)
            {
                double sum = bias[o].item<double>();
                for (size_t tap = 0; tap < 3; tap++)
                    for (int64_t c = 0; c < width; c++)
                        sum += weight[o][static_cast<int64_t>(tap) * width + c].item<double>() *
                               x[(first + tap) % count][static_cast<size_t>(c)];
                sum = (sum - average[o].item<double>()) / std::sqrt(variance[o].item<double>() + 1e-5) * gain[o].item<double>() +
                      offset[o].item<double>();
                out[static_cast<size_t>(o)] = std::max(0.0, sum);
            }
        }
        x.clear();
        for (size_t first = 0; first < chunks.size(); first += 3)
        {
            const size_t last = std::min(chunks.size(), first + 3);
            std::vector<double>& out = x.emplace_back(width);
            for (size_t i = first; i < last; i++)
                for (size_t c = 0; c < out.size(); c++)
                    out[c] += chunks[i][c] / static_cast<double>(last - first);
        }
    }
    std::vector<double> result(static_cast<size_t>(width));
    for (size_t c = 0; c < result.size(); c++)
    {
        for (const auto& row : x)
            result[c] += row[c] / static_cast<double>(x.size());
        result[c] = adapter.lambda() * mean[c] + (1 - adapter.lambda()) * result[c];
    }
    return result;
}

class CamShapes : public ::testing::TestWithParam<int64_t>
{
};

TEST_P(CamShapes, IsAsPublished)
{
    const int64_t width = 6;
    Adapter adapter(AdapterKind::Cam, width, 0.4, 7);
    adapter(normal({5, GetParam(), width}, 8), true); // statistics other than 0 and 1
    const at::Tensor views = normal({2, GetParam(), width}, 9);
    const at::Tensor found = adapter(views);
    for (int64_t n = 0; n < 2; n++)
    {
        const std::vector<double> expected = plainCam(adapter, views[n]);
        for (int64_t c = 0; c < width; c++)
            EXPECT_NEAR(found[n][c].item<double>(), expected[static_cast<size_t>(c)], 1e-5) << GetParam() << " views, channel " << c;
    }
}

TEST_P(CamShapes, OursBeginsAtTheMean)
{
    const at::Tensor views = normal({3, GetParam(), 8}, 5);
    const Adapter adapter(AdapterKind::CamFromMean, 8, 0.4, 1);
    EXPECT_LT(largest(adapter(views), views.mean(1)), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Views, CamShapes, ::testing::Values(1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 23, 24, 25, 81, 100));

TEST(DecAdapter, LearnedTensorsAreChecked)
{
    const Adapter adapter(AdapterKind::Cam, 4, 0.4, 1);
    NamedTensors state = adapter.state();
    const at::Tensor views = normal({2, 5, 4}, 1);
    EXPECT_TRUE(Adapter(AdapterKind::Cam, 4, 0.4, state)(views).equal(adapter(views)));
    state[0].second = normal({4, 4}, 1);
    EXPECT_THAT(errorOf([&] { Adapter(AdapterKind::Cam, 4, 0.4, state); }), HasSubstr("block1.weight"));
    state = adapter.state();
    state[1].second = at::full({4}, NAN);
    EXPECT_THAT(errorOf([&] { Adapter(AdapterKind::Cam, 4, 0.4, state); }), HasSubstr("not finite"));
    state = adapter.state();
    state.emplace_back("more", normal({1}, 1));
    EXPECT_THAT(errorOf([&] { Adapter(AdapterKind::Cam, 4, 0.4, state); }), HasSubstr("expected the 12 of 'cam'"));
    EXPECT_THAT(errorOf([&] { Adapter(AdapterKind::Mean, 4, 0.4, 1)(normal({2, 5, 3}, 1)); }), HasSubstr("expected [objects, views, 4]"));
}

TEST(DecSpace, UnorderedViewsHaveNoOrder)
{
    Adapter adapter(AdapterKind::Cam, 6, 0.4, 3);
    adapter(normal({5, 12, 6}, 8), true);
    const Space space{centringOf(normal({30, 6}, 4)), adapter};
    const at::Tensor views = normal({12, 6}, 5), other = views.index_select(0, at::tensor({3, 0, 7, 1, 11, 2, 5, 4, 9, 8, 10, 6}));
    EXPECT_LT(largest(space.describe(views, false), space.describe(other, false)), 1e-6);
    EXPECT_GT(largest(space.describe(views, true), space.describe(other, true)), 1e-3);
    EXPECT_NEAR(space.describe(views, true).norm().item<double>(), 1, 1e-5);
    // nor does their number count
    Config fromMean;
    fromMean.adapter = AdapterKind::CamFromMean;
    AdapterTraining training(fromMean, {normal({12, 6, 6}, 1), repeated(3, 4)});
    const Space linear{centringOf(normal({30, 6}, 4)), training.adapter()};
    for (int64_t i = 0; i < 3; i++)
        training.step();
    for (const int64_t count : {1, 2, 3, 5})
        EXPECT_LT(largest(linear.describe(views.mean(0, true).expand({count, 6}), false).detach(), linear.describe(views, false).detach()),
                  1e-5);
    // one view is its own ring
    EXPECT_LT(largest(space.describe(views.narrow(0, 0, 1), false), space.describe(views.narrow(0, 0, 1), true)), 1e-6);
}

// The loss, by its definition

double plainLoss(const at::Tensor& rows, const std::vector<int64_t>& classes, const dec::TrainingConfig& c)
{
    const auto count = static_cast<int64_t>(classes.size());
    const auto similarity = [&](int64_t a, int64_t b) {
        const at::Tensor x = rows[a].to(at::kDouble), y = rows[b].to(at::kDouble);
        return (x.dot(y) / x.norm() / y.norm()).item<double>();
    };
    double all = 0;
    for (int64_t i = 0; i < count; i++)
    {
        double farthest = INFINITY, closest = -INFINITY;
        for (int64_t j = 0; j < count; j++)
            if (j != i && classes[static_cast<size_t>(j)] == classes[static_cast<size_t>(i)])
                farthest = std::min(farthest, similarity(i, j));
            else if (j != i)
                closest = std::max(closest, similarity(i, j));
        double positive = 0, negative = 0;
        for (int64_t j = 0; j < count; j++)
        {
            if (j == i)
                continue;
            const double s = similarity(i, j);
            if (classes[static_cast<size_t>(j)] == classes[static_cast<size_t>(i)])
                positive += s < closest + c.lossMargin ? std::exp(-c.lossAlpha * (s - c.lossBase)) : 0;
            else
                negative += s > farthest - c.lossMargin ? std::exp(c.lossBeta * (s - c.lossBase)) : 0;
        }
        all += std::log1p(positive) / c.lossAlpha + std::log1p(negative) / c.lossBeta;
    }
    return all / static_cast<double>(count);
}

TEST(MultiSimilarity, IsAsDefined)
{
    const dec::TrainingConfig config;
    for (const uint64_t seed : {1U, 2U, 3U})
    {
        const at::Tensor rows = normal({12, 6}, seed);
        const std::vector<int64_t> classes = repeated(3, 4);
        EXPECT_NEAR(multiSimilarityLoss(rows, classes, config).item<double>(), plainLoss(rows, classes, config), 1e-5);
        EXPECT_NEAR(multiSimilarityLoss(rows, classes, config, std::vector<float>(12, 2.F)).item<double>(),
                    plainLoss(rows, classes, config), 1e-5);
    }
}

TEST(MultiSimilarity, OfEqualDescriptorsIsFinite)
{
    const at::Tensor rows = at::ones({6, 4}).requires_grad_(true);
    const at::Tensor loss = multiSimilarityLoss(rows, repeated(2, 3), {});
    EXPECT_TRUE(std::isfinite(loss.item<double>()));
    loss.backward();
    EXPECT_TRUE(at::isfinite(rows.grad()).all().item<bool>());
}

// Batches

TEST(DecBatches, HaveSoManyClassesAndObjects)
{
    std::vector<int64_t> classes = repeated(7, 5);
    classes.push_back(9); // a class of one
    for (const uint64_t epoch : {0U, 1U})
    {
        std::set<size_t> met;
        const auto batches = batchesOf(classes, 3, 4, 11, epoch);
        EXPECT_EQ(batches.size(), classes.size() / 12);
        for (const auto& batch : batches)
        {
            std::map<int64_t, int> counts;
            for (const size_t object : batch)
            {
                counts[classes.at(object)]++;
                met.insert(object);
            }
            EXPECT_EQ(counts.size(), 3U);
            for (const auto& [number, count] : counts)
                EXPECT_EQ(count, 4) << number;
        }
        EXPECT_EQ(batches, batchesOf(classes, 3, 4, 11, epoch));
        EXPECT_NE(batches, batchesOf(classes, 3, 4, 12, epoch));
    }
    EXPECT_NE(batchesOf(classes, 3, 4, 11, 0), batchesOf(classes, 3, 4, 11, 1));
    EXPECT_EQ(batchesOf(repeated(2, 3), 6, 4, 1, 0).front().size(), 8U); // fewer classes than wanted
    EXPECT_THAT(errorOf([] { batchesOf({1, 1, 1}, 2, 2, 0, 0); }), HasSubstr("1 classes"));
}

// Training

LabelledViews clusters(int64_t classes, int64_t objects, int64_t views, int64_t width, uint64_t seed)
{
    // a class is told by the first half of the channels, and drowned by the other
    const at::Tensor centres = at::cat({normal({classes, width / 2}, seed), at::zeros({classes, width / 2})}, 1);
    const at::Tensor loud = at::cat({at::full({width / 2}, 0.3F), at::full({width / 2}, 3.F)});
    const at::Tensor all = centres.view({classes, 1, 1, width}) + normal({classes, objects, 1, width}, seed + 1) * loud +
                           0.1 * normal({classes, objects, views, width}, seed + 2);
    return {all.reshape({classes * objects, views, width}), repeated(classes, objects)};
}

double qualityOf(const Adapter& adapter, const LabelledViews& data)
{
    return meanAveragePrecision(adapter(data.views).detach(), data.classes);
}

TEST(DecTraining, BeatsTheMeanOnUnseenClasses)
{
    Config config;
    config.epochs = 20;
    config.adapter = AdapterKind::CamFromMean;
    config.learningRate = 0.05;
    const LabelledViews seen = clusters(12, 8, 6, 16, 1), unseen = clusters(8, 6, 6, 16, 50);
    AdapterTraining training(config, seen);
    const double before = qualityOf(training.adapter(), unseen);
    EXPECT_NEAR(before, qualityOf(Adapter(AdapterKind::Mean, 16, 0.4, 0), unseen), 1e-9);
    double first = 0, last = 0;
    while (training.stepsDone() < training.lastStep())
    {
        last = training.step();
        if (training.stepsDone() == 1)
            first = last;
    }
    EXPECT_LT(last, first);
    EXPECT_GT(qualityOf(training.adapter(), unseen), before + 0.05);
    EXPECT_THAT(errorOf([&] { training.step(); }), HasSubstr("has taken its"));
}

class DecAdapters : public ::testing::TestWithParam<AdapterKind>
{
};

TEST_P(DecAdapters, ResumesBitForBit)
{
    Config config;
    config.epochs = 3;
    config.adapter = GetParam();
    const LabelledViews data = clusters(5, 6, 6, 8, 3);
    const Bridge bridge{normal({30, 6, 5}, 1), normal({5, 5}, 2), normal({9, 5}, 3)};
    for (const bool virtualToo : {false, true})
    {
        const std::optional<Bridge> with = virtualToo ? std::optional(bridge) : std::nullopt;
        AdapterTraining whole(config, data, with), begun(config, data, with);
        for (int i = 0; i < 2; i++)
            begun.step();
        NamedTensors state;
        for (const auto& [name, tensor] : begun.state())
            state.emplace_back(name, tensor.clone());
        AdapterTraining resumed(config, data, with);
        resumed.restore(state);
        while (whole.stepsDone() < whole.lastStep())
            whole.step();
        while (resumed.stepsDone() < resumed.lastStep())
            resumed.step();
        const NamedTensors a = whole.state(), b = resumed.state();
        ASSERT_EQ(a.size(), b.size());
        for (size_t i = 0; i < a.size(); i++)
            EXPECT_TRUE(a[i].second.equal(b[i].second)) << a[i].first;
        state.pop_back();
        EXPECT_THAT(errorOf([&] { resumed.restore(state); }), HasSubstr("tensors, expected"));
    }
}

INSTANTIATE_TEST_SUITE_P(Kinds, DecAdapters, ::testing::Values(AdapterKind::Mlp, AdapterKind::Cam, AdapterKind::CamFromMean),
                         [](const auto& param) { return std::string(textOf(param.param)); });

TEST(VirtualFeatures, AreAsDefined)
{
    const VirtualFeatures features(5, 4, 1.5, 3);
    const at::Tensor f = normal({2, 3, 4}, 1), bridge = normal({2, 3, 5}, 2), difference = normal({2, 5}, 3);
    std::map<std::string, at::Tensor> p(features.parameters().begin(), features.parameters().end());
    const at::Tensor found = features(f, bridge, difference);
    for (int64_t n = 0; n < 2; n++)
        for (int64_t m = 0; m < 3; m++)
        {
            const at::Tensor d = difference[n].to(at::kDouble);
            const at::Tensor step = (d - d.mean()) / (d.var(false) + 1e-5).sqrt();
            const at::Tensor shifted = bridge[n][m].to(at::kDouble) + 1.5 * step;
            const at::Tensor hidden = (at::mv(p["psi1.weight"].to(at::kDouble), shifted) + p["psi1.bias"]).clamp_min(0);
            const at::Tensor v = at::mv(p["psi2.weight"].to(at::kDouble), hidden) + p["psi2.bias"];
            EXPECT_LT(largest(found[n][m].to(at::kDouble), 0.5 * v + 0.5 * f[n][m]), 1e-5);
        }
}

TEST(RetrievalQuality, OfKnownRankings)
{
    // two classes far apart: perfect
    const at::Tensor apart = at::tensor({1.F, 0.F, 1.F, 0.1F, 0.F, 1.F, 0.1F, 1.F}).view({4, 2});
    EXPECT_DOUBLE_EQ(meanAveragePrecision(apart, {0, 0, 1, 1}), 1);
    // each one's nearest is of the other class, and its own comes second or third
    EXPECT_NEAR(meanAveragePrecision(apart, {0, 1, 0, 1}), (1.0 / 2 + 1.0 / 2 + 1.0 / 2 + 1.0 / 2) / 4, 0.2);
    EXPECT_DOUBLE_EQ(meanAveragePrecision(apart, {0, 1, 2, 3}), -1); // nobody to find
}

// The file

Backbone backboneOf(const StateDict& weights)
{
    Backbone backbone;
    std::tie(backbone.config, backbone.weights) = recogniseBackbone(weights);
    backbone.name = "small";
    backbone.hash = backboneHash(backbone.weights);
    return backbone;
}

dec::ModelFile modelOf(AdapterKind kind)
{
    Config config;
    config.adapter = kind;
    config.height = config.width = 24;
    Backbone backbone = backboneOf(tinyBackbone().tensors);
    const Space space{whiteningOf(normal({40, 64}, 1), repeated(8, 5), 0.3), Adapter(kind, 64, config.lambda, 5)};
    return {completed(config, backbone.config), std::move(backbone), space, {}};
}

TEST_F(WithFolder, DecModelsComeBackAsTheyWere)
{
    const at::Tensor images = normal({2, 3, 24, 24}, 1, 0.1).add(0.5);
    for (const auto& [kind, name] : EnumNames<AdapterKind>::table)
        for (const EmbedBackbone embed : {EmbedBackbone::Yes, EmbedBackbone::No})
        {
            const std::string path = folder / (std::string(name) + ".agp");
            dec::ModelFile made = modelOf(kind);
            made.backbone.path = folder / "backbone.safetensors"; // where a model without it finds it
            writeSafetensors(made.backbone.path, tinyBackbone());
            dec::writeModel(path, made, embed);
            const dec::ModelFile read = dec::readModel(path);
            EXPECT_EQ(read.digest(), made.digest());
            const Network before(made.config, made.backbone, made.space, ComputeType::Float32),
                after(read.config, read.backbone, read.space, ComputeType::Float32);
            EXPECT_TRUE(after.embed(images).equal(before.embed(images)));
            EXPECT_TRUE(after.space().describe(after.embed(images), true).equal(before.space().describe(before.embed(images), true)));
            EXPECT_EQ(dec::readModelHeader(path).at("method"), "dec");
        }
    EXPECT_NE(modelOf(AdapterKind::Cam).digest(), modelOf(AdapterKind::Mean).digest());
}

TEST_F(WithFolder, DamagedDecModelsAreRefused)
{
    const std::string path = folder / "model.agp", cut = folder / "cut.agp";
    dec::writeModel(path, modelOf(AdapterKind::Cam), EmbedBackbone::Yes);
    const std::string whole = slurp(path);
    for (size_t size = 0; size < whole.size(); size += 9973)
    {
        std::ofstream(cut, std::ios::binary) << whole.substr(0, size);
        EXPECT_THAT(errorOf([&] { dec::readModel(cut); }), HasSubstr("cut.agp")) << size;
    }
    std::string changed = whole;
    changed[changed.size() - 1] = static_cast<char>(changed.back() ^ 1);
    std::ofstream(cut, std::ios::binary) << changed;
    EXPECT_THAT(errorOf([&] { dec::readModel(cut); }), HasSubstr("is damaged"));
}

TEST(DecConfig, ReadsWhatItWrites)
{
    const nlohmann::json written = Config();
    EXPECT_EQ(nlohmann::json(written.get<Config>()), written);
    EXPECT_EQ(nlohmann::json(nlohmann::json{{"preset", "paper"}}.get<Config>()).at("learning_rate"), 1e-3);
    const auto refused = [](const char* text) { return errorOf([&] { dec::configFromTextOrFile(text); }); };
    EXPECT_THAT(refused(R"({"lamda": 1})"), HasSubstr("unknown key 'lamda'"));
    EXPECT_THAT(refused(R"({"lambda": 2})"), HasSubstr("'lambda' is 2, expected 0 to 1"));
    EXPECT_THAT(refused(R"({"adapter": "cams"})"), HasSubstr("'adapter' is 'cams', expected one of mean, mlp, cam, cam_from_mean"));
    EXPECT_THAT(refused(R"({"preset": "fast"})"), HasSubstr("expected default or paper"));
    Backbone backbone = backboneOf(tinyBackbone().tensors);
    EXPECT_EQ(completed({}, backbone.config).height, 224);
    Config odd;
    odd.width = 30;
    EXPECT_THAT(errorOf([&] { completed(odd, backbone.config); }),
                HasSubstr("'width' is 30, expected a multiple of the backbone's stride, 4"));
    const Backbone resnet = backboneOf(load("resnet_basic").weights);
    EXPECT_THAT(errorOf([&] { completed({}, resnet.config); }), HasSubstr("no class token"));
    Config patches;
    patches.embedding = Embedding::Patches;
    EXPECT_GT(completed(patches, resnet.config).height, 0);
}

} // namespace
} // namespace agpnet::test
