#include "agpnet/agpnet.hpp"
#include "apps/agpnet/backbone_search.h"
#include "apps/agpnet/commands.h"
#include "apps/agpnet/progress.h"
#include "apps/tools/dataset.h"
#include "apps/tools/image_io.h"
#include "common/error.h"

#include <chrono>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>

namespace agpnet::app
{
namespace
{

using nlohmann::json;
namespace fs = std::filesystem;

volatile std::sig_atomic_t interrupted = 0;

/// Ctrl-C and a scheduler's SIGTERM end training after the step at hand; a second one ends the program.
class InterruptGuard
{
public:
    InterruptGuard()
    {
        struct sigaction action = {};
        action.sa_handler = [](int) { interrupted = 1; };
        action.sa_flags = static_cast<int>(SA_RESETHAND);
        ::sigaction(SIGINT, &action, &oldInt_);
        ::sigaction(SIGTERM, &action, &oldTerm_);
    }
    ~InterruptGuard()
    {
        ::sigaction(SIGINT, &oldInt_, nullptr);
        ::sigaction(SIGTERM, &oldTerm_, nullptr);
    }
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;

private:
    struct sigaction oldInt_ = {}, oldTerm_ = {};
};

struct Options
{
    std::string data, category, split, out, backbone, config, size, noise, precision;
    int steps = 0, batch = 0;
    double learningRate = 0;
    int64_t seed = -1;
    bool noImageNoise = false, reference = false, resume = false, asJson = false;
};

/// "252" or "252x504" (height x width)
std::pair<int, int> parseSize(const std::string& text)
{
    int height = 0, width = 0;
    char rest = 0;
    const int found = std::sscanf(text.c_str(), "%dx%d%c", &height, &width, &rest);
    if (found == 1)
        width = height;
    require((found == 1 && text.find_first_not_of("0123456789") == std::string::npos) || found == 2,
            "--size is '{}', expected HEIGHTxWIDTH, for instance 252x252", text);
    return {height, width};
}

/// Options of the command line over the config file over the defaults.
std::string configText(const Options& options)
{
    json config = json::object();
    if (!options.config.empty())
    {
        std::string text = options.config;
        if (text.find_first_of('{') != text.find_first_not_of(" \t\r\n"))
        {
            std::ifstream in(options.config);
            require(in.good(), "{}: the config cannot be opened", options.config);
            text.assign(std::istreambuf_iterator<char>(in), {});
        }
        config = json::parse(text, nullptr, false);
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
    if (options.seed >= 0)
        config["seed"] = static_cast<uint64_t>(options.seed);
    if (!options.noise.empty())
        config["noise"] = options.noise;
    if (!options.precision.empty())
        config["precision"] = options.precision;
    if (options.noImageNoise)
        config["image_noise"] = false;
    return config.dump();
}

/// Found out before hours of work, not after.
void requireWritable(const fs::path& target)
{
    const fs::path folder = target.has_parent_path() ? target.parent_path() : ".";
    std::error_code ignored;
    require(fs::is_directory(folder, ignored), "{}: the folder {} does not exist", target.string(), folder.string());
    require(!fs::is_directory(target, ignored), "{}: is a folder, expected the name of the model file to write", target.string());
    const fs::path probe = target.string() + ".part-probe";
    const bool written = std::ofstream(probe).put(' ').flush().good();
    fs::remove(probe, ignored);
    require(written, "{}: cannot be written in {}", target.string(), folder.string());
}

int train(const Options& options)
{
    const auto start = std::chrono::steady_clock::now();
    requireWritable(options.out);
    const tools::Dataset data = tools::listTraining(options.data, {options.category, options.split});
    for (const std::string& warning : data.warnings)
        std::fprintf(stderr, "agpnet: note: %s\n", warning.c_str());
    tools::checkFiles(data);
    const std::string hash = tools::datasetHash(data);

    const std::string state = options.out + ".state";
    cv::Ptr<Trainer> trainer;
    if (options.resume)
        trainer = Trainer::resume(state);
    else
        trainer = Trainer::create(findBackbone(options.backbone), configText(options));
    const std::string named = fs::weakly_canonical(options.data).string();
    trainer->note("data", json{{"path", named}, {"layout", data.layout}, {"files", data.items.size()}, {"sha256", hash}}.dump());

    if (!options.asJson)
        std::fprintf(stderr, "%zu good images (%s), %d steps of %d at %dx%d\n", data.items.size(), data.layout.c_str(), trainer->steps(),
                     trainer->batchSize(), trainer->inputSize().height, trainer->inputSize().width);
    const auto image = [&](size_t i) { return tools::readImage(data.items[i].path); };
    double loss = 0;
    bool complete = false;
    {
        const InterruptGuard guard;
        Progress progress("step", "steps", trainer->steps(), trainer->stepsDone(), options.asJson);
        complete = trainer->fit(data.items.size(), image, [&](const TrainProgress& at) {
            loss = at.loss;
            progress.update(at.step, fmt::format("loss {:.4f}", at.loss));
            return interrupted == 0;
        });
    }
    if (!complete)
    {
        trainer->saveState(state);
        std::fprintf(stderr, "interrupted after step %d of %d; saved %s; the same command with --resume goes on\n", trainer->stepsDone(),
                     trainer->steps(), state.c_str());
        return exitInterrupted;
    }
    trainer->save(options.out, !options.reference);
    std::error_code ignored;
    fs::remove(state, ignored); // it is of no more use
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const double threshold = trainer->detector()->threshold();
    if (options.asJson)
        std::printf("%s\n", json{{"model", options.out}, {"steps", trainer->steps()}, {"loss", loss}, {"seconds", seconds},
                                 {"threshold", threshold}, {"data_sha256", hash}}.dump().c_str());
    else
        std::printf("%s: trained in %s, final loss %.4f, threshold %.4f\n", options.out.c_str(), durationText(seconds).c_str(), loss,
                    threshold);
    return exitOk;
}

} // namespace

void addTrain(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("train", "Learn a model from images of good parts");
    command->add_option("--data", options->data, "Folder of good images, one with good/, an MVTec or VisA layout, or a CSV table")->required();
    command->add_option("--category", options->category, "Class, where --data holds several");
    command->add_option("--split", options->split, "File that says which good images are for training and which for test");
    command->add_option("--out", options->out, "The .agp file to write")->required();
    command->add_option("--backbone", options->backbone, "Weights: safetensors or .pth (default: AGPNET_BACKBONE, or the fetched one)");
    command->add_option("--config", options->config, "JSON file or text; see 'agpnet operators --config'");
    command->add_option("--steps", options->steps, "Optimisation steps")->check(CLI::PositiveNumber);
    command->add_option("--batch", options->batch, "Images a step")->check(CLI::PositiveNumber);
    command->add_option("--size", options->size, "Input HEIGHTxWIDTH, multiples of the backbone's patch");
    command->add_option("--lr", options->learningRate, "Learning rate")->check(CLI::PositiveNumber);
    command->add_option("--seed", options->seed, "Of weights, order and noise")->check(CLI::NonNegativeNumber);
    command->add_option("--noise", options->noise, "guided, uniform or none")->check(CLI::IsMember({"guided", "uniform", "none"}));
    command->add_option("--precision", options->precision, "auto, fp32 or bf16")->check(CLI::IsMember({"auto", "fp32", "bf16"}));
    command->add_flag("--no-image-noise", options->noImageNoise, "Noise on features only: half the time a step");
    command->add_flag("--reference-backbone", options->reference, "Name the backbone by hash instead of embedding it");
    command->add_flag("--resume", options->resume, "Go on from OUT.state, which an interrupted training left");
    command->add_flag("--json", options->asJson, "One JSON object on stdout, no progress");
    command->callback([options, &run] { run = [options] { return train(*options); }; });
}

} // namespace agpnet::app
