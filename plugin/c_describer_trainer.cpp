#include "agpnet/describer_trainer.hpp"
#include "plugin/c_describer.h"
#include "plugin/c_rows.h"
#include "plugin/c_structures.h"

#include <stdexcept>
#include <string>

struct agpnet_describer_trainer
{
    cv::Ptr<agpnet::DescriberTrainer> trainer;
    std::string config, record; ///< the caller gets pointers to these texts
};

namespace
{

using agpnet::called;
using agpnet::created;
using agpnet::requirePointer;

agpnet::DescriberTrainer& trainerOf(const agpnet_describer_trainer* handle)
{
    requirePointer(handle, "trainer");
    return *handle->trainer;
}

/// A copy: the caller may use its memory again for the next view.
cv::Mat read(const agpnet_object_set& set, size_t object, const char* name, size_t view)
{
    agpnet_image image{};
    image.size = sizeof image;
    if (set.read(set.context, object, view, &image) == 0)
        throw std::runtime_error(fmt::format("view {} of object '{}' was not read: the function read returned 0", view, name));
    return agpnet::matOf(image, "image").clone();
}

/// `set` must outlive them.
std::vector<agpnet::ObjectViews> objectsOf(const agpnet_object_set& set)
{
    requirePointer(reinterpret_cast<const void*>(set.read), "objects.read");
    std::vector<agpnet::ObjectViews> objects;
    for (const agpnet_object& each : agpnet::receivedArray(set.objects, set.count, "objects.objects"))
    {
        const size_t number = objects.size();
        agpnet::ObjectViews& object = objects.emplace_back();
        object.name = agpnet::textOr(each.name, "");
        object.className = agpnet::textOr(each.class_name, "");
        object.count = each.count;
        object.view = [&set, number, name = object.name](size_t view) { return read(set, number, name.c_str(), view); };
    }
    return objects;
}

} // namespace

extern "C"
{

    int agpnet_describer_trainer_create(const agpnet_trainer_options* options, agpnet_describer_trainer** trainer, char* message,
                                        size_t messageSize)
    {
        return created(trainer, "trainer", message, messageSize, [&] {
            const agpnet_trainer_options known = agpnet::received(options, "options");
            requirePointer(known.backbone, "options.backbone");
            return agpnet_describer_trainer{
                agpnet::DescriberTrainer::create(known.backbone, agpnet::textOr(known.config, ""), agpnet::textOr(known.device, "cpu")),
                {},
                {}};
        });
    }

    void agpnet_describer_trainer_free(agpnet_describer_trainer* trainer)
    {
        delete trainer;
    }

    int agpnet_describer_trainer_set_virtual_names(agpnet_describer_trainer* trainer, const char* bridge, const char* const* names,
                                                   size_t count, const float* vectors, size_t width, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            agpnet::DescriberTrainer& own = trainerOf(trainer);
            requirePointer(bridge, "bridge");
            own.setVirtualNames(bridge, agpnet::textsOf(names, count, "names"), agpnet::rowsOf(vectors, count, width, "vectors"));
        });
    }

    int agpnet_describer_trainer_fit(agpnet_describer_trainer* trainer, const agpnet_object_set* objects, agpnet_progress_t* progress,
                                     void* context, int32_t* finished, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            agpnet::DescriberTrainer& own = trainerOf(trainer);
            const agpnet_object_set known = agpnet::received(objects, "objects");
            std::function<bool(const agpnet::TrainProgress&)> keepGoing;
            if (progress)
                keepGoing = [&](const agpnet::TrainProgress& now) {
                    const agpnet_progress given{sizeof given, now.step, now.steps, now.loss};
                    return progress(context, &given) != 0;
                };
            const bool done = own.fit(objectsOf(known), keepGoing);
            if (finished)
                *finished = done ? 1 : 0;
        });
    }

    int agpnet_describer_trainer_get_info(agpnet_describer_trainer* trainer, agpnet_describer_trainer_info* info, char* message,
                                          size_t messageSize)
    {
        return called(message, messageSize, [&] {
            const agpnet::DescriberTrainer& own = trainerOf(trainer);
            agpnet::requireSize(info, "info");
            trainer->config = own.getConfig();
            trainer->record = own.getRecord();
            agpnet::give({0, trainer->config.c_str(), trainer->record.c_str()}, info, "info");
        });
    }

    int agpnet_describer_trainer_note(agpnet_describer_trainer* trainer, const char* key, const char* json, char* message,
                                      size_t messageSize)
    {
        return called(message, messageSize, [&] {
            agpnet::DescriberTrainer& own = trainerOf(trainer);
            requirePointer(key, "key");
            requirePointer(json, "json");
            own.note(key, json);
        });
    }

    int agpnet_describer_trainer_save(agpnet_describer_trainer* trainer, const char* path, int32_t embedBackbone, char* message,
                                      size_t messageSize)
    {
        return called(message, messageSize, [&] {
            agpnet::DescriberTrainer& own = trainerOf(trainer);
            requirePointer(path, "path");
            own.save(path, embedBackbone != 0);
        });
    }

    int agpnet_describer_trainer_get_describer(const agpnet_describer_trainer* trainer, agpnet_describer** describer, char* message,
                                               size_t messageSize)
    {
        return created(describer, "describer", message, messageSize, [&] { return agpnet_describer(trainerOf(trainer).getDescriber()); });
    }

} // extern "C"
