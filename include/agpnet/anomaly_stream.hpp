/// @file
/// Inspection of frames from cameras and other live sources. Frames are inspected in batches; results come in the order of the frames.
///
///     cv::Ptr<agpnet::AnomalyStream> stream = agpnet::AnomalyStream::create(agpnet::AnomalyDetector::create("tile.agp"));
///     std::thread camera([&] { for (cv::Mat frame; video.read(frame);) stream->push(frame); stream->close(); });
///     for (agpnet::AnomalyStreamResult found; stream->pop(found);)
///         if (found.result.anomalous) ...
#pragma once

#include "agpnet/anomaly_detector.hpp"

#include <cstdint>
#include <string>

namespace agpnet
{

/// Options of a stream.
struct AnomalyStreamOptions
{
    int capacity = 32;       ///< maximum number of frames between push() and pop(); at this number, push() waits. 1 to 65536
    int batch = 8;           ///< maximum batch size. 1 to 1024
    double latency = 0.5;    ///< maximum seconds for one batch; the measured times of earlier batches limit the batch size. Above 0
    bool maps = true;        ///< return the map of each frame
    bool masks = false;      ///< return the mask of each frame
};

/// The result for one frame.
struct AnomalyStreamResult
{
    uint64_t number = 0;  ///< the number that push() returned: 0, 1, 2, ... without gaps
    int source = 0;       ///< the source that push() was given
    AnomalyResult result; ///< result of the inspection
    cv::Mat map,          ///< anomaly map as from AnomalyDetector::detect(); empty unless requested
        mask;             ///< mask as from AnomalyDetector::detect(); empty unless requested
    /// Message if this frame could not be inspected; map, mask and result are then empty. Other frames are not affected.
    std::string error;
    double seconds = 0;   ///< time from push() to the result
    int batch = 0;        ///< number of frames in its batch
};

/// A queue of frames in front of a detector. All functions may be called from several threads: any number of producers and consumers. The
/// stream runs the model in a thread of its own. When this thread is free, it takes all waiting frames, up to the maximum batch size: one
/// frame if the source is slow, a full batch if the source is faster than the model.
class AGPNET_EXPORT AnomalyStream
{
public:
    /// Stops at once. Frames that were not inspected yet are dropped; waiting calls return.
    virtual ~AnomalyStream() = default;

    /// Creates a stream.
    /// @param detector  the model, with its current options; do not change them while the stream exists
    /// @throws cv::Exception for an empty detector, and for an option out of range
    static cv::Ptr<AnomalyStream> create(const cv::Ptr<AnomalyDetector>& detector,
                                         const AnomalyStreamOptions& options = AnomalyStreamOptions());

    /// Adds a copy of the frame. Waits while the stream is at its capacity; a thread that also calls pop() should use tryPush(). A frame
    /// that detect() refuses is accepted, and its result has an error.
    /// @param source  returned with the result, for instance the number of the camera
    /// @return the number of the frame
    /// @throws cv::Exception after close()
    virtual uint64_t push(cv::InputArray frame, int source = 0) = 0;

    /// Like push(), but never waits. Returns false, and adds nothing, if push() would wait.
    virtual bool tryPush(cv::InputArray frame, int source = 0, uint64_t* number = nullptr) = 0;

    /// Gets the next result, in the order of push(). Waits for it.
    /// @param timeout  maximum seconds to wait; negative: no limit
    /// @return false after the timeout, and after close() when there are no more results
    virtual bool pop(AnomalyStreamResult& result, double timeout = -1) = 0;

    /// Ends the input. Frames that were added before are still inspected, and pop() returns their results.
    virtual void close() = 0;

    virtual size_t underWay() const = 0; ///< current number of frames between push() and pop()
};

} // namespace agpnet
