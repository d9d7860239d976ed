// The stages alone, on feature maps of one's own: here a few filters of OpenCV, and the features of a good part in the place of a
// reconstruction. No model is needed.
//   stages good.png part.png map.png [tuning.json]
// A tuning record, as `agpnet tune` writes it, says which of the compiled schedules each shape takes; without one the library looks
// where docs/tuning.md says. With cv::UMat the same calls run in OpenCV's OpenCL queue, where there is one.
#include <agpnet/stages.hpp>
#include <agpnet/tuning.hpp>
#include <cmath>
#include <cstdio>
#include <opencv2/core/ocl.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

static const int grid = 32, side = 256;

/// [1, C, 32, 32]: brightness and the strength of edges along x and y at three scales, averaged over cells of 8 x 8 pixels.
static cv::Mat featuresOf(const std::string& path)
{
    cv::Mat image = cv::imread(path, cv::IMREAD_GRAYSCALE);
    if (image.empty())
        CV_Error(cv::Error::StsError, path + " cannot be read");
    cv::resize(image, image, cv::Size(side, side), 0, 0, cv::INTER_AREA);
    image.convertTo(image, CV_32F, 1 / 255.);
    std::vector<cv::Mat> planes;
    for (const double sigma : {1., 2., 4.})
    {
        cv::Mat smooth, x, y;
        cv::GaussianBlur(image, smooth, cv::Size(), sigma);
        cv::Sobel(smooth, x, CV_32F, 1, 0);
        cv::Sobel(smooth, y, CV_32F, 0, 1);
        for (const cv::Mat& plane : {smooth, cv::Mat(cv::abs(x)), cv::Mat(cv::abs(y))})
        {
            cv::Mat cells;
            cv::resize(plane, cells, cv::Size(grid, grid), 0, 0, cv::INTER_AREA);
            planes.push_back(cells);
        }
    }
    cv::Mat stacked; // one plane below the other is [C, h, w] in memory
    cv::vconcat(planes, stacked);
    return stacked.reshape(1, {1, static_cast<int>(planes.size()), grid, grid});
}

int main(int argc, char** argv)
try
{
    if (argc != 4 && argc != 5)
        return std::fprintf(stderr, "usage: stages GOOD PART MAP [TUNING]\n"), 2;
    if (argc == 5)
        agpnet::loadTuning(argv[4]);
    const cv::Mat good = featuresOf(argv[1]), part = featuresOf(argv[2]);

    // 1. Noise where the attention is high: the edges' strength at the finest scale stands for a backbone's attention.
    const cv::Mat attention({1, 1, grid, grid}, CV_32F, const_cast<float*>(part.ptr<float>(0, 1)));
    agpnet::PerturbParams params;
    params.alpha = 0.2f;
    params.beta = 0.01f;
    params.seed = 7; // the same noise on every device
    cv::Mat noisy;
    agpnet::perturb(part, attention, noisy, params);
    std::printf("perturb: noise of %.4f\n", cv::norm(noisy.reshape(1, 1), part.reshape(1, 1), cv::NORM_L2) / std::sqrt(part.total()));

    // 2. Distance at each cell. 3. From cells to pixels, and one score for the picture.
    cv::Mat distance, map, score;
    agpnet::residual(part, good, distance, agpnet::RESIDUAL_L2);
    agpnet::heatmap(distance, map, score, cv::Size(side, side), 4, agpnet::SCORE_TOP1);
    std::printf("cpu: score %.6f\n", score.at<float>(0));

    // The same where the arrays lie on a device: no copy between the calls.
    if (cv::ocl::useOpenCL())
    {
        cv::UMat onDevice, goodOnDevice, distances, maps, scores;
        part.copyTo(onDevice);
        good.copyTo(goodOnDevice);
        agpnet::residual(onDevice, goodOnDevice, distances);
        agpnet::heatmap(distances, maps, scores, cv::Size(side, side), 4, agpnet::SCORE_TOP1);
        std::printf("%s: score %.6f\n", cv::ocl::Device::getDefault().name().c_str(), scores.getMat(cv::ACCESS_READ).at<float>(0));
    }
    else
        std::printf("OpenCV has no OpenCL device here: cv::UMat would be the CPU\n");

    cv::Mat grey;
    cv::normalize(map.reshape(1, side), grey, 0, 255, cv::NORM_MINMAX, CV_8U);
    if (!cv::imwrite(argv[3], grey))
        return std::fprintf(stderr, "%s: cannot be written\n", argv[3]), 1;
}
catch (const std::exception& error)
{
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
