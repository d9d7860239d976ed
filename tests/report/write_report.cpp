// Writes a report of drawn pictures whose scores are known, for the test in a browser and to measure how a large page opens:
//   write_report PAGE IMAGES SIDE [PRODUCTS]
// A third of the images are defective. Good ones score 0.1 to 0.6, defective ones 0.4 to 1, evenly, and the threshold is 0.5.
#include "apps/report/report.h"
#include "common/error.h"

#include <cstdio>
#include <cstdlib>
#include <opencv2/imgproc.hpp>

namespace
{

using namespace agpnet::tools;

ReportItem drawn(int number, int images, int side)
{
    const bool defective = number % 3 == 0;
    const double place = static_cast<double>(number) / images;
    ReportItem item;
    item.name = fmt::format("{}/{:04}.png", defective ? (number % 2 ? "hole" : "scratch & \"dent\"") : "good", number);
    if (number == 1)
        item.name = "good/<img src=x onerror=alert(1)></script>.png"; // a name is text, whatever it holds
    item.label = defective ? Label::Anomalous : Label::Good;
    item.defect = defective ? (number % 2 ? "hole" : "scratch & \"dent\"") : "good";
    item.score = defective ? 0.4 + 0.6 * place : 0.1 + 0.5 * place;
    item.threshold = 0.5;
    item.anomalous = item.score > item.threshold;
    item.mapThreshold = 2;
    item.seconds = 0.03 + 0.001 * (number % 10);

    cv::RNG random(static_cast<uint64_t>(number) + 1);
    item.image = cv::Mat(side, side * 4 / 3, CV_8UC3);
    random.fill(item.image, cv::RNG::NORMAL, cv::Scalar(120, 140, 150), cv::Scalar::all(24)); // as noisy as a camera's picture
    cv::GaussianBlur(item.image, item.image, {3, 3}, 0.8);
    item.map = cv::Mat(252, 252, CV_32F, cv::Scalar(0.4));
    cv::Mat noise(252, 252, CV_32F);
    random.fill(noise, cv::RNG::NORMAL, 0, 1);
    cv::GaussianBlur(noise, noise, {0, 0}, 4);
    item.map += noise;
    if (defective)
    {
        const cv::Point centre(60 + random.uniform(0, 132), 60 + random.uniform(0, 132));
        cv::Mat spot = cv::Mat::zeros(252, 252, CV_32F);
        cv::circle(spot, centre, 22, cv::Scalar(4 * item.score), cv::FILLED);
        cv::GaussianBlur(spot, spot, {0, 0}, 6);
        item.map += spot;
        item.mask = cv::Mat::zeros(item.image.size(), CV_8U);
        const cv::Point at(centre.x * item.image.cols / 252, centre.y * item.image.rows / 252);
        cv::circle(item.mask, at, side / 14, cv::Scalar(255), cv::FILLED);
        cv::circle(item.image, at, side / 14, cv::Scalar(40, 50, 60), cv::FILLED);
    }
    return item;
}

} // namespace

int main(int argc, char** argv)
try
{
    agpnet::require(argc == 4 || argc == 5, "{} arguments were given, expected: write_report PAGE IMAGES SIDE [PRODUCTS]",
                    argc - 1);
    const int images = std::atoi(argv[2]), side = std::atoi(argv[3]), products = argc == 5 ? std::atoi(argv[4]) : 1;
    Report report;
    report.title = "Drawn & <b>bold</b>";
    report.facts = {{"Model", "none"}};
    report.charts = {
        {"ROC",
         "false-positive rate",
         "true-positive rate",
         1,
         {{"images", "images", "line-a", {{0, 0}, {0.2, 0.8}, {1, 1}}}},
         "roc"},
        {"Precision and recall", "recall", "precision", 1, {{"images", "images", "line-a", {{0, 1}, {1, 0.3}}}}, "pr"}};
    report.tables = {{"Kinds of defect", {"Defect", "Images"}, {{"hole", "1"}}, ""}};
    report.sensitivity = 1;
    report.expected = images;
    ReportWriter writer(argv[1]);
    for (int i = 0; i < images; i++)
    {
        ReportItem item = drawn(i, images, side);
        if (products > 1) // each with a threshold and a scale of its own
        {
            const int product = i % products;
            item.group = fmt::format("product {}", product + 1);
            item.score *= product + 1;
            item.threshold *= product + 1;
            item.mapThreshold = *item.mapThreshold * (product + 1);
            item.map *= product + 1;
        }
        writer.add(item, report);
    }
    writer.finish(report);
}
catch (const std::exception& error)
{
    std::fprintf(stderr, "write_report: %s\n", error.what());
    return 1;
}
