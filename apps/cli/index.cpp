// agpnet index: a gallery of objects.
#include "agpnet/describer_trainer.hpp"
#include "agpnet/gallery.hpp"
#include "apps/cli/backbone_search.h"
#include "apps/cli/commands.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/json_output.h"
#include "apps/cli/objects.h"
#include "apps/cli/output.h"
#include "apps/cli/shared_options.h"
#include "apps/datasets/image_io.h"
#include "apps/tune/progress.h"
#include "common/error.h"

#include <csignal>
#include <map>
#include <set>

namespace agpnet::app
{
namespace
{

using nlohmann::json;
namespace fs = std::filesystem;

struct Options
{
    std::string data, out, model, inspectors, precision = "auto", device = "cpu";
    std::vector<std::string> removed;
    int smooth = 0;
    bool update = false, asJson = false;
};

constexpr int viewNumbers[] = {1, 3, 6};   ///< that thresholds are learned for
constexpr size_t mostCalibrated = 400;     ///< objects that they are learned from
constexpr char hashKey[] = "sha256";       ///< of an object's images, in its note

/// Where the model of a gallery is that was made with a backbone alone.
std::string modelBeside(const std::string& gallery)
{
    return fs::path(gallery).replace_extension(".agp").string();
}

/// A backbone becomes a model: what views of one object have in common is learned from the catalogue itself.
std::string modelFromCatalogue(const Options& options, const std::vector<tools::Object>& objects)
{
    const std::string path = modelBeside(options.out);
    require(path != options.out, "--out is {}, where the model would be written; expected another extension, .agpx for instance",
            options.out);
    requireWritable(path);
    const auto trainer =
        DescriberTrainer::create(options.model.empty() ? findBackbone("") : options.model, R"({"choose": "config", "whitening": "objects"})",
                                 options.device);
    std::vector<ObjectViews> views;
    int all = 0;
    for (const tools::Object& object : objects)
    {
        // the number of objects does not make the whitening better for ever
        constexpr size_t enough = 500;
        if (views.size() < enough)
        {
            views.push_back({object.name, "", object.views.size(), [&](size_t i) { return tools::readImage(object.views[i]); }});
            all += static_cast<int>(object.views.size());
        }
    }
    Progress progress("whitening", "views", all, 0, options.asJson);
    if (!trainer->fit(views, [&](const TrainProgress& now) {
            progress.update(now.step);
            return !interrupted;
        }))
        throw Interrupted();
    trainer->save(path);
    return path;
}

std::string hashOf(const tools::Object& object)
{
    tools::ObjectDataset one;
    one.objects = {object};
    return tools::datasetHash(tools::imagesOf(one));
}

/// @param inspectors  folder of models that inspect the objects; "": none
std::string noteOf(const tools::Object& object, const std::string& hash, const std::string& inspectors)
{
    json note = object.metadata;
    std::error_code ignored;
    if (const fs::path model = fs::path(inspectors) / (object.name + ".agp"); !inspectors.empty() && fs::exists(model, ignored))
        note["inspect"] = fs::absolute(model).string();
    if (!object.className.empty())
        note["class"] = object.className;
    note["views"] = object.views.size();
    note[hashKey] = hash;
    return jsonText(note);
}

struct Changes
{
    size_t added = 0, replaced = 0, removed = 0, kept = 0;
};

class Indexer
{
public:
    explicit Indexer(const Options& options) : options_(options), data_(tools::listObjects(options.data))
    {
        for (const std::string& warning : data_.warnings)
            std::fprintf(stderr, "agpnet: note: %s\n", warning.c_str());
        tools::checkFiles(tools::imagesOf(data_));
    }

    int run()
    {
        requireWritable(options_.out);
        openModel();
        openGallery();
        const std::vector<tools::Object> wanted = changedObjects();
        describe(wanted);
        if (!options_.update || calibrated_.size() >= 50)
            calibrate();
        if (options_.smooth > 0)
            gallery_->smooth(options_.smooth);
        gallery_->setModel(fs::absolute(model_).string());
        gallery_->save(options_.out);
        say();
        return exitOk;
    }

private:
    void openModel()
    {
        model_ = options_.model;
        if (options_.update && model_.empty())
            model_ = Gallery::load(options_.out)->getModel();
        if (fs::path(model_).extension() != ".agp")
            model_ = modelFromCatalogue(options_, data_.objects);
        describer_ = openDescriber(model_, options_.precision, options_.device);
    }

    void openGallery()
    {
        gallery_ = options_.update ? Gallery::load(options_.out, describer_->getSpace())
                                   : Gallery::create(describer_->getWidth(), describer_->getSpace());
        for (const std::string& name : options_.removed)
        {
            gallery_->remove(name);
            changes_.removed++;
        }
    }

    /// Those whose images are not what the gallery has; with their hashes in hashes_. Entries without an object go.
    std::vector<tools::Object> changedObjects()
    {
        std::vector<tools::Object> changed;
        std::set<std::string> names;
        for (const tools::Object& object : data_.objects)
        {
            names.insert(object.name);
            const std::string hash = hashOf(object);
            if (gallery_->contains(object.name))
            {
                const json note = json::parse(gallery_->getNote(object.name), nullptr, false);
                if (note.is_object() && note.value(hashKey, "") == hash)
                {
                    changes_.kept++;
                    continue;
                }
            }
            hashes_[object.name] = hash;
            changed.push_back(object);
        }
        for (const std::string& name : gallery_->getNames())
            if (!names.contains(name))
            {
                gallery_->remove(name);
                changes_.removed++;
            }
        return changed;
    }

    void describe(const std::vector<tools::Object>& objects)
    {
        int views = 0;
        for (const tools::Object& object : objects)
            views += static_cast<int>(object.views.size());
        Progress progress("index", "views", views, 0, options_.asJson);
        embedObjects(
            *describer_, objects,
            [&](size_t i, const cv::Mat& embeddings) {
                const tools::Object& object = objects[i];
                (gallery_->contains(object.name) ? changes_.replaced : changes_.added)++;
                gallery_->replace(object.name, descriptorOf(*describer_, embeddings),
                                  noteOf(object, hashes_.at(object.name), options_.inspectors));
                if (calibrated_.size() < mostCalibrated)
                    calibrated_.emplace_back(object.name, embeddings);
            },
            [&](int done) { progress.update(done); });
    }

    /// Queries of a few views of the objects themselves: how close is the closest other one?
    void calibrate()
    {
        if (gallery_->size() < 3)
            return;
        for (const int views : viewNumbers)
        {
            std::vector<cv::Mat> queries;
            std::vector<std::string> names;
            for (size_t i = 0; i < calibrated_.size(); i++)
            {
                const auto& [name, embeddings] = calibrated_[i];
                if (embeddings.rows < views)
                    continue;
                cv::Mat descriptor;
                describer_->aggregate(someViews(embeddings, views, static_cast<int>(i)), descriptor, VIEWS_UNORDERED);
                queries.push_back(descriptor);
                names.push_back(name);
            }
            if (queries.empty())
                continue;
            cv::Mat all;
            cv::vconcat(queries, all);
            gallery_->calibrate(all, names, views);
        }
    }

    void say() const
    {
        if (options_.asJson)
        {
            std::printf("%s\n", jsonText({{"gallery", options_.out},
                                          {"model", model_},
                                          {"entries", gallery_->size()},
                                          {"added", changes_.added},
                                          {"replaced", changes_.replaced},
                                          {"removed", changes_.removed},
                                          {"kept", changes_.kept}})
                                    .c_str());
            return;
        }
        std::printf("%s: %d objects (%zu added, %zu replaced, %zu removed, %zu as before)\nmodel: %s\n", options_.out.c_str(),
                    gallery_->size(), changes_.added, changes_.replaced, changes_.removed, changes_.kept, model_.c_str());
    }

    const Options& options_;
    tools::ObjectDataset data_;
    std::string model_;
    cv::Ptr<Describer> describer_;
    cv::Ptr<Gallery> gallery_;
    std::map<std::string, std::string> hashes_;
    std::vector<std::pair<std::string, cv::Mat>> calibrated_; ///< names, and embeddings of their views
    Changes changes_;
};

int index(const Options& options)
{
    std::signal(SIGXFSZ, SIG_IGN);
    require(options.smooth == 0 || !options.update,
            "--smooth changes all entries, so that later ones could not be added alike; expected it without --update");
    const InterruptGuard guard;
    return Indexer(options).run();
}

} // namespace

void addIndex(CLI::App& app, Run& run)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("index", "Make a gallery of objects from images of them, to be searched by 'query'");
    command
        ->add_option("--data", options->data,
                     "Folder of objects: OBJECT/*.png, CLASS/OBJECT/*.png or OBJECT.png; or a CSV table with the columns file and object")
        ->required();
    command->add_option("--out", options->out, "The gallery to write, .agpx")->required();
    command->add_option(
        "--model", options->model,
        "A .agp file of 'train --method dec', or a backbone: then what views of one object have in common is learned from these "
        "images, and the model is written beside the gallery (default: the fetched backbone)");
    command->add_option(
        "--inspect", options->inspectors,
        "Folder of models of 'train': NAME.agp inspects the object NAME (query --inspect); or a column inspect of the table");
    command->add_flag("--update", options->update, "Keep the gallery, and describe only objects that are new or whose images have changed");
    command->add_option("--remove", options->removed, "With --update: name of an entry to remove; again for another")
        ->allow_extra_args(false);
    command
        ->add_option(
            "--smooth", options->smooth,
            "Average each descriptor with so many of its nearest: finds more similar parts, and the very same one a little less often")
        ->check(CLI::Range(1, 100));
    command->add_option("--precision", options->precision, "auto, fp32 or bf16")->check(CLI::IsMember({"auto", "fp32", "bf16"}));
    command->add_option("--device", options->device, "Where the networks compute: cpu, cuda or cuda:N (default cpu)");
    command->add_flag("--json", options->asJson, "One JSON object on stdout, no progress");
    command->callback([options, &run] { run = [options] { return index(*options); }; });
}

} // namespace agpnet::app
