#include "agpnet/agpnet.hpp"
#include "apps/agpnet/commands.h"
#include "apps/agpnet/progress.h"
#include "apps/agpnet/region.h"
#include "apps/tools/dataset.h"
#include "apps/tools/image_io.h"
#include "apps/tools/point_cloud.h"
#include "apps/tools/report.h"
#include "common/error.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <set>

namespace agpnet::app
{
namespace
{

using nlohmann::json;
namespace fs = std::filesystem;

struct Options
{
    std::string model, out, report, region, product, precision = "auto";
    std::vector<std::string> inputs;
    double sensitivity = 1, tileOverlap = -1;
    int tile = -1;
    bool overlays = false, maps = false, masks = false, asJson = false, exitCode = false;
};

/// Output files are named after their image; two images of one name in different folders get a number.
class OutputNames
{
public:
    std::string of(const fs::path& image)
    {
        const std::string stem = image.stem().string();
        std::string name = stem;
        for (int i = 2; !used_.insert(name).second; i++)
            name = fmt::format("{}_{}", stem, i);
        return name;
    }

private:
    std::set<std::string> used_;
};

json toJson(const fs::path& path, const Result& result, double seconds)
{
    json regions = json::array();
    for (const Region& region : result.regions)
        regions.push_back({{"box", {region.box.x, region.box.y, region.box.width, region.box.height}},
                           {"peak", {region.peak.x, region.peak.y}},
                           {"score", region.score},
                           {"area", region.area}});
    return {{"image", path.string()},  {"score", result.score},     {"threshold", result.threshold},
            {"anomalous", result.anomalous}, {"regions", regions}, {"seconds", seconds}};
}

tools::Report reportHead(const Options& options, const Detector& detector)
{
    const json header = json::parse(detector.header());
    tools::Report report;
    report.title = "Inspection";
    report.subtitle = fs::path(options.model).filename().string();
    report.unit = header.at("config").at("score_metric") == "cosine" ? "cosine distance of features" : "distance of features";
    report.facts = {{"Model", options.model},
                    {"Backbone", header.at("backbone").at("name").get<std::string>()},
                    {"Input", fmt::format("{} × {}", detector.inputSize().height, detector.inputSize().width)},
                    {"Precision", detector.precision()},
                    {"Sensitivity", fmt::format("{:g}", detector.sensitivity())},
                    {"AGPNet", version()}};
    if (detector.tileSide() > 0)
        report.facts.emplace_back("Tiles", fmt::format("{} pixels, overlap {:g}", detector.tileSide(), detector.tileOverlap()));
    if (!detector.product().empty())
        report.facts.emplace_back("Product", detector.product());
    return report;
}

/// Options of the command line over what the model was trained with.
void configure(Detector& detector, const Options& options, const fs::path& example)
{
    detector.setSensitivity(options.sensitivity);
    detector.setProduct(options.product);
    if (options.tile >= 0 || options.tileOverlap >= 0)
        detector.setTiles(options.tile >= 0 ? options.tile : detector.tileSide(), options.tileOverlap >= 0 ? options.tileOverlap : detector.tileOverlap());
    if (!options.region.empty())
        detector.setRegionPolygons(readRegion(options.region, example));
}

int detect(const Options& options)
{
    const cv::Ptr<Detector> detector = Detector::load(options.model, options.precision);
    const std::vector<fs::path> images = tools::expandInputs(options.inputs);
    configure(*detector, options, images[0]);
    if (!options.out.empty())
    {
        std::error_code error;
        fs::create_directories(options.out, error);
        require(fs::is_directory(options.out), "{}: the folder for results cannot be made: {}", options.out, error.message());
    }
    std::optional<tools::ReportWriter> page;
    const tools::Report report = reportHead(options, *detector);
    if (!options.report.empty())
        page.emplace(options.report);
    const bool all = !options.overlays && !options.maps && !options.masks;

    const tools::Input input = tools::inputOf(json::parse(detector->header()).at("config").at("input"));
    OutputNames names;
    size_t anomalous = 0, failed = 0;
    Progress progress("image", "images", static_cast<int>(images.size()), 0, options.asJson || images.size() < 8 || options.out.empty());
    for (size_t i = 0; i < images.size(); i++)
    {
        cv::Mat image, map, mask;
        Result result;
        double seconds = 0;
        try
        {
            const cv::Mat read = tools::readItem(tools::itemOf(images[i]), input);
            const auto start = std::chrono::steady_clock::now();
            result = detector->detect(read, map, mask);
            seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
            image = tools::pictureOf(read);
        }
        catch (const cv::Exception& error) // one bad image must not cost the others
        {
            failed++;
            std::fprintf(stderr, "agpnet: %s: %s\n", images[i].c_str(), error.err.c_str());
            continue;
        }
        catch (const Error& error)
        {
            failed++;
            std::fprintf(stderr, "agpnet: %s\n", error.what());
            continue;
        }
        anomalous += result.anomalous;
        if (options.asJson)
            std::printf("%s\n", toJson(images[i], result, seconds).dump(-1, ' ', false, json::error_handler_t::replace).c_str());
        else if (options.out.empty() || images.size() < 8)
            std::printf("%-9s %9.4f  %s\n", result.anomalous ? "anomalous" : "good", result.score, images[i].c_str());
        if (!options.out.empty())
        {
            const fs::path base = fs::path(options.out) / names.of(images[i]);
            const double pixelThreshold = detector->pixelThreshold() / detector->sensitivity();
            if (all || options.overlays)
                tools::writeImage(base.string() + "_overlay.png", tools::overlay(image, map, {0, 2 * pixelThreshold}, pixelThreshold));
            if (all || options.maps)
                tools::writeMapTiff(base.string() + "_map.tiff", map);
            if (all || options.masks)
                tools::writeImage(base.string() + "_mask.png", mask);
        }
        if (page)
        {
            tools::ReportItem item;
            item.name = images[i].filename().string();
            item.image = image;
            item.map = map;
            item.score = result.score;
            item.threshold = result.threshold;
            item.anomalous = result.anomalous;
            item.seconds = seconds;
            page->add(item, report);
        }
        progress.update(static_cast<int>(i + 1));
    }
    if (page && failed < images.size())
        page->finish(report);
    if (!options.asJson)
    {
        std::printf("%zu of %zu images anomalous (threshold %.4f)\n", anomalous, images.size() - failed,
                    detector->threshold() / detector->sensitivity());
        if (page && failed < images.size())
            std::printf("report: %s\n", options.report.c_str());
    }
    if (failed > 0)
    {
        std::fprintf(stderr, "agpnet: %zu of %zu images could not be inspected\n", failed, images.size());
        return exitError;
    }
    return options.exitCode && anomalous > 0 ? exitAnomaly : exitOk;
}

} // namespace

void addDetect(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("detect", "Inspect images with a model");
    command->add_option("model", options->model, "The .agp file")->required();
    command->add_option("images", options->inputs, "Files, folders, or globs")->required();
    command->add_option("--out", options->out, "Folder for overlay (PNG), map (32-bit TIFF) and mask (PNG) of each image");
    command->add_flag("--overlays", options->overlays, "Into --out: overlays only, or with --maps, --masks those");
    command->add_flag("--maps", options->maps, "Into --out: maps");
    command->add_flag("--masks", options->masks, "Into --out: masks");
    command->add_option("--report", options->report, "Write one self-contained HTML page");
    command->add_option("--sensitivity", options->sensitivity, "Divides the thresholds (default 1)")->check(CLI::PositiveNumber);
    command->add_option("--product", options->product, "Take the thresholds of one of the model's products");
    command->add_option("--tile", options->tile, "Side in pixels of overlapping tiles; 0: none (default: as the model was trained)")
        ->check(CLI::NonNegativeNumber);
    command->add_option("--tile-overlap", options->tileOverlap, "Share of a tile in common with the next")->check(CLI::Range(0.0, 0.9));
    command->add_option("--roi", options->region, "Region of interest: a mask picture, or points \"x,y x,y x,y\" (shares or pixels; polygons by ;)");
    command->add_option("--precision", options->precision, "auto, fp32 or bf16")->check(CLI::IsMember({"auto", "fp32", "bf16"}));
    command->add_flag("--json", options->asJson, "One JSON object per image on stdout");
    command->add_flag("--exit-code", options->exitCode, "Exit with 3 if an image is anomalous");
    command->callback([options, &run] { run = [options] { return detect(*options); }; });
}

} // namespace agpnet::app
