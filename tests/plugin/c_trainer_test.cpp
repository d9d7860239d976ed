// Training in C gives the model that training in C++ gives.
#include "tests/plugin/c_api_fixture.h"

#include <nlohmann/json.hpp>

namespace agpnet
{
namespace
{

using test::Answer;
using test::answerOf;
using test::CApi;
using test::noiseImage;
using test::structureOf;
using ::testing::HasSubstr;

/// Reads images into one buffer, which it uses again and again.
struct Reader
{
    size_t first = 0, refused = SIZE_MAX;
    cv::Mat buffer;
    int calls = 0;

    static int read(void* context, size_t index, agpnet_image* image)
    {
        auto& self = *static_cast<Reader*>(context);
        self.calls++;
        if (index == self.refused)
            return 0;
        const cv::Mat fresh = noiseImage(self.first + index);
        if (self.buffer.empty())
            self.buffer = fresh.clone();
        fresh.copyTo(self.buffer);
        EXPECT_EQ(image->size, sizeof *image);
        *image = structureOf(self.buffer);
        return 1;
    }
    agpnet_image_set set(const char* name, size_t count) { return {sizeof(agpnet_image_set), name, count, nullptr, read, this}; }
};

/// What a model file holds but for the time: the header, and the bytes of the tensors.
std::pair<nlohmann::json, std::string> withoutTime(const std::string& path)
{
    const TensorFile file = readSafetensors(path);
    nlohmann::json header = nlohmann::json::parse(file.metadata.at("agpnet"));
    for (const char* key : {"seconds", "finished", "profile"})
        header.at("training").erase(key);
    header.erase("sha256");
    std::string bytes;
    for (const auto& [name, tensor] : file.tensors)
    {
        bytes += name;
        const at::Tensor whole = tensor.contiguous();
        bytes.append(static_cast<const char*>(whole.data_ptr()), whole.nbytes());
    }
    return {header, bytes};
}

TEST_F(CApi, TrainsTheModelThatCppTrains)
{
    const std::string config = test::tinyConfig(3);
    const auto inCpp = AnomalyTrainer::create(backbone, config);
    inCpp->fit({{"a", 4, [](size_t i) { return noiseImage(i); }}, {"b", 5, [](size_t i) { return noiseImage(70 + i); }}});
    inCpp->note("line", "7");
    inCpp->save(*folder / "cpp.agp");
    const auto expected = withoutTime(*folder / "cpp.agp");

    // images that a function reads, and images in memory
    Reader a{0, SIZE_MAX, {}, 0}, b{70, SIZE_MAX, {}, 0};
    std::vector<cv::Mat> pixels;
    std::vector<agpnet_image> images[2];
    for (size_t i = 0; i < 9; i++)
    {
        pixels.push_back(noiseImage(i < 4 ? i : 70 + i - 4));
        images[i < 4 ? 0 : 1].push_back(structureOf(pixels.back()));
    }
    const agpnet_image_set read[] = {a.set("a", 4), b.set("b", 5)},
                           inMemory[] = {{sizeof(agpnet_image_set), "a", 4, images[0].data(), nullptr, nullptr},
                                         {sizeof(agpnet_image_set), "b", 5, images[1].data(), nullptr, nullptr}};
    const agpnet_trainer_options options{sizeof options, backbone.c_str(), config.c_str(), nullptr};
    for (const agpnet_image_set* sets : {read, inMemory})
    {
        test::Trainer trainer;
        AGPNET_EXPECT_OK(agpnet_trainer_create, &options, &trainer);
        int32_t finished = -1;
        AGPNET_EXPECT_OK(agpnet_trainer_fit, trainer, sets, 2, nullptr, nullptr, &finished);
        EXPECT_EQ(finished, 1);
        AGPNET_EXPECT_OK(agpnet_trainer_note, trainer, "line", "7");
        const std::string path = *folder / "c.agp";
        AGPNET_EXPECT_OK(agpnet_trainer_save, trainer, path.c_str(), 1);
        const auto found = withoutTime(path);
        EXPECT_EQ(found.first, expected.first);
        EXPECT_TRUE(found.second == expected.second);

        test::Detector trained;
        test::Results results;
        AGPNET_EXPECT_OK(agpnet_trainer_get_detector, trainer, &trained);
        const agpnet_image image = structureOf(pixels[0]);
        AGPNET_EXPECT_OK(agpnet_detector_detect, trained, &image, nullptr, uint32_t{AGPNET_MAP}, &results);
        cv::Mat map;
        const AnomalyResult same = inCpp->getDetector()->detect(pixels[0], map);
        test::expectSame(results, 0, same, map, cv::Mat());
    }
    EXPECT_GT(a.calls, 3);
}

/// Stops after a step, and keeps the state from within.
struct Stopper
{
    agpnet_trainer* trainer;
    std::string state;
    std::vector<double> losses;

    static int progress(void* context, const agpnet_progress* now)
    {
        auto& self = *static_cast<Stopper*>(context);
        self.losses.push_back(now->loss);
        EXPECT_EQ(now->size, sizeof *now);
        EXPECT_EQ(now->step, static_cast<int>(self.losses.size()));
        EXPECT_EQ(now->steps, 4);
        AGPNET_EXPECT_OK(agpnet_trainer_save_state, self.trainer, self.state.c_str());
        return now->step < 2;
    }
};

TEST_F(CApi, StopsAndResumes)
{
    const std::string config = test::tinyConfig(4), path = *folder / "resumed.agp", wholePath = *folder / "whole.agp";
    const agpnet_trainer_options options{sizeof options, backbone.c_str(), config.c_str(), nullptr};
    Reader reader{0, SIZE_MAX, {}, 0};
    const agpnet_image_set set = reader.set(nullptr, 5);
    test::Trainer whole, first, second;
    AGPNET_EXPECT_OK(agpnet_trainer_create, &options, &whole);
    AGPNET_EXPECT_OK(agpnet_trainer_fit, whole, &set, 1, nullptr, nullptr, nullptr);
    AGPNET_EXPECT_OK(agpnet_trainer_save, whole, wholePath.c_str(), 0);

    AGPNET_EXPECT_OK(agpnet_trainer_create, &options, &first);
    Stopper stopper{first, *folder / "state", {}};
    int32_t finished = -1;
    AGPNET_EXPECT_OK(agpnet_trainer_fit, first, &set, 1, Stopper::progress, &stopper, &finished);
    EXPECT_EQ(finished, 0);
    EXPECT_EQ(stopper.losses.size(), 2u);
    AGPNET_EXPECT_OK(agpnet_trainer_resume, stopper.state.c_str(), &options, &second);
    agpnet_trainer_info info{sizeof info, 0, 0, 0, 0, 0, nullptr, nullptr};
    AGPNET_EXPECT_OK(agpnet_trainer_get_info, second, &info);
    EXPECT_EQ(info.steps_done, 2);
    EXPECT_EQ(info.steps, 4);
    EXPECT_EQ(info.batch_size, 4);
    EXPECT_EQ(cv::Size(info.input_width, info.input_height), cv::Size(24, 32));
    EXPECT_EQ(nlohmann::json::parse(info.config).at("decoder_depth"), 2);
    EXPECT_EQ(nlohmann::json::parse(info.record).at("images_seen"), 8);
    AGPNET_EXPECT_OK(agpnet_trainer_fit, second, &set, 1, nullptr, nullptr, &finished);
    EXPECT_EQ(finished, 1);
    AGPNET_EXPECT_OK(agpnet_trainer_save, second, path.c_str(), 0);
    EXPECT_TRUE(withoutTime(path).second == withoutTime(wholePath).second);

    const std::string other = test::tinyConfig(4, R"("seed":5)");
    const agpnet_trainer_options different{sizeof different, nullptr, other.c_str(), nullptr};
    const Answer answer = answerOf(agpnet_trainer_resume, stopper.state.c_str(), &different, &second);
    EXPECT_NE(answer.first, AGPNET_OK);
    EXPECT_THAT(answer.second, HasSubstr("'seed' is 5"));
}

TEST_F(CApi, TakesStepsAndThresholds)
{
    const std::string config = test::tinyConfig(2), path = *folder / "steps.agp";
    const agpnet_trainer_options options{sizeof options, backbone.c_str(), config.c_str(), "cpu"};
    const cv::Mat pixels[] = {noiseImage(1), noiseImage(2)};
    const agpnet_image images[] = {structureOf(pixels[0]), structureOf(pixels[1])};
    const auto inCpp = AnomalyTrainer::create(backbone, config);
    test::Trainer trainer;
    AGPNET_EXPECT_OK(agpnet_trainer_create, &options, &trainer);
    EXPECT_EQ(answerOf(agpnet_trainer_save, trainer, path.c_str(), 1).first, AGPNET_E_STATE) << "no step was taken";
    for (int i = 0; i < 2; i++)
    {
        double loss = 0;
        AGPNET_EXPECT_OK(agpnet_trainer_step, trainer, images, 2, &loss);
        EXPECT_EQ(loss, inCpp->step(std::vector<cv::Mat>{pixels[0], pixels[1]}));
    }
    const agpnet_image_set set{sizeof set, nullptr, 2, images, nullptr, nullptr};
    AGPNET_EXPECT_OK(agpnet_trainer_calibrate, trainer, &set, 0);
    inCpp->calibrate(2, [&](size_t i) { return pixels[i]; }, false);
    AGPNET_EXPECT_OK(agpnet_trainer_save, trainer, path.c_str(), 1);
    inCpp->save(*folder / "steps-cpp.agp");
    EXPECT_EQ(withoutTime(path), withoutTime(*folder / "steps-cpp.agp"));
}

TEST_F(CApi, TrainerRefusesByCodeAndMessage)
{
    const std::string config = test::tinyConfig(2);
    const auto create = [&](const char* of, const char* with, const char* device) {
        const agpnet_trainer_options options{sizeof options, of, with, device};
        test::Trainer none;
        const Answer answer = answerOf(agpnet_trainer_create, &options, &none);
        EXPECT_EQ(none.handle, nullptr);
        return answer;
    };
    test::Trainer trainer, none;
    const agpnet_trainer_options options{sizeof options, backbone.c_str(), config.c_str(), nullptr};
    AGPNET_EXPECT_OK(agpnet_trainer_create, &options, &trainer);
    const cv::Mat pixels = noiseImage(1);
    const agpnet_image image = structureOf(pixels);
    Reader reader{0, 2, {}, 0};
    const auto fit = [&](agpnet_image_set set, size_t count = 1) {
        const std::vector<agpnet_image_set> sets(count, set);
        return answerOf(agpnet_trainer_fit, trainer, sets.data(), count, nullptr, nullptr, nullptr);
    };
    for (const auto& [answer, code, part] : std::vector<std::tuple<Answer, int, const char*>>{
             {create("/nonexistent.safetensors", config.c_str(), nullptr), AGPNET_E_FILE, "/nonexistent.safetensors"},
             {create(backbone.c_str(), R"({"stepps":1})", nullptr), AGPNET_E_ARGUMENT, "stepps"},
             {create(backbone.c_str(), config.c_str(), "tpu"), AGPNET_E_DEVICE, "device is 'tpu'"},
             {answerOf(agpnet_trainer_resume, "/nonexistent", nullptr, &none), AGPNET_E_FILE, "/nonexistent"},
             {answerOf(agpnet_trainer_resume, model.c_str(), nullptr, &none), AGPNET_E_FILE, "two.agp"},
             {fit({sizeof(agpnet_image_set), nullptr, 0, nullptr, Reader::read, &reader}), AGPNET_E_ARGUMENT, "no training images"},
             {fit({sizeof(agpnet_image_set), nullptr, 1, nullptr, nullptr, nullptr}), AGPNET_E_ARGUMENT,
              "neither images and read, expected one of them"},
             {fit({sizeof(agpnet_image_set), nullptr, 1, &image, Reader::read, nullptr}), AGPNET_E_ARGUMENT,
              "both images and read, expected one of them"},
             {fit(reader.set("a", 4), 2), AGPNET_E_ARGUMENT, "two products are called 'a'"},
             {fit(reader.set("a", 4), 0), AGPNET_E_ARGUMENT, "no products"},
             {fit(reader.set("a", 4)), AGPNET_E_FAILED, "image 2 of set 'a' was not read: the function read returned 0"},
             {answerOf(agpnet_trainer_note, trainer, "k", "{"), AGPNET_E_ARGUMENT, "note 'k'"},
             {answerOf(agpnet_trainer_save_state, trainer, "/nonexistent/state"), AGPNET_E_FILE, "/nonexistent/state"},
         })
    {
        EXPECT_EQ(answer.first, code) << answer.second;
        EXPECT_THAT(answer.second, HasSubstr(part));
    }
}

} // namespace
} // namespace agpnet
