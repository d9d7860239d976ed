// Linked to the library: the detector without cv::dnn.
//   detect tile.agp image.png...
#include <agpnet/anomaly_detector.hpp>
#include <cstdio>
#include <opencv2/imgcodecs.hpp>

int main(int argc, char** argv)
try
{
    if (argc < 3)
        return std::fprintf(stderr, "usage: detect MODEL IMAGE...\n"), 2;
    const cv::Ptr<agpnet::AnomalyDetector> detector = agpnet::AnomalyDetector::create(argv[1]);
    for (int i = 2; i < argc; i++)
    {
        cv::Mat map;
        const agpnet::AnomalyResult result = detector->detect(cv::imread(argv[i]), map);
        std::printf("%s: score %.6f, %s\n", argv[i], result.score, result.anomalous ? "anomalous" : "normal");
        for (const agpnet::AnomalyRegion& region : result.regions)
            std::printf("  %d pixels at %d,%d, up to %.3f\n", region.area, region.peak.x, region.peak.y, region.score);
    }
}
catch (const std::exception& error)
{
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
