#include "agpnet/agpnet.hpp"
#include "apps/cli/commands.h"
#include "apps/cli/distance_unit.h"
#include "apps/cli/file_count.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/json_output.h"
#include "apps/cli/numbers.h"
#include "apps/cli/output.h"
#include "apps/cli/region.h"
#include "apps/cli/shared_options.h"
#include "apps/datasets/dataset.h"
#include "apps/datasets/image_io.h"
#include "apps/datasets/point_cloud.h"
#include "apps/report/report.h"
#include "apps/tune/progress.h"
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
    std::string model, out, report, region, product, precision = "auto", device = "cpu";
    std::vector<std::string> inputs;
    double sensitivity = 1, tileOverlap = -1, threshold = 0, pixelThreshold = 0;
    int tile = -1, minimumArea = 0, driftWindow = 32;
    bool watchStatistics = false;
    bool overlays = false, maps = false, masks = false, asJson = false, exitCode = false;
};

/// Output files are named after their image; two images of one name in different folders get a number.
class OutputNames
{
public:
    std::string of(const fs::path& image)
    {
        const std::string stem = image == tools::standardInputName ? "stdin" : image.stem().string();
        std::string name = stem;
        for (int i = 2; !used_.insert(name).second; i++)
            name = fmt::format("{}_{}", stem, i);
        return name;
    }

private:
    std::set<std::string> used_;
};

json toJson(const fs::path& path, const AnomalyResult& result, double seconds)
{
    json regions = json::array();
    for (const AnomalyRegion& region : result.regions)
    {
        json contour = json::array();
        for (const cv::Point& point : region.contour)
            contour.push_back({point.x, point.y});
        regions.push_back({{"box", {region.box.x, region.box.y, region.box.width, region.box.height}},
                           {"peak", {region.peak.x, region.peak.y}},
                           {"score", region.score},
                           {"area", region.area},
                           {"contour", contour}});
    }
    json line = {{"score", result.score},
            {"threshold", result.threshold},
            {"pixel_threshold", result.pixelThreshold},
            {"calibrated", result.calibrated},
            {"anomalous", result.anomalous},
            {"product", result.product.empty() ? json(nullptr) : json(result.product)},
            {"drift", result.drift < 0 ? json(nullptr) : json(result.drift)},
            {"warning", result.warning.empty() ? json(nullptr) : json(result.warning)},
            {"regions", regions},
            {"seconds", seconds}};
    setName(line, "image", path.string());
    return line;
}

tools::Report reportHead(const Options& options, const AnomalyDetector& detector)
{
    const json header = json::parse(detector.getHeader());
    tools::Report report;
    report.title = "Inspection";
    report.subtitle = fs::path(options.model).filename().string();
    report.unit = distanceUnit(header, "score_metric");
    report.mapUnit = distanceUnit(header, "metric");
    const DetectOptions used = detector.getOptions();
    report.sensitivity = used.getSensitivity();
    report.facts = {{"Model", options.model},
                    {"Backbone", header.at("backbone").at("name").get<std::string>()},
                    {"Input", fmt::format("{} × {}", detector.getInputSize().height, detector.getInputSize().width)},
                    {"Precision", fmt::format("{} on {}", detector.getPrecision(), detector.getDevice())},
                    {"Sensitivity", fmt::format("{:g}", used.getSensitivity())},
                    {"AGPNet", version()}};
    if (used.getTileSide() > 0)
        report.facts.emplace_back("Tiles", fmt::format("{} pixels, overlap {:g}", used.getTileSide(), used.getTileOverlap()));
    if (!used.getProduct().empty())
        report.facts.emplace_back("Product", used.getProduct());
    return report;
}

/// Options of the command line over what the model was trained with.
void configure(AnomalyDetector& detector, const Options& options, const fs::path& example)
{
    DetectOptions wanted = detector.getOptions();
    wanted.setSensitivity(options.sensitivity)
        .setProduct(options.product)
        .setThreshold(options.threshold)
        .setPixelThreshold(options.pixelThreshold)
        .setMinimumArea(options.minimumArea);
    detector.setDriftWindow(options.driftWindow);
    require(!options.watchStatistics || detector.getDrift().known,
            "--watch-stats: {} does not know the range of its training's features (an earlier version trained it, or there were fewer than "
            "8 held-out images); "
            "'agpnet calibrate' with good images adds it",
            options.model);
    if (options.tile >= 0 || options.tileOverlap >= 0)
        wanted.setTiles(options.tile >= 0 ? options.tile : wanted.getTileSide(),
                        options.tileOverlap >= 0 ? options.tileOverlap : wanted.getTileOverlap());
    if (!options.region.empty())
        wanted.setRegionPolygons(readRegion(options.region, example));
    detector.setOptions(wanted);
}

/// Tells when the pictures stop looking like those of training.
class DriftWatch
{
public:
    DriftWatch(const AnomalyDetector& detector, bool wanted) : detector_(detector), wanted_(wanted) {}

    void after(const AnomalyResult& result)
    {
        if (!wanted_)
            return;
        outside_ += result.drift > 1;
        const DriftState state = detector_.getDrift();
        if (state.drifting && !drifting_)
            std::fprintf(stderr,
                         "agpnet: drift: %.0f %% of the last %d images are outside the range of training (median %.2f, 1 is its edge): the "
                         "parts, the light, the lens or the camera are not those of the training\n",
                         100 * state.outside, state.pictures, state.median);
        drifting_ = state.drifting;
        raised_ |= drifting_;
    }
    void print(size_t images) const
    {
        if (wanted_)
            std::printf("feature statistics: %zu of %zu images outside the range of training; %s\n", outside_, images,
                        raised_ ? "drift was found" : "no drift");
    }
    bool drifting() const { return drifting_; }
    bool raised() const { return raised_; }

private:
    const AnomalyDetector& detector_;
    bool wanted_, drifting_ = false, raised_ = false;
    size_t outside_ = 0;
};

/// One image and what the model says of it.
struct Inspected
{
    cv::Mat image, map, mask;
    AnomalyResult result;
    double seconds = 0;
};

/// Reads images as the model wants them and runs it on them.
class Inspector
{
public:
    explicit Inspector(AnomalyDetector& detector) : detector_(detector)
    {
        const json config = json::parse(detector.getHeader()).at("config");
        input_ = tools::inputOf(config.at("input"));
        bits_ = config.value("bits", 0);
    }

    /// Nothing if the image cannot be inspected; stderr then says why. One bad image must not cost the others.
    std::optional<Inspected> inspect(const fs::path& path) const
    {
        try
        {
            Inspected found;
            const cv::Mat read = tools::readItem(tools::itemOf(path), input_);
            if (const std::string note = tools::pagesNote(path); !note.empty())
                std::fprintf(stderr, "agpnet: note: %s %s\n", path.c_str(), note.c_str());
            const auto start = std::chrono::steady_clock::now();
            found.result = detector_.detect(read, found.map, found.mask);
            found.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
            found.image = tools::pictureOf(read, bits_);
            return found;
        }
        catch (const cv::Exception& error)
        {
            std::fprintf(stderr, "agpnet: %s: %s\n", path.c_str(), error.err.c_str());
        }
        catch (const Error& error)
        {
            std::fprintf(stderr, "agpnet: %s\n", error.what());
        }
        return std::nullopt;
    }

private:
    AnomalyDetector& detector_;
    tools::Input input_;
    int bits_ = 0;
};

void makeFolder(const std::string& folder)
{
    std::error_code error, ignored;
    fs::create_directories(folder, error);
    require(fs::is_directory(folder, ignored), "{}: the folder for results cannot be made: {}", folder, error.message());
}

/// The files that --out asks for; all three kinds where it does not say which.
void writeFiles(const Options& options, const std::string& base, const Inspected& found)
{
    const bool all = !options.overlays && !options.maps && !options.masks;
    if (all || options.overlays)
    {
        cv::Mat shown;
        overlay(found.image, found.map, shown, found.result.pixelThreshold);
        tools::writeImage(base + "_overlay.png", shown);
    }
    if (all || options.maps)
        tools::writeMapTiff(base + "_map.tiff", found.map);
    if (all || options.masks)
        tools::writeImage(base + "_mask.png", found.mask);
}

tools::ReportItem reportItem(const fs::path& path, const Inspected& found)
{
    tools::ReportItem item;
    item.name = path.filename().string();
    item.image = found.image;
    item.map = found.map;
    item.score = found.result.score;
    item.threshold = found.result.threshold;
    item.mapThreshold = found.result.pixelThreshold;
    item.anomalous = found.result.anomalous;
    item.seconds = found.seconds;
    return item;
}

/// The thresholds that decided, in words.
std::string thresholdText(const Options& options, const AnomalyDetector& detector)
{
    if (options.threshold <= 0 && options.product.empty() && !detector.getProducts().empty())
        return "each with the threshold of the product that it resembles";
    const double threshold = options.threshold > 0 ? options.threshold : detector.getThreshold(options.product);
    return fmt::format("threshold {:.4f}", threshold / options.sensitivity);
}

int detect(const Options& options)
{
    const cv::Ptr<AnomalyDetector> detector = AnomalyDetector::create(options.model, options.precision, options.device);
    tools::LeftOut beside;
    const std::vector<fs::path> images = tools::expandInputs(options.inputs, &beside);
    for (const std::string& note : beside.notes)
        std::fprintf(stderr, "agpnet: note: %s\n", note.c_str());
    configure(*detector, options, images[0]);
    if (!options.out.empty())
        makeFolder(options.out);
    std::optional<tools::ReportWriter> page;
    tools::Report report = reportHead(options, *detector);
    report.expected = static_cast<int>(images.size());
    if (!options.report.empty())
        page.emplace(options.report);

    const Inspector inspector(*detector);
    OutputNames names;
    size_t anomalous = 0, doubtful = 0;
    FileCount files;
    files.skipped = beside.files;
    DriftWatch watch(*detector, options.watchStatistics);
    Progress progress("image", "images", static_cast<int>(images.size()), 0, options.asJson || images.size() < 8 || options.out.empty());
    const InterruptGuard guard;
    for (size_t i = 0; i < images.size(); i++)
    {
        stopIfInterrupted();
        const std::optional<Inspected> found = inspector.inspect(images[i]);
        if (!found)
        {
            files.unread.add(images[i].string());
            continue;
        }
        const AnomalyResult& result = found->result;
        files.used++;
        anomalous += result.anomalous;
        if (!result.warning.empty() && doubtful++ == 0) // the others are counted: such a thing comes to all images of a camera
            std::fprintf(stderr, "agpnet: note: %s: %s\n", images[i].c_str(), result.warning.c_str());
        watch.after(result);
        if (options.asJson)
        {
            json line = toJson(images[i], result, found->seconds);
            if (options.watchStatistics)
                line["drifting"] = watch.drifting();
            std::printf("%s\n", jsonText(line).c_str());
            flushOutput(); // for whoever reads along, and a full disk is met at the first image
        }
        else if (options.out.empty() || images.size() < 8)
            std::printf("%-9s %9.4f  %s\n", result.anomalous ? "anomalous" : "good", result.score, images[i].c_str());
        if (!options.out.empty())
            writeFiles(options, fs::path(options.out) / names.of(images[i]), *found);
        if (page)
            page->add(reportItem(images[i], *found), report);
        progress.update(static_cast<int>(i + 1));
    }
    if (page && files.used > 0)
        page->finish(report);
    if (options.asJson)
        std::printf("%s\n", jsonText({{"files", toJson(files)}}).c_str());
    else
    {
        std::printf("%zu of %zu images anomalous (%s)\n", anomalous, files.used, thresholdText(options, *detector).c_str());
        watch.print(files.used);
        if (page && files.used > 0)
            std::printf("report: %s\n", options.report.c_str());
        std::printf("%s\n", text(files).c_str());
    }
    if (doubtful > 1)
        std::fprintf(stderr, "agpnet: note: the values of %zu of %zu images do not fit those of training\n", doubtful, files.used);
    if (files.unread.count > 0)
    {
        std::fprintf(stderr, "agpnet: %zu of %zu images could not be inspected\n", files.unread.count, images.size());
        return exitError;
    }
    if (options.exitCode && watch.raised())
        return exitDrift;
    return options.exitCode && anomalous > 0 ? exitAnomaly : exitOk;
}

} // namespace

void addDetect(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("detect", "Inspect images with a model");
    command->add_option("model", options->model, "The .agp file")->required();
    command->add_option("images", options->inputs, "Files, folders, or globs; - is standard input")->required();
    command->add_option("--out", options->out, "Folder for overlay (PNG), map (32-bit TIFF) and mask (PNG) of each image");
    command->add_flag("--overlays", options->overlays,
                      "Write overlays to --out. Without --overlays, --maps and --masks, all three are written");
    command->add_flag("--maps", options->maps, "Write maps to --out");
    command->add_flag("--masks", options->masks, "Write masks to --out");
    command->add_option("--report", options->report, "Write one self-contained HTML page");
    addSensitivity(*command, options->sensitivity);
    command->add_option("--threshold", options->threshold, "Threshold of the score, instead of the model's")->check(positiveNumber());
    command->add_option("--pixel-threshold", options->pixelThreshold, "Threshold of the map, instead of the model's")
        ->check(positiveNumber());
    command->add_option("--min-area", options->minimumArea, "Minimum size of a region in pixels; smaller regions are dropped")
        ->check(nonNegativeNumber());
    command->add_flag("--watch-stats", options->watchStatistics, "Report when the images' features leave the range of the training");
    command->add_option("--drift-window", options->driftWindow, "Number of recent images that --watch-stats uses (default 32)")
        ->check(CLI::Range(4, 65536));
    command->add_option("--product", options->product,
                        "Use the thresholds of one of the model's products (default: of the product that each image resembles)");
    command->add_option("--tile", options->tile, "Side in pixels of overlapping tiles; 0: none (default: as the model was trained)")
        ->check(nonNegativeNumber());
    command
        ->add_option("--tile-overlap", options->tileOverlap,
                     "Overlap of neighbouring tiles, as a fraction of a tile (default: as the model was trained)")
        ->check(CLI::Range(0.0, 0.9));
    addRegionOfInterest(*command, options->region);
    addCompute(*command, options->precision, options->device);
    command->add_flag(
        "--json", options->asJson,
        "One JSON object for each image on stdout, then one without \"image\": {\"files\": {\"used\", \"skipped\", \"unread\", ...}}");
    command->add_flag("--exit-code", options->exitCode, "Exit with 3 if an image is anomalous, with 4 if --watch-stats found drift");
    command->callback([options, &run] { run = [options] { return detect(*options); }; });
}

} // namespace agpnet::app
