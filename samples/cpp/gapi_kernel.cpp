// The detector as an operation of G-API: a graph that other operations can go around, over the frames of a video.
//   gapi_kernel tile.agp line.mp4
// Needs OpenCV's module gapi, which the packages of Debian and Ubuntu leave out; CMake builds this file where it is. It was compiled
// against the headers of OpenCV 4.6, but never linked or run: nothing here had the module itself.
#include <agpnet/anomaly_detector.hpp>
#include <cstdio>
#include <opencv2/gapi.hpp>
#include <opencv2/gapi/core.hpp>
#include <opencv2/gapi/cpu/gcpukernel.hpp>
#include <opencv2/gapi/streaming/cap.hpp>

// What the operation takes and gives. The detector is an argument that is known when the graph is built, as a kernel size would be.
using MapAndResult = std::tuple<cv::GMat, cv::GOpaque<agpnet::AnomalyResult>>;
G_API_OP(Inspect, <MapAndResult(cv::GMat, cv::Ptr<agpnet::AnomalyDetector>)>, "ai.agpnet.Inspect")
{
    static std::tuple<cv::GMatDesc, cv::GOpaqueDesc> outMeta(const cv::GMatDesc& frame, const cv::Ptr<agpnet::AnomalyDetector>&)
    {
        return std::make_tuple(frame.withType(CV_32F, 1), cv::empty_gopaque_desc());
    }
};

// How the CPU does it. Other backends of G-API would have a kernel of their own for the same operation.
GAPI_OCV_KERNEL(InspectCpu, Inspect)
{
    static void run(const cv::Mat& frame, const cv::Ptr<agpnet::AnomalyDetector>& detector, cv::Mat& map, agpnet::AnomalyResult& result)
    {
        cv::Mat found;
        result = detector->detect(frame, found);
        found.copyTo(map); // the graph has made the output, and wants it where it is
    }
};

int main(int argc, char** argv)
try
{
    if (argc != 3)
        return std::fprintf(stderr, "usage: gapi_kernel MODEL VIDEO\n"), 2;
    const cv::Ptr<agpnet::AnomalyDetector> detector = agpnet::AnomalyDetector::create(argv[1]);

    cv::GMat frame, map;
    cv::GOpaque<agpnet::AnomalyResult> result;
    std::tie(map, result) = Inspect::on(frame, detector);
    const cv::GMat heat = cv::gapi::convertTo(map, CV_8U, 127.5 / detector->getPixelThreshold()); // one of G-API's own behind it
    cv::GComputation graph(cv::GIn(frame), cv::GOut(heat, result));

    cv::GStreamingCompiled pipeline = graph.compileStreaming(cv::compile_args(cv::gapi::kernels<InspectCpu>()));
    pipeline.setSource(cv::gapi::wip::make_src<cv::gapi::wip::GCaptureSource>(argv[2]));
    pipeline.start();
    cv::Mat picture;
    agpnet::AnomalyResult found;
    for (int number = 0; pipeline.pull(cv::gout(picture, found)); number++)
        std::printf("frame %d: score %.6f, %s\n", number, found.score, found.anomalous ? "anomalous" : "normal");
}
catch (const std::exception& error)
{
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
