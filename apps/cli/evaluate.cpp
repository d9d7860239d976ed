#include "agpnet/agpnet.hpp"
#include "apps/cli/commands.h"
#include "apps/cli/evaluate_objects.h"
#include "apps/cli/distance_unit.h"
#include "apps/cli/evaluation_output.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/json_output.h"
#include "apps/cli/named_folder.h"
#include "apps/cli/numbers.h"
#include "apps/cli/output.h"
#include "apps/cli/shared_options.h"
#include "apps/datasets/image_io.h"
#include "apps/datasets/masks.h"
#include "apps/datasets/point_cloud.h"
#include "apps/evaluation/map_folder.h"
#include "apps/tune/progress.h"
#include "common/atomic_file.h"
#include "common/error.h"

#include <algorithm>
#include <chrono>
#include <set>

namespace agpnet::app
{
namespace
{

using nlohmann::json;
namespace fs = std::filesystem;

struct Options
{
    std::string model, split, maps, saveMaps, share, out, report, protocol, precision = "auto", device = "cpu";
    std::vector<std::string> data, categories, good;
    double exactPixels = static_cast<double>(tools::PixelAccumulator::defaultExactPixels);
    int batch = 8, drawings = 1000;
    uint64_t seed = 1;
    double sensitivity = 1, threshold = 0;
    bool asJson = false;
};

/// One picture's map, from the model or from a folder.
struct Found
{
    cv::Mat map;
    float score = 0;
    std::optional<AnomalyResult> result; ///< the model's
    double seconds = 0;
};

std::vector<MeasuredClass> listClasses(const Options& options)
{
    require(options.categories.size() <= 1 || options.data.size() == 1,
            "--category names {} classes, but --data {} folders; one was expected", options.categories.size(), options.data.size());
    require(options.split.empty() || (options.data.size() == 1 && options.categories.size() <= 1),
            "--split is '{}', but there are several classes; a split file is for one", options.split);
    std::vector<MeasuredClass> classes;
    std::set<std::string> names;
    for (const std::string& argument : options.data)
    {
        const auto [name, path] = namedFolder(argument);
        require(name.empty() || options.categories.size() <= 1, "--data {}: one name for {} classes", argument, options.categories.size());
        for (const std::string& category : options.categories.empty() ? std::vector<std::string>{""} : options.categories)
        {
            MeasuredClass each;
            each.data = tools::listTest(path, {category, options.split, options.good});
            each.path = path;
            if (!name.empty())
                each.data.name = name;
            require(names.insert(each.data.name).second, "--data {}: a second class named '{}'; their names must differ", path,
                    each.data.name);
            classes.push_back(std::move(each));
        }
    }
    return classes;
}

tools::ReportItem reportItem(const tools::Item& item, const std::string& group, const cv::Mat& image, const cv::Mat& mask,
                             const Found& found)
{
    tools::ReportItem entry;
    entry.name = group.empty() ? item.name : group + "/" + item.name;
    entry.group = group;
    entry.image = image;
    entry.map = found.map;
    entry.mask = mask;
    entry.score = found.score;
    entry.label = item.label;
    entry.defect = item.defect;
    entry.seconds = found.seconds;
    return entry;
}

/// Figures of merit of one model, or of maps on disk, on one or several classes.
class Evaluator
{
public:
    explicit Evaluator(const Options& options) : options_(options)
    {
        require(options.model.empty() != options.maps.empty(), "evaluate takes a model, or --maps DIR; {}",
                options.model.empty() ? "neither was given" : "both were given");
        require(options.saveMaps.empty() || options.maps.empty(), "--save-maps writes a model's maps; with --maps there are some already");
        if (!options.share.empty())
        {
            share_ = tools::Share::parse(options.share);
            require(!options.saveMaps.empty(), "--share is {}: it requires --save-maps, the folder from which all shards are measured",
                    options.share);
            require(options.report.empty() && options.out.empty(),
                    "--share is {}: metrics and the report require all shards; --maps measures them", options.share);
        }
        if (!options.model.empty())
        {
            detector_ = AnomalyDetector::create(options.model, options.precision, options.device);
            header_ = json::parse(detector_->getHeader());
            detector_->setOptions(
                DetectOptions().setMapSize(MAP_MODEL).setSensitivity(options.sensitivity).setThreshold(options.threshold));
        }
        if (!options.report.empty())
            page_.emplace(options.report);
        report_.title = "Evaluation";
        report_.unit = detector_ ? distanceUnit(header_, "score_metric") : "score";
        report_.mapUnit = detector_ ? distanceUnit(header_, "metric") : "score of pixels";
        if (detector_)
            report_.sensitivity = options.sensitivity;
    }

    Measurement run()
    {
        Measurement result;
        result.classes = listClasses(options_);
        several_ = result.classes.size() > 1;
        report_.expected = 0;
        for (const MeasuredClass& each : result.classes)
            report_.expected += static_cast<int>(each.data.items.size());
        for (MeasuredClass& each : result.classes)
        {
            for (const std::string& warning : each.data.warnings)
                result.warnings.push_back(several_ ? fmt::format("{}: {}", each.data.name, warning) : warning);
            if (detector_)
                chooseProduct(each, result.warnings);
            masks_ = {};
            each.figures = detector_ ? measureModel(each.data) : measureMaps(each.data);
            for (const std::string& note : masks_.notes())
                result.warnings.push_back(several_ ? fmt::format("{}: {}", each.data.name, note) : note);
            each.hash = tools::datasetHash(each.data);
            result.files.used += each.data.items.size();
            result.files.skipped.add(each.data.skipped);
        }
        if (doubtful_ > 0)
            result.warnings.push_back(fmt::format("{} ({} images are such)", firstDoubt_, doubtful_));
        std::vector<tools::ClassFigures> figures;
        for (const MeasuredClass& each : result.classes)
            figures.push_back(each.figures);
        result.mean = tools::meanFigures(figures);
        result.about = about();
        if (page_)
            finishPage(result);
        return result;
    }

    /// Maps and scores of the share, and no figures: those are of all pictures, by --maps.
    FileCount saveShare()
    {
        std::vector<MeasuredClass> classes = listClasses(options_);
        several_ = classes.size() > 1;
        FileCount files;
        std::vector<std::string> warnings;
        for (MeasuredClass& each : classes)
        {
            chooseProduct(each, warnings);
            files.skipped.add(each.data.skipped);
            tools::MapFolderWriter writer = mapWriter(each.data);
            inspect(each.data,
                    [&](const tools::Item& item, const cv::Mat&, const Found& found)
                    {
                        writer.add(item, found.map, found.score);
                        files.used++;
                    });
            writer.finish();
        }
        return files;
    }

private:
    fs::path classFolder(const std::string& folder, const tools::Dataset& data) const
    {
        return several_ ? fs::path(folder) / data.name : fs::path(folder);
    }
    tools::EvaluationOptions figureOptions() const
    {
        return {static_cast<uint64_t>(options_.exactPixels), options_.drawings, options_.seed};
    }
    std::string group(const tools::Dataset& data) const { return several_ ? data.name : ""; }

    /// The thresholds of the product that the class is named after, if the model has several; else each picture is judged as what it looks
    /// like.
    void chooseProduct(MeasuredClass& each, std::vector<std::string>& warnings)
    {
        const std::vector<std::string> products = detector_->getProducts();
        if (std::find(products.begin(), products.end(), each.data.name) != products.end())
            each.product = each.data.name;
        else if (!products.empty())
            warnings.push_back(
                fmt::format("the model knows no product '{}', only {}: each image gets the threshold of the product that it resembles; "
                            "--data NAME=FOLDER names the product",
                            each.data.name, fmt::join(products, ", ")));
        detector_->setOptions(detector_->getOptions().setProduct(each.product));
        if (products.empty() || !each.product.empty() || options_.threshold > 0)
            each.threshold = (options_.threshold > 0 ? options_.threshold : detector_->getThreshold(each.product)) / options_.sensitivity;
    }

    /// The model's results for the share's pictures; `take(item, image, found)` has each, in order.
    template <typename Take>
    void inspect(const tools::Dataset& data, Take take)
    {
        std::vector<const tools::Item*> items;
        for (size_t i = 0; i < data.items.size(); i++)
            if (share_.has(i))
                items.push_back(&data.items[i]);
        const tools::Input input = tools::inputOf(json::parse(detector_->getHeader()).at("config").at("input"));
        if (!warm_ && !items.empty()) // the first pass allocates and compiles; it would be the slowest percentile of all
            detector_->detect(tools::readItem(*items.front(), input));
        warm_ = true;
        Progress progress("image", "images", static_cast<int>(items.size()), 0, options_.asJson);
        for (size_t first = 0; first < items.size(); first += static_cast<size_t>(options_.batch))
        {
            stopIfInterrupted();
            const size_t count = std::min(static_cast<size_t>(options_.batch), items.size() - first);
            std::vector<cv::Mat> images, maps;
            for (size_t i = 0; i < count; i++)
                images.push_back(tools::readItem(*items[first + i], input));
            const auto start = std::chrono::steady_clock::now();
            const std::vector<AnomalyResult> results = detector_->detectBatch(images, maps);
            const double seconds =
                std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / static_cast<double>(count);
            for (size_t i = 0; i < count; i++)
                if (!results[i].warning.empty() && doubtful_++ == 0)
                    firstDoubt_ = fmt::format("{}: {}", items[first + i]->name, results[i].warning);
            for (size_t i = 0; i < count; i++)
                take(*items[first + i], images[i], Found{maps[i], static_cast<float>(results[i].score), results[i], seconds});
            progress.update(static_cast<int>(first + count));
        }
    }

    tools::ClassFigures measureModel(const tools::Dataset& data)
    {
        tools::ClassEvaluation evaluation(data.name, figureOptions());
        std::optional<tools::MapFolderWriter> writer;
        if (!options_.saveMaps.empty())
            writer.emplace(mapWriter(data));
        inspect(data,
                [&](const tools::Item& item, const cv::Mat& image, const Found& found)
                {
                    const cv::Mat mask = tools::readMaskOf(item, image.size());
                    masks_.add(item, mask);
                    masks_.addImage(item, image);
                    evaluation.add(item, found.score, found.map, mask, found.result->anomalous, found.seconds);
                    if (writer)
                        writer->add(item, found.map, found.score);
                    if (page_)
                    {
                        tools::ReportItem entry =
                            reportItem(item, group(data), tools::pictureOf(image, header_.at("config").value("bits", 0)), mask, found);
                        entry.threshold = found.result->threshold;
                        entry.mapThreshold = found.result->pixelThreshold;
                        entry.anomalous = found.result->anomalous;
                        page_->add(entry, report_);
                    }
                });
        if (writer)
            writer->finish();
        return evaluation.finish();
    }

    tools::MapFolderWriter mapWriter(const tools::Dataset& data) const
    {
        tools::requireMapNames(data);
        return tools::MapFolderWriter(classFolder(options_.saveMaps, data), share_);
    }

    tools::ClassFigures measureMaps(const tools::Dataset& data)
    {
        tools::MapFolder maps(classFolder(options_.maps, data), data);
        scoreName_ = maps.hasScores() ? "scores.csv" : "max";
        tools::ClassEvaluation evaluation(data.name, figureOptions());
        Progress progress("map", "maps", static_cast<int>(data.items.size()), 0, options_.asJson);
        int done = 0;
        double low = 0, high = 0;
        for (const tools::Item& item : data.items)
        {
            stopIfInterrupted();
            const cv::Mat map = maps.read(item);
            double least = 0, greatest = 0;
            cv::minMaxLoc(map, &least, &greatest);
            low = std::min(low, least);
            high = std::max(high, greatest);
            const cv::Mat mask = item.mask ? tools::readMaskOf(item, tools::readImage(item.path).size()) : cv::Mat();
            masks_.add(item, mask);
            evaluation.add(item, maps.score(item, map), map, mask);
            progress.update(++done);
        }
        tools::ClassFigures figures = evaluation.finish();
        if (page_) // only now is there a threshold to draw outlines at
            for (const tools::Item& item : data.items)
            {
                stopIfInterrupted();
                Found found;
                found.map = maps.read(item);
                found.score = maps.score(item, found.map);
                const cv::Mat image = tools::pictureOf(tools::readImage(item.path));
                tools::ReportItem entry = reportItem(item, group(data), image, tools::readMaskOf(item, image.size()), found);
                entry.threshold = figures.image.f1Threshold.value_or(found.score);
                entry.anomalous = found.score >= entry.threshold;
                if (figures.pixel.f1Threshold)
                    entry.mapThreshold = *figures.pixel.f1Threshold;
                if (low < 0 || entry.mapThreshold.value_or(0) <= 0) // no threshold to take the colours from
                    entry.range = tools::ScoreRange{low, high > low ? high : low + 1};
                page_->add(entry, report_);
            }
        return figures;
    }

    json about() const
    {
        const json build = json::parse(buildInformation());
        json result = {
            {"agpnet", version()},
            {"versions", {{"agpnet", version()}, {"opencv", build["opencv"]["found"]}, {"libtorch", build["libtorch"]["version"]}}},
            {"device",
             {{"kind", detector_ ? detector_->getDevice() : "cpu"},
              {"capability", build["cpu"]["capability"]},
              {"threads", build["libtorch"]["threads"]}}},
            {"bootstrap", {{"drawings", options_.drawings}, {"seed", options_.seed}, {"of", "images; pixel figures have no interval"}}},
            {"exact_pixels", static_cast<uint64_t>(options_.exactPixels)}};
        if (detector_)
        {
            result["model"] = options_.model;
            result["config"] = header_.at("config");
            result["backbone"] = header_.at("backbone").at("name");
            result["precision"] = detector_->getPrecision();
            result["batch"] = options_.batch;
            result["sensitivity"] = options_.sensitivity;
            result["score"] = header_.at("config").at("score");
        }
        else
        {
            result["maps"] = options_.maps;
            result["score"] = scoreName_;
        }
        return result;
    }

    void finishPage(const Measurement& result)
    {
        std::string names;
        size_t good = 0, anomalous = 0;
        for (const MeasuredClass& each : result.classes)
        {
            names += (names.empty() ? "" : ", ") + each.data.name;
            good += each.figures.good;
            anomalous += each.figures.anomalous;
        }
        const std::string what = detector_ ? options_.model : options_.maps;
        report_.subtitle = fmt::format("{} on {}", fs::path(what).filename().string(), names);
        report_.warnings = result.warnings;
        if (!detector_)
            report_.warnings.push_back("Decisions on this page are those at the threshold of F1-max, which was chosen on these images.");
        report_.facts = {{detector_ ? "Model" : "Maps", what}};
        if (detector_)
            report_.facts.emplace_back("Backbone", header_.at("backbone").at("name").get<std::string>());
        report_.facts.emplace_back("Data", fmt::format("{} good, {} anomalous images", good, anomalous));
        const auto size = several_ ? std::nullopt : result.classes.front().figures.size;
        if (size)
            report_.facts.emplace_back("Evaluated at", fmt::format("{} × {}", size->height, size->width));
        if (detector_)
            report_.facts.emplace_back("Precision", fmt::format("{} on {}", detector_->getPrecision(), detector_->getDevice()));
        if (detector_)
            report_.facts.emplace_back("Images a pass", std::to_string(options_.batch));
        report_.facts.emplace_back("Image score", result.about.at("score").get<std::string>());
        report_.facts.emplace_back("AGPNet", version());
        fillReport(report_, result);
        page_->finish(report_);
    }

    const Options& options_;
    cv::Ptr<AnomalyDetector> detector_;
    json header_;
    std::optional<tools::ReportWriter> page_;
    tools::Report report_;
    std::string scoreName_;
    tools::Share share_;
    tools::MaskCheck masks_; ///< of the class at hand
    bool several_ = false, warm_ = false;
    size_t doubtful_ = 0;    ///< images whose values do not fit those of training
    std::string firstDoubt_; ///< what the first of them is told
};

/// A model of objects has other metrics, and few options of the others have a meaning there.
int evaluateObjects(const Options& options)
{
    require(options.data.size() == 1, "{}: is a model of objects, which is measured on one --data", options.model);
    require(
        options.categories.empty() && options.maps.empty() && options.saveMaps.empty() && options.share.empty() && options.report.empty() &&
            options.good.empty() && options.threshold == 0 && options.sensitivity == 1,
        "{}: is a model of objects: --category, --maps, --save-maps, --share, --report, --good, --threshold and --sensitivity belong to "
        "anomaly detection",
        options.model);
    ObjectEvaluation objects;
    objects.model = options.model;
    objects.data = options.data[0];
    objects.split = options.split;
    objects.protocol = !options.protocol.empty() ? options.protocol : options.split.empty() ? "leave-one-out" : "split";
    objects.out = options.out;
    objects.precision = options.precision;
    objects.device = options.device;
    objects.drawings = options.drawings;
    objects.seed = options.seed;
    objects.asJson = options.asJson;
    const InterruptGuard guard;
    return agpnet::app::evaluateObjects(objects);
}

int evaluate(const Options& options)
{
    if (!options.out.empty())
        requireWritable(options.out);
    if (!options.model.empty() && options.maps.empty() && modelMethod(options.model) == "dec")
        return evaluateObjects(options);
    require(options.protocol.empty(), "--protocol is for models of objects (train --method dec)");
    Evaluator evaluator(options);
    const InterruptGuard guard;
    if (!options.share.empty())
    {
        const FileCount files = evaluator.saveShare();
        if (options.asJson)
            std::printf(
                "%s\n",
                jsonText({{"share", options.share}, {"images", files.used}, {"maps", options.saveMaps}, {"files", toJson(files)}}).c_str());
        else
            std::printf("shard %s: %zu images, maps: %s\nwhen all shards are there: agpnet evaluate --maps %s --data ...\n%s\n",
                        options.share.c_str(), files.used, options.saveMaps.c_str(), options.saveMaps.c_str(), text(files).c_str());
        return exitOk;
    }
    const Measurement result = evaluator.run();
    const json figures = toJson(result);
    if (!options.out.empty())
        writeFileAtomically(options.out, jsonText(figures, 2) + "\n");
    if (options.asJson)
    {
        std::printf("%s\n", jsonText(figures).c_str());
        return exitOk;
    }
    for (const std::string& warning : result.warnings)
        std::fprintf(stderr, "agpnet: note: %s\n", warning.c_str());
    printText(result);
    if (!options.saveMaps.empty())
        std::printf("maps: %s\n", options.saveMaps.c_str());
    if (!options.report.empty())
        std::printf("report: %s\n", options.report.c_str());
    std::printf("%s\n", text(result.files).c_str());
    return exitOk;
}

} // namespace

void addEvaluate(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("evaluate", "Measure a model, or anomaly maps of any tool, on labelled images");
    command->add_option("model", options->model, "The .agp file; not with --maps");
    command
        ->add_option(
            "--data", options->data,
            "MVTec or VisA layout, folder with good/ and <defect>/, or CSV table; several: one class each, as FOLDER or NAME=FOLDER")
        ->required()
        ->allow_extra_args(false); // or a model named after it would be taken for data
    command->add_option("--category", options->categories, "Class, where --data holds several; again for another")->allow_extra_args(false);
    addSelection(*command, options->split, options->good);
    command->add_option("--maps", options->maps, "Measure the maps in this folder: <defect>/<stem>.tiff, perhaps scores.csv");
    command->add_option("--save-maps", options->saveMaps, "Write the model's maps and scores in that layout");
    command->add_option("--share", options->share,
                        "K/N: inspect only shard K of N (every N-th image), for --save-maps; one process for each shard");
    command
        ->add_option("--exact-pixels", options->exactPixels,
                     "Number of pixels above which pixel metrics have error bounds instead of exact values")
        ->check(CLI::Range(0.0, 1e12));
    command
        ->add_option("--bootstrap", options->drawings,
                     "Bootstrap samples of the test set, for the 95 % confidence intervals of image metrics")
        ->check(CLI::Range(0, 100000));
    command->add_option("--seed", options->seed, "Seed of the bootstrap samples")->check(seedNumber());
    command->add_option("--out", options->out, "Write the metrics as JSON");
    command->add_option("--report", options->report, "Write one self-contained HTML page");
    command
        ->add_option(
            "--protocol", options->protocol,
            "Of a model of objects: leave-one-out (default), split (queries and targets by --split), or instance (is the very same "
            "object found by 1, 3 or 6 other views?)")
        ->check(CLI::IsMember({"leave-one-out", "split", "instance"}));
    command->add_option("--threshold", options->threshold, "Threshold of the image score, instead of the model's")->check(positiveNumber());
    command->add_option("--sensitivity", options->sensitivity, "Divides the thresholds (default 1)")->check(positiveNumber());
    command->add_option("--batch", options->batch, "Images in one pass")->check(CLI::Range(1, 256));
    addCompute(*command, options->precision, options->device);
    command->add_flag("--json", options->asJson, "One JSON object on stdout, no progress");
    command->callback([options, &run] { run = [options] { return evaluate(*options); }; });
}

} // namespace agpnet::app
