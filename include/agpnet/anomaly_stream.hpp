/// @file
/// Frames in, results out in the same order, in batches that form by themselves: for cameras and other sources that do not wait.
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

/// How frames are gathered, and what is given of each.
struct AnomalyStreamOptions
{
    int capacity = 32;       ///< frames under way at the most, from push() to pop(); then push() waits. 1 to 65536
    int batch = 8;           ///< frames that go through the model together, at the most. 1 to 1024
    double latency = 0.5;    ///< seconds that one pass may take: the longest batch is chosen by what passes took so far. More than 0
    bool maps = true;        ///< give each frame's map
    bool masks = false;      ///< and its mask
};

/// A frame that came out.
struct AnomalyStreamResult
{
    uint64_t number = 0; ///< as push() gave it: 0, 1, 2, ... without a gap
    int source = 0;      ///< as push() was told
    AnomalyResult result;       ///< what was found
    cv::Mat map,         ///< as AnomalyDetector::detect() gives it; empty unless asked for
        mask;            ///< likewise
    std::string error;   ///< one sentence if this frame could not be inspected; then nothing else is filled in. Those around it are
    double seconds = 0;  ///< from push() until the result was there
    int batch = 0;       ///< frames that went through the model with it
};

/// Frames in, results out. Every method may be called from several threads: many producers, and as many consumers. One thread of its own runs the model, which
/// it shares with every other user of the detector. A frame is inspected as soon as the model is free, with as many others as wait by
/// then: alone when there is time, in a full batch when there is not.
class AGPNET_EXPORT AnomalyStream
{
public:
    /// Ends at once: frames that were not inspected yet are dropped, waiting calls return.
    virtual ~AnomalyStream() = default;

    /// @param detector  as it is set up now; its setters may not be called while the stream lives
    /// @throws cv::Exception for no detector, and naming an option out of range
    static cv::Ptr<AnomalyStream> create(const cv::Ptr<AnomalyDetector>& detector, const AnomalyStreamOptions& options = AnomalyStreamOptions());

    /// Takes a copy of the frame. Waits while as many frames as the capacity allows are under way, so whoever also pops, in the same
    /// thread, should use tryPush(). Frames that no detector takes are taken here and come out with an error.
    /// @param source  comes out with the result, for instance the number of the camera
    /// @return the frame's number
    /// @throws cv::Exception after close()
    virtual uint64_t push(cv::InputArray frame, int source = 0) = 0;

    /// The same without waiting: false, and nothing is taken, where push() would wait.
    virtual bool tryPush(cv::InputArray frame, int source = 0, uint64_t* number = nullptr) = 0;

    /// The next result, in the order of push(). Waits for it, at the most so many seconds if not negative.
    /// @return false once all is given after close(), or where the time is over
    virtual bool pop(AnomalyStreamResult& result, double timeout = -1) = 0;

    /// No frame comes any more; what was taken is still inspected and given.
    virtual void close() = 0;

    virtual size_t underWay() const = 0; ///< frames from push() to pop() at this moment
};

} // namespace agpnet
