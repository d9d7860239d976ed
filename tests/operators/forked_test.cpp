// A forked child has none of its parent's threads: it must say so, and not wait for them.
#include "agpnet/agpnet.hpp"
#include "tests/support/tiny_backbone.h"

#include <ATen/Parallel.h>
#include <functional>
#include <sys/wait.h>
#include <unistd.h>

namespace agpnet
{
namespace
{

using ::testing::HasSubstr;

cv::Mat picture(uint64_t number)
{
    cv::Mat image(40, 48, CV_8UC3);
    cv::RNG(number + 1).fill(image, cv::RNG::UNIFORM, 0, 256);
    return image;
}

/// What the function gives in a forked child, or what it throws there; "hangs" if it does not come back.
std::string inChild(const std::function<std::string()>& function)
{
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0)
    {
        ::alarm(30);
        std::string text;
        try
        {
            text = function();
        }
        catch (const cv::Exception& error)
        {
            text = error.err;
        }
        ::_exit(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1);
    }
    ::close(ends[1]);
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<size_t>(n));
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "hangs" : text;
}

class Forked : public ::testing::Test
{
protected:
    void SetUp() override
    {
        at::set_num_threads(2);
        trainer = AnomalyTrainer::create(test::writeTinyBackbone(folder), test::tinyConfig(2));
        trainer->fit(4, [](size_t i) { return picture(i); });
        trainer->save(folder / "m.agp");
        detector = trainer->getDetector();
        score = detector->detect(picture(1)).score;
    }
    void TearDown() override { at::set_num_threads(threads); }

    const int threads = at::get_num_threads();
    test::TempFolder folder;
    cv::Ptr<AnomalyTrainer> trainer;
    cv::Ptr<AnomalyDetector> detector;
    double score = 0;
};

TEST_F(Forked, AChildWithoutItsParentsThreadsSaysSo)
{
    const cv::Mat tensor(std::vector<int>{1, 2, 8, 8}, CV_32F, cv::Scalar(1));
    const std::pair<const char*, std::function<void()>> uses[] = {
        {"detect", [&] { detector->detect(picture(1)); }},
        {"detectBatch",
         [&] {
             std::vector<cv::Mat> maps;
             detector->detectBatch(std::vector<cv::Mat>{picture(1), picture(2)}, maps);
         }},
        {"load", [&] { AnomalyDetector::create(folder / "m.agp"); }},
        {"create", [&] { AnomalyTrainer::create(folder / "tiny1.safetensors", test::tinyConfig(2)); }},
        {"detector", [&] { trainer->getDetector(); }},
        {"save", [&] { trainer->save(folder / "n.agp"); }},
        {"residual",
         [&] {
             cv::Mat distance;
             residual(tensor, tensor, distance, RESIDUAL_L2);
         }},
        {"calibrate",
         [&] {
             CalibrationSet set;
             set.count = 4;
             set.image = [](size_t i) { return CalibrationImage{picture(i)}; };
             calibrate(folder / "m.agp", {set}, {}, folder / "c.agp");
         }},
        {"stream", [&] { AnomalyStream::create(detector); }}};
    for (const auto& [name, use] : uses)
        EXPECT_THAT(inChild([&use = use] {
                        use();
                        return std::string("worked");
                    }),
                    HasSubstr("this process was forked from one that had computed with AGPNet"))
            << name;
    EXPECT_FALSE(std::filesystem::exists(folder / "n.agp"));
    EXPECT_EQ(detector->detect(picture(1)).score, score) << "the parent goes on";
}

TEST_F(Forked, AChildOfOneThreadComputes)
{
    EXPECT_EQ(inChild([&] {
                  at::set_num_threads(1);
                  return std::to_string(detector->detect(picture(1)).score);
              }),
              std::to_string(score));
}

TEST_F(Forked, AStreamStaysInItsProcess)
{
    cv::Ptr<AnomalyStream> stream = AnomalyStream::create(detector);
    const std::pair<const char*, std::function<void()>> uses[] = {{"push", [&] { stream->push(picture(1)); }},
                                                                  {"pop",
                                                                   [&] {
                                                                       AnomalyStreamResult result;
                                                                       stream->pop(result);
                                                                   }},
                                                                  {"close", [&] { stream->close(); }}};
    for (const auto& [name, use] : uses)
        EXPECT_THAT(inChild([&use = use] {
                        at::set_num_threads(1);
                        use();
                        return std::string("worked");
                    }),
                    HasSubstr("the stream was made before this process was forked"))
            << name;
    EXPECT_EQ(inChild([&] {
                  stream.release();
                  return std::string("let go");
              }),
              "let go");
    stream->push(picture(1));
    AnomalyStreamResult result;
    ASSERT_TRUE(stream->pop(result));
    EXPECT_EQ(result.result.score, score);
}

} // namespace
} // namespace agpnet
