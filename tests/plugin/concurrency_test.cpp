// Threads share detectors, load and drop them, and replace their files: each gets what it would have got alone.
#include "agpnet/anomaly_detector.hpp"
#include "agpnet/stages.hpp"
#include "agpnet/anomaly_trainer.hpp"
#include "tests/support/tiny_backbone.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <atomic>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <iterator>
#include <opencv2/core.hpp>
#include <thread>

namespace agpnet
{
namespace
{

namespace fs = std::filesystem;

class Concurrency : public ::testing::Test
{
protected:
    static constexpr int models = 3, pictures = 6;

    static void SetUpTestSuite()
    {
        folder = new test::TempFolder;
        const std::string backbone = test::writeTinyBackbone(*folder);
        for (int i = 0; i < models; i++)
        {
            const auto trainer = AnomalyTrainer::create(backbone, test::tinyConfig(2, "\"seed\":" + std::to_string(i)));
            trainer->fit(4, [](size_t n) { return picture(static_cast<int>(n)); });
            trainer->save(path(i));
            const auto detector = AnomalyDetector::create(path(i), "fp32");
            for (int n = 0; n < pictures; n++)
                alone[i][n] = detector->detect(picture(n)).score;
        }
    }
    static void TearDownTestSuite()
    {
        delete folder;
        folder = nullptr;
    }

    static cv::Mat picture(int seed)
    {
        cv::Mat image(40 + 3 * seed, 48, CV_8UC3);
        cv::RNG(static_cast<uint64_t>(seed) + 1).fill(image, cv::RNG::UNIFORM, 0, 256);
        return image;
    }
    static std::string path(int model) { return folder->path() / ("m" + std::to_string(model) + ".agp"); }

    static void inThreads(int count, const std::function<void(int)>& work)
    {
        std::vector<std::thread> threads;
        for (int i = 0; i < count; i++)
            threads.emplace_back(work, i);
        for (std::thread& thread : threads)
            thread.join();
    }

    static test::TempFolder* folder;
    static double alone[models][pictures];
};
test::TempFolder* Concurrency::folder = nullptr;
double Concurrency::alone[models][pictures];

size_t threadsNow()
{
    return static_cast<size_t>(std::distance(fs::directory_iterator("/proc/self/task"), fs::directory_iterator()));
}

/// Not of the suite above, whose models are made by as many threads as there are.
TEST(HostThreads, AProgramThatAllowsOneThreadGetsNoOthers)
{
    const int ofOpenCv = cv::getNumThreads(), ofTorch = at::get_num_threads();
    cv::setNumThreads(1);
    at::set_num_threads(1);
    at::ones({1}).requires_grad_(true).sum().backward(); // some LibTorches have a thread that waits for other devices' gradients
    const size_t before = threadsNow();
    const test::TempFolder folder;
    const auto trainer = AnomalyTrainer::create(test::writeTinyBackbone(folder), test::tinyConfig(2));
    cv::Mat picture(300, 260, CV_8UC3, cv::Scalar::all(90)), map;
    trainer->fit(4, [&](size_t) { return picture; });
    trainer->save(folder / "m.agp");
    const auto detector = AnomalyDetector::create(folder / "m.agp");
    for (int i = 0; i < 3; i++)
        detector->detect(picture, map);
    EXPECT_EQ(threadsNow(), before);
    EXPECT_EQ(cv::getNumThreads(), 1);
    EXPECT_EQ(at::get_num_threads(), 1);
    cv::setNumThreads(ofOpenCv);
    at::set_num_threads(ofTorch);
}

TEST_F(Concurrency, OneDetectorServesManyThreads)
{
    const auto detector = AnomalyDetector::create(path(0), "fp32");
    inThreads(8,
              [&](int thread)
              {
                  for (int i = 0; i < 12; i++)
                  {
                      const int n = (thread + i) % pictures;
                      cv::Mat map, mask;
                      EXPECT_EQ(detector->detect(picture(n), map, mask).score, alone[0][n]);
                      EXPECT_EQ(map.size(), picture(n).size());
                  }
              });
}

TEST_F(Concurrency, ManyDetectorsDoNotDisturbEachOther)
{
    inThreads(8,
              [&](int thread)
              {
                  const int model = thread % models;
                  const auto detector = AnomalyDetector::create(path(model), "fp32");
                  // one's settings are not the other's, though they share the model
                  detector->setOptions(detector->getOptions().setSensitivity(1 + thread));
                  for (int n = 0; n < pictures; n++)
                  {
                      const AnomalyResult result = detector->detect(picture(n));
                      EXPECT_EQ(result.score, alone[model][n]);
                      EXPECT_DOUBLE_EQ(result.threshold, detector->getThreshold() / (1 + thread));
                  }
              });
}

TEST_F(Concurrency, StormsOfLoadingAndDroppingAreHarmless)
{
    inThreads(8,
              [&](int thread)
              {
                  for (int i = 0; i < 15; i++)
                  {
                      const int model = (thread + i) % models;
                      const auto detector = AnomalyDetector::create(path(model), "fp32");
                      if (i % 3 == 0)
                      {
                          EXPECT_EQ(detector->detect(picture(0)).score, alone[model][0]);
                      }
                      EXPECT_THROW(AnomalyDetector::create(folder->path() / "none.agp"), cv::Exception);
                  }
              });
}

TEST_F(Concurrency, AFileThatIsReplacedIsReadWholeOldOrNew)
{
    const fs::path shared = folder->path() / "shared.agp";
    const auto replace = [&](int model) { // as the library itself writes: beside, then renamed
        const fs::path part = folder->path() / "shared.new";
        fs::copy_file(path(model), part, fs::copy_options::overwrite_existing);
        fs::rename(part, shared);
    };
    replace(0);
    std::atomic<bool> done = false;
    std::thread writer(
        [&]
        {
            for (int i = 0; i < 60; i++)
                replace(i % models);
            done = true;
        });
    inThreads(3,
              [&](int)
              {
                  do
                  {
                      const double score = AnomalyDetector::create(shared, "fp32")->detect(picture(0)).score;
                      EXPECT_TRUE(score == alone[0][0] || score == alone[1][0] || score == alone[2][0]) << score;
                  } while (!done);
              });
    writer.join();
}

TEST_F(Concurrency, StagesRunInManyThreads)
{
    cv::Mat f(std::vector<int>{1, 5, 6, 7}, CV_32F), g(std::vector<int>{1, 5, 6, 7}, CV_32F),
        attention(std::vector<int>{1, 1, 6, 7}, CV_32F), distance, noisy;
    cv::RNG random(3);
    for (cv::Mat* array : {&f, &g, &attention})
        random.fill(*array, cv::RNG::UNIFORM, 0, 1);
    residual(f, g, distance);
    perturb(f, attention, noisy);
    inThreads(8,
              [&](int)
              {
                  for (int i = 0; i < 50; i++)
                  {
                      cv::Mat d, n;
                      residual(f, g, d);
                      perturb(f, attention, n);
                      EXPECT_EQ(cv::norm(d.reshape(1, 1), distance.reshape(1, 1), cv::NORM_INF), 0);
                      EXPECT_EQ(cv::norm(n.reshape(1, 1), noisy.reshape(1, 1), cv::NORM_INF), 0);
                  }
              });
}

} // namespace
} // namespace agpnet
