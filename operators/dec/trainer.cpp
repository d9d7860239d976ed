// DescriberTrainer behind its public interface.
#include "agpnet/describer_trainer.hpp"
#include "agpnet/version.hpp"
#include "common/json_text.h"
#include "common/stopwatch.h"
#include "common/text_file.h"
#include "models/device/device.h"
#include "models/device/team.h"
#include "models/text/names_file.h"
#include "models/text/text_encoder.h"
#include "operators/core/float_rows.h"
#include "operators/core/forked.h"
#include "operators/core/opencv_exceptions.h"
#include "operators/dec/candidates.h"
#include "operators/dec/describer.h"

#include <ATen/ATen.h>
#include <ctime>
#include <map>
#include <set>
#include <torch/version.h>

namespace agpnet::dec
{
namespace
{

std::string now()
{
    const std::time_t time = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&time, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

/// Names with vectors, and the image side of their space.
struct Vocabulary
{
    Backbone bridge;
    std::vector<std::string> names;
    at::Tensor vectors; ///< [names, B]
    std::shared_ptr<const TextEncoder> encoder; ///< of names that are not in the list; may be empty
};

std::vector<std::string> prompts(std::vector<std::string> names)
{
    for (std::string& name : names)
        name = "a photo of a " + name;
    return names;
}

class TrainerImpl final : public DescriberTrainer
{
public:
    TrainerImpl(const Config& config, Backbone backbone, at::Device device)
        : config_(completed(config, backbone.config)), backbone_(std::move(backbone)), device_(device)
    {
    }

    void setVirtualNames(const std::string& bridge, const std::vector<std::string>& names, cv::InputArray vectors) override
    {
        guarded([&] {
            requireThreads();
            Backbone backbone = readBackbone(bridge);
            const auto width = static_cast<int>(backbone.config.embeddingWidth(Embedding::ClassToken));
            setVocabulary({std::move(backbone), names, rowsOf(vectors, "vectors", width), nullptr});
        });
    }

    void setVirtualNames(const std::string& bridge, const std::string& names, const std::string& textEncoder) override
    {
        guarded([&] {
            requireThreads();
            Backbone backbone = readBackbone(bridge);
            if (textEncoder.empty())
            {
                NamedVectors named = readNamedVectors(names);
                return setVocabulary({std::move(backbone), std::move(named.names), std::move(named.vectors), nullptr});
            }
            std::shared_ptr<const TextEncoder> encoder = readTextEncoder(textEncoder);
            std::vector<std::string> list = readNames(readTextFile(names, "a list of names"), names);
            at::Tensor vectors = encoder->encode(prompts(list));
            setVocabulary({std::move(backbone), std::move(list), std::move(vectors), std::move(encoder)});
        });
    }

    bool fit(const std::vector<ObjectViews>& objects, const std::function<bool(const TrainProgress&)>& keepGoing) override
    {
        return guarded([&] {
            requireThreads();
            const Stopwatch watch;
            const BriefWaiting waiting;
            check(objects);
            const EmbeddingNeeds needs = needsOf(objects);
            Progress progress{keepGoing, static_cast<int>(needs.views), 0};
            std::optional<EmbeddedObjects> embedded = embeddedObjects(objects, needs, progress);
            if (!embedded || !learn(*embedded, progress))
                return false;
            record_.seconds += watch.seconds();
            record_.end = EndRecord{progress.step, 0, now(), device_.str(), nameOf(computeTypeOf("auto", device_)), 1,
                                    {{"agpnet", version()}, {"libtorch", TORCH_VERSION}, {"opencv", CV_VERSION}}};
            return true;
        });
    }

    std::string getConfig() const override { return nlohmann::json(config_).dump(); }
    std::string getRecord() const override { return nlohmann::json(record_).dump(); }

    void note(const std::string& key, const std::string& json) override
    {
        guarded([&] { record_.addNote(key, parseJson(json, "the note '" + key + "'")); });
    }

    void save(const std::string& path, bool embedBackbone) override
    {
        guarded([&] { writeModel(path, model(), embedBackbone ? EmbedBackbone::Yes : EmbedBackbone::No); });
    }

    cv::Ptr<Describer> getDescriber() const override
    {
        return guarded([&]() -> cv::Ptr<Describer> {
            return cv::makePtr<DescriberImpl>(std::make_shared<const Inference>(model(), "auto", device_));
        });
    }

private:
    struct EmbeddingNeeds
    {
        std::map<std::string, int64_t> classes; ///< numbers from 0
        size_t views = 0;
    };

    /// Views and steps count as one progress; how many steps there will be is known when the views are done.
    struct Progress
    {
        const std::function<bool(const TrainProgress&)>& keepGoing;
        int steps, step;
        double loss = 0;

        bool advance(int by)
        {
            step += by;
            steps = std::max(steps, step);
            TrainProgress now;
            now.step = step;
            now.steps = steps;
            now.loss = loss;
            return !keepGoing || keepGoing(now);
        }
    };

    void setVocabulary(Vocabulary vocabulary)
    {
        const int64_t width = vocabulary.bridge.config.embeddingWidth(Embedding::ClassToken), count = vocabulary.vectors.size(0);
        require(vocabulary.vectors.size(1) == width, "the vectors of names are {} wide, expected {}, as the bridge's class token",
                vocabulary.vectors.size(1), width);
        require(count == static_cast<int64_t>(vocabulary.names.size()) && count > 0, "{} names have {} vectors, expected one for each",
                vocabulary.names.size(), count);
        require(at::isfinite(vocabulary.vectors).all().item<bool>(), "vectors holds values that are not finite");
        vocabulary_ = std::move(vocabulary);
    }

    static void check(const std::vector<ObjectViews>& objects)
    {
        require(!objects.empty(), "no objects to learn from, expected at least one");
        std::set<std::string> names;
        for (const ObjectViews& object : objects)
        {
            require(object.count > 0 && object.view, "the object '{}' has no images, expected at least one view", printable(object.name));
            require(names.insert(object.className + "/" + object.name).second, "the object '{}' occurs twice in the class '{}'",
                    printable(object.name), printable(object.className));
        }
    }

    static EmbeddingNeeds needsOf(const std::vector<ObjectViews>& objects)
    {
        EmbeddingNeeds needs;
        for (const ObjectViews& object : objects)
        {
            needs.classes.try_emplace(object.className, 0);
            needs.views += object.count;
        }
        int64_t number = 0;
        for (auto& [name, place] : needs.classes)
            place = number++;
        return needs;
    }

    /// Every view through the backbone, and through the bridge if there is one. Nothing where keepGoing ended it.
    std::optional<EmbeddedObjects> embeddedObjects(const std::vector<ObjectViews>& objects, const EmbeddingNeeds& needs, Progress& progress)
    {
        const Network network = networkOf(config_, backbone_);
        std::optional<Network> bridge;
        if (vocabulary_)
        {
            Config plain;
            bridge.emplace(networkOf(completed(plain, vocabulary_->bridge.config), vocabulary_->bridge));
        }
        EmbeddedObjects embedded;
        std::vector<at::Tensor> bridges;
        for (const ObjectViews& object : objects)
        {
            std::vector<cv::Mat> views;
            for (size_t i = 0; i < object.count; i++)
                views.push_back(object.view(i));
            std::vector<Frame> frames;
            for (size_t i = 0; i < views.size(); i++)
                frames.emplace_back(views[i], fmt::format("view {} of the object '{}'", i, printable(object.name)));
            embedded.views.push_back(agpnet::dec::embedded(network, frames));
            if (bridge)
                bridges.push_back(agpnet::dec::embedded(*bridge, frames));
            embedded.classes.push_back(needs.classes.at(object.className));
            if (!progress.advance(static_cast<int>(object.count)))
                return std::nullopt;
        }
        embedded.classCount = static_cast<int64_t>(needs.classes.size());
        if (bridge)
            embedded.bridge = bridgeOf(needs, bridges);
        record_.imagesSeen += static_cast<int64_t>(needs.views);
        return embedded;
    }

    Bridge bridgeOf(const EmbeddingNeeds& needs, const std::vector<at::Tensor>& views) const
    {
        std::map<std::string, int64_t> rows;
        for (size_t i = 0; i < vocabulary_->names.size(); i++)
            rows.try_emplace(vocabulary_->names[i], static_cast<int64_t>(i));
        std::vector<at::Tensor> classes, unseen;
        for (const auto& [name, place] : needs.classes)
        {
            const auto found = rows.find(name);
            if (found == rows.end() && vocabulary_->encoder)
            {
                classes.push_back(vocabulary_->encoder->encode(prompts({name}))[0]);
                continue;
            }
            require(found != rows.end(), "the class '{}' has no vector among the {} virtual names, expected one", printable(name),
                    rows.size());
            classes.push_back(vocabulary_->vectors[found->second]);
        }
        for (const auto& [name, row] : rows)
            if (!needs.classes.contains(name))
                unseen.push_back(vocabulary_->vectors[row]);
        require(!unseen.empty(), "all {} virtual names are classes of the training, expected others too", rows.size());
        return {ringsOf(views), at::stack(classes), at::stack(unseen)};
    }

    Network networkOf(const Config& config, const Backbone& backbone) const
    {
        const int64_t width = backbone.config.embeddingWidth(config.embedding);
        return Network(config, backbone, Space{{}, Adapter(AdapterKind::Mean, width, config.lambda, 0)}, computeTypeOf("auto", device_),
                       device_);
    }

    bool learn(const EmbeddedObjects& embedded, Progress& progress)
    {
        const KeepGoing oneStep = [&](double loss) {
            progress.loss = loss;
            return progress.advance(1);
        };
        Config given = config_;
        if (config_.choose == Choice::HeldOut)
            given.adapter = AdapterKind::Mean;
        Candidate chosen = candidateOf(given, embedded);
        nlohmann::json note = {{"by", textOf(config_.choose)}};
        if (config_.choose == Choice::HeldOut && canHoldOut(embedded))
        {
            const std::optional<Comparison> comparison = compared(config_, embedded, oneStep);
            if (!comparison)
                return false;
            chosen = comparison->candidates[comparison->best];
            note["candidates"] = dec::toJson(comparison->candidates);
        }
        else if (config_.choose == Choice::HeldOut)
            note["reason"] = "too few classes or objects to hold some out";
        note["chosen"] = chosen.name;
        std::optional<Space> space = learned(chosen, config_, embedded, oneStep);
        if (!space)
            return false;
        config_.whitening = chosen.whitening;
        config_.shrink = chosen.shrink > 0 ? chosen.shrink : config_.shrink;
        config_.adapter = chosen.adapter;
        space_ = std::move(space);
        record_.notes["choice"] = note;
        record_.notes["objects"] = embedded.views.size();
        record_.notes["classes"] = embedded.classCount;
        return true;
    }

    ModelFile model() const
    {
        if (!space_)
            throw Error("the model has not learned yet, expected fit() before", ErrorKind::State);
        return {config_, backbone_, *space_, record_};
    }

    Config config_;
    Backbone backbone_;
    at::Device device_;
    std::optional<Vocabulary> vocabulary_;
    std::optional<Space> space_; ///< after fit()
    TrainingRecord record_;
};

} // namespace
} // namespace agpnet::dec

namespace agpnet
{

cv::Ptr<DescriberTrainer> DescriberTrainer::create(const std::string& backbone, const std::string& config, const std::string& device)
{
    return guarded([&]() -> cv::Ptr<DescriberTrainer> {
        requireThreads();
        return cv::makePtr<dec::TrainerImpl>(dec::configFromTextOrFile(config), readBackbone(backbone), deviceNamed(device));
    });
}

} // namespace agpnet
