// AGPNet as a host program has it, timed on request: benchmarks/under_load starts this and asks line by line.
//     detect N | stream N | train N   →   N times in milliseconds, on one line
//     facts                           →   precision and number of threads
#include "agpnet/agpnet.hpp"

#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace
{

using Clock = std::chrono::steady_clock;

double millisecondsSince(Clock::time_point start)
{
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

class Subject
{
public:
    Subject(const std::string& model, const std::string& precision, const std::string& backbone)
        : detector_(agpnet::AnomalyDetector::create(model, precision)), backbone_(backbone)
    {
        for (uint64_t i = 0; i < 8; i++)
        {
            cv::Mat picture(detector_->getInputSize(), CV_8UC3);
            cv::RNG(i + 1).fill(picture, cv::RNG::UNIFORM, 0, 256);
            pictures_.push_back(picture);
        }
        agpnet::AnomalyStreamOptions options;
        options.capacity = underWay;
        stream_ = agpnet::AnomalyStream::create(detector_, options);
    }

    std::string precision() const { return detector_->getPrecision(); }

    double detect()
    {
        const auto start = Clock::now();
        cv::Mat map;
        detector_->detect(next(), map);
        return millisecondsSince(start);
    }

    /// From push() until the result is there, as two cameras would see it: a frame waits while another is inspected.
    std::vector<double> stream(int count)
    {
        std::vector<double> times;
        agpnet::AnomalyStreamResult found;
        for (int pushed = 0; static_cast<int>(times.size()) < count;)
        {
            for (; pushed < count && stream_->tryPush(next()); pushed++)
                ;
            stream_->pop(found);
            times.push_back(1e3 * found.seconds);
        }
        return times;
    }

    double train()
    {
        if (!trainer_)
            trainer_ = agpnet::AnomalyTrainer::create(backbone_, R"({"steps": 1000000})");
        const auto start = Clock::now();
        trainer_->step(pictures_);
        return millisecondsSince(start);
    }

private:
    static constexpr int underWay = 2;

    const cv::Mat& next() { return pictures_[turn_++ % pictures_.size()]; }

    cv::Ptr<agpnet::AnomalyDetector> detector_;
    cv::Ptr<agpnet::AnomalyStream> stream_;
    cv::Ptr<agpnet::AnomalyTrainer> trainer_;
    std::string backbone_;
    std::vector<cv::Mat> pictures_;
    size_t turn_ = 0;
};

void answer(Subject& subject, const std::string& line)
{
    std::istringstream words(line);
    std::string what;
    int count = 0;
    words >> what >> count;
    std::vector<double> times;
    if (what == "facts")
        std::cout << subject.precision();
    else if (what == "stream")
        times = subject.stream(count);
    else
        for (int i = 0; i < count; i++)
            times.push_back(what == "train" ? subject.train() : subject.detect());
    for (const double time : times)
        std::cout << time << ' ';
    std::cout << std::endl;
}

} // namespace

int main(int argc, char** argv)
{
    CLI::App app("AGPNet, timed on request; see benchmarks/under_load");
    std::string model, backbone, precision = "auto";
    app.add_option("model", model, "a trained .agp")->required();
    app.add_option("--backbone", backbone, "for training steps");
    app.add_option("--precision", precision);
    CLI11_PARSE(app, argc, argv);
    try
    {
        Subject subject(model, precision, backbone);
        for (std::string line; std::getline(std::cin, line);)
            answer(subject, line);
    }
    catch (const std::exception& error)
    {
        return std::fprintf(stderr, "%s\n", error.what()), 1;
    }
}
