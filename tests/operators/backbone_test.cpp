// Every family of backbones through the public interface: weights on disk, training, model file, inspection.
#include "agpnet/anomaly_detector.hpp"
#include "agpnet/anomaly_trainer.hpp"
#include "models/weights/safetensors.h"
#include "tests/support/temp_folder.h"

#include <gtest/gtest.h>
#include <opencv2/core.hpp>

namespace agpnet
{
namespace
{

class Backbones : public ::testing::TestWithParam<const char*>
{
};

TEST_P(Backbones, TrainsSavesAndInspects)
{
    const test::TempFolder folder;
    TensorFile weights;
    for (const auto& [name, tensor] : readSafetensors(std::string(WEIGHTS_FIXTURES) + "/" + GetParam() + ".safetensors").tensors)
        if (name.starts_with("weights/"))
            weights.tensors[name.substr(8)] = tensor;
    const std::string backbone = folder / (std::string(GetParam()) + ".safetensors");
    writeSafetensors(backbone, weights);

    const auto picture = [](size_t i)
    {
        cv::Mat image(40, 56, CV_8UC3);
        cv::RNG(i + 1).fill(image, cv::RNG::UNIFORM, 0, 256);
        return image;
    };
    const cv::Ptr<AnomalyTrainer> trainer =
        AnomalyTrainer::create(backbone, R"({"height":32,"width":48,"decoder_depth":1,"steps":2,"batch":2})");
    EXPECT_TRUE(trainer->fit(4, picture));
    EXPECT_EQ(trainer->getStepsDone(), 2);
    trainer->calibrate(4, picture);
    for (const bool embed : {true, false})
    {
        trainer->save(folder / "model.agp", embed);
        cv::Mat map;
        const AnomalyResult result = AnomalyDetector::create(folder / "model.agp", "fp32")->detect(picture(9), map);
        EXPECT_EQ(map.size(), cv::Size(56, 40));
        EXPECT_TRUE(cv::checkRange(map));
        EXPECT_GT(result.score, 0);
    }
    trainer->saveState(folder / "training.state");
    EXPECT_EQ(AnomalyTrainer::resume(folder / "training.state")->getStepsDone(), 2);
}

INSTANTIATE_TEST_SUITE_P(Families, Backbones, ::testing::Values("wide_resnet", "tv_efficientnet", "tf_efficientnet_lite"),
                         [](const auto& parameter) { return parameter.param; });

} // namespace
} // namespace agpnet
