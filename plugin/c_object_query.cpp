#include "agpnet/object_query.hpp"
#include "plugin/c_describer.h"
#include "plugin/c_gallery.h"
#include "plugin/c_structures.h"

#include <memory>

struct agpnet_object_query
{
    cv::Ptr<agpnet::ObjectQuery> query;
};

namespace
{

using agpnet::called;
using agpnet::requirePointer;

agpnet::ObjectQuery& queryOf(const agpnet_object_query* handle)
{
    requirePointer(handle, "query");
    return *handle->query;
}

/// Gives what `function` answers.
template <typename Function>
int answered(agpnet_object_answer* answer, agpnet_matches** matches, char* message, size_t size, Function function)
{
    if (matches)
        *matches = nullptr;
    return called(message, size, [&] {
        if (answer)
            agpnet::requireSize(answer, "answer"); // before a view is added
        auto found = std::make_unique<agpnet_matches>();
        agpnet::ObjectAnswer own = function();
        found->found.push_back(std::move(own.matches));
        if (answer)
            agpnet::give({0, own.known ? 1 : 0, own.views, own.evidence, own.threshold, own.lead}, answer, "answer");
        if (matches)
            *matches = found.release();
    });
}

} // namespace

extern "C"
{

    int agpnet_object_query_create(const agpnet_describer* describer, const agpnet_gallery* gallery,
                                   const agpnet_object_query_options* options, agpnet_object_query** query, char* message,
                                   size_t messageSize)
    {
        return agpnet::created(query, "query", message, messageSize, [&] {
            requirePointer(describer, "describer");
            requirePointer(gallery, "gallery");
            const agpnet_object_query_options known =
                agpnet::receivedOr(options, "options", agpnet_object_query_options AGPNET_OBJECT_QUERY_OPTIONS_INIT);
            return agpnet_object_query{
                agpnet::ObjectQuery::create(describer->describer, gallery->gallery, known.rate, known.top, known.most)};
        });
    }

    int agpnet_object_query_add(agpnet_object_query* query, const agpnet_image* view, agpnet_object_answer* answer,
                                agpnet_matches** matches, char* message, size_t messageSize)
    {
        return answered(answer, matches, message, messageSize,
                        [&] { return queryOf(query).add(agpnet::matOf(agpnet::received(view, "view"), "view")); });
    }

    int agpnet_object_query_answer(const agpnet_object_query* query, agpnet_object_answer* answer, agpnet_matches** matches, char* message,
                                   size_t messageSize)
    {
        return answered(answer, matches, message, messageSize, [&] { return queryOf(query).answer(); });
    }

    int agpnet_object_query_clear(agpnet_object_query* query, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] { queryOf(query).clear(); });
    }

    void agpnet_object_query_free(agpnet_object_query* query)
    {
        delete query;
    }

} // extern "C"
