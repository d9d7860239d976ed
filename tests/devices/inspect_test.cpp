// AnomalyDetector and AnomalyTrainer with their networks on a device: pictures on the host, and pictures that are there. On the fake device
// always, on a GPU where there is one. A GpuMat over memory of LibTorch's needs no OpenCV with CUDA.
#include "agpnet/agpnet.hpp"
#include "operators/agpnet/detector.h"
#include "operators/agpnet/trainer.h"
#include "tests/devices/each_device.h"
#include "tests/devices/fake_graph.h"
#include "tests/support/error_text.h"
#include "tests/support/tiny_backbone.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace agpnet
{
namespace
{

cv::Mat picture(uint64_t seed, cv::Size size = {48, 40}, int type = CV_8UC3)
{
    cv::Mat image(size, type);
    cv::RNG(seed + 1).fill(image, cv::RNG::UNIFORM, 0, CV_MAT_DEPTH(type) == CV_32F ? 1 : CV_MAT_DEPTH(type) == CV_16U ? 65536 : 256);
    return image;
}

/// A matrix of OpenCV's in memory of LibTorch's on a device, in rows with a gap between them.
class DeviceMat
{
public:
    DeviceMat(at::Device device, cv::Size size, int type)
        : step_(static_cast<size_t>(size.width) * CV_ELEM_SIZE(type) + 32),
          bytes_(at::zeros({size.height, static_cast<int64_t>(step_)}, at::TensorOptions(at::kByte).device(device))),
          mat(size.height, size.width, type, bytes_.mutable_data_ptr(), step_)
    {
    }
    DeviceMat(at::Device device, const cv::Mat& from) : DeviceMat(device, from.size(), from.type())
    {
        row(bytes_).copy_(row(hostBytes(from)));
    }

    cv::Mat read() const
    {
        cv::Mat result(mat.size(), mat.type());
        row(hostBytes(result)).copy_(row(bytes_));
        return result;
    }

private:
    size_t step_;
    at::Tensor bytes_;

    static at::Tensor hostBytes(const cv::Mat& from)
    {
        return at::from_blob(from.data, {from.rows, static_cast<int64_t>(from.step[0])}, at::kByte);
    }
    at::Tensor row(const at::Tensor& bytes) const { return bytes.narrow(1, 0, static_cast<int64_t>(step_) - 32); }

public:
    cv::cuda::GpuMat mat;
};

class WholeDevice : public test::OnEachDevice
{
protected:
    void SetUp() override
    {
        OnEachDevice::SetUp();
        if (IsSkipped())
            return;
        const auto trainer = AnomalyTrainer::create(test::writeTinyBackbone(folder_), test::tinyConfig(4));
        trainer->fit(12, [](size_t i) { return picture(i); });
        trainer->save(path_);
        host_ = AnomalyDetector::create(path_, "fp32");
        there_ = cv::makePtr<DetectorImpl>(std::make_shared<const Inference>(readModel(path_), "fp32", device_), "{}");
    }

    void expectSame(const AnomalyResult& found, const AnomalyResult& expected)
    {
        EXPECT_NEAR(found.score, expected.score, 1e-4);
        EXPECT_NEAR(found.calibrated, expected.calibrated, 1e-3);
        EXPECT_NEAR(found.drift, expected.drift, 1e-3);
        EXPECT_EQ(found.threshold, expected.threshold);
        EXPECT_EQ(found.anomalous, expected.anomalous);
        if (!found.anomalous && found.regions.empty())
            return; // not looked for where the mask stays on the device
        ASSERT_EQ(found.regions.size(), expected.regions.size());
        for (size_t i = 0; i < found.regions.size(); i++)
            EXPECT_EQ(found.regions[i].box, expected.regions[i].box);
    }

    test::TempFolder folder_;
    std::string path_ = folder_ / "m.agp";
    cv::Ptr<AnomalyDetector> host_, there_;
};

TEST_P(WholeDevice, PicturesOfTheHost)
{
    for (const cv::Size size : {cv::Size(48, 40), cv::Size(24, 32), cv::Size(301, 200), cv::Size(20, 16)})
        for (const double sensitivity : {0.5, 1e3})
            for (const int tile : {0, 32})
            {
                for (const auto& detector : {host_, there_})
                {
                    detector->setOptions(detector->getOptions().setSensitivity(sensitivity).setTiles(tile));
                }
                cv::Mat map, mask, expectedMap, expectedMask;
                const AnomalyResult expected = host_->detect(picture(5, size), expectedMap, expectedMask);
                expectSame(there_->detect(picture(5, size), map, mask), expected);
                EXPECT_LT(cv::norm(map, expectedMap, cv::NORM_INF), 1e-4);
                EXPECT_EQ(cv::countNonZero(mask != expectedMask), 0);
                std::vector<cv::Mat> maps;
                expectSame(there_->detectBatch(std::vector<cv::Mat>{picture(4), picture(5, size)}, maps)[1], expected);
                EXPECT_LT(cv::norm(maps.at(1), expectedMap, cv::NORM_INF), 1e-4);
            }
    EXPECT_EQ(there_->getDevice(), device_.str());
    EXPECT_EQ(host_->getDevice(), "cpu");
}

TEST_P(WholeDevice, PicturesOnTheDevice)
{
    for (const int type : {CV_8UC3, CV_8UC1, CV_8UC4, CV_16UC3, CV_32FC3})
        for (const cv::Size size : {cv::Size(48, 40), cv::Size(301, 200), cv::Size(20, 16)})
            for (const double sensitivity : {0.5, 1e3})
                for (const MapSize where : {MAP_IMAGE, MAP_MODEL})
                    for (const bool roi : {false, true})
                    {
                        for (const auto& detector : {host_, there_})
                        {
                            DetectOptions options = detector->getOptions();
                            options.setSensitivity(sensitivity).setMapSize(where);
                            options.setRegionPolygons(roi ? polygonsFromText("0.2,0.2 0.9,0.2 0.5,0.9")
                                                          : std::vector<std::vector<cv::Point2f>>{});
                            detector->setOptions(options);
                        }
                        const cv::Mat image = picture(6, size, type);
                        cv::Mat expectedMap, expectedMask;
                        const AnomalyResult expected = host_->detect(image, expectedMap, expectedMask);
                        const DeviceMat given(device_, image), map(device_, expectedMap.size(), CV_32F),
                            mask(device_, expectedMap.size(), CV_8U);
                        expectSame(there_->detect(given.mat, map.mat, mask.mat), expected);
                        EXPECT_LT(cv::norm(map.read(), expectedMap, cv::NORM_INF), 1e-4);
                        EXPECT_EQ(cv::countNonZero(mask.read() != expectedMask), 0);
                        EXPECT_EQ(cv::countNonZero(given.read().reshape(1) != image.reshape(1)), 0);
                        cv::Mat onHost;
                        expectSame(there_->detect(given.mat, onHost), expected);
                        EXPECT_LT(cv::norm(onHost, expectedMap, cv::NORM_INF), 1e-4);
                    }
}

TEST_P(WholeDevice, SeveralPicturesOnTheDevice)
{
    const cv::Mat first = picture(4), second = picture(5, {100, 80});
    const DeviceMat a(device_, first), b(device_, second);
    std::vector<cv::Mat> maps, masks, expectedMaps, expectedMasks;
    const std::vector<AnomalyResult> expected = host_->detectBatch(std::vector<cv::Mat>{first, second}, expectedMaps, expectedMasks);
    const std::vector<AnomalyResult> found = there_->detectBatch(std::vector<cv::cuda::GpuMat>{a.mat, b.mat}, maps, masks);
    ASSERT_EQ(found.size(), 2u);
    for (size_t i = 0; i < 2; i++)
    {
        expectSame(found[i], expected[i]);
        EXPECT_LT(cv::norm(maps.at(i), expectedMaps[i], cv::NORM_INF), 1e-4);
        EXPECT_EQ(cv::countNonZero(masks.at(i) != expectedMasks[i]), 0);
    }
    EXPECT_TRUE(there_->detectBatch(std::vector<cv::cuda::GpuMat>{}).empty());
}

TEST_P(WholeDevice, MapsOfSeveralPicturesStayOnTheDevice)
{
    const std::vector<cv::Mat> pictures = {picture(4), picture(5, {100, 80}), picture(6)};
    std::vector<DeviceMat> given, maps, masks;
    for (const cv::Mat& image : pictures)
    {
        given.emplace_back(device_, image);
        maps.emplace_back(device_, image.size(), CV_32F);
        masks.emplace_back(device_, image.size(), CV_8U);
    }
    const auto mats = [](const std::vector<DeviceMat>& from) {
        std::vector<cv::cuda::GpuMat> result;
        for (const DeviceMat& each : from)
            result.push_back(each.mat);
        return result;
    };
    std::vector<cv::cuda::GpuMat> mapsThere = mats(maps), masksThere = mats(masks);
    for (const double sensitivity : {0.5, 1e3})
        for (const int tile : {0, 32})
        {
            for (const auto& detector : {host_, there_})
            {
                detector->setOptions(detector->getOptions().setSensitivity(sensitivity).setTiles(tile));
            }
            std::vector<cv::Mat> expectedMaps, expectedMasks;
            const std::vector<AnomalyResult> expected = host_->detectBatch(pictures, expectedMaps, expectedMasks);
            const std::vector<AnomalyResult> found = there_->detectBatch(mats(given), mapsThere, masksThere);
            ASSERT_EQ(found.size(), pictures.size());
            for (size_t i = 0; i < pictures.size(); i++)
            {
                expectSame(found[i], expected[i]);
                EXPECT_LT(cv::norm(maps[i].read(), expectedMaps[i], cv::NORM_INF), 1e-4);
                EXPECT_EQ(cv::countNonZero(masks[i].read() != expectedMasks[i]), 0);
                EXPECT_EQ(mapsThere[i].data, maps[i].mat.data);
            }
            std::vector<cv::Mat> hostMasks; // maps there, masks here
            const std::vector<AnomalyResult> again = there_->detectBatch(mats(given), mapsThere, hostMasks);
            for (size_t i = 0; i < pictures.size(); i++)
            {
                expectSame(again[i], expected[i]);
                EXPECT_EQ(cv::countNonZero(hostMasks.at(i) != expectedMasks[i]), 0);
            }
        }
    EXPECT_EQ(there_->getDrift().pictures, 24);
}

TEST_P(WholeDevice, APictureThatIsThereStaysThere)
{
    if (!isFake())
        GTEST_SKIP() << "traffic is counted on the fake device";
    there_->setOptions(there_->getOptions().setThreshold(1e6)); // of an anomalous picture the regions are found on the host
    const DeviceMat given(device_, picture(6, {301, 200})), map(device_, {301, 200}, CV_32F), mask(device_, {301, 200}, CV_8U);
    there_->detect(given.mat, map.mat, mask.mat);
    const test::Traffic before = test::traffic();
    there_->detect(given.mat, map.mat, mask.mat);
    const test::Traffic passed = test::traffic() - before;
    EXPECT_EQ(passed.toDevice, 0);
    EXPECT_EQ(passed.values, 0);
    EXPECT_EQ(passed.toHost, 1); // the score, the product whose threshold it is compared with, the statistics of its features
}

TEST_P(WholeDevice, ABatchThatIsThereWaitsForItsDecisions)
{
    if (!isFake())
        GTEST_SKIP() << "traffic is counted on the fake device";
    there_->setOptions(there_->getOptions().setThreshold(1e6));
    const DeviceMat first(device_, picture(6, {301, 200})), second(device_, picture(7, {301, 200})), third(device_, picture(8, {48, 40}));
    const DeviceMat firstMap(device_, {301, 200}, CV_32F), secondMap(device_, {301, 200}, CV_32F), thirdMap(device_, {48, 40}, CV_32F);
    const std::vector<cv::cuda::GpuMat> given = {first.mat, second.mat, third.mat};
    std::vector<cv::cuda::GpuMat> maps = {firstMap.mat, secondMap.mat, thirdMap.mat};
    test::Traffic before = test::traffic();
    EXPECT_EQ(there_->detectBatch(given, maps).size(), 3u);
    test::Traffic passed = test::traffic() - before;
    EXPECT_EQ(passed.toDevice, 0);
    EXPECT_EQ(passed.values, 0);
    EXPECT_EQ(passed.toHost, 1);
    std::vector<cv::Mat> onHost;
    before = test::traffic();
    EXPECT_EQ(there_->detectBatch(given, onHost).size(), 3u);
    passed = test::traffic() - before;
    EXPECT_EQ(passed.toDevice, 0);
    EXPECT_EQ(passed.values, 0);
    EXPECT_EQ(passed.toHost, 2); // and the maps, all of them at once
}

TEST_P(WholeDevice, AnInspectionIsReplayed)
{
    const test::Graphs before = test::graphs();
    for (const double sensitivity : {0.5, 1e3})
        for (uint64_t i = 0; i < 8; i++)
        {
            for (const auto& detector : {host_, there_})
                detector->setOptions(detector->getOptions().setSensitivity(sensitivity));
            cv::Mat expectedMap, map;
            const AnomalyResult expected = host_->detect(picture(i), expectedMap);
            const DeviceMat given(device_, picture(i)), mapThere(device_, {48, 40}, CV_32F);
            expectSame(there_->detect(given.mat, mapThere.mat), expected);
            EXPECT_LT(cv::norm(mapThere.read(), expectedMap, cv::NORM_INF), 1e-4);
            expectSame(there_->detect(picture(i), map), expected);
            EXPECT_LT(cv::norm(map, expectedMap, cv::NORM_INF), 1e-4);
        }
    if (!isFake() || !test::graphsOf(device_.type()))
        return;
    EXPECT_EQ(test::graphs().captured - before.captured, 1);
    EXPECT_EQ(test::graphs().replayed - before.replayed, 32 - 2);
}

TEST_P(WholeDevice, Refusals)
{
    const DeviceMat given(device_, picture(6)), small(device_, picture(6, {4, 4}));
    EXPECT_THAT(test::errorOf<cv::Exception>([&] { host_->detect(given.mat); }),
                ::testing::HasSubstr("image is a cv::cuda::GpuMat, but the model is on the cpu"));
    EXPECT_THAT(test::errorOf<cv::Exception>([&] { there_->detect(small.mat); }),
                ::testing::HasSubstr("image is 4x4 pixels, expected at least 8x8"));
    EXPECT_THAT(test::errorOf<cv::Exception>([&] { there_->detect(cv::cuda::GpuMat()); }), ::testing::HasSubstr("image is empty"));
    const DeviceMat bright(device_, cv::Mat(40, 48, CV_32FC3, cv::Scalar::all(200)));
    EXPECT_THAT(test::errorOf<cv::Exception>([&] { there_->detect(bright.mat); }), ::testing::HasSubstr("expected 0 to 1"));
}

TEST_P(WholeDevice, ATrainingFromPicturesToAModel)
{
    const std::string backbone = test::writeTinyBackbone(folder_, 2);
    const auto config = [] {
        return configFromTextOrFile(
            test::tinyConfig(8, R"("precision":"fp32","early_stop":true,"target":"standardised","image_noise":true)"));
    };
    TrainerImpl cpu{Training(config(), readBackbone(backbone))}, there{Training(config(), readBackbone(backbone), device_)};
    for (TrainerImpl* trainer : {&cpu, &there})
        trainer->fit(20, [](size_t i) { return picture(i); }, {});
    const std::string file = folder_ / "there.agp";
    there.save(file, true);
    cpu.save(folder_ / "cpu.agp", true);
    const auto expected = AnomalyDetector::create(folder_ / "cpu.agp", "fp32"), found = AnomalyDetector::create(file, "fp32");
    for (uint64_t i : {30, 31, 32})
        EXPECT_NEAR(found->detect(picture(i)).score, expected->detect(picture(i)).score, 5e-3 * expected->detect(picture(i)).score);
    EXPECT_NEAR(found->getThreshold(), expected->getThreshold(), 1e-2 * expected->getThreshold());
    EXPECT_NEAR(there.getDetector()->detect(picture(30)).score, found->detect(picture(30)).score, 5e-2);
    EXPECT_EQ(nlohmann::json::parse(found->getHeader()).at("training").at("device"), device_.str());
    there.saveState(folder_ / "there.state");
    EXPECT_EQ(AnomalyTrainer::resume(folder_ / "there.state")->getStepsDone(), cpu.getStepsDone());
}

TEST_P(WholeDevice, ConvolutionalBackbones)
{
    for (const char* family : {"wide_resnet", "tv_efficientnet", "tf_efficientnet_lite"})
    {
        TensorFile weights;
        for (const auto& [name, tensor] : readSafetensors(std::string(WEIGHTS_FIXTURES) + "/" + family + ".safetensors").tensors)
            if (name.starts_with("weights/"))
                weights.tensors[name.substr(8)] = tensor;
        const std::string file = folder_ / (std::string(family) + ".safetensors");
        writeSafetensors(file, weights);
        const Config config = configFromTextOrFile(R"({"height":32,"width":48,"decoder_depth":1,"steps":3,"batch":2,"precision":"fp32"})");
        Training cpu(config, readBackbone(file)), there(config, readBackbone(file), device_);
        const at::Tensor images = at::rand({2, 3, 32, 48});
        for (int i = 0; i < 3; i++)
        {
            const double expected = cpu.step(images);
            EXPECT_NEAR(there.step(images), expected, 1e-3 * expected) << family;
        }
        const AnomalyMaps expected = anomalyMaps(cpu.config(), cpu.model(ComputeType::Float32).reconstruct(images));
        const AnomalyMaps found = anomalyMaps(there.config(), there.model(ComputeType::Float32).reconstruct(images.to(device_)));
        EXPECT_LT((found.scores.cpu() - expected.scores).abs().max().item<double>(), 1e-2 * expected.scores.max().item<double>()) << family;
    }
}

AGPNET_EACH_DEVICE(WholeDevice);

} // namespace
} // namespace agpnet
