// UMat in, UMat out: what passes over the host is counted by the arrays' own allocators.
#include "agpnet/agpnet.hpp"
#include "tests/support/error_text.h"
#include "tests/support/tiny_backbone.h"

#include <atomic>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/core/ocl.hpp>
#include <opencv2/imgproc.hpp>

namespace agpnet
{
namespace
{

/// OpenCV's own allocator for a device, with each way of the data to the host and back counted.
class CountingAllocator : public cv::MatAllocator
{
public:
    explicit CountingAllocator(cv::MatAllocator* real) : real_(real) {}

    cv::UMatData* allocate(int dims, const int* sizes, int type, void* data, size_t* step, cv::AccessFlag flags,
                           cv::UMatUsageFlags usage) const override
    {
        return taken(real_->allocate(dims, sizes, type, data, step, flags, usage));
    }
    bool allocate(cv::UMatData* data, cv::AccessFlag flags, cv::UMatUsageFlags usage) const override
    {
        return real_->allocate(data, flags, usage);
    }
    void deallocate(cv::UMatData* data) const override
    {
        data->currAllocator = real_;
        real_->deallocate(data);
    }
    void map(cv::UMatData* data, cv::AccessFlag flags) const override
    {
        const bool shared = !data->copyOnMap();
        (shared ? mapped : copied)++;
        real_->map(data, flags);
    }
    void unmap(cv::UMatData* data) const override
    {
        if (data->refcount == 0 && data->urefcount == 0) // the last one: it goes
            data->currAllocator = real_;
        real_->unmap(data);
    }
    void download(cv::UMatData* data, void* to, int dims, const size_t size[], const size_t offset[], const size_t step[],
                  const size_t toStep[]) const override
    {
        copied++;
        real_->download(data, to, dims, size, offset, step, toStep);
    }
    void upload(cv::UMatData* data, const void* from, int dims, const size_t size[], const size_t offset[], const size_t step[],
                const size_t fromStep[]) const override
    {
        copied++;
        real_->upload(data, from, dims, size, offset, step, fromStep);
    }
    void copy(cv::UMatData* from, cv::UMatData* to, int dims, const size_t size[], const size_t offset[], const size_t step[],
              const size_t toOffset[], const size_t toStep[], bool sync) const override
    {
        real_->copy(from, to, dims, size, offset, step, toOffset, toStep, sync); // on the device
    }
    cv::BufferPoolController* getBufferPoolController(const char* id) const override { return real_->getBufferPoolController(id); }

    mutable std::atomic<int> mapped{0}, copied{0};

private:
    cv::UMatData* taken(cv::UMatData* data) const
    {
        data->currAllocator = const_cast<CountingAllocator*>(this);
        return data;
    }
    cv::MatAllocator* real_;
};

/// Allocates as OpenCV does, and remembers the largest of it.
class LargestMat : public cv::MatAllocator
{
public:
    cv::UMatData* allocate(int dims, const int* sizes, int type, void* data, size_t* step, cv::AccessFlag flags,
                           cv::UMatUsageFlags usage) const override
    {
        cv::UMatData* made = cv::Mat::getStdAllocator()->allocate(dims, sizes, type, data, step, flags, usage);
        size_t before = largest;
        while (made->size > before && !largest.compare_exchange_weak(before, made->size))
            ;
        return made;
    }
    bool allocate(cv::UMatData* data, cv::AccessFlag flags, cv::UMatUsageFlags usage) const override
    {
        return cv::Mat::getStdAllocator()->allocate(data, flags, usage);
    }
    void deallocate(cv::UMatData* data) const override { cv::Mat::getStdAllocator()->deallocate(data); }
    mutable std::atomic<size_t> largest{0};
};

class OnDevice : public ::testing::Test
{
protected:
    void SetUp() override
    {
        if (!cv::ocl::useOpenCL())
            GTEST_SKIP() << "OpenCV finds no OpenCL device";
        const cv::Ptr<AnomalyTrainer> trainer = AnomalyTrainer::create(test::writeTinyBackbone(folder_), test::tinyConfig(3));
        trainer->fit(8, [](size_t i) { return picture({48, 40}, CV_8UC3, i); });
        detector_ = trainer->getDetector();
        trainer->save(folder_ / "m.agp");
        detector_ = AnomalyDetector::create(folder_ / "m.agp", "fp32");
    }

    static cv::Mat picture(cv::Size size, int type, uint64_t seed)
    {
        cv::Mat image(size, type);
        cv::RNG(seed + 1).fill(image, cv::RNG::UNIFORM, 0, CV_MAT_DEPTH(type) == CV_32F ? 1 : CV_MAT_DEPTH(type) == CV_16U ? 65536 : 256);
        return image;
    }

    test::TempFolder folder_;
    cv::Ptr<AnomalyDetector> detector_;
};

TEST_F(OnDevice, EqualsTheHost)
{
    for (const int type : {CV_8UC3, CV_8UC1, CV_8UC4, CV_16UC3, CV_32FC3})
        for (const cv::Size size : {cv::Size(48, 40), cv::Size(301, 200), cv::Size(20, 16)})
            for (const double sensitivity : {1e-6, 1.0, 1e6})
                for (const MapSize where : {MAP_IMAGE, MAP_MODEL})
                {
                    detector_->setOptions(detector_->getOptions().setSensitivity(sensitivity).setMapSize(where));
                    const cv::Mat image = picture(size, type, 7);
                    cv::Mat map, mask;
                    const AnomalyResult expected = detector_->detect(image, map, mask);
                    cv::UMat onDevice, uMap, uMask;
                    image.copyTo(onDevice);
                    const AnomalyResult found = detector_->detect(onDevice, uMap, uMask);
                    EXPECT_NEAR(found.score, expected.score, 1e-4);
                    EXPECT_EQ(found.threshold, expected.threshold);
                    EXPECT_EQ(found.anomalous, expected.anomalous);
                    ASSERT_EQ(uMap.size(), map.size());
                    EXPECT_EQ(uMap.type(), CV_32F);
                    EXPECT_LT(cv::norm(uMap.getMat(cv::ACCESS_READ), map, cv::NORM_INF), 1e-4);
                    EXPECT_EQ(uMask.type(), CV_8U);
                    if (sensitivity != 1) // nothing lies on the threshold
                    {
                        EXPECT_EQ(cv::norm(uMask.getMat(cv::ACCESS_READ), mask, cv::NORM_INF), 0);
                        EXPECT_EQ(found.regions.size(), expected.anomalous ? expected.regions.size() : 0);
                    }
                }
}

TEST_F(OnDevice, APartOfAPictureIsTaken)
{
    const cv::Mat image = picture({300, 200}, CV_8UC3, 3);
    cv::UMat whole;
    image.copyTo(whole);
    for (const cv::Rect& part : {cv::Rect(0, 0, 100, 80), cv::Rect(1, 0, 60, 90), cv::Rect(37, 11, 130, 77), cv::Rect(64, 128, 64, 40)})
    {
        cv::Mat map;
        cv::UMat uMap;
        const double expected = detector_->detect(image(part), map).score;
        EXPECT_NEAR(detector_->detect(whole(part), uMap).score, expected, 1e-4);
        EXPECT_LT(cv::norm(uMap.getMat(cv::ACCESS_READ), map, cv::NORM_INF), 1e-4);
    }
}

TEST_F(OnDevice, NeitherPictureNorMapPassesOverTheHost)
{
    constexpr int rows = 900, columns = 1200;
    CountingAllocator images(cv::ocl::getOpenCLAllocator()), maps(cv::ocl::getOpenCLAllocator());
    LargestMat onHost;
    {
        cv::UMat image, map, mask;
        image.allocator = &images;
        map.allocator = &maps;
        mask.allocator = &maps;
        picture({columns, rows}, CV_8UC3, 3).copyTo(image);
        EXPECT_GT(images.copied, 0) << "the counter counts";
        detector_->setOptions(detector_->getOptions().setSensitivity(1e-6)); // defects are looked at on the host
        images.copied = images.mapped = 0;
        cv::MatAllocator* usual = cv::Mat::getDefaultAllocator();
        cv::Mat::setDefaultAllocator(&onHost);
        const AnomalyResult result = detector_->detect(image, map, mask);
        cv::Mat::setDefaultAllocator(usual);
        EXPECT_FALSE(result.anomalous);
        EXPECT_EQ(images.copied + images.mapped, 0);
        EXPECT_EQ(maps.copied + maps.mapped, 0);
        EXPECT_LT(onHost.largest, size_t{rows * columns}) << "no Mat of the picture's, the map's or the mask's size";
        ASSERT_EQ(map.size(), cv::Size(columns, rows));
        ASSERT_EQ(mask.size(), cv::Size(columns, rows));
        EXPECT_EQ(map.u->currAllocator, &maps) << "written into the caller's own";

        cv::Mat expected, read;
        detector_->detect(image.getMat(cv::ACCESS_READ), expected);
        map.copyTo(read);
        EXPECT_GT(maps.copied + maps.mapped, 0);
        EXPECT_LT(cv::norm(read, expected, cv::NORM_INF), 1e-4);
    }
}

TEST_F(OnDevice, WhereItFailsTheHostDoesItAndSaysSo)
{
    const cv::Mat image = picture({200, 160}, CV_8UC3, 3);
    cv::Mat expected;
    const double score = detector_->detect(image, expected).score;
    cv::UMat onDevice, map;
    image.copyTo(onDevice);
    {
        const cv::Mat held = onDevice.getMat(cv::ACCESS_READ); // while it is mapped on the host, OpenCV gives no kernel its buffer
        const int seen = detector_->getDrift().pictures;
        const AnomalyResult found = detector_->detect(onDevice, map);
        EXPECT_NE(found.deviceFailure, "");
        EXPECT_EQ(found.score, score);
        EXPECT_EQ(cv::norm(map.getMat(cv::ACCESS_READ), expected, cv::NORM_INF), 0);
        EXPECT_LE(detector_->getDrift().pictures, seen + 1) << "one image, tried twice";
        detector_->setOptions(detector_->getOptions().setHostFallback(false));
        EXPECT_FALSE(detector_->getOptions().getHostFallback());
        EXPECT_THROW(detector_->detect(onDevice, map), cv::Exception);
        detector_->setOptions(detector_->getOptions().setHostFallback(true));
    }
    EXPECT_EQ(detector_->detect(onDevice, map).deviceFailure, "") << "the next is tried on the device again";
}

TEST_F(OnDevice, WhatCannotStayThereGoesOverTheHost)
{
    const cv::Mat image = picture({200, 160}, CV_8UC3, 3);
    cv::UMat onDevice;
    image.copyTo(onDevice);
    const auto same = [&] {
        cv::Mat map;
        cv::UMat uMap;
        const double expected = detector_->detect(image, map).score;
        EXPECT_EQ(detector_->detect(onDevice, uMap).score, expected);
        EXPECT_EQ(cv::norm(uMap.getMat(cv::ACCESS_READ), map, cv::NORM_INF), 0);
    };
    detector_->setOptions(detector_->getOptions().setTiles(64));
    same();
    detector_->setOptions(detector_->getOptions().setTiles(0));
    detector_->setOptions(detector_->getOptions().setRegionPolygons({{{0, 0}, {0.5F, 0}, {0.5F, 1}}}));
    same();
}

TEST_F(OnDevice, RefusesWhatTheHostRefuses)
{
    cv::UMat map;
    const auto message = [&](const cv::UMat& image) { return test::errorOf<cv::Exception>([&] { detector_->detect(image, map); }); };
    EXPECT_THAT(message(cv::UMat()), ::testing::HasSubstr("image is empty"));
    EXPECT_THAT(message(cv::UMat(40, 40, CV_8SC3)), ::testing::HasSubstr("CV_8SC3"));
    EXPECT_THAT(message(cv::UMat(4, 40, CV_8UC3)), ::testing::HasSubstr("at least 8x8"));
    EXPECT_THAT(message(cv::UMat(40, 40, CV_8UC2)), ::testing::HasSubstr("2 channels"));
}

} // namespace
} // namespace agpnet
