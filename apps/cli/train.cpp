#include "agpnet/agpnet.hpp"
#include "apps/cli/backbone_search.h"
#include "apps/cli/commands.h"
#include "apps/cli/file_count.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/json_output.h"
#include "apps/cli/named_folder.h"
#include "apps/cli/numbers.h"
#include "apps/cli/output.h"
#include "apps/cli/region.h"
#include "apps/cli/shared_options.h"
#include "apps/cli/threshold_notes.h"
#include "apps/cli/train_objects.h"
#include "apps/datasets/dataset.h"
#include "apps/datasets/point_cloud.h"
#include "apps/tune/progress.h"
#include "common/error.h"
#include "common/json_text.h"
#include "common/text_file.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

namespace agpnet::app
{
namespace
{

using nlohmann::json;
namespace fs = std::filesystem;

struct Options
{
    std::vector<std::string> data, augment, good;
    std::string out, backbone, config, size, noise, precision, region, category, split, input, preset, device = "cpu", method = "agpnet",
                                                                                                       names, bridge, textEncoder;
    int steps = 0, batch = 0, tile = -1, shots = 0, bits = 0;
    double learningRate = 0, tileOverlap = -1, checkpoint = 60, falseAlarms = 0;
    std::optional<uint64_t> seed;
    bool noImageNoise = false, reference = false, resume = false, asJson = false, earlyStop = false, profile = false;
};

/// One --data: the pictures of one product.
struct Product
{
    std::string name; ///< "" where there is but one, and it was not named
    std::string path;
    tools::Dataset data;
    std::string hash;
};

std::vector<Product> readProducts(const Options& options)
{
    std::vector<Product> products;
    for (const std::string& argument : options.data)
    {
        Product product;
        const NamedFolder given = namedFolder(argument);
        product.name = given.name;
        product.path = given.path;
        if (product.name.empty() && options.data.size() > 1)
            product.name = fs::weakly_canonical(product.path).filename().string();
        for (const Product& other : products)
            require(other.name != product.name, "two products are called '{}' ({} and {}); name them with --data NAME=FOLDER", product.name,
                    other.path, product.path);
        product.data = tools::listTraining(product.path, {options.category, options.split, options.good});
        for (const std::string& warning : product.data.warnings)
            std::fprintf(stderr, "agpnet: note: %s\n", warning.c_str());
        tools::checkFiles(product.data);
        product.hash = tools::datasetHash(product.data);
        product.path = fs::weakly_canonical(product.path).string();
        products.push_back(std::move(product));
    }
    return products;
}

/// For the record: an object for one product without a name, else a list.
json dataNote(const std::vector<Product>& products)
{
    json list = json::array();
    for (const Product& product : products)
    {
        list.push_back({{"layout", product.data.layout}, {"files", product.data.items.size()}, {"sha256", product.hash}});
        setName(list.back(), "path", product.path);
        if (!product.name.empty())
            list.back()["name"] = product.name;
    }
    return products.size() == 1 && products[0].name.empty() ? list[0] : list;
}

/// `sets`: of the record. Pictures are used to train on, or to take thresholds from.
FileCount filesUsed(const std::vector<Product>& products, const json& sets)
{
    FileCount files;
    for (const json& set : sets)
        files.used += set.contains("chosen") ? set["chosen"].size() : set.at("count").get<size_t>();
    for (const Product& product : products)
        files.skipped.add(product.data.skipped);
    return files;
}

/// The files that a few-shot training chose, by name.
json shotsNote(const std::vector<Product>& products, const json& record)
{
    json files = json::array();
    for (size_t i = 0; i < products.size(); i++)
        for (const json& chosen : record.at("sets").at(i).at("chosen"))
            files.push_back((products[i].name.empty() ? "" : products[i].name + ": ") +
                            products[i].data.items.at(chosen.get<size_t>()).name);
    return files;
}

/// A state belongs to the pictures it was trained on, wherever they lie now.
void requireSameData(const json& record, const json& data, const std::string& state)
{
    const auto hashes = [](const json& note) {
        std::vector<std::string> list;
        for (const json& entry : note.is_array() ? note : json::array({note}))
            list.push_back(entry.at("sha256").get<std::string>());
        return list;
    };
    require(!record.contains("data") || hashes(record["data"]) == hashes(data),
            "{}: was begun with other images than {}, and cannot go on with them", state, jsonText(data));
}

/// Saves the state now and then, so that a power cut costs little. What it costs itself stays below a twentieth of the time.
class Checkpoints
{
public:
    Checkpoints(const AnomalyTrainer& trainer, std::string path, double seconds)
        : trainer_(trainer), path_(std::move(path)), seconds_(seconds), wait_(seconds), last_(std::chrono::steady_clock::now())
    {
    }

    void afterStep()
    {
        const auto start = std::chrono::steady_clock::now();
        if (std::chrono::duration<double>(start - last_).count() < wait_)
            return;
        try
        {
            trainer_.saveState(path_);
        }
        catch (const cv::Exception& error) // a full disk costs the checkpoint, not the training
        {
            if (!told_)
                std::fprintf(stderr, "\nagpnet: note: %s; training goes on, but could not be resumed from here\n", error.err.c_str());
            told_ = true;
        }
        last_ = std::chrono::steady_clock::now();
        const double cost = std::chrono::duration<double>(last_ - start).count();
        wait_ = seconds_ > 0 ? std::max(seconds_, 20 * cost) : 0;
    }

private:
    const AnomalyTrainer& trainer_;
    std::string path_;
    double seconds_, wait_;
    std::chrono::steady_clock::time_point last_;
    bool told_ = false;
};

/// What a program that was killed while it wrote has left beside its target.
void removeParts(const fs::path& target)
{
    std::error_code ignored;
    const fs::path folder = target.has_parent_path() ? target.parent_path() : ".";
    const std::string start = target.filename().string() + ".part-";
    for (const auto& entry : fs::directory_iterator(folder, ignored))
    {
        const std::string name = entry.path().filename().string();
        if (name.starts_with(start) && name.size() == start.size() + 6) // as mkstemp ends them
            fs::remove(entry.path(), ignored);
    }
}

/// Options of the command line over the config file over the defaults.
std::string configText(const Options& options, const fs::path& example)
{
    json config = json::object();
    if (!options.config.empty())
    {
        std::string text = options.config;
        if (text.find_first_of('{') != text.find_first_not_of(" \t\r\n"))
            text = readTextFile(options.config, "a config");
        config = parseJson(text, "--config");
        require(config.is_object(), "{}: the config is not a JSON object", options.config);
    }
    if (!options.size.empty())
        std::tie(config["height"], config["width"]) = parseSize(options.size);
    if (options.steps)
        config["steps"] = options.steps;
    if (options.batch)
        config["batch"] = options.batch;
    if (options.learningRate > 0)
        config["learning_rate"] = options.learningRate;
    if (options.seed)
        config["seed"] = *options.seed;
    if (!options.noise.empty())
        config["noise"] = options.noise;
    if (!options.precision.empty())
        config["precision"] = options.precision;
    if (!options.input.empty())
        config["input"] = options.input;
    if (options.bits > 0)
        config["bits"] = options.bits;
    if (options.falseAlarms > 0)
        config["false_alarms"] = options.falseAlarms;
    if (!options.preset.empty())
        config["preset"] = options.preset;
    if (options.noImageNoise)
        config["image_noise"] = false;
    if (options.earlyStop)
        config["early_stop"] = true;
    if (options.tile >= 0)
        config["tile"] = options.tile;
    if (options.tileOverlap >= 0)
        config["tile_overlap"] = options.tileOverlap;
    if (!options.augment.empty())
        config["augment"] = options.augment == std::vector<std::string>{"none"} ? std::vector<std::string>{} : options.augment;
    if (options.shots > 0)
        config["shots"] = options.shots;
    if (!options.region.empty())
    {
        json polygons = json::array();
        for (const auto& polygon : readRegion(options.region, example))
        {
            polygons.push_back(json::array());
            for (const cv::Point2f& point : polygon)
                polygons.back().push_back({point.x, point.y});
        }
        config["roi"] = polygons;
    }
    return config.dump();
}

/// Where the time of the training went, in seconds and shares.
std::string profileText(const json& record)
{
    static const std::pair<const char*, const char*> parts[] = {
        {"reading", "reading images"}, {"backbone", "backbone, clean images"}, {"noise", "attention, noise, backbone of perturbed images"},
        {"decoder", "decoder, forward and backward"}, {"optimiser", "optimiser"}, {"checks", "early stopping's checks"},
        {"thresholds", "thresholds"}};
    const json profile = record.value("profile", json::object());
    double all = 0;
    for (const auto& [key, text] : parts)
        all += profile.value(key, 0.0);
    std::string out;
    for (const auto& [key, text] : parts)
        if (const double seconds = profile.value(key, 0.0); seconds > 0)
            out += fmt::format("{:>9.2f} s {:>5.1f} %  {}\n", seconds, 100 * seconds / all, text);
    return out;
}

/// What was found in 16-bit images, or does not fit what was given of them.
void sayValues(const json& values, bool asJson)
{
    const int bits = values.at("bits"), images = values.at("images"), above = values.at("above"), greatest = values.at("greatest");
    const int most = (1 << bits) - 1;
    if (!asJson)
        std::fprintf(stderr, "%d images of 16 bits hold values up to %d: taken as %d bits, 0 to %d%s\n", images, greatest, bits, most,
                     values.at("given").get<bool>() ? ", as given" : ", as found; --bits says otherwise");
    if (above > 0)
        std::fprintf(stderr, "agpnet: note: %d of %d images of 16 bits hold values above %d, the maximum of %d bits: up to %d\n", above,
                     images, most, bits, greatest);
    else if (values.at("given").get<bool>() && greatest <= most / 4)
        std::fprintf(
            stderr,
            "agpnet: note: the images of 16 bits hold values up to %d only, and %d bits are 0 to %d: they are dark, or of fewer bits\n",
            greatest, bits, most);
}

/// Writes the model. Where that fails, the training is not lost.
void saveModel(AnomalyTrainer& trainer, const Options& options, const std::string& state)
{
    try
    {
        trainer.save(options.out, !options.reference);
    }
    catch (const cv::Exception& error)
    {
        try
        {
            trainer.saveState(state);
        }
        catch (const cv::Exception&) // then the last checkpoint is what there is
        {
        }
        std::error_code ignored;
        fail("{}; {}", error.err,
             fs::exists(state, ignored) ? fmt::format("the training is kept in {}: the same command with --resume goes on", state)
                                        : "the training could not be kept either");
    }
}

/// By torchrun, after one of several processes had ended.
bool restarted()
{
    const char* count = std::getenv("TORCHELASTIC_RESTART_COUNT");
    return count && std::atoi(count) > 0;
}

cv::Ptr<AnomalyTrainer> createOrResume(const Options& options, const std::vector<Product>& products, const json& data,
                                       const std::string& state)
{
    const std::string config = configText(options, products[0].data.items[0].path);
    if (!options.resume && !(restarted() && fs::exists(state)))
        return AnomalyTrainer::create(findBackbone(options.backbone), config, options.device);
    const std::string backbone = options.backbone.empty() ? "" : findBackbone(options.backbone);
    const cv::Ptr<AnomalyTrainer> trainer = AnomalyTrainer::resume(state, options.device, backbone, config);
    requireSameData(json::parse(trainer->getRecord()), data, state);
    return trainer;
}

std::vector<ImageSet> imageSets(const std::vector<Product>& products, const AnomalyTrainer& trainer)
{
    const tools::Input input = tools::inputOf(json::parse(trainer.getConfig()).at("input"));
    std::vector<ImageSet> sets;
    for (const Product& product : products)
        sets.push_back({product.name, product.data.items.size(),
                        [&product, input](size_t i) { return tools::readItem(product.data.items[i], input); }});
    return sets;
}

void sayPlan(const std::vector<Product>& products, const AnomalyTrainer& trainer, int processes)
{
    for (const Product& product : products)
        std::fprintf(stderr, "%s%zu good images (%s)\n", product.name.empty() ? "" : (product.name + ": ").c_str(),
                     product.data.items.size(), product.data.layout.c_str());
    std::fprintf(stderr, "%d steps of %d at %dx%d%s\n", trainer.getSteps(), trainer.getBatchSize(), trainer.getInputSize().height,
                 trainer.getInputSize().width, processes > 1 ? fmt::format(" in {} processes", processes).c_str() : "");
}

/// Trains to the end, or until it is interrupted: whether it came to the end, and the last loss.
std::pair<bool, double> fit(AnomalyTrainer& trainer, const std::vector<Product>& products, const TrainingProcess& process,
                            const Options& options, const std::string& state)
{
    const bool speaks = process.rank == 0;
    double loss = 0;
    const InterruptGuard guard;
    Progress progress("step", "steps", trainer.getSteps(), trainer.getStepsDone(), options.asJson || !speaks);
    Checkpoints checkpoints(trainer, state, options.checkpoint);
    const auto afterStep = [&](const TrainProgress& at)
    {
        loss = at.loss;
        progress.setTotal(at.steps);
        progress.update(at.step, fmt::format("loss {:.4f}", at.loss));
        if (interrupted == 0 && speaks)
            checkpoints.afterStep();
        return interrupted == 0;
    };
    try
    {
        const bool complete = trainer.fit(imageSets(products, trainer), afterStep);
        return {complete, loss};
    }
    catch (const cv::Exception& error)
    {
        if (process.size == 1 || !speaks || trainer.getStepsDone() == 0)
            throw;
        trainer.saveState(state); // of the last step that all had done
        fail("{}; the training is kept in {}: the same command with --resume goes on", error.err, state);
    }
}

/// The checksum of a product's data, or of each by its name.
json dataHashes(const std::vector<Product>& products)
{
    if (products.size() == 1)
        return products[0].hash;
    json hashes = json::object();
    for (const Product& product : products)
        hashes[product.name] = product.hash;
    return hashes;
}

/// What a finished training gave.
struct Trained
{
    int steps;
    double loss, seconds, threshold;
    json record;
    FileCount files;
    std::vector<std::string> notes;
};

void sayTrained(const Trained& trained, const Options& options)
{
    const json& record = trained.record;
    const double seconds = record.value("seconds", 0.0);
    std::printf("%s: %d steps in %s (%.1f images/s), %s in all, final loss %.4f, threshold %.4f\n", options.out.c_str(), trained.steps,
                durationText(seconds).c_str(), seconds > 0 ? record.value("images_seen", 0.0) / seconds : 0.0,
                durationText(trained.seconds).c_str(), trained.loss, trained.threshold);
    if (record.contains("early_stop") && record["early_stop"].contains("seen_at"))
        std::printf("detection of synthetic defects stopped improving after step %d\n", record["early_stop"]["seen_at"].get<int>());
    if (options.profile)
        std::printf("%s", profileText(record).c_str());
    std::printf("%s\n", text(trained.files).c_str());
    for (const std::string& note : trained.notes)
        std::fprintf(stderr, "agpnet: note: %s\n", note.c_str());
}

void printTrained(const Trained& trained, const std::vector<Product>& products, const Options& options)
{
    const json line = {{"model", options.out},
                       {"steps", trained.steps},
                       {"loss", trained.loss},
                       {"seconds", trained.seconds},
                       {"threshold", trained.threshold},
                       {"values", trained.record.value("values", json())},
                       {"profile", trained.record.value("profile", json::object())},
                       {"data_sha256", dataHashes(products)},
                       {"files", toJson(trained.files)},
                       {"notes", trained.notes}};
    std::printf("%s\n", jsonText(line).c_str());
}

/// The options that training a model of objects shares; refuses the others by name.
int trainObjects(const Options& options)
{
    require(options.data.size() == 1, "--method dec takes one --data, a folder of objects");
    const std::pair<bool, const char*> others[] = {{!options.augment.empty(), "--augment"},
                                                   {!options.good.empty(), "--good"},
                                                   {!options.noise.empty(), "--noise"},
                                                   {!options.region.empty(), "--roi"},
                                                   {!options.category.empty(), "--category"},
                                                   {!options.split.empty(), "--split"},
                                                   {!options.input.empty(), "--input"},
                                                   {options.steps > 0, "--steps"},
                                                   {options.batch > 0, "--batch"},
                                                   {options.tile >= 0, "--tile"},
                                                   {options.shots > 0, "--shots"},
                                                   {options.bits > 0, "--bits"},
                                                   {options.learningRate > 0, "--lr"},
                                                   {options.falseAlarms > 0, "--false-alarms"},
                                                   {options.noImageNoise, "--no-image-noise"},
                                                   {options.earlyStop, "--early-stop"},
                                                   {options.resume, "--resume"},
                                                   {options.profile, "--profile"},
                                                   {options.preset == "fast", "--preset fast"}};
    for (const auto& [given, name] : others)
        require(!given, "{} belongs to anomaly detection, not to --method dec; its own settings are keys of --config", name);
    ObjectTraining objects;
    objects.data = options.data[0];
    objects.out = options.out;
    objects.backbone = options.backbone;
    objects.config = options.config;
    objects.preset = options.preset;
    objects.size = options.size;
    objects.device = options.device;
    objects.seed = options.seed;
    objects.reference = options.reference;
    objects.names = options.names;
    objects.bridge = options.bridge;
    objects.textEncoder = options.textEncoder;
    objects.asJson = options.asJson;
    return agpnet::app::trainObjects(objects);
}

int train(const Options& options)
{
    if (options.method == "dec")
        return trainObjects(options);
    require(options.names.empty() && options.bridge.empty() && options.textEncoder.empty(),
            "--names, --bridge and --text-encoder belong to --method dec");
    const auto start = std::chrono::steady_clock::now();
    std::signal(SIGXFSZ, SIG_IGN); // a limit on file sizes is then an error with a sentence, like a full disk
    requireWritable(options.out);
    const std::string state = options.out + ".state";
    removeParts(options.out);
    removeParts(state);
    const std::vector<Product> products = readProducts(options);
    const json data = dataNote(products);
    const cv::Ptr<AnomalyTrainer> trainer = createOrResume(options, products, data, state);
    trainer->note("data", jsonText(data));
    const TrainingProcess process = trainer->joinProcesses();
    const bool speaks = process.rank == 0; // one of all does
    if (!options.asJson && speaks)
        sayPlan(products, *trainer, process.size);
    const auto [complete, loss] = fit(*trainer, products, process, options, state);
    if (!speaks)
        return complete ? exitOk : exitInterrupted;
    if (!complete)
    {
        trainer->saveState(state);
        std::fprintf(stderr, "interrupted after step %d of %d; saved %s; the same command with --resume goes on\n", trainer->getStepsDone(),
                     trainer->getSteps(), state.c_str());
        return exitInterrupted;
    }
    Trained trained = {trainer->getStepsDone(), loss, 0, 0, json::parse(trainer->getRecord()), {}, {}};
    const json& record = trained.record;
    if (const json values = record.value("values", json()); !values.is_null())
        sayValues(values, options.asJson);
    trained.files = filesUsed(products, record.at("sets"));
    trainer->note("files", jsonText(toJson(trained.files)));
    if (record.at("sets").at(0).contains("chosen"))
        trainer->note("shots", jsonText(shotsNote(products, record)));
    saveModel(*trainer, options, state);
    std::error_code ignored;
    fs::remove(state, ignored); // it is of no more use
    trained.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const cv::Ptr<AnomalyDetector> detector = trainer->getDetector();
    trained.threshold = detector->getThreshold();
    trained.notes = thresholdNotes(json::parse(detector->getHeader()).at("scores"));
    if (options.asJson)
        printTrained(trained, products, options);
    else
        sayTrained(trained, options);
    return exitOk;
}

} // namespace

void addTrain(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("train", "Train a model on images of good parts, or of objects of known classes");
    command
        ->add_option("--method", options->method,
                     "agpnet: anomaly detection, from images of good parts (default); dec: retrieval, from a folder CLASS/OBJECT/*.png")
        ->check(CLI::IsMember({"agpnet", "dec"}));
    command
        ->add_option("--data", options->data,
                     "Folder of good images, one with good/, an MVTec or VisA layout, or a CSV table; once for each product, as FOLDER or "
                     "NAME=FOLDER")
        ->required()
        ->allow_extra_args(false);
    command->add_option("--category", options->category, "Class, where --data holds several");
    addSelection(*command, options->split, options->good);
    command->add_option("--out", options->out, "The .agp file to write")->required();
    command->add_option("--backbone", options->backbone, "Weights: safetensors or .pth (default: AGPNET_BACKBONE, or the fetched one)");
    command->add_option("--config", options->config, "JSON file or text; see 'agpnet operators --config'");
    command
        ->add_option("--preset", options->preset,
                     "default, paper (as published), or fast (168 pixels and fewer layers: a third of the time, a little less accurate)")
        ->check(CLI::IsMember({"default", "paper", "fast"}));
    command->add_option("--input", options->input, "rgb, rgb+depth or rgb+normals (MVTec 3D-AD)")
        ->check(CLI::IsMember({"rgb", "rgb+depth", "rgb+normals"}));
    command
        ->add_option("--bits", options->bits,
                     "Bits of the values in 16-bit images, 8 to 16: 12 means 0 to 4095 (default: found in the images)")
        ->check(CLI::Range(8, 16));
    command->add_option("--steps", options->steps, "Optimisation steps")->check(positiveNumber());
    command->add_option("--batch", options->batch, "Images in each step")->check(positiveNumber());
    command->add_option("--size", options->size, "Input HEIGHTxWIDTH, multiples of the backbone's patch");
    command->add_option("--lr", options->learningRate, "Learning rate")->check(positiveNumber());
    command->add_option("--seed", options->seed, "Seed of weights, order and noise")->check(seedNumber());
    command->add_option("--noise", options->noise, "guided, uniform or none")->check(CLI::IsMember({"guided", "uniform", "none"}));
    command->add_option("--precision", options->precision, "auto, fp32 or bf16")->check(CLI::IsMember({"auto", "fp32", "bf16"}));
    command->add_option("--device", options->device, "Where the networks compute: cpu, cuda or cuda:N (default cpu)");
    command->add_option("--tile", options->tile, "Side in pixels of overlapping tiles that large images are cut into; 0: none")
        ->check(nonNegativeNumber());
    command->add_option("--tile-overlap", options->tileOverlap, "Overlap of neighbouring tiles, as a fraction of a tile (default 0.25)")
        ->check(CLI::Range(0.0, 0.9));
    addRegionOfInterest(*command, options->region);
    command
        ->add_option("--augment", options->augment,
                     "Changes that leave a part normal: names separated by commas, see docs/training.md; or none")
        ->delimiter(',')
        ->allow_extra_args(false);
    command->add_option("--shots", options->shots, "Number of training images of each product, chosen by the seed (default: all)")
        ->check(positiveNumber());
    command->add_flag("--early-stop", options->earlyStop,
                      "End when the detection of synthetic defects stops improving; --steps is then the maximum");
    command->add_option("--false-alarms", options->falseAlarms, "Fraction of good images that the thresholds may flag (default 0.01)")
        ->check(CLI::Range(1e-6, 0.5));
    command->add_option("--checkpoint", options->checkpoint, "Seconds between saved states (default 60; 0: after each step)")
        ->check(nonNegativeNumber());
    command->add_flag("--no-image-noise", options->noImageNoise,
                      "No noise on images, only on features (the default); halves the time of --preset paper");
    command->add_flag("--reference-backbone", options->reference, "Refer to the backbone by its hash instead of embedding it");
    command->add_option("--names", options->names,
                        "dec: names of unseen classes for virtual features: with --text-encoder a list, else NAME.txt beside NAME.npy, or "
                        "safetensors");
    command->add_option("--bridge", options->bridge, "dec: weights of the image side of the names' space, CLIP for instance");
    command->add_option("--text-encoder", options->textEncoder, "dec: weights of its text side, with their vocabulary beside them");
    command->add_flag("--resume", options->resume, "Continue from OUT.state, which an interrupted or killed training left");
    command->add_flag("--profile", options->profile, "Print where the time went");
    command->add_flag("--json", options->asJson, "One JSON object on stdout, no progress");
    command->callback([options, &run] { run = [options] { return train(*options); }; });
}

} // namespace agpnet::app
