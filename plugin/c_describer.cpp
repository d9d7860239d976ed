#include "plugin/c_describer.h"

#include "plugin/c_rows.h"
#include "plugin/c_structures.h"

agpnet_describer::agpnet_describer(cv::Ptr<agpnet::Describer> of)
    : describer(std::move(of)), header(describer->getHeader()), space(describer->getSpace()), precision(describer->getPrecision()),
      device(describer->getDevice())
{
}

namespace
{

using agpnet::called;
using agpnet::requirePointer;

const agpnet::Describer& describerOf(const agpnet_describer* handle)
{
    requirePointer(handle, "describer");
    return *handle->describer;
}

} // namespace

extern "C"
{

    int agpnet_describer_create(const char* model, const agpnet_describer_options* options, agpnet_describer** describer, char* message,
                                size_t messageSize)
    {
        return agpnet::created(describer, "describer", message, messageSize, [&] {
            requirePointer(model, "model");
            const agpnet_describer_options known = agpnet::receivedOr(options, "options", {});
            return agpnet_describer(
                agpnet::Describer::create(model, agpnet::textOr(known.precision, "auto"), agpnet::textOr(known.device, "cpu")));
        });
    }

    void agpnet_describer_free(agpnet_describer* describer)
    {
        delete describer;
    }

    int agpnet_describer_describe(const agpnet_describer* describer, const agpnet_image* views, size_t count, int32_t order,
                                  float* descriptor, size_t length, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            const agpnet::Describer& own = describerOf(describer);
            agpnet::requireRoom(descriptor, length, 1, own.getWidth(), "descriptor");
            cv::Mat found;
            own.describe(agpnet::matsOf(views, count, "views"), found, static_cast<agpnet::ViewOrder>(order));
            agpnet::giveRows(found, descriptor);
        });
    }

    int agpnet_describer_embed(const agpnet_describer* describer, const agpnet_image* images, size_t count, float* embeddings,
                               size_t length, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            const agpnet::Describer& own = describerOf(describer);
            agpnet::requireRoom(embeddings, length, count, own.getWidth(), "embeddings");
            cv::Mat found;
            own.embed(agpnet::matsOf(images, count, "images"), found);
            agpnet::giveRows(found, embeddings);
        });
    }

    int agpnet_describer_aggregate(const agpnet_describer* describer, const float* embeddings, size_t count, size_t width, int32_t order,
                                   float* descriptor, size_t length, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            const agpnet::Describer& own = describerOf(describer);
            const cv::Mat rows = agpnet::rowsOf(embeddings, count, width, own.getWidth(), "embeddings");
            agpnet::requireRoom(descriptor, length, 1, own.getWidth(), "descriptor");
            cv::Mat found;
            own.aggregate(rows, found, static_cast<agpnet::ViewOrder>(order));
            agpnet::giveRows(found, descriptor);
        });
    }

    int agpnet_describer_get_info(const agpnet_describer* describer, agpnet_describer_info* info, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            const agpnet::Describer& own = describerOf(describer);
            const cv::Size input = own.getInputSize();
            agpnet::give({0, describer->header.c_str(), describer->space.c_str(), describer->precision.c_str(), describer->device.c_str(),
                          static_cast<size_t>(own.getWidth()), input.height, input.width},
                         info, "info");
        });
    }

} // extern "C"
