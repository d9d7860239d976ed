#include "apps/cli/train_objects.h"

#include "agpnet/describer_trainer.hpp"
#include "apps/cli/backbone_search.h"
#include "apps/cli/commands.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/json_output.h"
#include "apps/cli/numbers.h"
#include "apps/cli/output.h"
#include "apps/datasets/image_io.h"
#include "apps/datasets/object_dataset.h"
#include "apps/tune/progress.h"
#include "common/config_fields.h"

#include <csignal>

namespace agpnet::app
{
namespace
{

using nlohmann::json;

std::string configText(const ObjectTraining& options)
{
    json config = configJson(options.config);
    if (!options.preset.empty())
        config["preset"] = options.preset;
    if (!options.size.empty())
        std::tie(config["height"], config["width"]) = parseSize(options.size);
    if (options.seed)
        config["seed"] = *options.seed;
    return config.dump();
}

void sayTrained(const ObjectTraining& options, const json& record)
{
    const json& choice = record.at("choice");
    std::printf("%s: %d objects of %d classes in %s\n", options.out.c_str(), record.at("objects").get<int>(),
                record.at("classes").get<int>(), durationText(record.value("seconds", 0.0)).c_str());
    if (choice.contains("candidates"))
    {
        std::printf("%-44s mAP on held-out classes\n", "descriptor");
        for (const json& candidate : choice["candidates"])
            std::printf("%-44s %.4f%s\n", candidate["name"].get<std::string>().c_str(), candidate["held_out_map"].get<double>(),
                        candidate["name"] == choice["chosen"] ? "  <- chosen" : "");
    }
    else
        std::printf("descriptor: %s%s\n", choice.at("chosen").get<std::string>().c_str(),
                    choice.contains("reason") ? (" (" + choice["reason"].get<std::string>() + ")").c_str() : "");
}

} // namespace

int trainObjects(const ObjectTraining& options)
{
    std::signal(SIGXFSZ, SIG_IGN); // a limit on file sizes is then an error with a sentence, like a full disk
    requireWritable(options.out);
    const tools::ObjectDataset data = tools::listObjects(options.data);
    for (const std::string& warning : data.warnings)
        std::fprintf(stderr, "agpnet: note: %s\n", warning.c_str());
    const tools::Dataset images = tools::imagesOf(data);
    tools::checkFiles(images);
    const auto trainer = DescriberTrainer::create(findBackbone(options.backbone), configText(options), options.device);
    require(options.names.empty() == options.bridge.empty(), "--names and --bridge belong together");
    if (!options.names.empty())
        trainer->setVirtualNames(options.bridge, options.names, options.textEncoder);
    json note = {{"layout", data.layout}, {"files", data.views()}, {"sha256", tools::datasetHash(images)}};
    setName(note, "path", std::filesystem::weakly_canonical(options.data).string());
    trainer->note("data", jsonText(note));

    std::vector<ObjectViews> objects;
    for (const tools::Object& object : data.objects)
        objects.push_back(
            {object.name, object.className, object.views.size(), [&](size_t i) { return tools::readImage(object.views[i]); }});
    if (!options.asJson)
        std::fprintf(stderr, "%zu objects of %zu classes, %zu images\n", objects.size(), data.classes().size(), data.views());
    bool complete = false;
    {
        const InterruptGuard guard;
        Progress progress("training", "views and steps", static_cast<int>(data.views()), 0, options.asJson);
        complete = trainer->fit(objects, [&](const TrainProgress& now) {
            progress.setTotal(now.steps);
            progress.update(now.step, now.loss > 0 ? fmt::format("loss {:.4f}", now.loss) : "");
            return !interrupted;
        });
    }
    if (!complete)
        throw Interrupted();
    trainer->save(options.out, !options.reference);
    const json record = json::parse(trainer->getRecord());
    if (options.asJson)
        std::printf("%s\n", jsonText({{"model", options.out}, {"training", record}}).c_str());
    else
        sayTrained(options, record);
    return exitOk;
}

} // namespace agpnet::app
