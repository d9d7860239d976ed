// New thresholds for a trained model, without training.
#include "agpnet/agpnet.hpp"
#include "apps/cli/commands.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/json_output.h"
#include "apps/cli/named_folder.h"
#include "apps/cli/numbers.h"
#include "apps/cli/output.h"
#include "apps/cli/shared_options.h"
#include "apps/datasets/dataset.h"
#include "apps/datasets/masks.h"
#include "apps/datasets/point_cloud.h"
#include "apps/tune/progress.h"
#include "common/error.h"

#include <algorithm>
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
    std::string model, out, category, split, rule;
    std::vector<std::string> data, good;
    CalibrationOptions calibration;
    bool labelled = false, asJson = false;
};

const std::map<std::string, ThresholdRule> rules = {
    {"tail", THRESHOLD_TAIL}, {"quantile", THRESHOLD_QUANTILE}, {"f1", THRESHOLD_F1}, {"cost", THRESHOLD_COST}};

/// One --data.
struct Pictures
{
    std::string product;
    tools::Dataset data;
    std::string from = "held-back";
};

/// The record's hash of the pictures that the product was trained on; "" where it has none.
std::string trainingHash(const json& header, const std::string& product)
{
    const json data = header.at("training").value("data", json::object());
    for (const json& entry : data.is_array() ? data : json::array({data}))
        if (entry.value("name", "") == product)
            return entry.value("sha256", "");
    return {};
}

/// Good pictures that the model was not trained on, as far as there are any.
void listGood(Pictures& pictures, const std::string& path, const tools::ListOptions& options, const json& header)
{
    pictures.data = tools::listValidation(path, options);
    if (!pictures.data.items.empty())
        return;
    pictures.data = tools::listTraining(path, options);
    if (tools::datasetHash(pictures.data) != trainingHash(header, pictures.product))
        return;
    const std::vector<size_t> untrained = untrainedPictures(header.dump(), pictures.product, pictures.data.items.size());
    if (untrained.empty())
    {
        pictures.from = "training";
        return;
    }
    std::vector<tools::Item> items;
    for (const size_t place : untrained)
        items.push_back(pictures.data.items[place]);
    pictures.data.items = std::move(items);
}

std::vector<Pictures> listPictures(const Options& options, const std::vector<std::string>& products, const json& header)
{
    std::vector<Pictures> list;
    for (const std::string& argument : options.data)
    {
        const NamedFolder given = namedFolder(argument);
        Pictures pictures;
        pictures.product = !given.name.empty() || products.empty() ? given.name : fs::weakly_canonical(given.path).filename().string();
        const tools::ListOptions how = {options.category, options.split, options.good};
        if (options.labelled)
            pictures.data = tools::listTest(given.path, how);
        else
            listGood(pictures, given.path, how, header);
        for (const std::string& warning : pictures.data.warnings)
            std::fprintf(stderr, "agpnet: note: %s\n", warning.c_str());
        list.push_back(std::move(pictures));
    }
    return list;
}

std::string ruleText(const json& scores, const char* key)
{
    const json& rule = scores.at(key);
    const json& rate = rule.at("false_alarms");
    return fmt::format("{}, {}", rule.at("method").get<std::string>(),
                       rate.is_null() ? "no false-positive rate can be stated from so few scores"
                                      : fmt::format("{:.2g} % false positives expected", 100 * rate.get<double>()));
}

/// Where the images of the thresholds come from. The file's word for held-out images is an older one.
std::string originText(const json& scores)
{
    const std::string from = scores.at("from").get<std::string>();
    return from == "held-back" ? "held-out" : from;
}

int calibrateModel(Options& options)
{
    const std::string out = options.out.empty() ? options.model : options.out;
    options.calibration.rule = !options.rule.empty() ? rules.at(options.rule) : (options.labelled ? THRESHOLD_F1 : THRESHOLD_TAIL);
    const bool needsLabels = options.calibration.rule == THRESHOLD_F1 || options.calibration.rule == THRESHOLD_COST;
    require(needsLabels == options.labelled, "--rule {} takes thresholds from {} images; {}", options.rule,
            needsLabels ? "labelled" : "normal", needsLabels ? "--labelled is missing" : "leave --labelled out");
    requireWritable(out);
    json header;
    std::vector<Pictures> list;
    {
        const cv::Ptr<AnomalyDetector> detector = AnomalyDetector::create(options.model);
        header = json::parse(detector->getHeader());
        list = listPictures(options, detector->getProducts(), header);
    }
    const tools::Input input = tools::inputOf(header.at("config").at("input"));
    std::vector<CalibrationSet> sets;
    tools::MaskCheck masks;
    const int bits = header.at("config").value("bits", 0), most = (1 << (bits > 0 ? bits : 16)) - 1;
    double greatest = 0;
    size_t total = 0, above = 0;
    for (const Pictures& pictures : list)
    {
        CalibrationSet set;
        set.product = pictures.product;
        set.count = pictures.data.items.size();
        set.from = pictures.from;
        set.image = [&pictures, &masks, &greatest, &above, most, input](size_t i) {
            const tools::Item& item = pictures.data.items[i];
            CalibrationImage image;
            image.image = tools::readItem(item, input);
            double brightest = 0;
            if (image.image.depth() == CV_16U && image.image.channels() <= 4)
                cv::minMaxLoc(image.image.reshape(1), nullptr, &brightest);
            above += brightest > most;
            greatest = std::max(greatest, brightest);
            image.anomalous = item.label == tools::Label::Anomalous;
            image.mask = tools::readMaskOf(item, image.image.size());
            masks.add(item, image.mask);
            return image;
        };
        total += set.count;
        sets.push_back(std::move(set));
        if (pictures.from == "training")
            std::fprintf(stderr, "agpnet: note: %s: the model was trained on all of these images; it will flag more of other images\n",
                         pictures.data.root.c_str());
    }
    {
        Progress progress("image", "images", static_cast<int>(total), 0, options.asJson);
        options.calibration.keepGoing = [&](size_t done, size_t) {
            progress.update(static_cast<int>(done));
            return interrupted == 0;
        };
        const InterruptGuard guard;
        if (!calibrate(options.model, sets, options.calibration, out))
            throw Interrupted();
    }
    if (above > 0)
        std::fprintf(stderr,
                     "agpnet: note: %zu images of 16 bits hold values above %d, the maximum of the model's %d bits, up to %.0f: its "
                     "thresholds are not valid for them\n",
                     above, most, bits, greatest);
    for (const std::string& note : masks.notes())
        std::fprintf(stderr, "agpnet: note: %s\n", note.c_str());
    const json scores = json::parse(AnomalyDetector::create(out)->getHeader()).at("scores");
    const json& before = header.at("scores");
    if (options.asJson)
    {
        std::printf("%s\n", jsonText({{"model", out}, {"images", total}, {"scores", scores}, {"before", before}}).c_str());
        return exitOk;
    }
    for (const auto& [key, rule, what] :
         {std::tuple{"threshold", "threshold_rule", "score"}, {"pixel_threshold", "pixel_threshold_rule", "map"}})
        std::printf("%s: threshold of the %s %.4f, was %.4f (%s; %zu %s images)\n", out.c_str(), what, scores.at(key).get<double>(),
                    before.at(key).get<double>(), ruleText(scores, rule).c_str(), total,
                    options.labelled ? "labelled" : originText(scores).c_str());
    if (const auto left = scores.at("count").get<int64_t>() - scores.at("threshold_rule").at("normal").get<int64_t>();
        left > 0 && !options.labelled)
        std::printf("%lld of the images score far above the others and were left out: are they good?\n", static_cast<long long>(left));
    return exitOk;
}

} // namespace

void addCalibrate(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command =
        app.add_subcommand("calibrate", "Compute new thresholds for a model, and the range of its features, without training");
    command->add_option("model", options->model, "The .agp file")->required();
    command
        ->add_option(
            "--data", options->data,
            "Good images, as for train: of the images that it was trained on, the held-out ones are used; with --labelled: test images, as "
            "for evaluate. Once for each product, as FOLDER or NAME=FOLDER")
        ->required()
        ->allow_extra_args(false);
    command->add_option("--category", options->category, "Class, where --data holds several");
    addSelection(*command, options->split, options->good);
    command->add_flag("--labelled", options->labelled,
                      "The images have labels, good and defective ones, and masks for the pixel threshold");
    command->add_option("--rule", options->rule, "tail (default) or quantile; with --labelled: f1 (default) or cost")
        ->check(CLI::IsMember({"tail", "quantile", "f1", "cost"}));
    command
        ->add_option("--false-alarms", options->calibration.falseAlarms,
                     "Fraction of good images that the thresholds may flag (default 0.01)")
        ->check(CLI::Range(1e-6, 0.5));
    command
        ->add_option("--cost", options->calibration.missCost, "Cost of a missed defect, in false positives (default 10), for --rule cost")
        ->check(positiveNumber());
    command->add_option("--out", options->out, "The .agp file to write (default: the model itself)");
    command->add_flag("--json", options->asJson, "One JSON object on stdout, no progress");
    command->callback([options, &run] { run = [options] { return calibrateModel(*options); }; });
}

} // namespace agpnet::app
