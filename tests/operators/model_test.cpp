// Training, the model file and resuming, around a tiny backbone.
#include "common/cpu.h"
#include "common/error.h"
#include "models/model_file/checksum.h"
#include "models/layers/linear.h"
#include "models/agpnet/file.h"
#include "operators/agpnet/training/fewer_bits.h"
#include "operators/agpnet/inspection/inference.h"
#include "tests/support/error_text.h"
#include "tests/support/tiny_backbone.h"

#include <ATen/Context.h>
#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <openssl/evp.h>
#include <random>
#include <sys/resource.h>
#include <sys/wait.h>
#include <torch/csrc/autograd/grad_mode.h>
#include <unistd.h>

namespace agpnet
{
namespace
{

using ::testing::HasSubstr;
using test::errorOf;
using test::TempFolder;

at::Tensor images(int64_t n, uint64_t seed)
{
    at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
    return at::empty({n, 3, 32, 24}, at::kFloat).uniform_(0, 1, generator);
}

class Model : public ::testing::Test
{
protected:
    Training training(int steps, const std::string& more = "") const
    {
        return Training(configFromTextOrFile(test::tinyConfig(steps, more)), readBackbone(backbone_));
    }

    ModelFile trained(int steps = 2) const
    {
        Training run = training(steps);
        for (int i = 0; i < steps; i++)
            run.step(images(4, static_cast<uint64_t>(i)));
        ModelFile file;
        file.config = run.config();
        file.backbone = run.backbone();
        file.scale = run.scale();
        for (const auto& [name, tensor] : run.decoder().parameters())
            file.decoder.emplace_back(name, tensor.detach());
        file.scores = {"training", 4, 1, 0.5, 0.5, 2, {2.5, "deviations"}, {3, "deviations"}, 0.9};
        file.record.end.emplace().steps = steps;
        return file;
    }

    TempFolder folder_;
    std::string backbone_ = test::writeTinyBackbone(folder_);
};

TEST_F(Model, LossFalls)
{
    for (const char* more : {"\"noise\":\"guided\"", "\"noise\":\"uniform\"", "\"noise\":\"none\"", "\"image_noise\":false",
                             "\"prior_mean_query\":true", "\"precision\":\"bf16\""})
    {
        Training run = training(60, std::string(more) + ",\"learning_rate\":0.01");
        const double first = run.step(images(4, 0));
        double last = 0;
        while (!run.finished())
            last = run.step(images(4, 0));
        EXPECT_LT(last, 0.7 * first) << more;
    }
}

TEST_F(Model, SameSeedSameTraining)
{
    Training a = training(3), b = training(3), c = training(3, "\"seed\":1");
    for (int i = 0; i < 3; i++)
    {
        const double loss = a.step(images(4, 5));
        EXPECT_EQ(loss, b.step(images(4, 5)));
        EXPECT_NE(loss, c.step(images(4, 5)));
    }
}

TEST_F(Model, MapAndScoreMayHaveDistancesOfTheirOwn)
{
    const auto with = [&](stages::Metric metric, stages::Metric scoreMetric) {
        ModelFile file = trained();
        file.config.metric = metric;
        file.config.scoreMetric = scoreMetric;
        return Inference(file, "fp32");
    };
    const Inference both = with(stages::Metric::Scaled, stages::Metric::Cosine), map = with(stages::Metric::Scaled, stages::Metric::Scaled),
                    score = with(stages::Metric::Cosine, stages::Metric::Cosine);
    const at::Tensor batch = images(3, 9);
    const AnomalyMaps found = both.maps(batch);
    EXPECT_TRUE(found.maps.equal(map.maps(batch).maps));
    EXPECT_TRUE(found.scores.equal(score.maps(batch).scores));
    EXPECT_FALSE(found.scores.equal(map.maps(batch).scores));

    // in tiles, and in a region of interest, alike
    cv::Mat image(70, 90, CV_8UC3);
    cv::RNG(1).fill(image, cv::RNG::UNIFORM, 0, 256);
    const RegionOfInterest half{{{{0, 0}, {0.5, 0}, {0.5, 1}, {0, 1}}}, {}};
    for (const Inspection& inspection : {Inspection{{40, 0.25}, {}}, Inspection{{}, half}, Inspection{{40, 0.25}, half}})
    {
        const auto one = [&](const Inference& inference) { return inference.predict({Frame(image)}, inspection)[0]; };
        EXPECT_EQ(cv::norm(onHost(one(both).map), onHost(one(map).map), cv::NORM_INF), 0);
        EXPECT_EQ(one(both).evidence.score, one(score).evidence.score);
    }
}

TEST_F(Model, CacheDoesNotChangeTheResult)
{
    Training cached = training(3), uncached = training(3, "\"cache_mib\":0");
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(cached.step(images(4, 5)), uncached.step(images(4, 5)));
}

TEST_F(Model, TrainingLeavesTheHostsRandomGeneratorAlone)
{
    const at::Tensor before = at::globalContext().defaultGenerator(at::kCPU).get_state();
    training(2).step(images(2, 0));
    EXPECT_TRUE(before.equal(at::globalContext().defaultGenerator(at::kCPU).get_state()));
}

TEST_F(Model, TrainingDoesNotDependOnTheCallersGradMode)
{
    Training a = training(1), b = training(1);
    const double expected = a.step(images(4, 5));
    const at::NoGradGuard noGradient;
    EXPECT_EQ(b.step(images(4, 5)), expected);
}

TEST_F(Model, ResumesExactly)
{
    Training whole = training(6);
    for (int i = 0; i < 6; i++)
        whole.step(images(4, static_cast<uint64_t>(i)));

    Training half = training(6);
    for (int i = 0; i < 3; i++)
        half.step(images(4, static_cast<uint64_t>(i)));
    writeTrainingState(folder_ / "half.state", half, {{"note", 1}});
    TrainingState resumed = readTrainingState(folder_ / "half.state");
    EXPECT_EQ(resumed.extra.at("note"), 1);
    EXPECT_EQ(resumed.training.stepsDone(), 3);
    for (int i = 3; i < 6; i++)
        resumed.training.step(images(4, static_cast<uint64_t>(i)));
    for (size_t i = 0; i < whole.decoder().parameters().size(); i++)
        EXPECT_TRUE(whole.decoder().parameters()[i].second.equal(resumed.training.decoder().parameters()[i].second))
            << whole.decoder().parameters()[i].first;
}

TEST_F(Model, TakesImagesOnItsOwnDevice)
{
    const ModelFile file = trained();
    const AgpNet net(file.config, file.backbone, file.scale, Decoder(decoderShape(file.config, file.backbone.config), file.decoder),
                     ComputeType::Float32);
    EXPECT_THAT(errorOf([&] { net.reconstruct(images(1, 0).to(at::kMeta)); }), HasSubstr("the model is on cpu, the images are on meta"));
}

TEST_F(Model, RefusesStepsBeyondTheLast)
{
    Training run = training(1);
    run.step(images(1, 0));
    EXPECT_THAT(errorOf([&] { run.step(images(1, 0)); }), HasSubstr("complete after 1 steps"));
    EXPECT_THAT(errorOf([&] { training(1).step(at::zeros({1, 3, 8, 8})); }), HasSubstr("[N, 3, 32, 24], found [1, 3, 8, 8]"));
}

TEST_F(Model, RefusesConfigsTheBackboneCannotServe)
{
    EXPECT_THAT(errorOf([&] { training(1, "\"layers\":[4]"); }), HasSubstr("block 4, the backbone has 3"));
    EXPECT_THAT(errorOf([&] { training(1, "\"height\":30"); }), HasSubstr("no multiple of the backbone's patch, 4"));
    EXPECT_THAT(errorOf([&] { training(1, "\"decoder_heads\":3"); }), HasSubstr("3 heads do not divide 64"));
    EXPECT_THAT(errorOf([&] { training(1, "\"layers\":[2,2]"); }), HasSubstr("must rise"));
}

TEST_F(Model, FileRoundTrip)
{
    const ModelFile file = trained();
    const at::Tensor batch = images(2, 9);
    const at::Tensor expected = Inference(file, "fp32").maps(batch).scores;
    for (const EmbedBackbone embed : {EmbedBackbone::Yes, EmbedBackbone::No})
    {
        writeModel(folder_ / "m.agp", file, embed);
        const ModelFile read = readModel(folder_ / "m.agp");
        EXPECT_EQ(nlohmann::json(read.config), nlohmann::json(file.config));
        EXPECT_EQ(read.scores.threshold.value, file.scores.threshold.value);
        EXPECT_EQ(nlohmann::json(read.record), nlohmann::json(file.record));
        EXPECT_TRUE(expected.equal(Inference(read, "fp32").maps(batch).scores));
    }
}

TEST_F(Model, ReferencedBackboneIsCheckedByHash)
{
    writeModel(folder_ / "m.agp", trained(), EmbedBackbone::No);
    std::filesystem::remove(backbone_);
    EXPECT_THAT(errorOf([&] { readModel(folder_ / "m.agp"); }), HasSubstr("was not found; looked at"));
    writeSafetensors(backbone_, test::tinyBackbone(2));
    EXPECT_THAT(errorOf([&] { readModel(folder_ / "m.agp"); }), HasSubstr("with other weights"));
}

TEST_F(Model, NewerVersionIsRefused)
{
    ModelFile file = trained();
    writeModel(folder_ / "m.agp", file, EmbedBackbone::No);
    TensorFile raw = readSafetensors(folder_ / "m.agp");
    nlohmann::json header = nlohmann::json::parse(raw.metadata.at("agpnet"));
    header["format_version"] = 2;
    raw.metadata["agpnet"] = header.dump();
    writeSafetensors(folder_ / "newer.agp", raw);
    EXPECT_THAT(errorOf([&] { readModel(folder_ / "newer.agp"); }), HasSubstr("newer AGPNet"));
}

TEST_F(Model, NamesItsMethod)
{
    ModelFile file = trained();
    writeModel(folder_ / "m.agp", file, EmbedBackbone::No);
    EXPECT_EQ(readModelHeader(folder_ / "m.agp").at("method"), "agpnet");
    TensorFile raw = readSafetensors(folder_ / "m.agp");
    nlohmann::json header = nlohmann::json::parse(raw.metadata.at("agpnet"));
    header.erase("sha256");
    header.erase("method");
    raw.metadata["agpnet"] = header.dump();
    writeSafetensors(folder_ / "older.agp", raw);
    EXPECT_EQ(readModel(folder_ / "older.agp").scores.threshold.value, file.scores.threshold.value) << "without one it is agpnet";
    header["method"] = "dec";
    raw.metadata["agpnet"] = header.dump();
    writeSafetensors(folder_ / "other.agp", raw);
    EXPECT_THAT(errorOf([&] { readModel(folder_ / "other.agp"); }), HasSubstr("is of the method 'dec', expected 'agpnet'"));
    EXPECT_THAT(errorOf([&] { readModelHeader(folder_ / "other.agp"); }), HasSubstr("'dec'"));
}

TEST_F(Model, OfBeforeScoresHadADistanceOfTheirOwnIsScoredByItsMap)
{
    ModelFile file = trained();
    file.config.metric = stages::Metric::L2;
    writeModel(folder_ / "m.agp", file, EmbedBackbone::No);
    TensorFile raw = readSafetensors(folder_ / "m.agp");
    nlohmann::json header = nlohmann::json::parse(raw.metadata.at("agpnet"));
    header["config"].erase("score_metric");
    header.erase("sha256"); // nor were there sums
    raw.metadata["agpnet"] = header.dump();
    // nor had the scale of features a dimension for products
    for (const char* name : {"scale.mean", "scale.deviation"})
        raw.tensors.at(name) = raw.tensors.at(name).flatten();
    writeSafetensors(folder_ / "older.agp", raw);
    const ModelFile older = readModel(folder_ / "older.agp");
    EXPECT_EQ(older.config.scoreMetric, stages::Metric::L2);
    EXPECT_TRUE(older.scale.mean.equal(file.scale.mean));
}

TEST_F(Model, ADamagedFileIsRefusedByItsSum)
{
    const std::string path = folder_ / "m.agp";
    writeModel(path, trained(), EmbedBackbone::Yes);
    const std::string sum = checkedSum(path), bytes = test::readBytes(path);
    EXPECT_EQ(sum.size(), 64u);
    EXPECT_EQ(headerIn(path, readSafetensors(path).metadata).at("sha256"), sum);
    uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    std::mt19937 random(1);
    for (int i = 0; i < 50; i++) // one bit of a tensor, anywhere
    {
        std::string damaged = bytes;
        damaged[8 + header + random() % (bytes.size() - 8 - header)] ^= static_cast<char>(1 << random() % 8);
        test::writeBytes(folder_ / "damaged.agp", damaged);
        EXPECT_THAT(errorOf([&] { readModel(folder_ / "damaged.agp"); }), HasSubstr("damaged.agp: is damaged"));
    }
    std::string threshold = bytes; // a number of the header that no other check could know to be wrong
    const size_t at = threshold.find("2.5", threshold.find("\\\"threshold"));
    ASSERT_LT(at, 8 + header);
    threshold[at] = '3';
    test::writeBytes(folder_ / "threshold.agp", threshold);
    EXPECT_THAT(errorOf([&] { readModel(folder_ / "threshold.agp"); }), HasSubstr("threshold.agp: is damaged"));
    EXPECT_THAT(errorOf([&] { checkedSum(folder_ / "threshold.agp"); }), HasSubstr(sum));
    ::setenv("AGPNET_SKIP_CHECKSUM", "1", 1);
    EXPECT_EQ(readModel(folder_ / "threshold.agp").scores.threshold.value, 3.5);
    ::setenv("AGPNET_SKIP_CHECKSUM", "0", 1);
    EXPECT_NE(errorOf([&] { readModel(folder_ / "threshold.agp"); }), "no error");
    ::unsetenv("AGPNET_SKIP_CHECKSUM");
}

/// What `minisign -S` writes, older format: Ed25519 over the file itself.
std::string minisign(EVP_PKEY* key, const std::string& text)
{
    const auto base64 = [](const std::string& bytes) {
        std::string out((bytes.size() + 2) / 3 * 4 + 1, 0);
        out.resize(static_cast<size_t>(EVP_EncodeBlock(reinterpret_cast<uint8_t*>(out.data()),
                                                       reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int>(bytes.size()))));
        return out;
    };
    const auto sign = [&](const std::string& data) {
        std::string signature(64, 0);
        size_t size = signature.size();
        const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
        EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key);
        EVP_DigestSign(context.get(), reinterpret_cast<uint8_t*>(signature.data()), &size, reinterpret_cast<const uint8_t*>(data.data()),
                       data.size());
        return signature;
    };
    if (text.empty()) // the public key
    {
        std::string raw(32, 0);
        size_t size = raw.size();
        EVP_PKEY_get_raw_public_key(key, reinterpret_cast<uint8_t*>(raw.data()), &size);
        return base64("Ed12345678" + raw);
    }
    const std::string signature = sign(text), comment = "made by a test";
    return "untrusted comment: -\n" + base64("Ed12345678" + signature) + "\ntrusted comment: " + comment + "\n" +
           base64(sign(signature + comment)) + "\n";
}

TEST_F(Model, IsLoadedOnlyIfSignedWhereThatIsRequired)
{
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free);
    const std::string path = folder_ / "m.agp";
    writeModel(path, trained(), EmbedBackbone::Yes);
    ::setenv("AGPNET_REQUIRE_SIGNATURE", minisign(key.get(), "").c_str(), 1);
    EXPECT_THAT(errorOf([&] { readModel(path); }), HasSubstr("m.agp: has no signature"));
    test::writeBytes(path + ".minisig", minisign(key.get(), test::readBytes(path)));
    EXPECT_EQ(errorOf([&] { readModel(path); }), "no error");
    ModelFile other = trained();
    other.scores.threshold.value *= 2; // a whole file with a sum of its own, that somebody else made
    writeModel(path, other, EmbedBackbone::Yes);
    EXPECT_THAT(errorOf([&] { readModel(path); }), HasSubstr("is not what was signed"));
    ::setenv("AGPNET_REQUIRE_SIGNATURE", "no key", 1);
    EXPECT_THAT(errorOf([&] { readModel(path); }), HasSubstr("no key"));
    ::unsetenv("AGPNET_REQUIRE_SIGNATURE");
    EXPECT_EQ(errorOf([&] { readModel(path); }), "no error");
}

TEST_F(Model, NamesOfBackbonesDoNotLeadOutOfTheFolder)
{
    const std::string path = folder_ / "inside/m.agp";
    ModelFile file = trained();
    file.backbone.path.clear();
    file.backbone.name = "../" + std::filesystem::path(backbone_).stem().string(); // where such a file lies
    writeModel(path, file, EmbedBackbone::No);
    EXPECT_THAT(errorOf([&] { readModel(path); }),
                HasSubstr("was not found; looked at " + (folder_ / "inside/tiny1.safetensors").string()));
}

TEST_F(Model, HeaderLiesAreRefused)
{
    writeModel(folder_ / "m.agp", trained(), EmbedBackbone::Yes);
    const TensorFile raw = readSafetensors(folder_ / "m.agp");
    nlohmann::json good = nlohmann::json::parse(raw.metadata.at("agpnet"));
    good.erase("sha256"); // with it, every change would be refused at once
    const auto refused = [&](const char* change, const std::function<void(nlohmann::json&, TensorFile&)>& edit) {
        nlohmann::json header = good;
        TensorFile file = raw;
        edit(header, file);
        file.metadata["agpnet"] = header.dump();
        writeSafetensors(folder_ / "bad.agp", file);
        const std::string message = errorOf([&] { readModel(folder_ / "bad.agp"); });
        EXPECT_THAT(message, HasSubstr("bad.agp")) << change;
    };
    for (const auto& [key, value] : good.items())
        if (key != "drift" && key != "int8_error" && key != "method") // which files of before do not have
            refused(("without " + key).c_str(), [&key = key](nlohmann::json& header, TensorFile&) { header.erase(key); });
    for (const auto& [key, value] : good.items())
        refused(("other type for " + key).c_str(),
                [&key = key](nlohmann::json& header, TensorFile&) { header[key] = nlohmann::json::array({-1}); });
    refused("kind", [](nlohmann::json& header, TensorFile&) { header["kind"] = "recipe"; });
    refused("layer", [](nlohmann::json& header, TensorFile&) { header["config"]["layers"] = {99}; });
    refused("huge decoder", [](nlohmann::json& header, TensorFile&) { header["config"]["decoder_depth"] = 64; });
    refused("width", [](nlohmann::json& header, TensorFile&) { header["backbone"]["config"]["width"] = 1 << 20; });
    refused("infinite", [](nlohmann::json& header, TensorFile&) { header["scores"]["threshold"] = nullptr; });
    refused("tensor", [](nlohmann::json&, TensorFile& file) { file.tensors.erase("decoder.out.weight"); });
    refused("shape", [](nlohmann::json&, TensorFile& file) { file.tensors["decoder.out.weight"] = at::zeros({3}); });
    refused("backbone", [](nlohmann::json&, TensorFile& file) {
        std::erase_if(file.tensors, [](const auto& tensor) { return tensor.first.starts_with("backbone."); });
    });
}

TEST_F(Model, CutAtAnyPlaceIsRefused)
{
    writeModel(folder_ / "m.agp", trained(), EmbedBackbone::No);
    std::ifstream in(folder_ / "m.agp", std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), {});
    // every byte of the header, then a step that is no multiple of a tensor
    for (size_t size = 0; size < bytes.size(); size += size < 3000 ? 1 : 997)
    {
        std::ofstream(folder_ / "cut.agp", std::ios::binary | std::ios::trunc).write(bytes.data(), static_cast<std::streamsize>(size));
        ASSERT_NE(errorOf([&] { readModel(folder_ / "cut.agp"); }), "no error") << size;
    }
}

TEST_F(Model, UnwritablePlacesLeaveNothingBehind)
{
    const ModelFile file = trained();
    EXPECT_THAT(errorOf([&] { writeModel((folder_.path() / "no/such/m.agp").string(), file, EmbedBackbone::No); }),
                HasSubstr("cannot be written"));
    std::filesystem::create_directory(folder_ / "taken.agp");
    EXPECT_NE(errorOf([&] { writeModel(folder_ / "taken.agp", file, EmbedBackbone::No); }), "no error");
    size_t files = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_.path()))
        files++;
    EXPECT_EQ(files, 2u) << "the backbone and the folder in the way";
}

TEST_F(Model, NoSpaceLeftNamesTheFileAndKeepsTheOldOne)
{
    const ModelFile file = trained();
    std::ofstream(folder_ / "m.agp") << "old";
    // A limit on file sizes is what a full disk looks like from inside: write() fails half-way. In a process of its own.
    const pid_t child = ::fork();
    if (child == 0)
    {
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{4096, 4096};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        const std::string message = errorOf([&] { writeModel(folder_ / "m.agp", file, EmbedBackbone::Yes); });
        ::_exit(message.find("m.agp: cannot be written") != std::string::npos ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    std::ifstream in(folder_ / "m.agp");
    std::string content;
    in >> content;
    EXPECT_EQ(content, "old");
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
        EXPECT_EQ(entry.path().string().find(".part-"), std::string::npos) << entry.path();
}

TEST_F(Model, InferenceIsSharedUntilTheFileChanges)
{
    ModelFile file = trained();
    writeModel(folder_ / "m.agp", file, EmbedBackbone::Yes);
    const auto a = sharedInference(folder_ / "m.agp", "fp32");
    EXPECT_EQ(a, sharedInference(folder_ / "m.agp", "fp32"));
    EXPECT_NE(a, sharedInference(folder_ / "m.agp", "bf16"));
    file.scores.threshold.value = 77;
    writeModel(folder_ / "m.agp", file, EmbedBackbone::Yes);
    EXPECT_EQ(sharedInference(folder_ / "m.agp", "fp32")->scores().threshold.value, 77);
}

TEST_F(Model, Bfloat16StaysCloseToFloat32)
{
    const ModelFile file = trained(20);
    const at::Tensor batch = images(4, 3);
    const at::Tensor full = Inference(file, "fp32").maps(batch).scores, half = Inference(file, "bf16").maps(batch).scores;
    EXPECT_LT(((full - half).abs() / full).max().item<double>(), 0.02);
}

TEST_F(Model, FewerBitsAreMeasuredAndKept)
{
    Training run = training(20);
    for (int i = 0; i < 20; i++)
        run.step(images(4, static_cast<uint64_t>(i)));
    cv::Mat picture(32, 24, CV_8UC3);
    cv::RNG(1).fill(picture, cv::RNG::UNIFORM, 0, 256);
    ModelFile file = trained(20);
    file.fewerBits = measuredFewerBits(run, 5, [&](size_t i) { return Frame(picture + cv::Scalar::all(static_cast<double>(i))); }, {});
    EXPECT_GT(file.fewerBits.int8Error, 0);
    EXPECT_LT(file.fewerBits.int8Error, 0.1);
    EXPECT_GT(file.fewerBits.int8Noise, 0);
    EXPECT_EQ(file.fewerBits.bf16Error >= 0, cpuFeatures().avx512Bf16);

    writeModel(folder_ / "m.agp", file, EmbedBackbone::Yes);
    const ModelFile read = readModel(folder_ / "m.agp");
    EXPECT_EQ(read.fewerBits.int8Error, file.fewerBits.int8Error);
    EXPECT_EQ(read.fewerBits.int8Noise, file.fewerBits.int8Noise);
    for (const auto& [before, after] :
         {std::pair{&file.fewerBits.backbone, &read.fewerBits.backbone}, {&file.fewerBits.decoder, &read.fewerBits.decoder}})
    {
        ASSERT_EQ(after->size(), before->size());
        for (const auto& [name, range] : *before)
            EXPECT_TRUE(after->at(name).equal(range)) << name;
    }
    const Inference full(read, "fp32"), eight(read, "int8");
    EXPECT_EQ(eight.precision(), Linear::canQuantise() ? "int8" : "fp32");
    const at::Tensor batch = images(4, 3), scores = full.maps(batch).scores;
    EXPECT_LT(((eight.maps(batch).scores - scores).abs() / scores).max().item<double>(), 0.1);

    file.fewerBits.backbone.clear();
    file.fewerBits.decoder.clear();
    EXPECT_EQ(Inference(file, "int8").precision(), "fp32"); // nothing is known of its inputs
}

TEST_F(Model, RangesThatAreNoneAreRefused)
{
    ModelFile file = trained(1);
    const auto refusal = [&](const at::Tensor& range)
    {
        file.fewerBits.backbone = {{"blocks.0.qkv", range}};
        writeModel(folder_ / "m.agp", file, EmbedBackbone::Yes);
        return errorOf([&] { readModel(folder_ / "m.agp"); });
    };
    EXPECT_THAT(refusal(at::zeros({3, 4})),
                HasSubstr("tensor 'input_range.backbone.blocks.0.qkv' is Float of shape [3, 4], expected float32 [2, channels]"));
    EXPECT_THAT(refusal(at::zeros({2, 4}, at::kInt)), HasSubstr("is Int of shape [2, 4]"));
    EXPECT_THAT(refusal(at::tensor({1.0F, 0.0F}).view({2, 1})), HasSubstr("is no range, expected finite values"));
    EXPECT_THAT(refusal(at::full({2, 1}, std::nanf(""))), HasSubstr("is no range"));
    refusal(at::zeros({2, 5})); // a range, but of no layer that it has
    const auto found = errorOf([&] { Inference(readModel(folder_ / "m.agp"), "int8"); });
    EXPECT_EQ(found == "no error", !Linear::canQuantise()) << found;
}

TEST_F(Model, PrecisionIsThatWhichIsUsed)
{
    ModelFile file = trained(1);
    file.fewerBits.bf16Error = 1; // bfloat16 was found inaccurate, so only who asks for it gets it
    EXPECT_EQ(Inference(file, "auto").precision(), "fp32");
    EXPECT_EQ(Inference(file, "fp32").precision(), "fp32");
    EXPECT_EQ(Inference(file, "bf16").precision(), cpuFeatures().avx512Bf16 ? "bf16" : "fp32");
    file.fewerBits.bf16Error = 0;
    EXPECT_EQ(Inference(file, "auto").precision(), computeType("auto") == ComputeType::BFloat16 ? "bf16" : "fp32");

    FewerBits known;
    known.backbone["blocks.0.qkv"] = at::zeros({2, 1});
    known.int8Error = 1; // found inaccurate
    EXPECT_EQ(chosenType(known, "auto", at::kCPU), ComputeType::Float32);
    EXPECT_EQ(chosenType(known, "int8", at::kCPU), computeType("int8"));
    known.int8Error = 0.01;
    EXPECT_EQ(chosenType(known, "auto", at::kCPU), ComputeType::Float32); // of its noise nothing is known
    known.int8Noise = 1;
    EXPECT_EQ(chosenType(known, "auto", at::kCPU), ComputeType::Float32);
    known.int8Noise = 0.01;
    EXPECT_EQ(chosenType(known, "auto", at::kCPU), eightBitsAreFaster() ? ComputeType::Int8 : ComputeType::Float32);
    EXPECT_EQ(chosenType(known, "auto", at::kCUDA), ComputeType::Float32);
}

} // namespace
} // namespace agpnet
