#include "agpnet/agpnet.hpp"
#include "apps/agpnet/commands.h"
#include "apps/agpnet/progress.h"
#include "apps/tools/dataset.h"
#include "apps/tools/image_io.h"
#include "apps/tools/metrics.h"
#include "apps/tools/report.h"
#include "common/atomic_file.h"
#include "common/error.h"

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>

namespace agpnet::app
{
namespace
{

using nlohmann::json;
namespace fs = std::filesystem;

struct Options
{
    std::string model, data, out, report, precision = "auto";
    int batch = 8;
    bool asJson = false;
};

json figure(const std::optional<double>& value)
{
    return value ? json(*value) : json(nullptr);
}

std::string text(const json& value)
{
    return value.is_null() ? "n/a" : fmt::format("{:.4f}", value.get<double>());
}

int evaluate(const Options& options)
{
    const cv::Ptr<Detector> detector = Detector::load(options.model, options.precision);
    const tools::Dataset data = tools::listTest(options.data);
    const json header = json::parse(detector->header());
    std::optional<tools::ReportWriter> page;
    if (!options.report.empty())
        page.emplace(options.report);

    tools::Report report;
    report.title = "Evaluation";
    report.subtitle = fs::path(options.model).filename().string() + " on " + fs::path(options.data).filename().string();
    report.warnings = data.warnings;
    report.unit = header.at("config").at("metric") == "cosine" ? "cosine distance of features" : "distance of features";

    std::vector<float> scores;
    std::vector<uint8_t> labels;
    tools::PixelAccumulator pixels;
    std::map<std::string, std::pair<size_t, size_t>> perDefect; // found as anomalous, of
    bool everyMask = true;
    double seconds = 0;
    {
        Progress progress("image", "images", static_cast<int>(data.items.size()), 0, options.asJson);
        for (size_t first = 0; first < data.items.size(); first += static_cast<size_t>(options.batch))
        {
            const size_t count = std::min(static_cast<size_t>(options.batch), data.items.size() - first);
            std::vector<cv::Mat> images, maps;
            for (size_t i = 0; i < count; i++)
                images.push_back(tools::readImage(data.items[first + i].path));
            const auto start = std::chrono::steady_clock::now();
            const std::vector<Result> results = detector->detectBatch(images, maps, cv::noArray(), MAP_MODEL);
            const double spent = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
            seconds += spent;
            for (size_t i = 0; i < count; i++)
            {
                const tools::Item& item = data.items[first + i];
                const bool anomalous = item.label == tools::Label::Anomalous;
                scores.push_back(static_cast<float>(results[i].score));
                labels.push_back(anomalous);
                auto& [found, of] = perDefect[item.defect];
                found += results[i].anomalous;
                of++;
                cv::Mat mask;
                if (item.mask)
                    mask = tools::readMask(*item.mask, images[i].size());
                if (anomalous && mask.empty())
                    everyMask = false;
                else
                    pixels.add(maps[i], mask.empty() ? mask : tools::resizeMask(mask, maps[i].size()));
                if (page)
                {
                    tools::ReportItem entry;
                    entry.name = item.name;
                    entry.image = images[i];
                    entry.map = maps[i];
                    entry.mask = mask;
                    entry.score = results[i].score;
                    entry.threshold = results[i].threshold;
                    entry.anomalous = results[i].anomalous;
                    entry.label = item.label;
                    entry.defect = item.defect;
                    entry.seconds = spent / static_cast<double>(count);
                    page->add(entry, report);
                }
            }
            progress.update(static_cast<int>(first + count));
        }
    }
    const tools::RankMetrics image = tools::rankMetrics(scores, labels);
    const tools::PixelMetrics pixel = pixels.finish();
    std::vector<std::string> warnings = data.warnings;
    if (!everyMask)
        warnings.push_back("some anomalous images have no mask; the pixel figures leave those images out");

    json kinds = json::object();
    for (const auto& [name, counts] : perDefect)
        kinds[name] = {{"called_anomalous", counts.first}, {"images", counts.second}};
    const cv::Size size = detector->inputSize();
    const json result = {{"model", options.model},
                         {"data", {{"path", options.data}, {"layout", data.layout}, {"sha256", tools::datasetHash(data)},
                                   {"good", data.count(tools::Label::Good)}, {"anomalous", data.count(tools::Label::Anomalous)}}},
                         {"image", {{"auroc", figure(image.auroc)}, {"ap", figure(image.ap)}, {"f1_max", figure(image.f1Max)},
                                    {"f1_threshold", image.f1Threshold ? json(*image.f1Threshold) : json(nullptr)},
                                    {"score", header.at("config").at("score")}, {"reason", image.reason}}},
                         {"pixel", {{"auroc", figure(pixel.auroc)}, {"ap", figure(pixel.ap)}, {"f1_max", figure(pixel.f1Max)},
                                    {"aupro_0.3", figure(pixel.aupro.empty() ? std::nullopt : pixel.aupro[0])},
                                    {"aupro_0.05", figure(pixel.aupro.size() < 2 ? std::nullopt : pixel.aupro[1])},
                                    {"components", pixel.components}, {"reason", pixel.reason}}},
                         {"decisions", kinds},
                         {"evaluation_size", {size.height, size.width}},
                         {"precision", detector->precision()},
                         {"seconds_per_image", seconds / static_cast<double>(data.items.size())},
                         {"agpnet", version()},
                         {"warnings", warnings}};
    if (!options.out.empty())
        writeFileAtomically(options.out, result.dump(2) + "\n");
    if (page)
    {
        report.warnings = warnings;
        report.facts = {{"Model", options.model},
                        {"Backbone", header.at("backbone").at("name").get<std::string>()},
                        {"Data", fmt::format("{} good, {} anomalous images", data.count(tools::Label::Good), data.count(tools::Label::Anomalous))},
                        {"Evaluated at", fmt::format("{} × {}", size.height, size.width)},
                        {"Precision", detector->precision()},
                        {"AGPNet", version()}};
        report.figures = {{"Image AUROC", text(result["image"]["auroc"]), "rank statistic, ties one half"},
                          {"Pixel AUROC", text(result["pixel"]["auroc"]), "over all pixels"},
                          {"AUPRO@0.3", text(result["pixel"]["aupro_0.3"]), "8-connected components, up to a false-positive rate of 0.3"},
                          {"Image F1-max", text(result["image"]["f1_max"]), "at the best threshold"}};
        page->finish(report);
    }
    if (options.asJson)
    {
        std::printf("%s\n", result.dump().c_str());
        return exitOk;
    }
    for (const std::string& warning : warnings)
        std::fprintf(stderr, "agpnet: note: %s\n", warning.c_str());
    std::printf("%zu good and %zu anomalous images, evaluated at %dx%d, %s, %.1f ms per image\n\n", data.count(tools::Label::Good),
                data.count(tools::Label::Anomalous), size.height, size.width, detector->precision().c_str(),
                1e3 * result["seconds_per_image"].get<double>());
    std::printf("         AUROC      AP  F1-max  AUPRO@0.3  AUPRO@0.05\n");
    std::printf("image   %6s  %6s  %6s\n", text(result["image"]["auroc"]).c_str(), text(result["image"]["ap"]).c_str(),
                text(result["image"]["f1_max"]).c_str());
    std::printf("pixel   %6s  %6s  %6s  %9s  %10s\n\n", text(result["pixel"]["auroc"]).c_str(), text(result["pixel"]["ap"]).c_str(),
                text(result["pixel"]["f1_max"]).c_str(), text(result["pixel"]["aupro_0.3"]).c_str(), text(result["pixel"]["aupro_0.05"]).c_str());
    std::printf("called anomalous at the model's threshold, %.4f:\n", detector->threshold());
    for (const auto& [name, counts] : perDefect)
        std::printf("  %-20s %4zu of %4zu\n", name.c_str(), counts.first, counts.second);
    if (page)
        std::printf("report: %s\n", options.report.c_str());
    return exitOk;
}

} // namespace

void addEvaluate(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("evaluate", "Measure a model on labelled images");
    command->add_option("model", options->model, "The .agp file")->required();
    command->add_option("--data", options->data, "Folder with test/good, test/<defect> and ground_truth/<defect>")->required();
    command->add_option("--out", options->out, "Write the figures as JSON");
    command->add_option("--report", options->report, "Write one self-contained HTML page");
    command->add_option("--batch", options->batch, "Images in one pass")->check(CLI::Range(1, 256));
    command->add_option("--precision", options->precision, "auto, fp32 or bf16")->check(CLI::IsMember({"auto", "fp32", "bf16"}));
    command->add_flag("--json", options->asJson, "One JSON object on stdout, no progress");
    command->callback([options, &run] { run = [options] { return evaluate(*options); }; });
}

} // namespace agpnet::app
