#include "agpnet/anomaly_stream.hpp"
#include "plugin/c_detector.h"
#include "plugin/c_results.h"
#include "plugin/c_structures.h"

#include <memory>

struct agpnet_stream
{
    cv::Ptr<agpnet::AnomalyStream> stream;
    uint32_t outputs;
};

namespace
{

using agpnet::called;
using agpnet::requirePointer;

agpnet::AnomalyStream& streamOf(const agpnet_stream* handle)
{
    requirePointer(handle, "stream");
    return *handle->stream;
}

} // namespace

extern "C"
{

    int agpnet_stream_create(const agpnet_detector* detector, const agpnet_stream_options* options, agpnet_stream** stream, char* message,
                             size_t messageSize)
    {
        return agpnet::created(stream, "stream", message, messageSize, [&] {
            requirePointer(detector, "detector");
            const agpnet_stream_options known = agpnet::receivedOr(options, "options", agpnet_stream_options AGPNET_STREAM_OPTIONS_INIT);
            agpnet::requireOutputs(known.outputs);
            agpnet::AnomalyStreamOptions own;
            own.capacity = known.capacity;
            own.batch = known.batch;
            own.latency = known.latency;
            own.maps = (known.outputs & AGPNET_MAP) != 0;
            own.masks = (known.outputs & AGPNET_MASK) != 0;
            return agpnet_stream{agpnet::AnomalyStream::create(detector->detector, own), known.outputs};
        });
    }

    int agpnet_stream_push(agpnet_stream* stream, const agpnet_image* frame, int32_t source, uint64_t* number, char* message,
                           size_t messageSize)
    {
        return called(message, messageSize, [&] {
            agpnet::AnomalyStream& own = streamOf(stream);
            const uint64_t given = own.push(agpnet::matOf(agpnet::received(frame, "frame"), "frame"), source);
            if (number)
                *number = given;
        });
    }

    int agpnet_stream_try_push(agpnet_stream* stream, const agpnet_image* frame, int32_t source, uint64_t* number, int32_t* taken,
                               char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            agpnet::AnomalyStream& own = streamOf(stream);
            requirePointer(taken, "taken");
            *taken = own.tryPush(agpnet::matOf(agpnet::received(frame, "frame"), "frame"), source, number) ? 1 : 0;
        });
    }

    int agpnet_stream_pop(agpnet_stream* stream, double timeout, agpnet_frame* frame, agpnet_results** results, char* message,
                          size_t messageSize)
    {
        if (results)
            *results = nullptr;
        return called(message, messageSize, [&] {
            agpnet::AnomalyStream& own = streamOf(stream);
            requirePointer(results, "results");
            if (frame)
                agpnet::requireSize(frame, "frame"); // before a result is popped, which would be lost
            auto all = std::make_unique<agpnet_results>();
            agpnet::AnomalyStreamResult popped;
            if (!own.pop(popped, timeout))
                return;
            all->found.push_back(std::move(popped.result));
            all->error = std::move(popped.error);
            if (all->error.empty() && stream->outputs & AGPNET_MAP)
                all->maps.push_back(popped.map);
            if (all->error.empty() && stream->outputs & AGPNET_MASK)
                all->masks.push_back(popped.mask);
            if (frame)
                agpnet::give(
                    {0, popped.number, popped.source, popped.batch, popped.seconds, all->error.empty() ? nullptr : all->error.c_str()},
                    frame, "frame");
            *results = all.release();
        });
    }

    int agpnet_stream_close(agpnet_stream* stream, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] { streamOf(stream).close(); });
    }

    int agpnet_stream_get_under_way(const agpnet_stream* stream, size_t* count, char* message, size_t messageSize)
    {
        return called(message, messageSize, [&] {
            const agpnet::AnomalyStream& own = streamOf(stream);
            requirePointer(count, "count");
            *count = own.underWay();
        });
    }

    void agpnet_stream_free(agpnet_stream* stream)
    {
        delete stream;
    }

} // extern "C"
