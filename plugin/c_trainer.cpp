#include "agpnet/anomaly_trainer.hpp"
#include "plugin/c_detector.h"
#include "plugin/c_structures.h"

#include <stdexcept>
#include <string>

struct agpnet_trainer
{
    cv::Ptr<agpnet::AnomalyTrainer> trainer;
    std::string config, record; ///< the caller gets pointers to these texts
};

namespace
{

using agpnet::called;
using agpnet::created;
using agpnet::require;
using agpnet::requirePointer;

agpnet::AnomalyTrainer& trainerOf(const agpnet_trainer* handle)
{
    requirePointer(handle, "trainer");
    return *handle->trainer;
}

/// Image i of a set whose images a function reads. A copy: the caller may use its memory again for the next image.
cv::Mat read(const agpnet_image_set& set, size_t i)
{
    agpnet_image image{};
    image.size = sizeof image;
    if (set.read(set.context, i, &image) == 0)
        throw std::runtime_error(
            fmt::format("image {} of set '{}' was not read: the function read returned 0", i, agpnet::textOr(set.name, "")));
    return agpnet::matOf(image, "image").clone();
}

/// `set` and the images in its memory must outlive it.
agpnet::ImageSet imageSetOf(const agpnet_image_set& set)
{
    require((set.images != nullptr) != (set.read != nullptr), "an image set has {} images and read, expected one of them",
            set.read ? "both" : "neither");
    agpnet::ImageSet own;
    own.name = agpnet::textOr(set.name, "");
    own.count = set.count;
    if (set.read)
        own.image = [&set](size_t i) { return read(set, i); };
    else
        own.image = [images = agpnet::matsOf(set.images, set.count, "images")](size_t i) { return images[i]; };
    return own;
}

} // namespace

extern "C"
{

    int agpnet_trainer_create(const agpnet_trainer_options* options, agpnet_trainer** trainer, char* message, size_t messageSize)
    {
        return created(trainer, "trainer", message, messageSize, [&] {
            const agpnet_trainer_options known = agpnet::received(options, "options");
            requirePointer(known.backbone, "options.backbone");
            return agpnet_trainer{
                agpnet::AnomalyTrainer::create(known.backbone, agpnet::textOr(known.config, ""), agpnet::textOr(known.device, "cpu")),
                {},
                {}};
        });
    }

    int agpnet_trainer_resume(const char* state, const agpnet_trainer_options* options, agpnet_trainer** trainer, char* message,
                              size_t messageSize)
    {
        return created(trainer, "trainer", message, messageSize, [&] {
            requirePointer(state, "state");
            const agpnet_trainer_options known = agpnet::receivedOr(options, "options", {});
            return agpnet_trainer{agpnet::AnomalyTrainer::resume(state, agpnet::textOr(known.device, "cpu"),
                                                                 agpnet::textOr(known.backbone, ""), agpnet::textOr(known.config, "")),
                                  {},
                                  {}};
        });
    }

    void agpnet_trainer_free(agpnet_trainer* trainer)
    {
        delete trainer;
    }

    int agpnet_trainer_join_processes(agpnet_trainer* trainer, int32_t* rank, int32_t* count, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            const agpnet::TrainingProcess process = trainerOf(trainer).joinProcesses();
            if (rank)
                *rank = process.rank;
            if (count)
                *count = process.size;
        });
    }

    int agpnet_trainer_fit(agpnet_trainer* trainer, const agpnet_image_set* sets, size_t count, agpnet_progress_t* progress, void* context,
                           int32_t* finished, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            agpnet::AnomalyTrainer& own = trainerOf(trainer);
            const std::vector<agpnet_image_set> known = agpnet::receivedArray(sets, count, "sets");
            std::vector<agpnet::ImageSet> products;
            for (const agpnet_image_set& set : known)
                products.push_back(imageSetOf(set));
            std::function<bool(const agpnet::TrainProgress&)> keepGoing;
            if (progress)
                keepGoing = [&](const agpnet::TrainProgress& now) {
                    const agpnet_progress given{sizeof given, now.step, now.steps, now.loss};
                    return progress(context, &given) != 0;
                };
            const bool done = own.fit(products, keepGoing);
            if (finished)
                *finished = done ? 1 : 0;
        });
    }

    int agpnet_trainer_step(agpnet_trainer* trainer, const agpnet_image* images, size_t count, double* loss, char* message,
                            size_t messageSize)
    {
        return called(message, messageSize, [&] {
            const double found = trainerOf(trainer).step(agpnet::matsOf(images, count, "images"));
            if (loss)
                *loss = found;
        });
    }

    int agpnet_trainer_calibrate(agpnet_trainer* trainer, const agpnet_image_set* images, int32_t heldOut, char* message,
                                 size_t messageSize)
    {
        return called(message, messageSize, [&] {
            agpnet::AnomalyTrainer& own = trainerOf(trainer);
            const agpnet_image_set known = agpnet::received(images, "images");
            const agpnet::ImageSet set = imageSetOf(known);
            own.calibrate(set.count, set.image, heldOut != 0);
        });
    }

    int agpnet_trainer_get_info(agpnet_trainer* trainer, agpnet_trainer_info* info, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            const agpnet::AnomalyTrainer& own = trainerOf(trainer);
            agpnet::requireSize(info, "info");
            trainer->config = own.getConfig();
            trainer->record = own.getRecord();
            const cv::Size input = own.getInputSize();
            agpnet::give({0, own.getStepsDone(), own.getSteps(), own.getBatchSize(), input.height, input.width, trainer->config.c_str(),
                          trainer->record.c_str()},
                         info, "info");
        });
    }

    int agpnet_trainer_note(agpnet_trainer* trainer, const char* key, const char* json, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            agpnet::AnomalyTrainer& own = trainerOf(trainer);
            requirePointer(key, "key");
            requirePointer(json, "json");
            own.note(key, json);
        });
    }

    int agpnet_trainer_save(agpnet_trainer* trainer, const char* path, int32_t embedBackbone, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            agpnet::AnomalyTrainer& own = trainerOf(trainer);
            requirePointer(path, "path");
            own.save(path, embedBackbone != 0);
        });
    }

    int agpnet_trainer_save_state(const agpnet_trainer* trainer, const char* path, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            const agpnet::AnomalyTrainer& own = trainerOf(trainer);
            requirePointer(path, "path");
            own.saveState(path);
        });
    }

    int agpnet_trainer_get_detector(const agpnet_trainer* trainer, agpnet_detector** detector, char* message, size_t messageSize)
    {
        return created(detector, "detector", message, messageSize, [&] { return agpnet_detector(trainerOf(trainer).getDetector()); });
    }

} // extern "C"
